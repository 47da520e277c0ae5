//! `POST /admin/refresh-models` and `GET /admin/cache-status`.

use crate::support::{self, ADMIN_KEY, TestApp};
use serde_json::{Value, json};
use std::time::Duration;
use tollgate_sim::provider::{ModelList, Provider, ProviderOptions};

const ONE_MODEL: &str = r#"{"data":[{"id":"new/model","pricing":{"prompt":"0","completion":"0"}}]}"#;

async fn refresh(app: &TestApp) -> support::Reply {
    app.post_as(ADMIN_KEY, "/admin/refresh-models", json!({})).await
}

async fn status(app: &TestApp) -> Value {
    app.get_as(ADMIN_KEY, "/admin/cache-status").await.json()
}

/// A server with Glama beside OpenRouter.
async fn with_glama() -> (TestApp, Provider) {
    let glama = Provider::start(ProviderOptions::default()).await.unwrap();
    let url = glama.base_url();
    let app = support::app_with(&[("GLAMA_API_KEY", "sim-key"), ("GLAMA_BASE_URL", &url)]).await;
    (app, glama)
}

#[actix_web::test]
async fn a_refresh_serves_the_new_list_at_once() {
    let app = support::app().await;
    app.sim.serve_models(Some(ONE_MODEL.into()));
    let reply = refresh(&app).await;
    let body = reply.json();
    assert_eq!(reply.status, 200, "{body}");
    assert_eq!((&body["status"], &body["message"]), (&json!("success"), &json!("Model cache refreshed successfully")));
    assert_eq!(body["total_models"], 1);
    assert!(chrono::DateTime::parse_from_rfc3339(body["timestamp"].as_str().unwrap()).is_ok());
    assert_eq!(body["gateways"], json!([{"gateway": "openrouter", "refreshed": true, "models": 1, "error": null}]));
    assert_eq!(app.get("/v1/models").await.json()["data"][0]["id"], "new/model");
}

#[actix_web::test]
async fn many_refreshes_at_once_are_one_question_to_the_gateway() {
    let app = support::app().await;
    let before = app.sim.stats().model_lists;
    app.sim.set_model_list(ModelList::Hanging);
    let refreshes = futures_util::future::join_all((0..20).map(|_| refresh(&app)));
    let let_go = async {
        support::eventually("the gateway is asked", async || (app.sim.stats().model_lists > before).then_some(())).await;
        support::eventually("all wait", async || (app.services.actors.catalog.handle().queued() >= 20).then_some(())).await;
        let asked = app.sim.stats().model_lists;
        app.sim.set_model_list(ModelList::Served);
        asked
    };
    // A gateway that hangs is let go by the client's own time-out; here only the count matters.
    let asked = tokio::select! {
        _ = refreshes => panic!("answered by a gateway that hangs"),
        asked = let_go => asked,
    };
    // Mutant: without the check for a flight under way every refresh asks.
    assert_eq!(asked, before + 1);
}

#[actix_web::test]
async fn a_gateway_that_fails_is_named_and_keeps_its_last_list() {
    let (app, glama) = with_glama().await;
    let whole = app.get("/models?gateway=glama").await.json()["data"].clone();
    glama.set_model_list(ModelList::Failing);
    let reply = refresh(&app).await;
    let body = reply.json();
    assert_eq!((reply.status, &body["message"]), (200, &json!("Model cache refreshed in part")));
    let [openrouter, failed] = [&body["gateways"][0], &body["gateways"][1]];
    assert_eq!((&openrouter["gateway"], &openrouter["refreshed"]), (&json!("openrouter"), &json!(true)));
    assert_eq!((&failed["gateway"], &failed["refreshed"]), (&json!("glama"), &json!(false)));
    assert_eq!(failed["models"], whole.as_array().unwrap().len());
    assert!(failed["error"].as_str().unwrap().contains("500"), "{failed}");
    assert_eq!(app.get("/models?gateway=glama").await.json()["data"], whole);
}

#[actix_web::test]
async fn when_every_gateway_fails_the_refresh_is_500_and_tells_nothing_of_the_cause() {
    let app = support::app().await;
    app.sim.set_model_list(ModelList::Garbage);
    let reply = refresh(&app).await;
    assert_eq!((reply.status, &reply.json()["detail"]), (500, &json!("Failed to refresh models")));
    assert!(reply.json()["request_id"].is_string() && !reply.text().contains("openrouter"));
    assert_eq!(app.get("/models").await.status, 200);
    let app = support::app_with(&[("OPENROUTER_API_KEY", "")]).await;
    let reply = refresh(&app).await;
    assert_eq!((reply.status, &reply.json()["detail"]), (503, &json!("Models data unavailable")));
}

#[actix_web::test]
async fn the_status_tells_age_size_and_health_of_every_list() {
    let (app, glama) = with_glama().await;
    let body = status(&app).await;
    let total = app.get("/models?gateway=all").await.json()["total"].clone();
    let info = &body["cache_info"];
    assert_eq!((&body["status"], &info["has_data"], &info["is_valid"]), (&json!("success"), &json!(true), &json!(true)));
    assert_eq!((&info["ttl_seconds"], &info["total_cached_models"]), (&json!(300), &total));
    assert!(info["cache_age_seconds"].as_f64().unwrap() < 60.0);
    assert!(chrono::DateTime::parse_from_rfc3339(body["timestamp"].as_str().unwrap()).is_ok());
    let names: Vec<&Value> = body["gateways"].as_array().unwrap().iter().map(|gateway| &gateway["gateway"]).collect();
    assert_eq!(names, ["openrouter", "glama"]);
    assert_eq!((&body["gateways"][0]["failures"], &body["gateways"][0]["last_error"]), (&json!(0), &Value::Null));

    glama.set_model_list(ModelList::Failing);
    app.clock.advance(Duration::from_secs(400));
    let body = support::eventually("glama has failed", async || {
        let body = status(&app).await;
        (body["gateways"][1]["failures"].as_u64() > Some(0) && body["gateways"][0]["cache_age_seconds"].as_f64() < Some(60.0))
            .then_some(body)
    })
    .await;
    let (info, glama) = (&body["cache_info"], &body["gateways"][1]);
    assert_eq!((&info["has_data"], &info["is_valid"]), (&json!(true), &json!(false)));
    assert!(info["cache_age_seconds"].as_f64().unwrap() >= 400.0, "the oldest list's: {info}");
    assert!(glama["cache_age_seconds"].as_f64().unwrap() >= 400.0 && glama["last_error"].as_str().unwrap().contains("500"));
}

#[actix_web::test]
async fn without_a_gateway_the_cache_is_empty_and_not_valid() {
    let app = support::app_with(&[("OPENROUTER_API_KEY", "")]).await;
    let info = status(&app).await["cache_info"].clone();
    let empty = json!({
        "has_data": false, "cache_age_seconds": null, "ttl_seconds": 300, "is_valid": false, "total_cached_models": 0,
    });
    assert_eq!(info, empty);
}

#[actix_web::test]
async fn both_doors_are_for_administrators() {
    let app = support::app().await;
    let user = app.register_user().await;
    for key in ["", "wrong", user.key.as_str()] {
        let expected = if key == user.key { 403 } else { 401 };
        assert_eq!(app.post_as(key, "/admin/refresh-models", json!({})).await.status, expected, "{key}");
        assert_eq!(app.get_as(key, "/admin/cache-status").await.status, expected, "{key}");
    }
    assert_eq!(app.sim.stats().model_lists, 1, "nobody has made us ask");
}
