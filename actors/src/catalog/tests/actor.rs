use super::fakes::{FakeArchive, FakeGateway, Listing, TurnedClock, flat, model};
use crate::catalog::{Catalog, CatalogDeps, CatalogError, CatalogOptions, CatalogSnapshot, GatewayStatus, Refreshed, start};
use crate::ports::{Clock, GatewayError, ModelGateway};
use crate::runtime::{AskError, Crash, RestartPolicy, Supervision};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tollgate_domain::{GatewayId, PricePerMillion};

const PATIENCE: Duration = Duration::from_secs(10);

/// A catalogue over one fake gateway, or over none.
struct World {
    gateway: Arc<FakeGateway>,
    archive: Arc<FakeArchive>,
    clock: Arc<TurnedClock>,
    catalog: Catalog,
}

impl World {
    async fn with(listing: Listing) -> Self {
        let gateway = Arc::new(FakeGateway::new(GatewayId::OpenRouter, listing));
        let world = Self::over(gateway, Arc::default(), Arc::new(TurnedClock::new()));
        world.catalog.warmed(PATIENCE).await;
        world
    }

    fn over(gateway: Arc<FakeGateway>, archive: Arc<FakeArchive>, clock: Arc<TurnedClock>) -> Self {
        let catalog = launch(vec![gateway.clone()], &archive, &clock);
        Self { gateway, archive, clock, catalog }
    }

    /// The same archive and gateway under a new process's catalogue.
    fn restarted(self) -> Self {
        Self::over(self.gateway, self.archive, self.clock)
    }

    async fn status(&self) -> GatewayStatus {
        self.catalog.status().await.unwrap().remove(0)
    }

    /// Waits until the gateway has been asked that often and nothing is under way.
    async fn settled_after(&self, asked: usize) -> GatewayStatus {
        let settled = async {
            loop {
                // In this order: a refresh that begins in between is then seen as under way.
                let enough = self.gateway.asked() >= asked;
                let status = self.status().await;
                if enough && !status.refreshing {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, settled).await.expect("the gateway is asked again")
    }
}

fn launch(gateways: Vec<Arc<dyn ModelGateway>>, archive: &Arc<FakeArchive>, clock: &Arc<TurnedClock>) -> Catalog {
    let mut options = CatalogOptions::new(PricePerMillion(20_000_000_000));
    options.tick = Duration::from_millis(1);
    options.list_timeout = Duration::from_millis(200);
    let (archive, clock) = (Arc::clone(archive), Arc::clone(clock));
    let deps = CatalogDeps { gateways, archive, clock, io: tokio::runtime::Handle::current() };
    let supervision = Supervision { policy: RestartPolicy::default(), on_exhausted: Arc::new(|_| {}) };
    start(&actix_rt::Arbiter::current(), &supervision, deps, options)
}

fn models(ids: &[&str]) -> Listing {
    Listing::Models(ids.iter().map(|id| model(GatewayId::OpenRouter, id, Some(flat(1)))).collect())
}

fn away() -> Listing {
    Listing::Fails(GatewayError::Connection("refused".to_owned()))
}

/// What came of OpenRouter's refresh.
async fn refreshed(catalog: &Catalog) -> Result<usize, CatalogError> {
    let answers = catalog.refresh().await.unwrap();
    answers.into_iter().find(|answer| answer.gateway == GatewayId::OpenRouter).expect("OpenRouter's answer").outcome
}

fn ids(snapshot: &CatalogSnapshot) -> Vec<String> {
    snapshot.merged().iter().map(|entry| entry.id.to_string()).collect()
}

#[actix_rt::test]
async fn models_are_there_once_the_gateway_has_answered() {
    let world = World::with(models(&["a", "b"])).await;
    assert_eq!(ids(&world.catalog.snapshot()), ["a", "b"]);
    let status = world.settled_after(1).await;
    assert_eq!((status.models, status.failures, status.last_error), (2, 0, None));
    assert_eq!(status.fetched_at, Some(world.clock.now()));
}

#[actix_rt::test]
async fn a_refresh_takes_new_lists_in_and_says_how_many_models_came() {
    let world = World::with(models(&["a"])).await;
    world.gateway.turn(models(&["b", "c", "d"]));
    assert_eq!(refreshed(&world.catalog).await, Ok(3));
    assert_eq!(ids(&world.catalog.snapshot()), ["b", "c", "d"]);
}

#[actix_rt::test]
async fn many_refreshes_at_once_ask_the_gateway_once() {
    let world = World::with(models(&["a"])).await;
    world.settled_after(1).await;
    world.gateway.answers.forget_permits(tokio::sync::Semaphore::MAX_PERMITS);
    let refreshes = futures_util::future::join_all((0..50).map(|_| refreshed(&world.catalog)));
    let release = async {
        while world.gateway.asked() < 2 {
            tokio::task::yield_now().await;
        }
        // All that ask now have to join: the one who asked first has no answer yet.
        world.status().await;
        world.gateway.answers.add_permits(1_000);
    };
    let (outcomes, ()) = futures_util::future::join(refreshes, release).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Ok(1)), "{outcomes:?}");
    assert_eq!(world.gateway.asked(), 2);
}

#[actix_rt::test]
async fn the_last_good_list_outlives_every_way_to_fail() {
    let world = World::with(models(&["a"])).await;
    let broken = Listing::Fails(GatewayError::Malformed("cut".to_owned()));
    for failure in [away(), broken, Listing::Hangs, Listing::Panics] {
        world.gateway.turn(failure);
        assert!(refreshed(&world.catalog).await.is_err());
        assert_eq!(ids(&world.catalog.snapshot()), ["a"]);
    }
    let status = world.status().await;
    assert_eq!((status.failures, status.models), (4, 1));
    world.gateway.turn(models(&["b"]));
    assert_eq!(refreshed(&world.catalog).await, Ok(1));
    assert_eq!(world.status().await.failures, 0);
}

#[actix_rt::test]
async fn an_empty_list_switches_nothing_off() {
    let world = World::with(models(&["a"])).await;
    world.gateway.turn(models(&[]));
    assert_eq!(refreshed(&world.catalog).await, Err(CatalogError::Empty(GatewayId::OpenRouter)));
    assert_eq!(ids(&world.catalog.snapshot()), ["a"]);
}

#[actix_rt::test]
async fn a_restart_with_the_provider_away_serves_the_archived_list() {
    let world = World::with(models(&["a", "b"])).await;
    world.settled_after(1).await;
    world.gateway.turn(away());
    world.clock.advance(3_600);
    let world = world.restarted();
    world.catalog.warmed(PATIENCE).await;
    // Mutant: without the restore in the flight this is red.
    assert_eq!(ids(&world.catalog.snapshot()), ["a", "b"]);
    let status = world.settled_after(2).await;
    assert_eq!((status.age, status.failures), (Some(Duration::from_secs(3_600)), 1));
}

#[actix_rt::test]
async fn a_gateway_that_hangs_does_not_hold_up_a_start_that_has_an_archived_list() {
    let world = World::with(models(&["a"])).await;
    world.settled_after(1).await;
    world.gateway.turn(Listing::Hangs);
    let world = world.restarted();
    world.catalog.warmed(PATIENCE).await;
    assert_eq!(ids(&world.catalog.snapshot()), ["a"]);
    assert!(world.status().await.refreshing);
}

#[actix_rt::test]
async fn a_list_is_asked_for_again_when_it_is_five_minutes_old() {
    let world = World::with(models(&["a"])).await;
    let status = world.settled_after(1).await;
    assert_eq!(status.next_refresh_at, world.clock.now() + Duration::from_secs(300));
    world.gateway.turn(models(&["b"]));
    world.clock.advance(300);
    world.settled_after(2).await;
    assert_eq!(ids(&world.catalog.snapshot()), ["b"]);
}

#[actix_rt::test]
async fn a_failed_refresh_is_tried_again_sooner_than_a_good_one_but_ever_later() {
    let world = World::with(away()).await;
    let mut status = world.settled_after(1).await;
    for (asked, rest) in [5, 10, 20, 40, 80, 160, 300, 300].into_iter().enumerate() {
        assert_eq!(status.next_refresh_at - world.clock.now(), chrono::TimeDelta::seconds(rest));
        world.clock.advance(rest);
        status = world.settled_after(asked + 2).await;
    }
    assert_eq!(status.last_error.as_deref(), Some("openrouter: the connection failed: refused"));
}

#[actix_rt::test]
async fn an_archive_that_is_away_costs_no_list() {
    let gateway = Arc::new(FakeGateway::new(GatewayId::OpenRouter, models(&["a"])));
    let archive = Arc::new(FakeArchive::default());
    archive.away.store(true, Ordering::SeqCst);
    let world = World::over(gateway, archive, Arc::new(TurnedClock::new()));
    world.catalog.warmed(PATIENCE).await;
    assert_eq!(ids(&world.catalog.snapshot()), ["a"]);
    assert_eq!(world.settled_after(1).await.failures, 0);
}

#[actix_rt::test]
async fn an_archived_list_of_another_form_is_passed_over() {
    let world = World::with(models(&["a"])).await;
    world.settled_after(1).await;
    world.archive.lists.lock().unwrap().values_mut().for_each(|list| list.packed = b"no list".to_vec());
    world.gateway.turn(models(&["b"]));
    let world = world.restarted();
    world.catalog.warmed(PATIENCE).await;
    assert_eq!(ids(&world.catalog.snapshot()), ["b"]);
}

#[actix_rt::test]
async fn a_crash_of_the_actor_loses_no_model_and_the_gateway_is_asked_anew() {
    let world = World::with(models(&["a"])).await;
    world.settled_after(1).await;
    assert_eq!(world.catalog.handle().ask(Crash).await, Err(AskError::Closed));
    assert_eq!(ids(&world.catalog.snapshot()), ["a"]);
    world.settled_after(2).await;
    assert_eq!(refreshed(&world.catalog).await, Ok(1));
}

#[actix_rt::test]
async fn without_a_gateway_the_catalogue_is_empty_and_says_so() {
    let catalog = launch(Vec::new(), &Arc::default(), &Arc::new(TurnedClock::new()));
    catalog.warmed(PATIENCE).await;
    assert_eq!(catalog.refresh().await, Ok(Vec::new()));
    assert!(catalog.snapshot().merged().is_empty());
}

#[actix_rt::test]
async fn one_gateway_that_fails_takes_nothing_from_another() {
    let good = Arc::new(FakeGateway::new(GatewayId::OpenRouter, models(&["a"])));
    let bad = Arc::new(FakeGateway::new(GatewayId::Glama, away()));
    let catalog = launch(vec![good, bad], &Arc::default(), &Arc::new(TurnedClock::new()));
    let refused = CatalogError::Gateway { gateway: GatewayId::Glama, error: GatewayError::Connection("refused".to_owned()) };
    let answers = [(GatewayId::OpenRouter, Ok(1)), (GatewayId::Glama, Err(refused))];
    assert_eq!(catalog.refresh().await, Ok(answers.map(|(gateway, outcome)| Refreshed { gateway, outcome }).to_vec()));
    assert_eq!(ids(&catalog.snapshot()), ["a"]);
    let failures: Vec<u32> = catalog.status().await.unwrap().iter().map(|status| status.failures).collect();
    assert_eq!(failures, [0, 1]);
}

#[actix_rt::test]
async fn a_drained_catalogue_is_still_read() {
    let world = World::with(models(&["a"])).await;
    assert_eq!(world.catalog.handle().drain(PATIENCE).await, Ok(()));
    assert_eq!(world.catalog.refresh().await, Err(AskError::Closed));
    assert_eq!(ids(&world.catalog.snapshot()), ["a"]);
}
