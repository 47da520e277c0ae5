//! Counting where replicas decide together, and going on without it.

use super::accounts::{Ask, Verdict};
use super::permit::{Permit, Stage};
use super::refusal::Refusal;
use super::shared::{self, Cells, CounterName, SharedAsk, SharedCounters, SharedError, SharedVerdict};
use super::{Shared, failed_open};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How long shared counters that did not answer are left alone.
const AWAY_MS: i64 = 1_000;

impl Shared {
    /// Where replicas decide together, if there is such a place and it answers.
    pub(super) fn elsewhere(&self, now: DateTime<Utc>) -> Option<&Arc<dyn SharedCounters>> {
        let is_away = now.timestamp_millis() < self.away_until_ms.load(Ordering::Relaxed);
        if self.counters.is_some() && is_away {
            failed_open("shared");
        }
        self.counters.as_ref().filter(|_| !is_away)
    }

    /// Counts a call that has its place: there, then here. Without an answer in time, by what is known here.
    pub(super) async fn count_elsewhere(
        &self,
        counters: &Arc<dyn SharedCounters>,
        ask: &Ask<'_>,
        mut permit: Permit,
    ) -> Result<Permit, Refusal> {
        let Some(Cells { cells, refusals, .. }) = self.accounts.cells(ask) else { return Ok(permit) };
        let now_ms = ask.now.timestamp_millis();
        let bucket = shared::bucket(ask.user, ask.key);
        let answer = counters.admit(SharedAsk { bucket, burst: ask.rules.key.burst, now_ms, cells }).await;
        permit.is_shared = match answer {
            Ok(SharedVerdict::Admitted) => true,
            Ok(SharedVerdict::Burst { wait_ms }) => return Err(Refusal::Burst { limit: ask.rules.key.burst, wait_ms }),
            Ok(SharedVerdict::Full(index)) => match refusals.get(index) {
                Some(refusal) => return Err(*refusal),
                None => false,
            },
            Err(error) => {
                self.is_away(&error);
                false
            }
        };
        match self.accounts.count(ask, permit.is_shared) {
            Verdict::Refused(refusal) => Err(refusal),
            Verdict::Admitted(_) => {
                permit.stage = Stage::Counted;
                Ok(permit)
            }
            Verdict::Unknown => Ok(permit),
        }
    }

    pub(super) fn give_back_elsewhere(self: &Arc<Self>, amounts: Vec<(CounterName, i64)>) {
        if amounts.is_empty() {
            return;
        }
        let Some(counters) = self.elsewhere(self.clock.now()) else { return };
        let giving = counters.take_back(amounts);
        let shared = Arc::clone(self);
        self.io.spawn(async move {
            if let Err(error) = giving.await {
                shared.is_away(&error);
            }
        });
    }

    /// It is not asked for a moment: calls shall not all wait for what does not come.
    fn is_away(&self, error: &SharedError) {
        failed_open("shared");
        let until_ms = self.clock.now().timestamp_millis() + AWAY_MS;
        if self.away_until_ms.swap(until_ms, Ordering::Relaxed) < until_ms - AWAY_MS {
            tracing::warn!(%error, "the replicas' shared limits don't answer: each decides by itself");
        }
    }
}
