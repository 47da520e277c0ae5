//! `GET /models/providers` and `GET /catalog/provider`: who makes the models.

use crate::support;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tollgate_sim::provider::{Provider, ProviderOptions};

const LIST: &str = r#"{"data": [
    {"id": "mistralai/nemo", "name": "Mistral: Nemo", "pricing": {"prompt": "0.000001", "completion": "0.000002"},
     "top_provider": {"is_moderated": false}},
    {"id": "z-ai/glm-4.5", "name": "glm-4.5", "pricing": {"prompt": "-1", "completion": "-1"}},
    {"id": "mistralai/large", "name": "Mistral: Large", "pricing": {"prompt": "0", "completion": "0"},
     "top_provider": {"is_moderated": true}},
    {"id": "lonely", "name": "lonely"}
]}"#;

/// OpenRouter with that list, and Featherless with two models.
async fn app() -> (support::TestApp, Provider) {
    let featherless = Provider::start(ProviderOptions::default()).await.unwrap();
    featherless.serve_models(Some(r#"{"data": [{"id": "mistralai/nemo"}, {"id": "mistralai/only-here"}]}"#.into()));
    let url = featherless.base_url();
    let app = support::app_with(&[("FEATHERLESS_API_KEY", "sim-key"), ("FEATHERLESS_BASE_URL", &url)]).await;
    app.sim.serve_models(Some(LIST.into()));
    app.clock.advance(std::time::Duration::from_secs(300));
    support::eventually("the list", async || (app.get("/models?gateway=openrouter").await.json()["total"] == 4).then_some(()))
        .await;
    (app, featherless)
}

#[actix_web::test]
async fn the_statistics_are_an_object_by_the_first_part_of_the_ids() {
    let (app, _featherless) = app().await;
    let page = app.get("/models/providers").await.json();
    assert_eq!(page["status"], "success");
    assert!(chrono::DateTime::parse_from_rfc3339(page["timestamp"].as_str().unwrap()).is_ok());
    let statistics = &page["provider_statistics"];
    // Two of OpenRouter's four have a price that it states; Featherless' own states none.
    let counts = ["total_providers", "total_models", "suggested_models", "pricing_available"]
        .map(|name| statistics[name].as_u64().unwrap());
    assert_eq!(counts, [3, 5, 0, 2]);
    let providers = statistics["providers"].as_object().unwrap();
    let shown: BTreeMap<&str, (&Value, &Value)> =
        providers.iter().map(|(slug, provider)| (slug.as_str(), (&provider["name"], &provider["model_count"]))).collect();
    assert_eq!(shown["mistralai"], (&json!("Mistral"), &json!(3)));
    assert_eq!(shown["z-ai"], (&json!("Z Ai"), &json!(1)));
    assert_eq!(shown["openrouter"], (&json!("Openrouter"), &json!(1)), "who has no maker is the gateway's");
    let mistral = &providers["mistralai"];
    assert_eq!(mistral["site_url"], "https://mistral.ai");
    assert!(mistral["logo_url"].as_str().unwrap().contains("mistral.ai"));
    for unknown in ["privacy_policy_url", "terms_of_service_url", "status_page_url"] {
        assert_eq!(mistral.get(unknown), Some(&Value::Null));
    }
    let alone = app.get("/models/providers?gateway=featherless").await.json();
    assert_eq!(alone["provider_statistics"]["providers"]["mistralai"]["model_count"], 2);
}

#[actix_web::test]
async fn the_makers_are_listed_with_the_most_models_first_and_paged() {
    let (app, _featherless) = app().await;
    let page = app.get("/catalog/provider").await.json();
    assert_eq!(
        (&page["total"], &page["returned"], &page["offset"], &page["limit"]),
        (&json!(3), &json!(3), &json!(0), &Value::Null)
    );
    assert_eq!(page["gateway"], "all");
    let makers: Vec<&Value> = page["data"].as_array().unwrap().iter().collect();
    assert_eq!(makers.iter().map(|maker| &maker["slug"]).collect::<Vec<_>>(), ["mistralai", "openrouter", "z-ai"]);
    let fields =
        ["slug", "name", "site_url", "logo_url", "moderated_by_openrouter", "source_gateway", "source_gateways", "model_count"];
    assert!(makers.iter().all(|maker| fields.iter().all(|field| maker.get(field).is_some())), "{makers:?}");
    assert_eq!(
        (&makers[0]["source_gateway"], &makers[0]["source_gateways"]),
        (&json!("openrouter"), &json!(["openrouter", "featherless"]))
    );
    let moderated: Vec<bool> = makers.iter().map(|maker| maker["moderated_by_openrouter"].as_bool().unwrap()).collect();
    assert_eq!(moderated, [true, false, false]);
    let second = app.get("/catalog/provider?limit=1&offset=1").await.json();
    assert_eq!((&second["data"], &second["total"], &second["limit"]), (&json!([makers[1]]), &json!(3), &json!(1)));
    let strict = app.get("/catalog/provider?moderated_only=true").await.json();
    assert_eq!((&strict["total"], &strict["data"]), (&json!(1), &json!([makers[0]])));
    for wrong in ["limit=x", "offset=-1", "moderated_only=perhaps"] {
        assert_eq!(app.get(&format!("/catalog/provider?{wrong}")).await.status, 422, "{wrong}");
    }
}
