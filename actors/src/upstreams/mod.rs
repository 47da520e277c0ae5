//! What is known of the gateways' health, shared by all HTTP workers: who may be asked, and who may be asked again.
//!
//! Not an actor: it is read on every call, so it is memory behind short locks and not a mailbox.
//!
//! - **Owns** a circuit breaker for each gateway, one for each model that has failed at a gateway, and the process's retry
//!   budget. An aggregator's broken model rests by itself: its gateway goes on with all others.
//! - **Bounds**: [`MODELS_MAX`] troubled models for a gateway; a rest is at most [`UpstreamOptions::rest_max`] long.
//! - **A restart** of the process forgets all of it, and learns it again within a few calls.
//!
//! A gateway without trouble costs a call one atomic read on its way out and one when it is answered.

mod breaker;
mod budget;
mod gateway;

#[cfg(test)]
mod tests;

pub use gateway::MODELS_MAX;

use breaker::Terms;
use budget::Budget;
use gateway::{Gateway, Probe};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tollgate_domain::GatewayId;

/// How much trouble is borne, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamOptions {
    /// Failures in a row that open a breaker; 0: breakers never open.
    pub failures: u32,
    /// Percent of the outcomes of a window that open it.
    pub failure_percent: u32,
    pub window: Duration,
    /// The first rest; it doubles with every probe that fails.
    pub rest: Duration,
    /// The longest rest, also of those that a gateway asks for.
    pub rest_max: Duration,
    /// The first rest when our own key is refused.
    pub key_rest: Duration,
    /// Retries for a hundred calls of the last ten seconds.
    pub retry_percent: u32,
    /// Retries a second that are allowed besides.
    pub retries_per_second: u32,
}

impl Default for UpstreamOptions {
    fn default() -> Self {
        Self {
            failures: 5,
            failure_percent: 50,
            window: Duration::from_secs(30),
            rest: Duration::from_secs(5),
            rest_max: Duration::from_secs(60),
            key_rest: Duration::from_secs(30),
            retry_percent: 20,
            retries_per_second: 10,
        }
    }
}

/// What a call's failure says of its gateway. A call that fails by its caller's fault says that the gateway is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It can't be reached.
    Gateway,
    /// It refuses our key.
    Key,
    /// It does not serve this model as it should.
    Model,
    /// It has too much to do with this model, and says when to come back.
    Busy(Duration),
}

/// Why a gateway is not to be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    pub until: Instant,
    /// By its own wish; else because it has failed.
    pub busy: bool,
}

/// Clones share everything.
#[derive(Clone, Debug)]
pub struct Upstreams {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    gateways: [Gateway; GatewayId::ALL.len()],
    budget: Budget,
}

impl Shared {
    fn gateway(&self, id: GatewayId) -> Option<&Gateway> {
        self.gateways.iter().find(|gateway| gateway.id == id)
    }
}

impl Upstreams {
    #[must_use]
    pub fn new(options: UpstreamOptions, now: Instant) -> Self {
        let terms = Terms {
            failures: options.failures,
            failure_percent: options.failure_percent,
            window: options.window,
            rest: options.rest,
            rest_max: options.rest_max,
        };
        let gateways = GatewayId::ALL.map(|id| Gateway::new(id, terms, options.key_rest, now));
        let budget = Budget::new(options.retry_percent, options.retries_per_second, now);
        Self { shared: Arc::new(Shared { gateways, budget }) }
    }

    /// May this gateway be asked for this model now? The pass wants to know how it ended.
    ///
    /// # Errors
    /// `Resting`: the gateway or the model has failed too often, or asked to be left alone.
    pub fn admit(&self, gateway: GatewayId, model: &str, now: Instant) -> Result<Pass, Resting> {
        let probe = match self.shared.gateway(gateway) {
            Some(gateway) => gateway.admit(model, now)?,
            None => Probe::default(),
        };
        Ok(Pass { shared: Arc::clone(&self.shared), gateway, probe })
    }

    /// Counts a call: a share of all calls may be retried.
    pub fn called(&self, now: Instant) {
        self.shared.budget.called(now);
    }

    /// Takes a retry out of the process's budget, if there is one.
    #[must_use]
    pub fn may_retry(&self, now: Instant) -> bool {
        self.shared.budget.take(now)
    }
}

/// Leave for one request. Dropped without a word (the client has left), it says nothing of the gateway, and another call may be
/// the probe in its place.
#[derive(Debug)]
#[must_use]
pub struct Pass {
    shared: Arc<Shared>,
    gateway: GatewayId,
    probe: Probe,
}

impl Pass {
    /// This request decides whether the gateway, or the model, is well again.
    #[must_use]
    pub const fn is_probe(&self) -> bool {
        self.probe.is_any()
    }

    /// The answer is good, or what is wrong with it is the caller's fault. A probe has ended with it; what is said later of the
    /// same answer counts as of any other.
    pub fn succeeded(&mut self, model: &str) {
        let probe = std::mem::take(&mut self.probe);
        if let Some(gateway) = self.shared.gateway(self.gateway) {
            gateway.succeeded(model, probe);
        }
    }

    pub fn failed(&mut self, model: &str, failure: Failure, now: Instant) {
        let probe = std::mem::take(&mut self.probe);
        if let Some(gateway) = self.shared.gateway(self.gateway) {
            gateway.failed(model, failure, probe, now);
        }
    }
}

impl Drop for Pass {
    // Mutant: an empty body leaves a breaker half open for ever: `a_probe_that_ends_without_a_word_makes_room_for_another` is red.
    fn drop(&mut self) {
        if self.probe.is_any()
            && let Some(gateway) = self.shared.gateway(self.gateway)
        {
            gateway.abandoned(&std::mem::take(&mut self.probe));
        }
    }
}
