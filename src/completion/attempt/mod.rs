//! The attempts of one call: who is asked, in which order, and how often, until one gateway answers.
//!
//! ```text
//! round 1: each offer in its order, but those that rest ─┬─ an answer ──▶ Answered
//!                                                        └─ none ─▶ back-off, or the gateway's Retry-After ─▶ round 2 …
//! ```
//!
//! An attempt is one request to one gateway for one model. Every one but the first needs a share of the process's retry
//! budget and a place under `RETRY_ATTEMPTS`. Nothing of any of them has gone to the client.

mod policy;
mod report;

use super::job::Job;
use super::route::Offer;
use crate::http::error::ApiError;
use actix_web::http::StatusCode;
use policy::{Health, Next};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout_at};
use tollgate_actors::ledger::CallPermit;
use tollgate_actors::ports::{GatewayError, Phase, UpstreamAnswer};
use tollgate_actors::upstreams::{Failure, Pass, Resting};
use tollgate_domain::GatewayId;

const RETRY_SOON: Duration = Duration::from_secs(1);

/// A gateway that has begun to answer.
pub(super) struct Answered<'a> {
    pub answer: UpstreamAnswer,
    asked: Asked<'a>,
}

/// How far a call goes before it is held against its hold.
pub(super) trait Reach {
    type Answer<'a>: Send;

    /// Asks one gateway after the other until one has answered so far.
    ///
    /// # Errors
    /// As of [`Attempts::next`].
    fn ask<'a>(
        attempts: &mut Attempts<'a>,
        permit: &CallPermit,
        limit: Option<i64>,
    ) -> impl Future<Output = Result<Self::Answer<'a>, ApiError>> + Send;
}

/// To the answer's beginning.
pub(super) struct ToHead;

impl Reach for ToHead {
    type Answer<'a> = Answered<'a>;

    async fn ask<'a>(attempts: &mut Attempts<'a>, permit: &CallPermit, limit: Option<i64>) -> Result<Answered<'a>, ApiError> {
        attempts.next(permit, limit).await
    }
}

/// A request to a gateway that is under way.
struct Asked<'a> {
    /// The offer's place among the job's.
    place: usize,
    offer: &'a Offer,
    pass: Pass,
    at: Instant,
}

impl<'a> Answered<'a> {
    pub const fn offer(&self) -> &'a Offer {
        self.asked.offer
    }

    /// The answer is good so far.
    pub fn is_good(&mut self) {
        self.asked.pass.succeeded(&self.asked.offer.upstream_id);
    }

    /// The answer broke after a part of it had gone to the client.
    pub fn broke(&mut self) {
        self.asked.pass.failed(&self.asked.offer.upstream_id, Failure::Model, Instant::now());
    }
}

/// What has become of an offer that was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Not before that moment.
    Again(Instant),
    /// No more in this call.
    Out,
}

/// The attempts of a job.
pub(super) struct Attempts<'a> {
    job: &'a Job,
    tried: Tried,
}

/// What the attempts so far have shown. A call that is made again goes on with it.
#[derive(Default)]
pub(super) struct Tried {
    /// By place. What is not in it has not failed.
    fates: Vec<(usize, Fate)>,
    /// Can't be reached in this round.
    unreachable: Vec<GatewayId>,
    /// Where the round goes on.
    next: usize,
    round: u32,
    /// Somebody was asked in this round.
    asked: bool,
    failed: u16,
    /// What the client is told when nobody answers.
    refusal: Option<ApiError>,
    /// Of the gateways that were passed over the one that is back first.
    resting: Option<Resting>,
}

impl<'a> Attempts<'a> {
    pub const fn of(job: &'a Job, tried: Tried) -> Self {
        Self { job, tried }
    }

    pub fn tried(self) -> Tried {
        self.tried
    }

    /// Asks one gateway after the other until one begins to answer.
    ///
    /// # Errors
    /// The last refusal; or 429 or 503 with `Retry-After` when all gateways rest.
    pub async fn next(&mut self, permit: &CallPermit, limit: Option<i64>) -> Result<Answered<'a>, ApiError> {
        loop {
            let now = if self.tried.failed == 0 { self.job.started } else { Instant::now() };
            let Some(asked) = self.choose(now) else {
                Box::pin(self.rest()).await?;
                continue;
            };
            self.may_ask(asked.offer, now)?;
            self.tried.asked = true;
            match self.ask(asked.offer, permit, limit).await {
                Ok(answer) => return Ok(Answered { answer, asked }),
                Err(error) => self.note(asked, &error, false)?,
            }
        }
    }

    /// The answer was none after all, and nothing of it has gone to the client: asks the next one.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn after(
        &mut self,
        answered: Answered<'a>,
        error: &GatewayError,
        permit: &CallPermit,
        limit: Option<i64>,
    ) -> Result<Answered<'a>, ApiError> {
        let Answered { answer, asked } = answered;
        // Its connection is closed before another one is used.
        drop(answer);
        self.note(asked, error, true)?;
        self.next(permit, limit).await
    }

    /// The next offer of this round whose gateway may be asked.
    fn choose(&mut self, now: Instant) -> Option<Asked<'a>> {
        for (place, offer) in self.job.offers.iter().enumerate().skip(self.tried.next) {
            self.tried.next = place;
            let is_off = self.job.gateways.get(offer.gateway).is_none();
            if is_off || self.tried.unreachable.contains(&offer.gateway) || !self.is_due(place, now) {
                continue;
            }
            match self.job.services.actors.upstreams.admit(offer.gateway, &offer.upstream_id, now) {
                Ok(pass) => return Some(Asked { place, offer, pass, at: now }),
                Err(resting) => {
                    let earlier = self.tried.resting.filter(|earlier| earlier.until <= resting.until);
                    self.tried.resting = Some(earlier.unwrap_or(resting));
                }
            }
        }
        self.tried.next = self.job.offers.len();
        None
    }

    fn is_due(&self, place: usize, now: Instant) -> bool {
        match self.tried.fates.iter().find(|(known, _)| *known == place) {
            None => true,
            Some((_, Fate::Out)) => false,
            Some((_, Fate::Again(at))) => self.tried.round > 0 && *at <= now,
        }
    }

    /// The first attempt is free; each further one is a retry.
    fn may_ask(&mut self, offer: &Offer, now: Instant) -> Result<(), ApiError> {
        if self.tried.failed == 0 {
            return Ok(());
        }
        let is_allowed = self.tried.failed < self.job.services.settings.upstreams.attempts
            && now < self.deadline()
            && self.job.services.actors.upstreams.may_retry(now);
        report::retry(offer.gateway, is_allowed);
        if is_allowed { Ok(()) } else { Err(self.give_up()) }
    }

    async fn ask(&self, offer: &Offer, permit: &CallPermit, limit: Option<i64>) -> Result<UpstreamAnswer, GatewayError> {
        let Some(gateway) = self.job.gateways.get(offer.gateway) else {
            return Err(GatewayError::Connection("the gateway is off".to_owned()));
        };
        let body = self.job.request.upstream_body(offer.gateway, &offer.upstream_id, limit);
        let answering = gateway.complete(permit, self.job.upstream_call(offer, body));
        if self.tried.failed == 0 {
            return answering.await;
        }
        // The gateway's own time-outs start anew; the call's does not.
        let late = |_| Err(GatewayError::Timeout(Phase::Total));
        timeout_at(self.deadline().into(), answering).await.unwrap_or_else(late)
    }

    /// Remembers a failure. Goes on when somebody else may do better.
    fn note(&mut self, asked: Asked<'a>, error: &GatewayError, begun: bool) -> Result<(), ApiError> {
        let Asked { place, offer, mut pass, at } = asked;
        let now = Instant::now();
        let verdict = policy::verdict(error, begun, self.job.is_our_key(offer.gateway));
        match verdict.health {
            Health::Troubled(failure) => pass.failed(&offer.upstream_id, failure, now),
            Health::Well => pass.succeeded(&offer.upstream_id),
            Health::Unknown => drop(pass),
        }
        self.tried.failed = self.tried.failed.saturating_add(1);
        report::failed(self.job, offer, self.tried.failed, error, now.saturating_duration_since(at));
        self.keep_refusal(self.job.refusal(offer.gateway, error));
        if matches!(verdict.health, Health::Troubled(Failure::Gateway | Failure::Key)) {
            self.tried.unreachable.push(offer.gateway);
        }
        let fate = match (verdict.next, verdict.health) {
            (Next::Again, Health::Troubled(Failure::Busy(rest))) => Fate::Again(now + rest),
            (Next::Again, _) => Fate::Again(now),
            (Next::Elsewhere | Next::Nobody, _) => Fate::Out,
        };
        self.tried.fates.retain(|(known, _)| *known != place);
        self.tried.fates.push((place, fate));
        self.tried.next = place + 1;
        // Another such wait must fit into the call's time.
        let first_byte = self.job.services.settings.timeouts.first_byte;
        let is_too_late = *error == GatewayError::Timeout(Phase::FirstByte) && now + first_byte > self.deadline();
        if verdict.next == Next::Nobody || is_too_late { Err(self.give_up()) } else { Ok(()) }
    }

    /// Of all refusals the last one is told; but that a gateway does not know the model says least.
    fn keep_refusal(&mut self, refusal: ApiError) {
        if self.tried.refusal.is_none() || refusal.status() != StatusCode::NOT_FOUND {
            self.tried.refusal = Some(refusal);
        }
    }

    /// The round is over. Waits for the next one, if it may bring anything.
    async fn rest(&mut self) -> Result<(), ApiError> {
        let settings = &self.job.services.settings.upstreams;
        let soonest =
            self.tried.fates.iter().filter_map(|(_, fate)| if let Fate::Again(at) = fate { Some(*at) } else { None }).min();
        let may_go_on = self.tried.asked && self.tried.failed < settings.attempts;
        let Some(soonest) = soonest.filter(|_| may_go_on) else { return Err(self.give_up()) };
        let now = Instant::now();
        let wished = soonest.saturating_duration_since(now);
        let wait = policy::backoff(self.tried.round, settings.backoff, rand::random()).max(wished);
        if wished > settings.wait_max || now + wait >= self.deadline() {
            return Err(self.give_up());
        }
        sleep(wait).await;
        (self.tried.round, self.tried.next, self.tried.asked) = (self.tried.round + 1, 0, false);
        self.tried.unreachable.clear();
        Ok(())
    }

    fn give_up(&mut self) -> ApiError {
        self.tried.refusal.take().unwrap_or_else(|| match self.tried.resting {
            Some(Resting { until, busy }) => all_rest(until.saturating_duration_since(Instant::now()), busy),
            None => ApiError::unavailable(RETRY_SOON).with_message("No gateway that has this model is switched on"),
        })
    }

    fn deadline(&self) -> Instant {
        self.job.started + self.job.services.settings.timeouts.total
    }
}

/// Nobody was asked: all gateways that have the model rest.
fn all_rest(wait: Duration, busy: bool) -> ApiError {
    let wait = wait.max(RETRY_SOON);
    if busy {
        return ApiError::too_many_requests("The model provider's rate limit is reached", Some(wait));
    }
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "upstream_unavailable",
        "All model providers that serve this model have failed lately, please retry",
    )
    .with_retry_after(wait)
}
