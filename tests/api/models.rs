//! The catalogue's doors.

use crate::support::{self, Reply, TestApp};
use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tollgate::http::models::{ModelObjectList, ModelsPage};
use tollgate_domain::GatewayId;
use tollgate_sim::provider::ModelList;
use tollgate_store::catalog::{StoredList, find_list, save_list};
use tollgate_store::{Store, StoreOptions};

fn model<'a>(page: &'a Value, id: &str) -> &'a Value {
    page["data"].as_array().unwrap().iter().find(|model| model["id"] == id).unwrap_or_else(|| panic!("{id} is listed"))
}

async fn tagged(app: &TestApp, path: &str, tag: &str) -> Reply {
    Reply::of(app.request(Method::GET, path).header("if-none-match", tag)).await
}

#[actix_web::test]
async fn the_list_has_the_form_that_its_description_promises() {
    let app = support::app().await;
    for path in
        ["/models", "/models?gateway=openrouter", "/models?gateway=all", "/models?provider=openai&limit=2", "/catalog/models"]
    {
        let reply = app.get(path).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"), "{path}");
        let page: ModelsPage = serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(page.returned, u64::try_from(page.data.len()).unwrap());
        assert!(page.data.iter().all(|model| !model.fields.name.is_empty() && model.fields.source_gateway == "openrouter"));
        assert_eq!(page.models.is_some(), !path.contains("gateway="), "{path}");
    }
    let reply = app.get("/v1/models").await;
    let list: ModelObjectList = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(list.object, "list");
    assert!(list.data.iter().any(|model| model.id == "openai/gpt-4o" && model.owned_by == "openai" && model.created > 0));
}

#[actix_web::test]
async fn both_paths_answer_the_same() {
    let app = support::app().await;
    for query in ["", "?gateway=OpenRouter", "?provider=mistralai&offset=1"] {
        let [one, two] = [app.get(&format!("/models{query}")).await, app.get(&format!("/catalog/models{query}")).await];
        assert_eq!(one.body, two.body, "{query}");
    }
}

#[actix_web::test]
async fn prices_are_shown_as_stated_and_as_charged() {
    let app = support::app().await;
    let page = app.get("/models").await.json();
    let gpt = model(&page, "openai/gpt-4o");
    assert_eq!((&gpt["pricing"]["prompt"], &gpt["pricing"]["completion"]), (&json!("0.0000025"), &json!("0.00001")));
    assert_eq!(gpt["charged_pricing"]["prompt"], "0.0000025");
    assert_eq!(gpt["charged_pricing"]["input_cache_read"], "0.00000125");
    assert_eq!(model(&page, "meta-llama/llama-3.1-8b-instruct:free")["charged_pricing"]["completion"], "0");
    for unknown in ["openrouter/auto", "absurd/priced-per-million"] {
        assert_eq!(model(&page, unknown)["pricing"]["prompt"], Value::Null, "{unknown}");
        assert_eq!(model(&page, unknown)["charged_pricing"]["prompt"], "0.00002", "{unknown}");
    }
}

#[actix_web::test]
async fn a_query_of_a_wrong_shape_is_422_and_an_unknown_gateway_400() {
    let app = support::app().await;
    for (query, status) in
        [("limit=-1", 422), ("limit=many", 422), ("offset=1.5", 422), ("gateway=gatewayx", 400), ("gateway=portkey", 503)]
    {
        assert_eq!(app.get(&format!("/models?{query}")).await.status, status, "{query}");
    }
    assert_eq!(
        app.get("/models?gateway=gatewayx").await.json(),
        json!({"detail": "Invalid gateway. Must be one of: all, openrouter, portkey, featherless, chutes, glama, requesty, aiml, a4f, openai, anthropic"})
    );
    let off = app.get("/models?gateway=featherless").await;
    assert_eq!(off.json()["detail"], "Models data unavailable");
    assert_ne!(off.header("retry-after"), "");
    assert_eq!(app.get("/models?limit=1&include_huggingface=true&utm=x").await.status, 200);
}

#[actix_web::test]
async fn one_model_is_found_by_its_id_with_slashes_and_colons_escaped_or_not() {
    let app = support::app().await;
    let ids = [
        "openai/gpt-4o",
        "openai%2Fgpt-4o",
        "meta-llama/llama-3.1-8b-instruct:free",
        "meta-llama%2Fllama-3.1-8b-instruct%3Afree",
    ];
    for id in ids {
        let reply = app.get(&format!("/v1/models/{id}")).await;
        assert_eq!(reply.status, 200, "{id}");
        assert_eq!(reply.json()["id"], id.replace("%2F", "/").replace("%3A", ":"));
    }
    let unknown = app.get("/v1/models/openai/gpt-99").await;
    let error = json!({
        "message": "The model 'openai/gpt-99' does not exist", "type": "invalid_request_error", "param": "model", "code": "model_not_found",
    });
    assert_eq!((unknown.status, &unknown.json()["error"]), (404, &error));
}

#[actix_web::test]
async fn a_list_that_is_known_is_not_sent_again_until_it_changes() {
    let app = support::app().await;
    for path in ["/models", "/models?gateway=all", "/v1/models"] {
        let tag = app.get(path).await.header("etag").to_owned();
        let again = tagged(&app, path, &tag).await;
        assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, tag.as_str()), "{path}");
        assert_eq!(tagged(&app, path, "\"other\"").await.status, 200);
    }
}

#[actix_web::test]
async fn a_new_list_is_served_when_the_old_one_is_five_minutes_old() {
    let app = support::app().await;
    let tag = app.get("/v1/models").await.header("etag").to_owned();
    app.sim.serve_models(Some(r#"{"data":[{"id":"new/model","pricing":{"prompt":"0","completion":"0"}}]}"#.into()));
    app.clock.advance(Duration::from_secs(300));
    let list = support::eventually("the new list", async || {
        Some(tagged(&app, "/v1/models", &tag).await).filter(|reply| reply.status == 200).map(|reply| reply.json())
    })
    .await;
    assert_eq!(list["data"].as_array().unwrap().len(), 1);
    assert_eq!(model(&list, "new/model")["charged_pricing"]["prompt"], "0");
    assert_eq!(app.get("/v1/models/openai/gpt-4o").await.status, 404);
}

#[actix_web::test]
async fn a_provider_that_goes_bad_costs_no_model() {
    let app = support::app().await;
    let whole = app.get("/models").await;
    for (rounds, mode) in [ModelList::Failing, ModelList::Garbage].into_iter().enumerate() {
        app.sim.set_model_list(mode);
        app.clock.advance(Duration::from_secs(300));
        let asked = u64::try_from(rounds).unwrap() + 2;
        support::eventually("asked again", async || (app.sim.stats().model_lists >= asked).then_some(())).await;
        assert_eq!(app.get("/models").await.body, whole.body);
    }
}

#[actix_web::test]
async fn after_a_restart_with_the_provider_away_the_last_list_is_served() {
    let app = support::app().await;
    let before = app.get("/models").await.json();
    support::eventually("saved", async || {
        (app.database.number("SELECT count(*) FROM catalog_snapshots").await == 1).then_some(())
    })
    .await;
    let (_, database) = app.stop().await;
    // Port 1 is no one's.
    let app = support::app_on(database, &[("OPENROUTER_BASE_URL", "http://127.0.0.1:1/api/v1")]).await;
    let after = app.get("/models").await.json();
    // The database keeps no more than microseconds, and the answer shows milliseconds.
    assert_eq!(after, before);
    assert_eq!(app.get("/v1/models/openai/gpt-4o").await.status, 200);
}

#[actix_web::test]
async fn without_a_gateway_the_lists_are_503_in_their_envelopes() {
    let app = support::app_with(&[("OPENROUTER_API_KEY", "")]).await;
    let list = app.get("/models").await;
    assert_eq!((list.status, &list.json()["detail"]), (503, &json!("Models data unavailable")));
    let list = app.get("/v1/models").await;
    assert_eq!((list.status, &list.json()["error"]["type"]), (503, &json!("server_error")));
    assert_eq!(app.get("/v1/models/openai/gpt-4o").await.status, 404);
}

#[actix_web::test]
async fn the_store_keeps_the_newest_list_of_each_gateway() {
    let database = support::TestDatabase::create().await;
    let store = Store::new(StoreOptions::new(database.app_url.clone()), tokio::runtime::Handle::current()).unwrap();
    let list = |minute: u32, packed: &[u8]| StoredList {
        fetched_at: format!("2026-11-22T06:{minute:02}:00Z").parse::<DateTime<Utc>>().unwrap(),
        packed: packed.to_owned(),
    };
    assert_eq!(find_list(&store, GatewayId::Glama).await.unwrap(), None);
    for (minute, packed) in [(5, b"b"), (1, b"a")] {
        save_list(&store, GatewayId::Glama, &list(minute, packed)).await.unwrap();
    }
    assert_eq!(find_list(&store, GatewayId::Glama).await.unwrap(), Some(list(5, b"b")));
    save_list(&store, GatewayId::Glama, &list(9, b"")).await.unwrap();
    assert_eq!(find_list(&store, GatewayId::Glama).await.unwrap(), Some(list(9, b"")));
    assert_eq!(find_list(&store, GatewayId::OpenRouter).await.unwrap(), None);
}
