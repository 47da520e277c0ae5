//! What the tests and their worker agree on. All else of this package is in its tests.

use std::time::Duration;
use tollgate_actors::ledger::CallRecord;
use tollgate_domain::{GatewayId, HoldId, Nanos, TokenUsage};

/// What the worker reserves for each call.
pub const HELD: i64 = 20;

/// What the worker's call with that id costs: now and then more than was held.
#[must_use]
pub fn cost_of(id: HoldId) -> i64 {
    i64::from(id.0.as_bytes()[15] % 25)
}

/// A call that cost so much.
#[must_use]
pub fn record(nanos: i64) -> CallRecord {
    CallRecord {
        model: "openai/gpt-4o".to_owned(),
        gateway: GatewayId::OpenRouter,
        usage: TokenUsage { prompt: 10, completion: 5, ..TokenUsage::default() },
        cost: Nanos(nanos),
        latency: Duration::from_millis(7),
        estimated: false,
        streamed: false,
        finish_reason: "stop".to_owned(),
        provider: "Other".into(),
        session_id: None,
    }
}
