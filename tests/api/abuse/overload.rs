//! Promise P6: above capacity a call is refused at once with 503 and Retry-After, not kept waiting, and nothing is lost.

use super::flood::{self, Tally};
use super::{PATH, assert_well, question};
use crate::support::{self, TestApp, TestDatabase, TestFolder, TestUser, eventually, is_long, kill};
use std::time::{Duration, Instant};
use tollgate_actors::ledger::{HoldRequest, LedgerError, OPEN_HOLDS_MAX, Ticket};
use tollgate_domain::{HoldId, Nanos};
use tollgate_sim::provider::{Provider, ProviderOptions};
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

#[actix_web::test]
async fn at_three_times_its_capacity_a_server_serves_on_and_refuses_the_rest() {
    tollgate::install_crypto();
    let (database, folder) = (TestDatabase::create().await, TestFolder::create());
    let sim = Provider::start(ProviderOptions::default()).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let served = kill::start(&database, &folder, &sim, &client).await;
    let key = kill::rich_user(&client, served.address).await;
    let time = Duration::from_secs(if is_long() { 15 } else { 3 });
    flood::back_to_back(served.address, &key, 64, time / 3).await;
    let quiet = flood::back_to_back(served.address, &key, 64, time).await;
    let mut flooded = flood::at_a_rate(served.address, &key, 3 * per_second(quiet.served.len(), time), time).await;
    let (capacity, kept) = (per_second(quiet.served.len(), time), per_second(flooded.served.len(), time));
    println!(
        "promise P6: capacity {capacity}/s; at three times that {kept}/s served (p99 {:.1?}), {} refused (p99 {:.1?}), {} not sent, {} lost",
        Tally::p99(&mut flooded.served),
        flooded.refused.len(),
        Tally::p99(&mut flooded.refused),
        flooded.unsent,
        flooded.lost.len()
    );
    let stats = sim.stats();
    println!(
        "the provider: {} begun, {} answered, {} given up, {} open",
        stats.started, stats.finished, stats.cancelled, stats.open
    );
    eventually("no hold is open", async || {
        (database.number("SELECT count(*) FROM holds WHERE state = 0").await == 0).then_some(())
    })
    .await;
    assert_eq!(flooded.blamed, 0, "refused in the name of a provider that is well");
    assert!(flooded.lost.is_empty(), "{} lost, such as {:?}", flooded.lost.len(), &flooded.lost[..flooded.lost.len().min(3)]);
    if is_long() {
        assert!(kept * 10 >= capacity * 8, "{kept}/s of {capacity}/s");
        assert!(Tally::p99(&mut flooded.refused) <= Duration::from_secs(1), "refused late");
    }
}

fn per_second(count: usize, time: Duration) -> usize {
    count * 1_000 / usize::try_from(time.as_millis()).unwrap()
}
