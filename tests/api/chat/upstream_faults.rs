//! Every way in which a provider fails (P2): one terminal event or status, no hold left, and what arrived is charged.

use super::fault_table::{SETTINGS, TABLE, check_plain, check_stream};
use super::*;
use crate::support::{self, books, is_long};
use futures_util::stream::{self, StreamExt};

/// How often each: plain and streamed together make ten thousand holds of the long run.
fn rounds() -> usize {
    if is_long() { 160 } else { 3 }
}

/// Calls at once: two of each kind.
const AT_ONCE: usize = 2 * TABLE.len();

/// Each fault is a model of the provider's.
fn model(word: &str) -> String {
    format!("sim/{word}")
}

#[actix_web::test]
async fn the_table_names_every_fault_that_the_provider_knows() {
    let known: Vec<&str> = Behaviour::faults().into_iter().map(|(word, _)| word).collect();
    let named: Vec<&str> = TABLE.iter().map(|(word, _, _)| *word).collect();
    assert_eq!(known, named);
}

#[actix_web::test]
async fn every_fault_of_a_plain_answer_ends_in_one_status_and_the_right_charge() {
    let app = &support::app_with(&SETTINGS).await;
    let kinds = (0..rounds()).flat_map(|_| TABLE);
    let calls = kinds.map(|(word, expected, _)| async move { check_plain(app, &model(word), word, expected).await });
    let calls = stream::iter(calls).buffer_unordered(AT_ONCE).count().await;
    quiet(app, "plain", calls).await;
}

#[actix_web::test]
async fn every_fault_of_a_stream_ends_in_one_terminal_event_and_the_right_charge() {
    let app = &support::app_with(&SETTINGS).await;
    let kinds = (0..rounds()).flat_map(|_| TABLE);
    let calls = kinds.map(|(word, _, expected)| async move { check_stream(app, &model(word), word, expected).await });
    let calls = stream::iter(calls).buffer_unordered(AT_ONCE).count().await;
    quiet(app, "streamed", calls).await;
}

/// Nothing is under way any more, neither here nor at the provider, and the books balance.
async fn quiet(app: &TestApp, kind: &str, calls: usize) {
    eventually("the provider is idle", async || (app.sim.stats().open == 0).then_some(())).await;
    assert_eq!(app.sim.stats().redirects_followed, 0);
    let report = books::assert_clean(app).await;
    let holds = app.database.number("SELECT count(*) FROM holds").await;
    assert_eq!(holds, i64::try_from(calls).unwrap(), "each call had its hold");
    println!(
        "promise P2: {} fault kinds, {calls} {kind} calls, {holds} holds, {} settled, 0 open",
        TABLE.len(),
        report.settled_holds
    );
}

#[actix_web::test]
async fn a_provider_that_refuses_connections_is_503_and_nothing_is_charged() {
    let app = support::app_with(&[("OPENROUTER_BASE_URL", "http://127.0.0.1:1/api/v1")]).await;
    let user = app.register_user().await;
    let reply = ask(&app, &user, json!({})).await;
    // No list of models has ever been loaded: there is nothing to call.
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_ne!(reply.header("retry-after"), "");
    assert_eq!(settled(&app, &user).await.records, 0);
}
