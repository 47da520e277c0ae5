//! `GET /v1/generation`.

use crate::support::money::nanos;
use crate::support::{self, Reply, TestApp, TestUser, eventually};
use serde_json::{Map, Value, json};
use tollgate_sim::provider::{Behaviour, Provider, ProviderOptions};

/// What we don't know; `null`, as OpenRouter's clients want to have it.
const UNKNOWN: [&str; 16] = [
    "upstream_id",
    "cache_discount",
    "upstream_inference_cost",
    "app_id",
    "moderation_latency",
    "generation_time",
    "native_tokens_completion_images",
    "num_media_prompt",
    "num_input_audio_prompt",
    "num_media_completion",
    "num_search_results",
    "router",
    "external_user",
    "session_id",
    "request_id",
    "data_region",
];

async fn call(app: &TestApp, user: &TestUser, stream: bool) -> Reply {
    let body = json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hello world"}], "max_tokens": 5, "stream": stream});
    app.post_as(&user.key, "/v1/chat/completions", body).await
}

async fn generation(app: &TestApp, user: &TestUser, id: &str) -> Reply {
    app.get_as(&user.key, &format!("/v1/generation?id={id}")).await
}

#[actix_web::test]
async fn a_call_is_found_by_its_id_as_soon_as_it_has_ended() {
    let app = support::app().await;
    let user = app.register_user().await;
    for stream in [false, true] {
        let answer = call(&app, &user, stream).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let id = answer.header("x-generation-id");
        let reply = generation(&app, &user, id).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let mut data = reply.json()["data"].take();
        assert!(data["created_at"].take().as_str().unwrap().ends_with('Z'));
        let latency = data["latency"].take();
        assert!(latency.is_i64() && data["provider_responses"][0]["latency"].take() == latency);
        let expected = json!({
            "id": id, "total_cost": 0.000_003_45, "usage": 0.000_003_45, "model": "openai/gpt-4o-mini", "streamed": stream,
            "cancelled": false, "provider_name": "openrouter", "finish_reason": "stop", "native_finish_reason": "stop",
            "tokens_prompt": 3, "tokens_completion": 5, "native_tokens_prompt": 3, "native_tokens_completion": 5,
            "native_tokens_reasoning": 0, "native_tokens_cached": 0, "origin": "", "is_byok": false, "api_type": "completions",
            "provider_responses": [{"id": null, "endpoint_id": null, "model_permaslug": "openai/gpt-4o-mini",
                "provider_name": "openrouter", "status": 200, "latency": null, "is_byok": false}],
        });
        let (known, unknown): (Map<_, _>, Map<_, _>) =
            data.as_object().unwrap().clone().into_iter().partition(|(_, value)| !value.is_null());
        let names: Vec<_> = unknown.keys().filter(|name| !["created_at", "latency"].contains(&name.as_str())).collect();
        assert_eq!(names, UNKNOWN);
        let data = Value::Object(known);
        assert_eq!(data, expected);
    }
}

#[actix_web::test]
async fn what_is_charged_is_what_is_told_whatever_the_call_was() {
    let app = support::app().await;
    let user = app.register_user().await;
    for words in ["fast", "no-usage", "length"] {
        app.sim.set_default(Behaviour::parse(words).unwrap());
        let answer = call(&app, &user, false).await;
        assert_eq!(answer.status, 200, "{words}: {answer:?}");
        let data: Value = generation(&app, &user, answer.header("x-generation-id")).await.json()["data"].take();
        let bill = &answer.json()["gateway_usage"];
        assert_eq!(nanos(data["total_cost"].as_f64().unwrap()), nanos(bill["cost_usd"].as_f64().unwrap()), "{words}");
        let tokens = data["tokens_prompt"].as_i64().unwrap() + data["tokens_completion"].as_i64().unwrap();
        assert_eq!(tokens, bill["tokens_charged"], "{words}");
    }
}

#[actix_web::test]
async fn an_unknown_id_and_a_call_that_cost_nothing_are_404_and_no_id_is_400() {
    let app = support::app().await;
    let user = app.register_user().await;
    app.sim.set_default(Behaviour::parse("zero-tokens").unwrap());
    let empty = call(&app, &user, false).await;
    let unknown = format!("gen-{}", uuid::Uuid::now_v7().simple());
    for id in [empty.header("x-generation-id"), &unknown, "gen-", "gen-x", "chatcmpl-1", "%00", &"g".repeat(2_000)] {
        let reply = generation(&app, &user, id).await;
        assert_eq!(reply.status, 404, "{id}: {reply:?}");
        assert_eq!(reply.json()["error"]["param"], "id", "{id}");
        assert!(reply.body.len() < 400, "{id}");
    }
    assert_eq!(app.get_as(&user.key, "/v1/generation").await.status, 400);
}

/// A user with many calls: the id leads to its batch, nothing else is read.
#[actix_web::test]
async fn a_generation_is_found_among_many_without_reading_them() {
    let app = support::app().await;
    let user = app.register_user().await;
    let answer = call(&app, &user, false).await;
    let client = app.database.connect().await;
    let many = "INSERT INTO usage_records (created_at, slot, batch, ordinal, hold_id, user_id, api_key_id, model, gateway, prompt_tokens,
            completion_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, cost, balance_after, latency_ms, estimated,
            streamed, finish_reason)
        SELECT now() - n * interval '1 millisecond', 0, 0, n, gen_random_uuid(), $1, 1, 'm', 'openrouter', 1, 1, 0, 0, 0, 1, 1, 1, false,
            false, 'stop' FROM generate_series(1, 50000) n";
    client.execute(many, &[&user.id]).await.unwrap();
    client.batch_execute("ANALYZE usage_records; ANALYZE holds").await.unwrap();
    let id = answer.header("x-generation-id");
    assert_eq!(generation(&app, &user, id).await.status, 200);
    let explain = format!(
        "EXPLAIN (ANALYZE, FORMAT JSON) SELECT u.cost FROM holds h JOIN usage_records u
             ON u.user_id = {} AND u.created_at = h.closed_at AND u.hold_id = h.id WHERE h.id = '{}'",
        user.id,
        id.strip_prefix("gen-").unwrap()
    );
    let rows = client.simple_query(&explain).await.unwrap();
    let plan = rows
        .iter()
        .find_map(|row| if let tokio_postgres::SimpleQueryMessage::Row(row) = row { row.get(0) } else { None })
        .unwrap();
    let removed: Vec<i64> = plan
        .lines()
        .filter_map(|line| line.trim().strip_prefix("\"Rows Removed by Filter\": ")?.trim_end_matches(',').parse().ok())
        .collect();
    assert!(removed.iter().all(|rows| *rows < 100), "{plan}");
}

#[actix_web::test]
async fn every_attempt_is_told_and_the_one_that_answered_last() {
    let second = Provider::start(ProviderOptions::default()).await.unwrap();
    let url = second.base_url();
    let gateway = [("FEATHERLESS_API_KEY", "sim-key"), ("FEATHERLESS_BASE_URL", url.as_str())];
    let app = support::app_with(&gateway).await;
    let user = app.register_user().await;
    app.sim.set_default(Behaviour::parse("503").unwrap());
    let answer = call(&app, &user, false).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let id = answer.header("x-generation-id");
    // Attempts are written behind the call's back.
    let data = eventually("the attempts are there", async || {
        let data = generation(&app, &user, id).await.json()["data"].take();
        Some(data).filter(|data| data["provider_responses"].as_array().unwrap().len() > 1)
    })
    .await;
    let responses = data["provider_responses"].as_array().unwrap();
    let (answered, failed) = responses.split_last().unwrap();
    assert!(failed.iter().all(|attempt| attempt["provider_name"] == "openrouter" && attempt["status"] == 503), "{failed:?}");
    assert_eq!((&answered["provider_name"], &answered["status"]), (&json!("featherless"), &json!(200)));
    assert_eq!((&data["provider_name"], &data["model"]), (&json!("featherless"), &json!("openai/gpt-4o-mini")));
    let latencies: i64 = responses.iter().map(|attempt| attempt["latency"].as_i64().unwrap()).sum();
    assert_eq!(data["latency"], latencies);
}
