//! One gateway's breakers: its own, and those of its troubled models.

use super::breaker::{Breaker, Change, Leave, Terms};
use super::{Failure, Resting};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tollgate_domain::GatewayId;

/// Models of one gateway whose trouble is remembered. Past it, only the gateway's own breaker counts theirs.
pub const MODELS_MAX: usize = 512;
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// For which breakers a request is the probe.
#[derive(Debug, Default)]
pub struct Probe {
    gateway: bool,
    model: Option<Box<str>>,
}

impl Probe {
    pub const fn is_any(&self) -> bool {
        self.gateway || self.model.is_some()
    }
}

#[derive(Debug)]
pub struct Gateway {
    pub id: GatewayId,
    terms: Terms,
    key_rest: Duration,
    /// Nothing is remembered: then nobody takes the lock. Written under it.
    is_quiet: AtomicBool,
    board: Mutex<Board>,
}

#[derive(Debug)]
struct Board {
    own: Breaker,
    /// Those that have failed lately.
    models: HashMap<Box<str>, Model>,
    /// Whose failure was the last: a model that fails again and again says nothing more of its gateway.
    failed_last: Option<Box<str>>,
    forget_at: Instant,
}

#[derive(Debug)]
struct Model {
    breaker: Breaker,
    /// Its gateway wants to be asked for it no earlier.
    busy_until: Option<Instant>,
    /// Forgotten then, unless something happens.
    stale_at: Instant,
}

impl Gateway {
    pub fn new(id: GatewayId, terms: Terms, key_rest: Duration, now: Instant) -> Self {
        let board = Board { own: Breaker::new(now), models: HashMap::new(), failed_last: None, forget_at: now };
        Self { id, terms, key_rest, is_quiet: AtomicBool::new(true), board: Mutex::new(board) }
    }

    pub fn admit(&self, model: &str, now: Instant) -> Result<Probe, Resting> {
        // Mutant: always going on without the lock turns `one_of_a_thousand_threads_is_the_probe` red.
        if self.is_quiet.load(Ordering::Acquire) {
            return Ok(Probe::default());
        }
        let mut board = self.lock();
        board.forget_stale(now);
        let leave = board.models.get(model).map_or(Ok(Leave::Free), |model| model.leave(now))?;
        let own = board.own.leave(now);
        if let (Leave::Rest { until }, _) | (_, Leave::Rest { until }) = (own, leave) {
            return Err(Resting { until, busy: false });
        }
        if own == Leave::Probe {
            board.own.probe();
        }
        let probed = board.models.get_mut(model).filter(|_| leave == Leave::Probe);
        let model = probed.map(|known| {
            known.breaker.probe();
            Box::from(model)
        });
        Ok(Probe { gateway: own == Leave::Probe, model })
    }

    /// `now` is read here: without trouble it is not needed.
    pub fn succeeded(&self, model: &str, probe: Probe) {
        if self.is_quiet.load(Ordering::Acquire) {
            return;
        }
        self.succeeded_at(model, &probe, Instant::now());
    }

    pub fn succeeded_at(&self, model: &str, probe: &Probe, now: Instant) {
        let mut board = self.lock();
        board.failed_last = None;
        let change = board.own.succeeded(probe.gateway, &self.terms, now);
        self.tell(change, None);
        if let Some(known) = board.models.get_mut(model) {
            let change = known.breaker.succeeded(probe.model.is_some(), &self.terms, now);
            self.tell(change, Some(model));
        }
        board.forget_stale(now);
        self.publish(&board);
    }

    pub fn failed(&self, model: &str, failure: Failure, probe: Probe, now: Instant) {
        if self.terms.failures == 0 {
            return;
        }
        let mut board = self.lock();
        match failure {
            Failure::Gateway => self.own_failed(&mut board, &probe, self.terms.rest, now),
            Failure::Key => self.own_failed(&mut board, &probe, self.key_rest, now),
            Failure::Model => {
                self.model_failed(&mut board, model, &probe, now);
                // Mutant: without the comparison `a_broken_model_does_not_take_its_gateway_with_it` is red.
                if probe.gateway || board.failed_last.as_deref() != Some(model) {
                    self.own_failed(&mut board, &probe, self.terms.rest, now);
                    board.failed_last = Some(model.into());
                }
            }
            Failure::Busy(rest) => {
                // It answers: it is there.
                let change = board.own.succeeded(probe.gateway, &self.terms, now);
                self.tell(change, None);
                if let Some(known) = board.model(model, self.terms.window, now) {
                    known.breaker.probe_again(now);
                    let until = now + rest.min(self.terms.rest_max);
                    known.busy_until = Some(until);
                    known.stale_at = known.stale_at.max(until);
                }
            }
        }
        // What the failure says nothing of is to be tried by another.
        if matches!(failure, Failure::Gateway | Failure::Key) {
            board.probe_model_again(&probe, now);
        }
        self.publish(&board);
    }

    pub fn abandoned(&self, probe: &Probe) {
        let now = Instant::now();
        let mut board = self.lock();
        if probe.gateway {
            board.own.probe_again(now);
        }
        board.probe_model_again(probe, now);
    }

    fn own_failed(&self, board: &mut Board, probe: &Probe, rest: Duration, now: Instant) {
        let change = board.own.failed(probe.gateway, rest, &self.terms, now);
        self.tell(change, None);
    }

    fn model_failed(&self, board: &mut Board, model: &str, probe: &Probe, now: Instant) {
        let Some(known) = board.model(model, self.terms.window, now) else { return };
        let change = known.breaker.failed(probe.model.is_some(), self.terms.rest, &self.terms, now);
        if let Change::Opened { rest } = change {
            known.stale_at = known.stale_at.max(now + rest + self.terms.window);
        }
        self.tell(change, Some(model));
    }

    fn publish(&self, board: &Board) {
        self.is_quiet.store(board.own.is_quiet() && board.models.is_empty(), Ordering::Release);
    }

    fn tell(&self, change: Change, model: Option<&str>) {
        let gateway = self.id.as_str();
        let (to, state) = match change {
            Change::None => return,
            Change::Opened { rest } => {
                tracing::warn!(gateway, model, rest_ms = rest.as_millis(), "a breaker has opened");
                ("open", 1.0)
            }
            Change::Closed => {
                tracing::info!(gateway, model, "a breaker has closed");
                ("closed", 0.0)
            }
        };
        let scope = if model.is_some() { "model" } else { "gateway" };
        metrics::counter!("tollgate_breaker_changes_total", "gateway" => gateway, "scope" => scope, "to" => to).increment(1);
        if model.is_none() {
            metrics::gauge!("tollgate_breaker_open", "gateway" => gateway).set(state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    /// The model's entry, made if there is room.
    fn model(&mut self, model: &str, window: Duration, now: Instant) -> Option<&mut Model> {
        if !self.models.contains_key(model) {
            if self.models.len() >= MODELS_MAX {
                return None;
            }
            self.models.insert(model.into(), Model { breaker: Breaker::new(now), busy_until: None, stale_at: now });
        }
        let known = self.models.get_mut(model)?;
        known.stale_at = known.stale_at.max(now + window);
        Some(known)
    }

    fn probe_model_again(&mut self, probe: &Probe, now: Instant) {
        if let Some(model) = probe.model.as_deref().and_then(|model| self.models.get_mut(model)) {
            model.breaker.probe_again(now);
        }
    }

    /// Looks once a second: there may be hundreds.
    fn forget_stale(&mut self, now: Instant) {
        if now >= self.forget_at {
            self.forget_at = now + FORGET_EVERY;
            self.models.retain(|_, model| now < model.stale_at || model.breaker.is_probing());
        }
    }
}

impl Model {
    fn leave(&self, now: Instant) -> Result<Leave, Resting> {
        match self.busy_until.filter(|until| now < *until) {
            Some(until) => Err(Resting { until, busy: true }),
            None => Ok(self.breaker.leave(now)),
        }
    }
}
