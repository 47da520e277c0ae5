//! `DELETE /user/account`: everything goes but the books, and no table is forgotten.

use crate::support::{self, ADMIN_KEY, Reply, TestApp, TestUser, books, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tollgate_sim::provider::Behaviour;

async fn delete(app: &TestApp, user: &TestUser) -> Reply {
    app.delete_as(&user.key, "/user/account", json!({"confirmation": "DELETE_ACCOUNT"})).await
}

async fn chat(app: &TestApp, key: &str) -> Reply {
    let body =
        json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Canary of a message"}], "max_tokens": 5});
    let request = app.request(Method::POST, "/v1/chat/completions").bearer_auth(key).header("idempotency-key", "canary-order");
    Reply::of(request.json(&body)).await
}

/// Tables that keep rows of a deleted user, and why they may. All else must be empty of them.
const KEPT: [(&str, &str); 8] = [
    ("accounts", "the books: an account by number"),
    ("holds", "the books: by account"),
    ("key_budgets", "the books: which accounts are budgets of which key, by number"),
    ("operations", "the books: by hash"),
    ("transfers", "the books: who paid, by number"),
    ("usage_records", "the books: what was charged, by number"),
    ("api_key_audit_logs", "the audit trail: without details"),
    ("identity_changes", "tells the replicas of the deletion; forgotten within an hour"),
];

/// Tables that have nothing of any user, whatever their columns are called.
const OF_NOBODY: [&str; 11] = [
    "__diesel_schema_migrations",
    "activity_batches",
    "activity_folds",
    "audit_links",
    "catalog_snapshots",
    "instances",
    "ledger_batches",
    "limit_writers",
    "plans",
    "transaction_folds",
    // By account: the books.
    "transaction_totals",
];

/// Tables of a user that name them in another column than `user_id`: the rows that are theirs, as a condition. `$1` the user,
/// `$2` their keys.
const OTHERWISE: [(&str, &str); 5] = [
    ("users", "id = $1"),
    ("rate_limit_configs", "api_key_id = ANY($2)"),
    ("chat_messages", "session_id IN (SELECT id FROM chat_sessions WHERE user_id = $1)"),
    ("chat_search", "session_id IN (SELECT id FROM chat_sessions WHERE user_id = $1)"),
    ("limit_counters", "(scope = 'user' AND subject_id = $1) OR (scope = 'key' AND subject_id = ANY($2))"),
];

/// What no door of this test writes.
const FILL: [&str; 3] = [
    "INSERT INTO failed_attempts VALUES (gen_random_uuid(), 1, $1, 'canary', 'canary', 'refused', NULL, 1, now())",
    "INSERT INTO rate_limit_alerts (user_id, api_key_id, alert_type, window_start, created_at)
     SELECT $1, min(id), 'canary', now(), now() FROM api_keys WHERE user_id = $1",
    "INSERT INTO notification_preferences VALUES ($1, true, true, true, true, true, now(), now())",
];

/// The tables that have a user's rows, each with the condition that finds them.
async fn tables_of_users(app: &TestApp) -> Vec<(String, String)> {
    let client = app.database.connect().await;
    let query = "SELECT t.table_name::text, bool_or(c.column_name = 'user_id') FROM information_schema.tables t
        JOIN information_schema.columns c USING (table_schema, table_name)
        WHERE t.table_schema = 'public' AND t.table_type = 'BASE TABLE'
            AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = format('public.%I', t.table_name)::regclass)
        GROUP BY 1 ORDER BY 1";
    let mut found = Vec::new();
    for row in client.query(query, &[]).await.unwrap() {
        let (table, has_user): (String, bool) = (row.get(0), row.get(1));
        let otherwise = OTHERWISE.iter().find(|(name, _)| *name == table);
        let is_of_nobody = OF_NOBODY.contains(&table.as_str());
        let is_kept = KEPT.iter().any(|(name, _)| *name == table);
        match (otherwise, has_user) {
            (Some((_, condition)), _) => found.push((table, (*condition).to_owned())),
            (None, true) => found.push((table, "user_id = $1".to_owned())),
            (None, false) => assert!(is_of_nobody || is_kept, "{table}: is there anything of a user in it?"),
        }
    }
    found
}

/// How many rows of the user each table has.
async fn rows_of(app: &TestApp, user: &TestUser, keys: &[i64]) -> Vec<(String, i64)> {
    let client = app.database.connect().await;
    let mut counts = Vec::new();
    for (table, condition) in tables_of_users(app).await {
        let query = format!("SELECT count(*) FROM {table} WHERE ({condition}) AND $1::bigint > 0 AND $2::bigint[] IS NOT NULL");
        counts.push((table, client.query_one(&query, &[&user.id, &keys]).await.unwrap().get(0)));
    }
    counts
}

/// A user with something in every table.
async fn busy_user(app: &TestApp) -> (TestUser, Vec<i64>) {
    let user = app.register_user().await;
    let name = json!({"name": "Canary Name", "email": format!("canary-{}@example.org", user.username),
        "preferences": {"canary": "Canary Preference"}, "settings": {"canary": "Canary Setting"}});
    let put = app.request(Method::PUT, "/user/profile").bearer_auth(&user.key).json(&name);
    assert_eq!(Reply::of(put).await.status, 200);
    let session = app.post_as(&user.key, "/v1/chat/sessions", json!({"title": "Canary Session"})).await.json();
    let message = json!({"role": "user", "content": "Canary Message"});
    let messages = format!("/v1/chat/sessions/{}/messages", session["data"]["id"]);
    assert_eq!(app.post_as(&user.key, &messages, message).await.status, 200);
    let spare = json!({"key_name": "Canary Key", "domain_referrers": ["canary.example.org"]});
    assert_eq!(app.post_as(&user.key, "/user/api-keys", spare).await.status, 200);
    let gone = app.post_as(&user.key, "/user/api-keys", json!({"key_name": "Canary Gone"})).await.json();
    assert_eq!(chat(app, gone["api_key"].as_str().unwrap()).await.status, 200);
    let limits = json!({"user_id": user.id, "rate_limits": {"requests_per_minute": 1_000}});
    assert_eq!(app.post_as(ADMIN_KEY, "/admin/limit", limits).await.status, 200);
    assert_eq!(app.delete_as(&user.key, &format!("/user/api-keys/{}", gone["id"]), json!({})).await.status, 200);
    let client = app.database.connect().await;
    for fill in FILL {
        assert_eq!(client.execute(fill, &[&user.id]).await.unwrap(), 1, "{fill}");
    }
    let keys = "SELECT DISTINCT api_key_id FROM api_key_audit_logs WHERE user_id = $1 AND api_key_id IS NOT NULL";
    let keys: Vec<i64> = client.query(keys, &[&user.id]).await.unwrap().iter().map(|row| row.get(0)).collect();
    // Counts come with the next flush.
    eventually("the user is in every table", async || {
        let empty = rows_of(app, &user, &keys).await.into_iter().any(|(_, rows)| rows == 0);
        (!empty).then_some(())
    })
    .await;
    (user, keys)
}

#[actix_web::test]
async fn nothing_of_a_user_is_left_but_the_books() {
    let app = support::app().await;
    let (user, keys) = busy_user(&app).await;
    let (other, others_keys) = busy_user(&app).await;
    let before = rows_of(&app, &other, &others_keys).await;
    let balance = app.get_as(&user.key, "/user/balance").await.json()["credits"].clone();
    let mut answer = delete(&app, &user).await.json();
    assert!(chrono::DateTime::parse_from_rfc3339(answer["timestamp"].take().as_str().unwrap()).is_ok());
    let expected = json!({"status": "success", "message": "User account deleted successfully", "user_id": user.id,
        "forfeited_credits": balance, "timestamp": null});
    assert_eq!(answer, expected);
    let kept: BTreeSet<&str> = KEPT.iter().map(|(table, _)| *table).collect();
    // Mutant: leaving a line out of ERASURES turns this red.
    for (table, rows) in rows_of(&app, &user, &keys).await {
        assert!(rows == 0 || kept.contains(table.as_str()), "{table} has {rows} rows of a deleted user");
    }
    assert_eq!(rows_of(&app, &other, &others_keys).await, before, "another's rows are as they were");
    books::assert_clean(&app).await;
    assert_eq!(app.get_as(&other.key, "/user/profile").await.json()["name"], "Canary Name");
}

/// Whatever the columns are called: no word of theirs is anywhere.
#[actix_web::test]
async fn no_word_of_a_deleted_user_is_anywhere_in_the_database() {
    let app = support::app().await;
    let (user, _) = busy_user(&app).await;
    assert_eq!(delete(&app, &user).await.status, 200);
    let client = app.database.connect().await;
    let tables =
        "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'";
    for row in client.query(tables, &[]).await.unwrap() {
        let table: String = row.get(0);
        let query = format!("SELECT count(*) FROM {table} t WHERE t::text ~* 'canary' OR t::text LIKE '%' || $1 || '%'");
        let words: i64 = client.query_one(&query, &[&user.username]).await.unwrap().get(0);
        assert_eq!(words, 0, "{table}");
    }
}

#[actix_web::test]
async fn keys_of_a_deleted_account_are_refused_at_once_here_and_within_a_second_elsewhere() {
    let one = support::app().await;
    let (url, owner) = (one.database.app_url.clone(), one.database.owner_url.clone());
    let two = support::app_with(&[("DATABASE_URL", url.as_str()), ("DATABASE_ADMIN_URL", owner.as_str())]).await;
    let user = one.register_user().await;
    let second = one.post_as(&user.key, "/user/api-keys", json!({"key_name": "second"})).await.json();
    let keys = [user.key.clone(), second["api_key"].as_str().unwrap().to_owned()];
    for key in &keys {
        assert_eq!((one.get_as(key, "/user/balance").await.status, two.get_as(key, "/user/balance").await.status), (200, 200));
    }
    assert_eq!(delete(&one, &user).await.status, 200);
    let deleted = Instant::now();
    for key in &keys {
        let reply = one.get_as(key, "/user/balance").await;
        assert_eq!((reply.status, reply.json()), (401, json!({"detail": "Invalid API key"})));
        while two.get_as(key, "/user/balance").await.status == 200 {
            assert!(deleted.elapsed() <= Duration::from_secs(1), "still accepted");
        }
        assert_eq!(chat(&two, key).await.status, 401);
    }
}

#[actix_web::test]
async fn a_call_under_way_settles_and_what_it_leaves_behind_is_erased_at_the_next_look() {
    let app = support::app().await;
    let user = app.register_user().await;
    app.sim.set_default(Behaviour { delay: Duration::from_millis(800), ..Behaviour::default() });
    let (reply, ()) = futures_util::future::join(chat(&app, &user.key), async {
        eventually("the call is under way", async || (app.sim.stats().started == 1).then_some(())).await;
        assert_eq!(delete(&app, &user).await.status, 200);
    })
    .await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let report = books::assert_clean(&app).await;
    assert_eq!(report.usage_records, 1, "it is charged");
    eventually("its traces", async || {
        (app.database.number(&format!("SELECT count(*) FROM activity_daily WHERE user_id = {}", user.id)).await > 0).then_some(())
    })
    .await;
    // A restart looks at once: no one waits ten minutes.
    let (_, database) = app.stop().await;
    let app = support::app_on(database, &[]).await;
    let traces = [
        "SELECT count(*) FROM activity",
        "SELECT count(*) FROM activity_events",
        "SELECT count(*) FROM activity_daily",
        "SELECT count(*) FROM activity_totals",
        "SELECT count(*) FROM idempotency_keys",
        "SELECT count(*) FROM limit_counters",
    ];
    eventually("they are gone", async || {
        let mut rows = 0;
        for query in traces {
            rows += app.database.number(query).await;
        }
        (rows == 0).then_some(())
    })
    .await;
}

#[actix_web::test]
async fn only_the_exact_confirmation_deletes() {
    let app = support::app().await;
    let user = app.register_user().await;
    let refused = json!({"detail": "Confirmation must be 'DELETE_ACCOUNT' to proceed with account deletion"});
    for wrong in ["DELETE", "delete_account", "DELETE_ACCOUNT ", ""] {
        let reply = app.delete_as(&user.key, "/user/account", json!({"confirmation": wrong})).await;
        assert_eq!((reply.status, reply.json()), (400, refused.clone()), "{wrong}");
    }
    for wrong in [json!({}), json!({"confirmation": true}), json!({"confirmation": null}), Value::Null] {
        assert_eq!(app.delete_as(&user.key, "/user/account", wrong.clone()).await.status, 422, "{wrong}");
    }
    let without = Reply::of(app.request(Method::DELETE, "/user/account").bearer_auth(&user.key)).await;
    assert_eq!(without.status, 422);
    assert_eq!(app.get_as(&user.key, "/user/profile").await.status, 200);
}

#[actix_web::test]
async fn name_and_address_can_be_taken_again_and_nothing_comes_back() {
    let app = support::app().await;
    let user = app.register_user().await;
    let credits = json!({"user_id": user.id, "credits": 5});
    assert_eq!(app.post_as(ADMIN_KEY, "/admin/add_credits", credits.clone()).await.status, 200);
    assert_eq!(delete(&app, &user).await.json()["forfeited_credits"], 15.0);
    let again = json!({"username": user.username, "email": format!("{}@example.com", user.username)});
    let again = app.post("/auth/register", again).await;
    assert_eq!(again.status, 200, "{again:?}");
    let again = again.json();
    assert_ne!(again["user_id"], user.id);
    let key = again["api_key"].as_str().unwrap();
    assert_eq!(app.get_as(key, "/user/balance").await.json()["credits"], 10.0);
    assert_eq!(app.get_as(key, "/user/credit-transactions").await.json()["total"], 1);
    assert_eq!(app.get_as(key, "/user/api-keys/audit-logs").await.json()["total_logs"], 1);
    for door in ["add_credits", "assign-plan", "limit"] {
        let body = json!({"user_id": user.id, "credits": 5, "plan_id": 1, "rate_limits": {}});
        let reply = app.post_as(ADMIN_KEY, &format!("/admin/{door}"), body).await;
        assert_eq!((reply.status, reply.json()), (404, json!({"detail": "User not found"})), "{door}");
    }
}

#[actix_web::test]
async fn a_deletion_that_fails_half_way_deletes_nothing() {
    let app = support::app().await;
    let (user, keys) = busy_user(&app).await;
    let before = rows_of(&app, &user, &keys).await;
    let owner = app.database.connect().await;
    owner.batch_execute("REVOKE DELETE ON users FROM tollgate_app").await.unwrap();
    let reply = delete(&app, &user).await;
    assert_eq!((reply.status, reply.json()["detail"].clone()), (500, json!("Internal server error")));
    let after = rows_of(&app, &user, &keys).await;
    let rows = |counts: &[(String, i64)], table: &str| counts.iter().find(|(name, _)| name == table).unwrap().1;
    for table in ["activity_events", "activity_daily", "idempotency_keys", "api_key_audit_logs", "api_keys", "users"] {
        assert_eq!(rows(&after, table), rows(&before, table), "{table}");
    }
    owner.batch_execute("GRANT DELETE ON users TO tollgate_app").await.unwrap();
    assert_eq!(delete(&app, &user).await.status, 200);
}
