//! A key's list of models, at the completions.

use super::update::{updated, with_key};
use crate::support::{self, Reply, TestApp, eventually};
use serde_json::{Value, json};

async fn ask(app: &TestApp, key: &str, fields: Value) -> Reply {
    let mut body = json!({"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    app.post_as(key, "/v1/chat/completions", body).await
}

// Mutant, red: every entry taken for the beginning of names.
#[actix_web::test]
async fn a_call_of_a_model_that_is_not_listed_is_403_and_costs_nothing() {
    let app = support::app().await;
    let (user, id, key) = with_key(&app, json!({"allowed_models": ["openai/gpt-4o-mini", "anthropic/*"]})).await;
    for model in ["openai/gpt-4o-mini", "anthropic/claude-3.5-haiku"] {
        assert_eq!(ask(&app, &key, json!({"model": model})).await.status, 200, "{model}");
    }
    let served = app.sim.stats().started;
    let others: [(Value, &str); 8] = [
        (json!({"model": "openai/gpt-4o"}), "openai/gpt-4o"),
        (json!({"model": "openai/gpt-4o", "stream": true}), "openai/gpt-4o"),
        (json!({"model": "OPENAI/gpt-4o-mini"}), "OPENAI/gpt-4o-mini"),
        (json!({"model": "openai/gpt-4o-mini:free"}), "openai/gpt-4o-mini:free"),
        (json!({"model": "openrouter/auto"}), "openrouter/auto"),
        (json!({"model": "nobody/knows-it"}), "nobody/knows-it"),
        // Each fallback is judged for itself: a list with one that is not allowed is refused before anything is tried.
        (json!({"model": "openai/gpt-4o-mini", "models": ["anthropic/claude-3.5-haiku", "openai/gpt-4o"]}), "openai/gpt-4o"),
        (json!({"model": "x-ai/grok-3-mini", "models": ["openai/gpt-4o-mini"]}), "x-ai/grok-3-mini"),
    ];
    for (fields, model) in others {
        let refused = ask(&app, &key, fields.clone()).await;
        let error = &refused.json()["error"];
        let expected =
            (403, json!(format!("The model '{model}' is not allowed for this API key")), json!("model"), json!("forbidden"));
        assert_eq!(
            (refused.status, error["message"].clone(), error["param"].clone(), error["code"].clone()),
            expected,
            "{fields}"
        );
    }
    assert_eq!(app.sim.stats().started, served, "nobody was asked");
    assert_eq!(app.database.number("SELECT count(*) FROM holds").await, 2);
    let fallbacks = json!({"model": "openai/gpt-4o-mini", "models": ["anthropic/claude-3.5-haiku"]});
    assert_eq!(ask(&app, &key, fallbacks).await.status, 200);
    assert_eq!(ask(&app, &user.key, json!({"model": "openai/gpt-4o"})).await.status, 200, "other keys are free");
    updated(&app, &user.key, &id, json!({"allowed_models": []})).await;
    eventually("any model", async || (ask(&app, &key, json!({"model": "openai/gpt-4o"})).await.status == 200).then_some(()))
        .await;
}
