//! The keeper: closes holds that no one will close, extends those whose calls run on.

use super::command::{Closing, Command};
use super::handle::{DUE_AT_ONCE, Desk};
use super::writer::{WriterOptions, closing_of};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tollgate_domain::HoldId;
use tollgate_store::StoreError;
use tollgate_store::ledger::{due_holds, ensure_partitions, extend_holds};

/// Promise L7 gives two seconds from a hold's end to its expiry.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Looks until it is dropped. A look that panics is one look less.
pub async fn run(options: WriterOptions, desk: Arc<Desk>) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut partitions_until = DateTime::<Utc>::MIN_UTC;
    loop {
        tick.tick().await;
        let look = AssertUnwindSafe(look(&options, &desk, &mut partitions_until)).catch_unwind();
        match look.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the ledger's keeper could not look"),
            Err(_) => tracing::error!("the ledger's keeper panicked and goes on"),
        }
    }
}

async fn look(options: &WriterOptions, desk: &Desk, partitions_until: &mut DateTime<Utc>) -> Result<(), StoreError> {
    let now = options.clock.now();
    if now >= *partitions_until {
        make_partitions(options, now, partitions_until).await;
    }
    // First what lives is extended, so that it is not among what is due.
    let living = desk.live.due(now);
    if !living.is_empty() {
        let rows: Vec<_> = living.iter().map(|(hold, until)| (hold.0, *until)).collect();
        extend_holds(&options.store, &rows).await?;
        desk.live.extended(&living);
    }
    let limit = i64::try_from(DUE_AT_ONCE).unwrap_or(i64::MAX);
    let due = due_holds(&options.store, now, None, limit).await?;
    let mut answers = Vec::with_capacity(due.len());
    for hold in due.iter().filter(|hold| !desk.live.contains(HoldId(hold.id))) {
        let closing = if hold.expired { Closing::Expire } else { Closing::Release };
        let command: Command = closing_of(hold, closing);
        answers.push(desk.send(command, None));
    }
    if !answers.is_empty() {
        tracing::info!(holds = answers.len(), "holds without an owner are closed");
    }
    for answer in answers {
        // Whether it was closed shows at the next look.
        let _ = answer.await;
    }
    Ok(())
}

/// Holds are kept whether or not this succeeds: what has no month's partition goes to the default one.
async fn make_partitions(options: &WriterOptions, now: DateTime<Utc>, partitions_until: &mut DateTime<Utc>) {
    let retry_after = match ensure_partitions(&options.store, now).await {
        Ok(()) => TimeDelta::days(1),
        Err(error) => {
            tracing::warn!(%error, "the partitions of the months to come could not be made");
            TimeDelta::minutes(1)
        }
    };
    *partitions_until = now + retry_after;
}
