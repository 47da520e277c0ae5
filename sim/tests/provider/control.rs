use crate::support::{client, connect, get, hello, post, start, streamed, until};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tollgate_sim::provider::{Behaviour, ModelList, Outcome, Provider, ProviderOptions};

async fn control(provider: &Provider, change: &Value) -> u16 {
    let url = format!("http://{}/sim/control", provider.addr());
    client().post(url).json(change).send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn the_catalogue_has_openrouters_fields_and_a_model_for_each_behaviour() {
    let provider = start().await;
    let list: Value = get(&provider, "/api/v1/models").await.json().await.unwrap();
    let data = list["data"].as_array().unwrap();
    for model in data {
        let fields = model.as_object().unwrap();
        for field in [
            "id",
            "canonical_slug",
            "name",
            "created",
            "pricing",
            "context_length",
            "architecture",
            "top_provider",
            "per_request_limits",
            "supported_parameters",
            "default_parameters",
            "supported_voices",
            "links",
        ] {
            assert!(fields.contains_key(field), "{field} is missing: {model}");
        }
        assert!(model["pricing"].as_object().unwrap().values().all(Value::is_string), "{model}");
    }
    let price = |id: &str, line: &str| {
        data.iter().find(|model| model["id"] == id).and_then(|model| model["pricing"][line].as_str()).unwrap_or("none").to_owned()
    };
    assert_eq!(price("sim/dime", "completion"), "0.001");
    assert_eq!(price("openrouter/auto", "prompt"), "-1");
    assert_eq!(price("meta-llama/llama-3.1-8b-instruct:free", "completion"), "0");
    assert_eq!(price("anthropic/claude-3.5-sonnet", "input_cache_write"), "0.00000375");
    for (word, _) in Behaviour::faults().into_iter().chain(Behaviour::oddities()) {
        assert_ne!(price(&format!("sim/{word}"), "prompt"), "none", "{word}");
    }
}

#[tokio::test]
async fn the_catalogue_grows_to_the_longest_real_one() {
    let options = ProviderOptions { extra_models: 22_000, ..ProviderOptions::default() };
    let provider = Provider::start(options).await.unwrap();
    let list: Value = get(&provider, "/v1/models").await.json().await.unwrap();
    let ids: std::collections::HashSet<&str> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(ids.len() > 22_000);
    assert_eq!(list["total_count"], ids.len());
}

#[tokio::test]
async fn the_list_fails_hangs_and_changes_when_told() {
    let provider = start().await;
    assert_eq!(control(&provider, &json!({ "models": "500" })).await, 200);
    assert_eq!(get(&provider, "/v1/models").await.status(), 500);
    provider.set_model_list(ModelList::Hanging);
    let url = format!("http://{}/v1/models", provider.addr());
    let hung = client().get(url).timeout(Duration::from_millis(100)).send().await.unwrap_err();
    assert!(hung.is_timeout());
    assert_eq!(control(&provider, &json!({ "models": "ok", "models_body": { "data": [] } })).await, 200);
    assert_eq!(get(&provider, "/v1/models").await.text().await.unwrap(), r#"{"data":[]}"#);
    assert_eq!(control(&provider, &json!({ "models_body": null })).await, 200);
    assert!(get(&provider, "/v1/models").await.text().await.unwrap().contains("openai/gpt-4o"));
    for wrong in [json!({ "models": "sometimes" }), json!({ "default_behaviour": "slwo" }), json!({ "modles": "ok" })] {
        assert_eq!(control(&provider, &wrong).await, 400, "{wrong}");
    }
}

#[tokio::test]
async fn the_header_adds_to_the_model_and_the_model_to_the_default() {
    let provider = start().await;
    assert_eq!(control(&provider, &json!({ "default_behaviour": "status:503" })).await, 200);
    assert_eq!(post(&provider, &hello("openai/gpt-4o")).await.status(), 503);
    assert_eq!(post(&provider, &hello("sim/status-402")).await.status(), 402);
    let url = format!("{}/chat/completions", provider.base_url());
    let request = client().post(&url).bearer_auth("k").json(&hello("sim/status-402"));
    let answer: Value = request.header("x-sim-behaviour", "fast;usage:9,8").send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["usage"]["total_tokens"], 17);
    provider.set_default(Behaviour::default());
    assert_eq!(post(&provider, &hello("openai/gpt-4o")).await.status(), 200);
}

// Mutant: a log that shows `authorization` turns this red.
#[tokio::test]
async fn what_was_asked_can_be_looked_at_without_the_key() {
    let provider = start().await;
    let mut body = hello("openai/gpt-4o");
    body["temperature"] = json!(0.5);
    let url = format!("{}/chat/completions", provider.base_url());
    let request = client().post(&url).bearer_auth("secret-key").header("x-trace", "t-1").json(&body);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    let requests = provider.requests();
    let [seen] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!(seen.body, body);
    assert_eq!(seen.header("X-Trace"), Some("t-1"));
    assert_eq!(seen.header("authorization"), Some("(not shown)"));
    assert!(seen.carries("Bearer secret-key") && !seen.carries("another-key"));
    assert_eq!((seen.id.as_str(), seen.outcome, seen.tokens_sent), (answer["id"].as_str().unwrap(), Outcome::Finished, 5));

    post(&provider, &hello("last")).await;
    let told: Value = get(&provider, "/sim/requests?last=1").await.json().await.unwrap();
    assert_eq!(told.as_array().unwrap().len(), 1);
    assert_eq!(told[0]["body"]["model"], "last");
    assert!(!told.to_string().contains("a-key"));
}

// Mutant: one more remembered turns this red.
#[tokio::test]
async fn the_log_is_bounded_and_keeps_the_last() {
    let provider = start().await;
    let (client, url) = (client(), format!("{}/chat/completions", provider.base_url()));
    for number in 0..1_010 {
        let request = client.post(&url).bearer_auth("k").json(&hello(&format!("m{number}")));
        request.send().await.unwrap().bytes().await.unwrap();
    }
    let requests = provider.requests();
    assert_eq!(requests.len(), 1_000);
    assert_eq!(requests[0].body["model"], "m10");
    assert_eq!(requests[999].body["model"], "m1009");
}

#[tokio::test]
async fn counts_add_up_and_can_be_reset() {
    let provider = start().await;
    post(&provider, &hello("a")).await.bytes().await.unwrap();
    post(&provider, &streamed(hello("a"))).await.bytes().await.unwrap();
    post(&provider, &hello("sim/529")).await.bytes().await.unwrap();
    let stats: Value = get(&provider, "/sim/stats").await.json().await.unwrap();
    let wanted = json!({
        "requests": 3, "model_lists": 0, "rejected": 0, "started": 3, "finished": 2, "faulted": 1, "cancelled": 0, "open": 0,
        "prompt_tokens": 4, "completion_tokens": 10, "redirects_followed": 0, "models": { "a": 2, "sim/529": 1 },
    });
    assert_eq!(stats, wanted);
    client().post(format!("http://{}/sim/reset", provider.addr())).send().await.unwrap();
    assert_eq!(provider.stats(), tollgate_sim::provider::Stats::default());
    assert!(provider.requests().is_empty());
}

// Mutants: no read beside the sleep in `Conn::pause`, or no count in `Meter::drop`, turn this red.
#[tokio::test]
async fn a_client_that_goes_is_noticed_within_a_second_and_counted() {
    for words in ["delay:60000", "token-delay:60000", "silent", "headers-then-silence", "stall-after:2", "endless"] {
        for stream in [true, false] {
            let provider = start().await;
            let mut body = hello(&format!("sim/{words}"));
            body["stream"] = json!(stream);
            let socket = connect(provider.addr(), &body).await;
            until(&provider, |stats| stats.open == 1).await;
            let left = Instant::now();
            drop(socket);
            let stats = until(&provider, |stats| stats.open == 0).await;
            assert!(left.elapsed() < Duration::from_secs(1), "{words} {stream}");
            assert_eq!((stats.started, stats.cancelled), (1, 1), "{words} {stream}");
            assert_eq!(provider.requests()[0].outcome, Outcome::Cancelled);
        }
    }
}

// Mutant: tokens not counted in the stream turn this red.
#[tokio::test]
async fn tokens_sent_before_the_client_goes_are_told() {
    let provider = start().await;
    let mut body = streamed(hello("sim/stall-after:3"));
    body["max_tokens"] = json!(50);
    let mut socket = connect(provider.addr(), &body).await;
    until(&provider, |stats| stats.completion_tokens == 3).await;
    let mut seen = vec![0; 64 << 10];
    let length = socket.read(&mut seen).await.unwrap();
    assert!(String::from_utf8_lossy(&seen[..length]).contains("tok3"));
    drop(socket);
    until(&provider, |stats| stats.cancelled == 1).await;
    assert_eq!(provider.requests()[0].tokens_sent, 3);
}

#[tokio::test]
async fn dropped_is_stopped() {
    let provider = start().await;
    let addr = provider.addr();
    let mut socket = connect(addr, &hello("sim/silent")).await;
    until(&provider, |stats| stats.open == 1).await;
    provider.stop().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
    let cut = tokio::time::timeout(Duration::from_secs(5), socket.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(cut, Ok(0) | Err(_)), "{cut:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_providers_run_side_by_side() {
    let (first, second) = (start().await, start().await);
    assert_ne!(first.addr(), second.addr());
    post(&first, &hello("m")).await.bytes().await.unwrap();
    assert_eq!((first.stats().started, second.stats().started), (1, 0));
}

#[tokio::test]
async fn another_gateways_list_and_errors_are_spoken_on_demand_and_until_the_reset() {
    let provider = start().await;
    assert_eq!(control(&provider, &json!({"list_format": "glama"})).await, 200);
    let list: Value = get(&provider, "/api/gateway/v1/models").await.json().await.unwrap();
    let entry = list.as_array().unwrap().iter().find(|model| model["id"] == "openai/gpt-4o-mini").unwrap();
    assert_eq!(entry["pricePerToken"]["input"], "0.000000300000000");
    assert_eq!(control(&provider, &json!({"list_format": "aiml"})).await, 200);
    // A provider's name before the word is as good as none.
    let refused = post(&provider, &hello("@sim/sim/status-400")).await;
    assert_eq!((refused.status().as_u16(), &refused.headers()["content-type"]), (400, &"application/problem+json".parse().unwrap()));
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["detail"], "The stand-in was told to answer 400");
    assert_eq!(control(&provider, &json!({"list_format": "nobody"})).await, 400);
    provider.reset();
    let list: Value = get(&provider, "/v1/models").await.json().await.unwrap();
    assert!(list["data"][0]["pricing"].is_object());
}
