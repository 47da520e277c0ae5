//! `GET /user/activity/log` and `/stats`, and their twins under `/api`.

mod borders;
mod calls;
mod csv;
mod filters;
mod paging;
mod refusals;

use crate::support::{Reply, TestApp, TestUser, eventually};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tollgate_actors::ports::Clock;
use tollgate_domain::{KeyId, Nanos, UserId};
use tollgate_store::activity::{ActivityRow, CHAT_COMPLETION, CallUse, insert_batch};
use uuid::Uuid;

const LOG: &str = "/user/activity/log";
const STATS: &str = "/user/activity/stats";

async fn ok(app: &TestApp, user: &TestUser, path: &str) -> Value {
    let reply = app.get_as(&user.key, path).await;
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
    reply.json()
}

/// The log, once it has that many rows: the activity log is written behind the call's back.
async fn log_of(app: &TestApp, user: &TestUser, total: i64) -> Value {
    let path = format!("{LOG}?limit=1000");
    eventually("the log has its rows", async || Some(ok(app, user, &path).await).filter(|log| log["total"] == total)).await
}

async fn call(app: &TestApp, key: &str, model: &str, max_tokens: i64, stream: bool) -> Reply {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hello world"}], "max_tokens": max_tokens, "stream": stream});
    let reply = app.post_as(key, "/v1/chat/completions", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply
}

/// A call of `tokens` prompt tokens, a nano-dollar each, as an earlier server wrote it.
fn row(user: &TestUser, at: DateTime<Utc>, model: &str, provider: &'static str, tokens: i64) -> ActivityRow {
    let cost = Nanos(tokens);
    ActivityRow {
        user: UserId(user.id),
        action: CHAT_COMPLETION.into(),
        model: model.to_owned(),
        provider: provider.into(),
        details: json!({"model": model, "provider": provider, "tokens_used": tokens, "cost": cost, "finish_reason": "stop"})
            .to_string(),
        at,
        call: Some(CallUse { key: KeyId(1), prompt_tokens: tokens, completion_tokens: 0, cost }),
    }
}

async fn insert(app: &TestApp, rows: &[ActivityRow]) {
    for batch in rows.chunks(1_000) {
        insert_batch(&app.services.store, Uuid::now_v7(), app.clock.now(), batch).await.expect("the rows are taken");
    }
}

/// Puts every second call where servers write it now. Its sums stay.
async fn move_into_the_books(app: &TestApp) {
    let moved = "WITH moved AS (DELETE FROM activity_events WHERE action = 'chat_completion' AND id % 2 = 0 RETURNING *)
        INSERT INTO usage_records (created_at, slot, batch, ordinal, hold_id, user_id, api_key_id, model, gateway, prompt_tokens,
            completion_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, cost, balance_after, latency_ms, estimated,
            streamed, finish_reason, provider)
        SELECT created_at, 1, -id, 0, gen_random_uuid(), user_id, 1, model, 'openrouter', (details->>'tokens_used')::bigint, 0, 0, 0,
            0, 0, 0, 0, false, false, 'stop', provider
        FROM moved";
    assert!(app.database.connect().await.execute(moved, &[]).await.unwrap() > 0);
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}
