//! Privy: its published keys, and what of its tokens is believed.
//!
//! A client signs in by an access token: a JWT that Privy has signed for our app. Which key signed it, the token says by an id;
//! everything else about how it is verified is ours to say, not the token's.

mod crypto;
mod jwks;
mod token;

#[cfg(test)]
mod tests;

pub use jwks::PrivyKeys;
pub use token::{PrivyVerifier, Rejection, TokenError};
