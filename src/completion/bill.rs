//! What a call cost, as the client is told.

use super::job::Job;
use super::settle::Charge;
use serde::Serialize;
use std::time::Duration;
use tollgate_domain::{Nanos, TokenUsage};

/// A closed call.
pub(super) struct Bill {
    /// `None`: nothing was charged.
    pub charge: Option<Charge>,
    pub balance_after: Option<Nanos>,
    pub latency: Duration,
}

/// `gateway_usage` (`contract.md` A.5).
#[derive(Serialize)]
struct GatewayUsage<'a> {
    tokens_charged: i64,
    cost_usd: Nanos,
    user_balance_after: Option<Nanos>,
    user_api_key: &'a str,
    request_ms: u128,
}

impl Bill {
    /// `gateway_usage` as JSON.
    pub fn gateway_usage(&self, job: &Job) -> Vec<u8> {
        let usage = GatewayUsage {
            tokens_charged: self.usage().total(),
            cost_usd: self.charge.as_ref().map_or(Nanos::ZERO, |charge| charge.cost),
            user_balance_after: self.balance_after,
            user_api_key: &job.caller.masked_key,
            request_ms: self.latency.as_millis(),
        };
        serde_json::to_vec(&usage).unwrap_or_else(|error| {
            tracing::error!(%error, "a bill is no JSON");
            b"null".to_vec()
        })
    }

    pub fn usage(&self) -> TokenUsage {
        self.charge.as_ref().map(|charge| charge.usage).unwrap_or_default()
    }

    /// The provider's own counts are what is charged.
    pub fn is_theirs(&self) -> bool {
        self.charge.as_ref().is_none_or(|charge| !charge.estimated && !charge.absurd)
    }
}
