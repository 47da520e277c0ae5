//! Promise P6: above capacity a call is refused at once with 503 and Retry-After, not kept waiting, and nothing is lost.

use super::flood::{self, Tally};
use super::{PATH, assert_well, question};
use crate::support::binary::Served;
use crate::support::{self, TestApp, TestDatabase, TestFolder, TestUser, eventually, is_long, kill};
use std::time::{Duration, Instant};
use tollgate_actors::ledger::{HoldRequest, LedgerError, OPEN_HOLDS_MAX, Ticket};
use tollgate_domain::{HoldId, Nanos};
use tollgate_sim::provider::{Behaviour, Provider, ProviderOptions};
use uuid::Uuid;

/// Takes every place for a call that the ledger has.
async fn fill(app: &TestApp, user: &TestUser) -> Vec<Ticket> {
    let caller = app.services.actors.identity.find_key(&user.key).await.expect("the user's key");
    let mut tickets = Vec::with_capacity(OPEN_HOLDS_MAX);
    loop {
        let hold = app.services.actors.ledger.hold(HoldRequest {
            id: HoldId(Uuid::now_v7()),
            accounts: caller.accounts,
            key: caller.key,
            budget: None,
            amount: Nanos::ZERO,
            least: Nanos::ZERO,
            lifetime: Duration::from_secs(120),
            patient: false,
        });
        match hold {
            Ok(ticket) => tickets.push(ticket),
            Err(LedgerError::Overloaded) => return tickets,
            Err(error) => panic!("{error}"),
        }
    }
}

#[actix_web::test]
async fn a_full_ledger_refuses_at_once_with_retry_after_and_recovers() {
    let app = support::app().await;
    let user = app.register_user().await;
    let tickets = fill(&app, &user).await;
    assert_eq!(tickets.len(), OPEN_HOLDS_MAX);
    for streamed in [false, true] {
        let mut body = question();
        body["stream"] = streamed.into();
        let asked = Instant::now();
        let reply = app.post_as(&user.key, PATH, body).await;
        assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "{reply:?}");
        assert_eq!(reply.json()["error"]["code"], "service_unavailable");
        assert!(asked.elapsed() < Duration::from_secs(1), "refused only after {:?}", asked.elapsed());
    }
    // Other doors do not ask the ledger for a place.
    assert_eq!(app.get_as(&user.key, "/user/balance").await.status, 200);
    drop(tickets);
    eventually("calls are served again", async || (app.post_as(&user.key, PATH, question()).await.status == 200).then_some(()))
        .await;
    assert_well(&app, &user).await;
    eventually("no hold is open", async || {
        (app.database.number("SELECT count(*) FROM holds WHERE state = 0").await == 0).then_some(())
    })
    .await;
}

/// A server of its own process with a rich user.
struct House {
    database: TestDatabase,
    sim: Provider,
    key: String,
    served: Served,
    _folder: TestFolder,
}

impl House {
    async fn start(settings: &[(&str, &str)]) -> Self {
        tollgate::install_crypto();
        let (database, folder) = (TestDatabase::create().await, TestFolder::create());
        let sim = Provider::start(ProviderOptions::default()).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let served = kill::start_with(&database, &folder, &sim, &client, settings).await;
        let key = kill::rich_user(&client, served.address).await;
        Self { database, sim, key, served, _folder: folder }
    }

    /// What it serves a second to callers that wait for their answers, and what becomes of three times as many that don't.
    async fn flood(&self, callers: usize, time: Duration) -> (usize, Tally) {
        let (address, key) = (self.served.address, &self.key);
        flood::back_to_back(address, key, callers, time / 3).await;
        let quiet = flood::back_to_back(address, key, callers, time).await;
        let capacity = per_second(quiet.served.len(), time);
        (capacity, flood::at_a_rate(address, key, 3 * capacity, time).await)
    }

    /// No call was lost, and none is still open.
    async fn assert_nothing_lost(&self, flooded: &Tally) {
        let stats = self.sim.stats();
        println!(
            "the provider: {} begun, {} answered, {} given up, {} open",
            stats.started, stats.finished, stats.cancelled, stats.open
        );
        eventually("no hold is open", async || {
            (self.database.number("SELECT count(*) FROM holds WHERE state = 0").await == 0).then_some(())
        })
        .await;
        assert_eq!(flooded.blamed, 0, "refused in the name of a provider that is well");
        let some = &flooded.lost[..flooded.lost.len().min(3)];
        assert!(some.is_empty(), "{} lost, such as {some:?}", flooded.lost.len());
    }
}

/// The figures of promise P6; what was served a second at three times the capacity.
fn tell(what: &str, capacity: usize, flooded: &mut Tally, time: Duration) -> usize {
    let kept = per_second(flooded.served.len(), time);
    println!(
        "promise P6: {what} {capacity}/s; at three times that {kept}/s served (p99 {:.1?}), {} refused (p99 {:.1?}), \
         {} not sent as 5000 were under way, {} lost",
        Tally::p99(&mut flooded.served),
        flooded.refused.len(),
        Tally::p99(&mut flooded.refused),
        flooded.unsent,
        flooded.lost.len()
    );
    kept
}

fn flooding_time() -> Duration {
    Duration::from_secs(if is_long() { 15 } else { 3 })
}

/// Its capacity is that of the machine, which the crowd shares: what it can send beside the server bounds the flood.
#[actix_web::test]
async fn a_crowd_of_thousands_does_not_keep_a_busy_server_from_serving() {
    let house = House::start(&[]).await;
    let time = flooding_time();
    let (capacity, mut flooded) = house.flood(64, time).await;
    let kept = tell("the machine's capacity", capacity, &mut flooded, time);
    house.assert_nothing_lost(&flooded).await;
    if is_long() {
        assert!(kept * 10 >= capacity * 8, "{kept}/s of {capacity}/s");
    }
}

/// Its capacity is that of its places, which a slow provider fills; the machine has room to send three times as much.
#[actix_web::test]
async fn at_three_times_its_places_a_server_serves_on_and_refuses_the_rest_at_once() {
    let house = House::start(&[("MAX_CALLS", "64")]).await;
    house.sim.set_default(Behaviour::parse("delay:200").unwrap());
    let time = flooding_time();
    let (capacity, mut flooded) = house.flood(64, time).await;
    let kept = tell("the capacity of 64 places", capacity, &mut flooded, time);
    house.assert_nothing_lost(&flooded).await;
    assert!(kept * 10 >= capacity * 8, "{kept}/s of {capacity}/s");
    assert!(flooded.refused.len() > flooded.served.len(), "{} refused", flooded.refused.len());
    if is_long() {
        assert_eq!(flooded.unsent, 0, "the crowd was not what it should be");
        assert!(Tally::p99(&mut flooded.refused) <= Duration::from_secs(1), "refused late");
    }
}

fn per_second(count: usize, time: Duration) -> usize {
    count * 1_000 / usize::try_from(time.as_millis()).unwrap()
}
