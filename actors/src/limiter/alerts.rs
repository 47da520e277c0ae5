//! Refusals that operators should hear of: one for each key, kind and window, written behind the requests' back.

use super::refusal::Refusal;
use super::window::time_of;
use chrono::{DateTime, Utc};
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tollgate_domain::{KeyId, UserId};
use tollgate_store::rate_limit_alerts::NewAlert;

/// Alerts that wait; more are counted, not kept.
const WAITING_MAX: usize = 1_000;
/// Windows remembered as told; past it all are forgotten, and the table leaves out what it has.
const TOLD_MAX: usize = 20_000;

#[derive(Default)]
pub(super) struct Alerts(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: Vec<NewAlert>,
    /// When the window began that was told of last.
    told: HashMap<(KeyId, &'static str), i64>,
}

impl Alerts {
    pub fn note(&self, user: UserId, key: KeyId, refusal: &Refusal, now: DateTime<Utc>) {
        let Some((kind, limit)) = refusal.alert() else { return };
        metrics::counter!("tollgate_limiter_refused_total", "kind" => kind).increment(1);
        let (start_s, _) = refusal.alert_window().around(now.timestamp());
        let mut state = self.state();
        if state.told.get(&(key, kind)) == Some(&start_s) {
            return;
        }
        if state.told.len() >= TOLD_MAX {
            state.told.clear();
        }
        state.told.insert((key, kind), start_s);
        if state.waiting.len() >= WAITING_MAX {
            metrics::counter!("tollgate_limiter_alerts_lost_total").increment(1);
            return;
        }
        let details = json!({"limit": limit, "reason": refusal.to_string()});
        state.waiting.push(NewAlert { user, key, kind, window_start: time_of(start_s), details, at: now });
    }

    /// Those that wait.
    pub fn take(&self) -> Vec<NewAlert> {
        std::mem::take(&mut self.state().waiting)
    }

    /// They could not be written.
    pub fn put_back(&self, alerts: Vec<NewAlert>) {
        let mut state = self.state();
        let room = WAITING_MAX.saturating_sub(state.waiting.len());
        state.waiting.extend(alerts.into_iter().take(room));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
