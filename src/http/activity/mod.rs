//! The activity page: `GET /user/activity/log` and `/stats`, and the same under `/api` (`contract.md` A.7).

mod log;
mod stats;

pub use log::{activity_log, api_activity_log};
pub use stats::{activity_stats, api_activity_stats};

/// What a key must be allowed to read.
const RESOURCE: &str = "activity";
