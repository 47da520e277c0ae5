//! The actor: when each gateway is asked, and who waits for it.

use super::CatalogOptions;
use super::desk::Desk;
use super::messages::{AwaitFirstLists, CatalogError, FindStatus, GatewayStatus, RefreshModels, Refreshed};
use crate::crashable;
use crate::runtime::Drain;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, MessageResult, ResponseFuture, Supervised};
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tollgate_domain::GatewayId;

type Outcome = Result<usize, CatalogError>;

pub struct CatalogActor {
    desk: Arc<Desk>,
    io: tokio::runtime::Handle,
    options: CatalogOptions,
    schedules: Vec<Schedule>,
    /// Those who wait for the first lists.
    first_waiters: Vec<oneshot::Sender<()>>,
    /// Numbers refreshes, so that one begun before a restart is not taken for a later one.
    next_flight: u64,
}

/// When one gateway is asked next, and how the last times went.
struct Schedule {
    gateway: GatewayId,
    due_at: DateTime<Utc>,
    flight: Option<u64>,
    waiters: Vec<oneshot::Sender<Outcome>>,
    /// Its list is there, or its first try is over.
    settled: bool,
    failures: u32,
    last_error: Option<String>,
}

impl CatalogActor {
    pub(super) fn new(desk: Arc<Desk>, io: tokio::runtime::Handle, options: CatalogOptions) -> Self {
        let schedules = schedules(&desk);
        Self { desk, io, options, schedules, first_waiters: Vec::new(), next_flight: 0 }
    }

    fn start_due(&mut self, ctx: &Context<Self>) {
        let now = self.desk.clock.now();
        let due = self.schedules.iter().filter(|schedule| schedule.flight.is_none() && schedule.due_at <= now);
        for gateway in due.map(|schedule| schedule.gateway).collect::<Vec<_>>() {
            self.fly(gateway, ctx);
        }
    }

    /// Begins a refresh, unless one is under way.
    fn fly(&mut self, id: GatewayId, ctx: &Context<Self>) {
        let Some(gateway) = self.desk.gateways.iter().find(|gateway| gateway.id() == id).cloned() else { return };
        let Some(schedule) = self.schedules.iter_mut().find(|schedule| schedule.gateway == id) else { return };
        // Mutant: without this line `many_refreshes_at_once_ask_the_gateway_once` is red.
        if schedule.flight.is_some() {
            return;
        }
        self.next_flight += 1;
        let flight = self.next_flight;
        schedule.flight = Some(flight);
        let (desk, actor, io) = (Arc::clone(&self.desk), ctx.address(), self.io.clone());
        self.io.spawn(async move {
            let inner = (Arc::clone(&desk), actor.clone());
            // A task of its own, so that a panic of an adapter is an outcome like any other.
            let refresh = io.spawn(async move {
                let (desk, actor) = inner;
                desk.restore(id).await;
                actor.do_send(Restored(id));
                desk.refresh(&gateway).await
            });
            let outcome = refresh.await.unwrap_or(Err(CatalogError::Lost(id)));
            actor.do_send(Landed { gateway: id, flight, outcome });
        });
    }

    fn settle(&mut self, gateway: GatewayId) {
        if let Some(schedule) = self.schedules.iter_mut().find(|schedule| schedule.gateway == gateway) {
            schedule.settled = true;
        }
        if self.schedules.iter().all(|schedule| schedule.settled) {
            for waiter in self.first_waiters.drain(..) {
                // Whoever has left needs no answer.
                let _ = waiter.send(());
            }
        }
    }
}

fn schedules(desk: &Desk) -> Vec<Schedule> {
    let now = desk.clock.now();
    let schedule = |gateway| Schedule {
        gateway,
        due_at: now,
        flight: None,
        waiters: Vec::new(),
        settled: desk.published.load().list(gateway).is_some(),
        failures: 0,
        last_error: None,
    };
    desk.gateways.iter().map(|gateway| schedule(gateway.id())).collect()
}

impl Schedule {
    /// Notes the outcome, plans the next refresh and answers those who wait.
    fn land(&mut self, outcome: &Outcome, now: DateTime<Utc>, options: &CatalogOptions) {
        self.flight = None;
        let rest = match outcome {
            Ok(_) => {
                self.failures = 0;
                self.last_error = None;
                options.ttl
            }
            Err(error) => {
                // Mutant: with `options.ttl` for the back-off `a_failed_refresh_is_tried_again_sooner_than_a_good_one` is red.
                let backoff = options.backoff_first.saturating_mul(2_u32.saturating_pow(self.failures));
                self.failures = self.failures.saturating_add(1);
                self.last_error = Some(error.to_string());
                backoff.min(options.ttl)
            }
        };
        self.due_at = now + TimeDelta::from_std(rest).unwrap_or(TimeDelta::MAX);
        for waiter in self.waiters.drain(..) {
            // Whoever has left needs no answer.
            let _ = waiter.send(outcome.clone());
        }
    }

    fn status(&self, desk: &Desk, now: DateTime<Utc>) -> GatewayStatus {
        let snapshot = desk.published.load();
        let list = snapshot.list(self.gateway);
        let age = |fetched_at: DateTime<Utc>| (now - fetched_at).to_std().unwrap_or(Duration::ZERO);
        GatewayStatus {
            gateway: self.gateway,
            models: list.map_or(0, |list| list.entries.len()),
            unknown_prices: list.map_or(0, super::GatewayList::unknown_prices),
            fetched_at: list.map(|list| list.fetched_at),
            age: list.map(|list| age(list.fetched_at)),
            refreshing: self.flight.is_some(),
            failures: self.failures,
            last_error: self.last_error.clone(),
            next_refresh_at: self.due_at,
        }
    }
}

impl Actor for CatalogActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.start_due(ctx);
        ctx.run_interval(self.options.tick, |actor, ctx| actor.start_due(ctx));
    }
}

impl Supervised for CatalogActor {
    /// What is published is outside and stays; who waited is told `Closed`, and every gateway is asked anew.
    fn restarting(&mut self, _: &mut Self::Context) {
        self.schedules = schedules(&self.desk);
        self.first_waiters = Vec::new();
    }
}

/// The archived list was looked for, and published if there is one.
#[derive(Message)]
#[rtype(result = "()")]
struct Restored(GatewayId);

/// A refresh is over.
#[derive(Message)]
#[rtype(result = "()")]
struct Landed {
    gateway: GatewayId,
    flight: u64,
    outcome: Outcome,
}

impl Handler<Restored> for CatalogActor {
    type Result = ();

    fn handle(&mut self, Restored(gateway): Restored, _: &mut Self::Context) {
        if self.desk.published.load().list(gateway).is_some() {
            self.settle(gateway);
        }
    }
}

impl Handler<Landed> for CatalogActor {
    type Result = ();

    fn handle(&mut self, Landed { gateway, flight, outcome }: Landed, _: &mut Self::Context) {
        let result = if outcome.is_ok() { "ok" } else { "failed" };
        metrics::counter!("tollgate_catalog_refreshes_total", "gateway" => gateway.as_str(), "result" => result).increment(1);
        let now = self.desk.clock.now();
        let schedule = self.schedules.iter_mut().find(|schedule| schedule.gateway == gateway);
        if let Some(schedule) = schedule.filter(|schedule| schedule.flight == Some(flight)) {
            schedule.land(&outcome, now, &self.options);
            match &outcome {
                Ok(models) => tracing::debug!(%gateway, models, "catalogue refreshed"),
                Err(error) => tracing::warn!(%gateway, %error, failures = schedule.failures, "catalogue not refreshed"),
            }
        }
        self.settle(gateway);
    }
}

impl Handler<RefreshModels> for CatalogActor {
    type Result = ResponseFuture<Vec<Refreshed>>;

    fn handle(&mut self, _: RefreshModels, ctx: &mut Self::Context) -> Self::Result {
        let mut answers = Vec::with_capacity(self.schedules.len());
        for gateway in self.desk.gateways.iter().map(|gateway| gateway.id()).collect::<Vec<_>>() {
            self.fly(gateway, ctx);
            let (sender, answer) = oneshot::channel();
            if let Some(schedule) = self.schedules.iter_mut().find(|schedule| schedule.gateway == gateway) {
                schedule.waiters.push(sender);
                let outcome = async move { answer.await.unwrap_or(Err(CatalogError::Lost(gateway))) };
                answers.push(async move { Refreshed { gateway, outcome: outcome.await } });
            }
        }
        Box::pin(futures_util::future::join_all(answers))
    }
}

impl Handler<FindStatus> for CatalogActor {
    type Result = MessageResult<FindStatus>;

    fn handle(&mut self, _: FindStatus, _: &mut Self::Context) -> Self::Result {
        let now = self.desk.clock.now();
        MessageResult(self.schedules.iter().map(|schedule| schedule.status(&self.desk, now)).collect())
    }
}

impl Handler<AwaitFirstLists> for CatalogActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: AwaitFirstLists, _: &mut Self::Context) -> Self::Result {
        if self.schedules.iter().all(|schedule| schedule.settled) {
            return Box::pin(std::future::ready(()));
        }
        let (sender, first) = oneshot::channel();
        self.first_waiters.push(sender);
        // A restart drops the sender: whoever waits then goes on without the lists.
        Box::pin(async move { first.await.unwrap_or(()) })
    }
}

impl Handler<Drain> for CatalogActor {
    type Result = ();

    /// Nothing is held that the archive lacks.
    fn handle(&mut self, _: Drain, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

crashable!(CatalogActor);
