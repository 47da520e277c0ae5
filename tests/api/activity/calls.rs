//! What is seen of real calls.

use super::*;
use crate::support::money::nanos;
use crate::support::privy::PrivyApp;
use crate::support::{self, ADMIN_KEY};
use chrono::{NaiveTime, TimeDelta};
use std::collections::BTreeMap;
use tollgate_store::{Folded, activity};

/// The scenario of seeds 000 and 001: send a chat message, see the row, see it in the log.
#[actix_web::test]
async fn a_chat_message_is_seen_in_the_table_the_log_and_the_statistics() {
    let app = support::app().await;
    let user = app.register_user().await;
    let path = "/v1/chat/completions?privy_user_id=did:privy:cmgg27la00077ie0cyazmvlsa&session_id=42";
    let message =
        json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "a secret question"}], "max_tokens": 5});
    assert_eq!(app.post_as(&user.key, path, message).await.status, 200);
    let log = log_of(&app, &user, 2).await;
    let client = app.database.connect().await;
    let query = "SELECT user_id, details::text, model, provider FROM activity WHERE action = 'chat_completion'";
    let rows = client.query(query, &[]).await.unwrap();
    assert_eq!((rows.len(), rows[0].get::<_, i64>(0)), (1, user.id));
    let details: Value = serde_json::from_str(rows[0].get(1)).unwrap();
    assert_eq!((&details["model"], &details["session_id"]), (&json!("openai/gpt-4o-mini"), &json!(42)));
    assert!(details["tokens_used"].as_i64().unwrap() > 0);
    assert_eq!((rows[0].get::<_, &str>(2), rows[0].get::<_, &str>(3)), ("openai/gpt-4o-mini", "OpenAI"));

    let mut shown = log["logs"][0].clone();
    for time in ["timestamp", "created_at"] {
        assert!(shown[time].take().as_str().unwrap().ends_with('Z'), "{time}");
    }
    assert!(shown["id"].take().is_i64() && shown["speed"].take().is_number());
    let expected = json!({
        "id": null, "user_id": user.id, "timestamp": null, "created_at": null, "action": "chat_completion",
        "model": "openai/gpt-4o-mini", "provider": "OpenAI", "tokens": details["tokens_used"], "cost": details["cost"],
        "speed": null, "finish_reason": "stop", "app": "API", "details": details, "metadata": details,
    });
    assert_eq!(shown, expected);
    assert!(shown["cost"].is_number() && shown["cost"].as_f64().unwrap() > 0.0);
    // Whose the Privy id of the query is nobody has proved; what was asked is nobody's to keep.
    assert_eq!(details.get("privy_user_id"), Some(&Value::Null));
    assert!(!log.to_string().contains("did:privy") && !log.to_string().contains("secret question"));

    let stats = ok(&app, &user, STATS).await;
    assert_eq!((&stats["total_requests"], &stats["total_tokens"]), (&json!(1), &details["tokens_used"]));
    assert_eq!((&stats["total_spend"], &stats["total_cost"]), (&details["cost"], &details["cost"]));
    let sum = json!({"requests": 1, "tokens": details["tokens_used"], "cost": details["cost"]});
    assert_eq!(stats["by_model"], json!({"openai/gpt-4o-mini": sum}));
    assert_eq!(stats["by_provider"], json!({"OpenAI": sum}));
    let today = app.clock.now().date_naive().to_string();
    assert_eq!(stats["by_date"], json!([{"date": today, "requests": 1, "tokens": sum["tokens"], "cost": sum["cost"]}]));
    assert_eq!(stats["daily_stats"], json!([{"date": today, "requests": 1, "tokens": sum["tokens"], "spend": sum["cost"]}]));
    for (api, here) in [("/api/user/activity/log?limit=1000", &log), ("/api/user/activity/stats", &stats)] {
        assert_eq!(&ok(&app, &user, api).await, here, "{api}");
    }
}

#[actix_web::test]
async fn a_call_names_the_privy_id_that_its_user_signed_in_with_whatever_the_query_says() {
    let privy = PrivyApp::start(&[]).await;
    let signed_in = privy.signed_in("did:privy:ada", "ada@example.org").await;
    let key = signed_in["api_key"].as_str().unwrap().to_owned();
    let user = TestUser { id: signed_in["user_id"].as_i64().unwrap(), key, username: "ada".to_owned() };
    let path = "/v1/chat/completions?privy_user_id=did:privy:bob";
    let message = json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5});
    assert_eq!(privy.app.post_as(&user.key, path, message).await.status, 200);
    let log = log_of(&privy.app, &user, 2).await;
    assert_eq!(log["logs"][0]["details"]["privy_user_id"], "did:privy:ada");
    assert!(!log.to_string().contains("did:privy:bob"));
}

#[actix_web::test]
async fn a_sign_in_is_in_the_log_and_in_no_statistics() {
    let app = support::app().await;
    let user = app.register_user().await;
    let log = log_of(&app, &user, 1).await;
    let row = &log["logs"][0];
    for (field, value) in [
        ("action", json!("user_login")),
        ("model", json!("auth")),
        ("provider", json!("Privy")),
        ("tokens", json!(0)),
        ("cost", json!(0.0)),
        ("speed", json!(0.0)),
        ("finish_reason", json!("user_login")),
        ("app", json!("Auth")),
    ] {
        assert_eq!(row[field], value, "{field}");
    }
    assert_eq!(row["details"]["auth_method"], "email");
    let stats = ok(&app, &user, STATS).await;
    let nothing = json!({"total_requests": 0, "total_tokens": 0, "total_spend": 0.0, "total_cost": 0.0,
        "daily_stats": [], "by_date": [], "by_model": {}, "by_provider": {}});
    // Mutant: sums that don't ask for the action show a day.
    assert_eq!(stats, nothing);
    assert_eq!(ok(&app, &user, &format!("{LOG}?model=auth")).await["total"], 1);
    assert_eq!(ok(&app, &user, &format!("{LOG}?model=session")).await["total"], 0);
}

#[actix_web::test]
async fn the_log_shows_actions_of_every_kind() {
    let app = support::app().await;
    let user = app.register_user().await;
    log_of(&app, &user, 1).await;
    let event = |action, details: Value| ActivityRow::event(UserId(user.id), action, details.to_string(), app.clock.now());
    insert(&app, &[event("session_created", json!({"session_id": 3})), event("message_sent", json!({"tokens_used": 4}))]).await;
    // As an older server has left it, or another program.
    let foreign =
        "INSERT INTO activity (user_id, action, details) VALUES ($1, 'session_deleted', '{\"cost\": \"0.5\", \"speed\": null}')";
    app.database.connect().await.execute(foreign, &[&user.id]).await.unwrap();
    let log = ok(&app, &user, &format!("{LOG}?model=session")).await;
    assert_eq!(log["total"], 2);
    for (row, action) in log["logs"].as_array().unwrap().iter().zip(["message_sent", "session_created"]) {
        assert_eq!((&row["action"], &row["finish_reason"], &row["app"]), (&json!(action), &json!(action), &json!("Chat")));
        assert_eq!((&row["model"], &row["provider"], &row["cost"]), (&json!("session"), &json!("Chat History"), &json!(0.0)));
    }
    assert_eq!((&log["logs"][0]["tokens"], &log["logs"][1]["details"]["session_id"]), (&json!(4), &json!(3)));
    let row = ok(&app, &user, &format!("{LOG}?limit=1")).await["logs"][0].clone();
    assert_eq!((&row["model"], &row["cost"], &row["speed"]), (&json!("session"), &json!(0.5), &json!(0.0)));
    assert_eq!(ok(&app, &user, STATS).await["total_requests"], 0);
}

/// A usage record of that model in a batch of its own, as a server writes it; with no provider one of an earlier server's.
async fn record(app: &TestApp, user: &TestUser, batch: i64, at: DateTime<Utc>, model: &str, provider: &str) {
    let query = format!(
        "INSERT INTO usage_records (created_at, slot, batch, ordinal, hold_id, user_id, api_key_id, model, gateway, prompt_tokens,
            completion_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, cost, balance_after, latency_ms, estimated,
            streamed, finish_reason, provider)
         VALUES ('{at}', 1, {batch}, 0, gen_random_uuid(), {}, 1, '{model}', 'openrouter', 7, 0, 0, 0, 0, 7, 0, 0, false, false, 'stop',
            '{provider}');
         INSERT INTO ledger_batches VALUES (1, {batch}, '', '', 0, 1, '{at}')",
        user.id,
        at = at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
    );
    app.database.connect().await.batch_execute(&query).await.unwrap();
}

async fn tokens_shown(app: &TestApp, user: &TestUser, filter: &str) -> Vec<i64> {
    let log = ok(app, user, &format!("{LOG}?{filter}")).await;
    log["logs"].as_array().unwrap().iter().map(|row| row["tokens"].as_i64().unwrap()).collect()
}

#[actix_web::test]
async fn a_call_of_an_earlier_server_is_shown_once() {
    let app = support::app().await;
    let user = app.register_user().await;
    let now = app.clock.now();
    record(&app, &user, 1_000_000, now, "m", "").await;
    insert(&app, &[row(&user, now, "m", "Other", 5)]).await;
    // Mutant: records without a provider are shown, too.
    assert_eq!(tokens_shown(&app, &user, "action=chat_completion").await, [5]);
    while activity::fold(&app.services.store, now).await.unwrap() == Folded::More {}
    // Mutant: a fold that adds them, too.
    assert_eq!(ok(&app, &user, STATS).await["total_requests"], 1);
}

#[actix_web::test]
async fn calls_on_both_sides_of_midnight_are_folded_into_their_own_days() {
    let app = support::app().await;
    let user = app.register_user().await;
    let midnight = (app.clock.now().date_naive() + TimeDelta::days(1)).and_time(NaiveTime::MIN).and_utc();
    record(&app, &user, 1_000_000, midnight - TimeDelta::microseconds(1), "m", "Other").await;
    record(&app, &user, 1_000_001, midnight, "m", "Other").await;
    // Not before: a fold that finds nothing open says that nothing older will come.
    app.clock.advance(std::time::Duration::from_secs(24 * 60 * 60));
    let days = async || {
        let stats = ok(&app, &user, STATS).await;
        let days = stats["by_date"].as_array().unwrap().iter();
        days.map(|day| (day["date"].as_str().unwrap().to_owned(), day["requests"].clone())).collect::<Vec<_>>()
    };
    let (before, after) = (midnight.date_naive() - TimeDelta::days(1), midnight.date_naive());
    let one_each = vec![(before.to_string(), json!(1)), (after.to_string(), json!(1))];
    assert_eq!(days().await, one_each);
    while activity::fold(&app.services.store, app.clock.now()).await.unwrap() == Folded::More {}
    // Mutant: days that begin at one o'clock.
    assert_eq!(days().await, one_each);
}

/// Whether they are folded, or stand in the books only.
#[actix_web::test]
async fn calls_are_counted_once_before_their_fold_and_after_it() {
    let app = support::app().await;
    let user = app.register_user().await;
    log_of(&app, &user, 1).await;
    let said = async || {
        let key = ok(&app, &user, "/user/api-keys").await["keys"][0].clone();
        (
            ok(&app, &user, LOG).await,
            ok(&app, &user, STATS).await,
            ok(&app, &user, "/user/monitor").await["usage_metrics"].clone(),
            ok(&app, &user, "/v1/key").await,
            key,
        )
    };
    for n in 1..=5 {
        call(&app, &user.key, ["openai/gpt-4o-mini", "openai/gpt-4o"][n % 2], 5, false).await;
        let before = said().await;
        // At once: nothing has to be waited for.
        assert_eq!((&before.0["total"], &before.1["total_requests"]), (&json!(n + 1), &json!(n)));
        while activity::fold(&app.services.store, app.clock.now()).await.unwrap() == Folded::More {}
        let folded = format!("SELECT sum(requests)::bigint FROM activity_daily WHERE user_id = {}", user.id);
        assert_eq!(app.database.number(&folded).await, i64::try_from(n).unwrap());
        // Mutant: a tail that begins at the mark counts the last batch twice.
        assert_eq!(said().await, before);
    }
}

#[actix_web::test]
async fn speed_is_a_finite_number_whatever_the_time() {
    let app = support::app().await;
    let client = app.database.connect().await;
    for (completion, latency_ms, speed) in [(10, 4_000, "2.50"), (10, 0, "10000.00"), (0, 5, "0.00"), (1, 3, "333.33")] {
        let query = format!(
            "SELECT call_details(jsonb_populate_record(NULL::usage_records,
                 '{{\"completion_tokens\": {completion}, \"latency_ms\": {latency_ms}}}'), NULL)->>'speed'"
        );
        assert_eq!(client.query_one(&query, &[]).await.unwrap().get::<_, &str>(0), speed, "{completion} in {latency_ms} ms");
    }
}

/// Two servers, or more, write the same users' sums at once, each batch in an order of its own.
#[actix_web::test]
async fn batches_of_many_servers_about_the_same_users_are_summed_once_and_do_not_deadlock() {
    let app = support::app().await;
    let now = app.clock.now();
    let server = async |server: i64| {
        for batch in 0..12 {
            let mut rows: Vec<_> = (0..300)
                .map(|n| {
                    let mut row =
                        row(&TestUser { id: n % 60 + 1_000, key: String::new(), username: String::new() }, now, "m", "Other", 1);
                    row.call.as_mut().unwrap().key = KeyId(n % 60 + 1_000);
                    row
                })
                .collect();
            rows.rotate_left(usize::try_from(server * 37 + batch * 11).unwrap());
            let id = Uuid::now_v7();
            for _ in 0..2 {
                // Mutant: sums that are not sorted alike in every batch wait for each other.
                insert_batch(&app.services.store, id, now, &rows).await.expect("no deadlock");
            }
        }
    };
    futures_util::future::join_all((0..4).map(server)).await;
    for table in [
        "(SELECT sum(requests), sum(cost) FROM activity_daily) s (n, c)",
        "(SELECT sum(requests), sum(cost) FROM activity_totals) s (n, c)",
        "(SELECT count(*), count(*) FROM activity WHERE action = 'chat_completion') s (n, c)",
    ] {
        assert_eq!(app.database.number(&format!("SELECT n::bigint FROM {table} WHERE n = c")).await, 4 * 12 * 300, "{table}");
    }
}

/// Every number that a client calls `.toFixed` on is exactly the ledger's.
#[actix_web::test]
async fn over_random_calls_the_log_and_the_statistics_say_what_the_ledger_says() {
    let app = support::app().await;
    let (user, other) = (app.register_user().await, app.register_user().await);
    assert_eq!(app.post_as(ADMIN_KEY, "/admin/add_credits", json!({"user_id": user.id, "credits": 5})).await.status, 200);
    let second = app.post_as(&user.key, "/user/api-keys", json!({"key_name": "second"})).await.json();
    let keys = [user.key.as_str(), second["api_key"].as_str().unwrap(), other.key.as_str()];
    for n in 0..45_usize {
        let model = ["openai/gpt-4o-mini", "openai/gpt-4o", "anthropic/claude-3.5-sonnet"][n * 7 % 3];
        call(&app, keys[n % 3], model, 1 + i64::try_from(n * 13 % 29).unwrap(), n % 2 == 0).await;
    }
    let log = log_of(&app, &user, 31).await;
    log_of(&app, &other, 16).await;
    let client = app.database.connect().await;
    for user in [&user, &other] {
        let stats = ok(&app, user, STATS).await;
        let mut by_model = BTreeMap::new();
        let query = "SELECT model, count(*), sum(prompt_tokens + completion_tokens)::bigint, sum(cost)::bigint FROM usage_records
            WHERE user_id = $1 GROUP BY model";
        for row in client.query(query, &[&user.id]).await.unwrap() {
            by_model.insert(row.get::<_, String>(0), (row.get::<_, i64>(1), row.get::<_, i64>(2), row.get::<_, i64>(3)));
        }
        let of = |part: &Value| {
            (part["requests"].as_i64().unwrap(), part["tokens"].as_i64().unwrap(), nanos(part["cost"].as_f64().unwrap()))
        };
        let shown: BTreeMap<_, _> =
            stats["by_model"].as_object().unwrap().iter().map(|(model, part)| (model.clone(), of(part))).collect();
        assert_eq!(shown, by_model);
        let total = by_model.values().fold((0, 0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1, sum.2 + part.2));
        let cost = nanos(stats["total_cost"].as_f64().unwrap());
        assert_eq!((stats["total_requests"].as_i64().unwrap(), stats["total_tokens"].as_i64().unwrap(), cost), total);
    }
    // Statistics = Σ log, and another's calls are in neither.
    let rows = log["logs"].as_array().unwrap();
    let stats = ok(&app, &user, STATS).await;
    let calls: Vec<_> = rows.iter().filter(|row| row["action"] == "chat_completion").collect();
    assert_eq!(stats["total_requests"], calls.len());
    assert_eq!(stats["total_tokens"], calls.iter().map(|row| row["tokens"].as_i64().unwrap()).sum::<i64>());
    let spent: i64 = calls.iter().map(|row| nanos(row["cost"].as_f64().unwrap())).sum();
    assert_eq!(nanos(stats["total_spend"].as_f64().unwrap()), spent);
    assert!(rows.iter().all(|row| row["user_id"] == user.id));
    assert_eq!(nanos(15.0) - crate::support::money::credits(&app, &user).await, spent);
}
