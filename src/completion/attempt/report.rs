//! What is told of attempts that failed: a row for the generation's page, counters for the operator.

use crate::completion::job::Job;
use crate::completion::refusal::kind;
use crate::completion::route::Offer;
use std::time::Duration;
use tollgate_actors::attempts::FailedAttempt;
use tollgate_actors::ports::GatewayError;
use tollgate_domain::GatewayId;

/// Records the attempt behind the call's back.
pub fn failed(job: &Job, offer: &Offer, ordinal: u16, error: &GatewayError, latency: Duration) {
    let status = match error {
        GatewayError::Status { status, .. } => i16::try_from(*status).ok(),
        _ => None,
    };
    let model = offer.name(&job.request);
    tracing::debug!(generation = job.generation.as_str(), gateway = %offer.gateway, model, %error, "an attempt failed");
    job.services.actors.attempts.record(FailedAttempt {
        generation_id: job.hold.0,
        ordinal: i16::try_from(ordinal).unwrap_or(i16::MAX),
        user_id: job.caller.user.0,
        gateway: offer.gateway.as_str().to_owned(),
        model: model.to_owned(),
        kind: kind(error).to_owned(),
        status,
        latency_ms: i32::try_from(latency.as_millis()).unwrap_or(i32::MAX),
        created_at: job.services.clock.now(),
    });
}

/// Counts a retry, or that there was none for want of budget.
pub fn retry(gateway: GatewayId, is_allowed: bool) {
    if is_allowed {
        metrics::counter!("tollgate_retries_total", "gateway" => gateway.as_str()).increment(1);
    } else {
        metrics::counter!("tollgate_retries_refused_total").increment(1);
    }
}
