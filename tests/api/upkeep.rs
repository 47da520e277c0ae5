//! What is forgotten in time, and what is not.

use crate::support::{self, TestApp};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use std::time::Duration;
use tollgate_actors::ports::Clock;
use tollgate_store::ledger::{self, VerifyOptions};
use tollgate_store::{activity, idempotency};

async fn count(app: &TestApp, table: &str) -> i64 {
    app.database.number(&format!("SELECT count(*) FROM {table}")).await
}

/// A restart looks at once: no one waits ten minutes.
#[actix_web::test]
async fn what_is_past_its_time_is_forgotten_at_the_next_look() {
    let app = support::app().await;
    let user = app.register_user().await;
    let rows = format!(
        "INSERT INTO activity (user_id, action, created_at)
             SELECT {0}, 'old', now() - interval '402 days' FROM generate_series(1, 2500);
         INSERT INTO activity (user_id, action, created_at) VALUES ({0}, 'kept', now() - interval '399 days');
         INSERT INTO activity_batches (id, created_at) VALUES (gen_random_uuid(), now() - interval '8 days'),
             (gen_random_uuid(), now() - interval '6 days');
         INSERT INTO idempotency_keys (user_id, key, body_hash, generation_id, streamed, created_at) VALUES
             ({0}, 'old', '', gen_random_uuid(), false, now() - interval '26 hours'),
             ({0}, 'kept', '', gen_random_uuid(), false, now() - interval '23 hours');
         INSERT INTO holds (id, account_id, asked, amount, state, slot, created_at, expires_at, closed_at)
             SELECT gen_random_uuid(), a.id, 1, 1, state, 1, now() - days * interval '1 day', now(), CASE state WHEN 4 THEN NULL ELSE now() END
             FROM accounts a, unnest(ARRAY[2, 3, 4]) AS state, unnest(ARRAY[31, 29]) AS days
             WHERE a.user_id = {0} AND a.kind = 'user' AND a.asset = 'usd';
         INSERT INTO failed_attempts (generation_id, ordinal, user_id, gateway, model, kind, latency_ms, created_at)
             SELECT gen_random_uuid(), 1, {0}, 'openai', 'm', 'status', 1, now() - days * interval '1 day'
             FROM generate_series(1, 1100), unnest(ARRAY[31, 29]) AS days",
        user.id
    );
    app.database.connect().await.batch_execute(&rows).await.unwrap();
    let (_, database) = app.stop().await;
    let app = support::app_on(database, &[]).await;
    support::eventually("all of it is looked at", async || {
        let left = count(&app, "activity WHERE action = 'old'").await + count(&app, "idempotency_keys WHERE key = 'old'").await;
        let old = count(&app, "holds WHERE created_at < now() - interval '30 days'").await;
        let failed = count(&app, "failed_attempts WHERE created_at < now() - interval '30 days'").await;
        let batches = count(&app, "activity_batches WHERE created_at < now() - interval '7 days'").await;
        (left + old + failed + batches == 0).then_some(())
    })
    .await;
    assert_eq!(count(&app, "activity WHERE action = 'kept'").await, 1);
    assert_eq!(count(&app, "idempotency_keys").await, 1);
    assert_eq!(count(&app, "failed_attempts").await, 1_100);
    assert_eq!(count(&app, "holds WHERE state IN (2, 3, 4)").await, 3);
}

#[actix_web::test]
async fn the_log_ends_where_rows_are_forgotten_and_the_statistics_go_on() {
    let app = support::app_with(&[("ACTIVITY_RETENTION_DAYS", "3")]).await;
    let user = app.register_user().await;
    let body = json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5});
    assert_eq!(app.post_as(&user.key, "/v1/chat/completions", body).await.status, 200);
    let log = async || app.get_as(&user.key, "/user/activity/log").await.json();
    support::eventually("the call is in the log", async || (log().await["total"] == 2).then_some(())).await;
    app.clock.advance(Duration::from_secs(5 * 86_400));
    // The rows still stand in their tables, the page agrees with what it counts.
    // Mutant: a log that begins before what is kept shows them.
    let shown = log().await;
    assert_eq!((&shown["total"], &shown["logs"]), (&json!(0), &json!([])));
    let before: DateTime<Utc> =
        app.services.settings.retention().activity_since(app.clock.now()).and_time(chrono::NaiveTime::MIN).and_utc();
    // The sign-in; the call stays in the books.
    assert_eq!(activity::forget_rows(&app.services.store, before, 10).await.unwrap(), 1);
    assert_eq!(app.get_as(&user.key, "/user/activity/stats").await.json()["total_requests"], 1);
}

#[actix_web::test]
async fn with_everything_forgotten_that_may_be_the_books_still_prove_the_same() {
    let app = support::app().await;
    let user = app.register_user().await;
    for (behaviour, status) in [("fast", 200), ("500-html", 502), ("zero-tokens", 200), ("fast", 200)] {
        app.sim.set_default(tollgate_sim::provider::Behaviour::parse(behaviour).unwrap());
        let body = json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 5});
        assert_eq!(app.post_as(&user.key, "/v1/chat/completions", body).await.status, status, "{behaviour}");
    }
    support::eventually("no hold is open", async || (count(&app, "holds WHERE state = 0").await == 0).then_some(())).await;
    let store = &app.services.store;
    let proved = ledger::verify(store, VerifyOptions::default()).await.unwrap();
    let later = app.clock.now() + TimeDelta::days(1_000);
    // Mutant: state 1 among what is forgotten takes the settled holds, too.
    assert_eq!(ledger::forget_unpaid_holds(store, later, 100).await.unwrap(), 2);
    idempotency::forget(store, later, 100).await.unwrap();
    let again = ledger::verify(store, VerifyOptions::default()).await.unwrap();
    assert!(proved.is_clean() && again.is_clean(), "{proved}\n{again}");
    assert_eq!((again.settled_holds, again.usage_records), (2, 2));
    assert_eq!(again.to_string(), proved.to_string());
}
