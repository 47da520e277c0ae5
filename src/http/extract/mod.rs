//! Extractors whose refusals are [`ApiError`](super::error::ApiError)s with FastAPI's list of wrong fields.

mod body;
mod mistake;
mod params;

pub use body::{Body, parse};
pub use params::{Path, Query};
