//! The catalogue's doors over several gateways: seed 000's and seed 004's requests, and what caches are told.

use crate::support::{self, Reply, TestApp};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Read;
use std::time::Duration;
use tollgate::http::models::{DeveloperPage, EndpointsResponse, ModelObjectList, ModelPage, ModelsPage};
use tollgate_domain::GatewayId;
use tollgate_sim::provider::{Provider, ProviderOptions};

/// Two gateways beside OpenRouter, each with a stand-in of its own.
struct Several {
    app: TestApp,
    portkey: Provider,
    featherless: Provider,
}

/// A list as a gateway with OpenAI's wire format sends it.
fn list_of(ids: &[&str]) -> bytes::Bytes {
    let data: Vec<Value> = ids.iter().map(|id| json!({"id": id, "object": "model"})).collect();
    json!({"object": "list", "data": data}).to_string().into()
}

async fn provider() -> Provider {
    Provider::start(ProviderOptions::default()).await.unwrap()
}

impl Several {
    async fn start() -> Self {
        let (portkey, featherless) = (provider().await, provider().await);
        portkey.serve_models(Some(list_of(&["openai/gpt-4o", "only-at/portkey"])));
        featherless.serve_models(Some(list_of(&["only-at/featherless", "openai/gpt-4o-mini", "nested/a/b"])));
        let app = support::app_with(&[
            ("PORTKEY_API_KEY", "sim-key"),
            ("PORTKEY_BASE_URL", &portkey.base_url()),
            ("FEATHERLESS_API_KEY", "sim-key"),
            ("FEATHERLESS_BASE_URL", &featherless.base_url()),
        ])
        .await;
        Self { app, portkey, featherless }
    }
}

fn ids(models: &Value) -> Vec<&str> {
    models.as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect()
}

async fn get_with(app: &TestApp, path: &str, header: (&str, &str)) -> Reply {
    Reply::of(app.request(Method::GET, path).header(header.0, header.1)).await
}

#[actix_web::test]
async fn seed_000_each_gateways_list_is_served_alone_and_all_of_them_joined() {
    let world = Several::start().await;
    for (gateway, note) in [("openrouter", "OpenRouter"), ("portkey", "Portkey"), ("FeatherLess", "Featherless")] {
        let reply = world.app.get(&format!("/models?gateway={gateway}")).await;
        let page: ModelsPage = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((page.gateway.as_str(), page.note), (gateway.to_lowercase().as_str(), format!("{note} catalog")));
        assert!(!page.data.is_empty() && page.data.iter().all(|model| model.fields.source_gateway == gateway.to_lowercase()));
    }
    let [openrouter, portkey, featherless, all] = [
        world.app.get("/models?gateway=openrouter").await.json(),
        world.app.get("/models?gateway=portkey").await.json(),
        world.app.get("/models?gateway=featherless").await.json(),
        world.app.get("/models?gateway=all").await.json(),
    ];
    let mut joined = ids(&openrouter["data"]);
    for id in ids(&portkey["data"]).into_iter().chain(ids(&featherless["data"])) {
        if !joined.contains(&id) {
            joined.push(id);
        }
    }
    assert_eq!(ids(&all["data"]), joined);
    assert_eq!((&all["total"], &all["returned"]), (&json!(joined.len()), &json!(joined.len())));
    assert!(joined.contains(&"only-at/portkey") && joined.contains(&"nested/a/b"));
}

#[actix_web::test]
async fn seed_004_the_models_are_listed_with_prices_capabilities_and_providers() {
    let app = support::app().await;
    let page = app.get("/models").await.json();
    assert_eq!((&page["status"], &page["total_models"]), (&json!("success"), &json!(page["models"].as_array().unwrap().len())));
    assert!(chrono::DateTime::parse_from_rfc3339(page["timestamp"].as_str().unwrap()).is_ok());
    let gpt = page["models"].as_array().unwrap().iter().find(|model| model["id"] == "openai/gpt-4o").unwrap();
    assert_eq!((&gpt["pricing"]["prompt"], &gpt["provider_slug"]), (&json!("0.0000025"), &json!("openai")));
    assert_eq!(gpt["architecture"]["input_modalities"], json!(["text", "image"]));
    assert!(gpt["supported_parameters"].as_array().unwrap().contains(&json!("tools")));
}

/// What the web client reads of an entry (`contract.md` A.1): what it calls methods on must be of the right type.
fn assert_readable(model: &Value, gateway: &str) {
    let text = |field: &str| model[field].as_str().unwrap_or_else(|| panic!("{gateway}: {field} of {model}"));
    let null_or = |field: &str, is: fn(&Value) -> bool| {
        assert!(model[field].is_null() || is(&model[field]), "{gateway}: {field} of {model}")
    };
    let strings = |value: &Value| value.is_null() || value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    assert!(!text("id").trim().is_empty() && !text("name").trim().is_empty());
    assert!(!text("provider_slug").is_empty(), "{gateway}: the badge's colour is a hash of it: {model}");
    assert_eq!(text("source_gateway"), gateway);
    null_or("description", Value::is_string);
    null_or("created", Value::is_i64);
    assert!(model["context_length"].as_i64().is_some_and(|tokens| tokens >= 0), "{model}");
    for field in ["pricing", "charged_pricing"] {
        for (name, price) in model[field].as_object().unwrap() {
            let is_price = |text: &str| text.parse::<f64>().is_ok_and(|price| price >= 0.0) && !text.contains(['e', 'E']);
            assert!(
                price.is_null() || price.is_array() || price.as_str().is_some_and(is_price),
                "{gateway}: {field}.{name} of {model}"
            );
        }
    }
    for field in ["/architecture/input_modalities", "/architecture/output_modalities", "/supported_parameters"] {
        assert!(model.pointer(field).is_none_or(strings), "{gateway}: {field} of {model}");
    }
}

#[actix_web::test]
async fn the_web_client_can_read_every_entry_of_every_gateway() {
    let sims = futures_util::future::join_all(GatewayId::ALL.map(|_| provider())).await;
    let settings = GatewayId::ALL.iter().zip(&sims).flat_map(|(gateway, sim)| {
        let name = gateway.as_str().to_uppercase();
        [(format!("{name}_API_KEY"), "sim-key".to_owned()), (format!("{name}_BASE_URL"), sim.base_url())]
    });
    let settings: Vec<(String, String)> = settings.collect();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let app = support::app_with(&settings).await;
    let mut read = BTreeSet::new();
    for gateway in GatewayId::ALL.map(GatewayId::as_str) {
        let reply = app.get(&format!("/models?gateway={gateway}")).await;
        if reply.status == 200 {
            let page: ModelsPage = serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{gateway}: {error}"));
            assert!(page.total > 0);
            reply.json()["data"].as_array().unwrap().iter().for_each(|model| assert_readable(model, gateway));
            read.insert(gateway);
        }
    }
    assert!(read.len() >= 9, "{read:?}");
}

#[actix_web::test]
async fn a_gateway_that_is_off_or_has_not_answered_is_503_and_costs_the_others_nothing() {
    let silent = provider().await;
    silent.set_model_list(tollgate_sim::provider::ModelList::Failing);
    let url = silent.base_url();
    let app = support::app_with(&[("GLAMA_API_KEY", "sim-key"), ("GLAMA_BASE_URL", &url)]).await;
    for path in
        ["/models?gateway=chutes", "/models?gateway=glama", "/catalog/provider?gateway=glama", "/models/providers?gateway=a4f"]
    {
        let reply = app.get(path).await;
        assert_eq!((reply.status, &reply.json()["detail"]), (503, &json!("Models data unavailable")), "{path}");
        assert_ne!(reply.header("retry-after"), "", "{path}");
    }
    assert!(app.get("/models?gateway=all").await.json()["total"].as_u64().unwrap() > 20);
}

#[actix_web::test]
async fn a_gateway_that_does_not_exist_is_400_with_the_names_of_those_that_do() {
    let app = support::app().await;
    for path in [
        "/models",
        "/catalog/models",
        "/models/providers",
        "/catalog/provider",
        "/model/openai/gpt-4o",
        "/developer/openai/models",
    ] {
        let reply = app.get(&format!("{path}?gateway=openruter")).await;
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!(reply.status, 400, "{path}");
        assert!(GatewayId::ALL.iter().all(|gateway| detail.contains(gateway.as_str())) && detail.contains("all"), "{detail}");
    }
}

#[actix_web::test]
async fn one_model_has_a_page_whatever_slashes_its_id_holds() {
    let world = Several::start().await;
    for (id, gateway) in
        [("openai/gpt-4o", "openrouter"), ("nested/a/b", "featherless"), ("meta-llama/llama-3.1-8b-instruct:free", "openrouter")]
    {
        let reply = world.app.get(&format!("/model/{id}")).await;
        let page: ModelPage = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((page.data.id.as_str(), page.data.fields.source_gateway.as_str()), (id, gateway));
        assert_eq!(format!("{}/{}", page.provider, page.model), id);
    }
    let at_portkey = world.app.get("/model/openai/gpt-4o?gateway=portkey").await.json();
    assert_eq!(at_portkey["data"]["source_gateway"], "portkey");
    for unknown in ["/model/openai/gpt-99", "/model/only-at/portkey?gateway=openrouter"] {
        assert_eq!(world.app.get(unknown).await.status, 404, "{unknown}");
    }
    assert_eq!(world.app.get("/model/openai/gpt-99").await.json(), json!({"detail": "Model openai/gpt-99 not found"}));
}

#[actix_web::test]
async fn a_developers_models_are_listed_in_pages() {
    let world = Several::start().await;
    let reply = world.app.get("/developer/OpenAI/models?limit=2&offset=1").await;
    let page: DeveloperPage = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((page.developer.as_str(), page.total, page.count, page.offset, page.limit), ("OpenAI", 4, 2, 1, Some(2)));
    assert!(page.models.iter().all(|model| model.owned_by == "openai"));
    let whole = world.app.get("/developer/openai/models").await.json();
    assert_eq!(whole["models"][1]["id"], page.models[0].id.as_str());
    let nobody = world.app.get("/developer/nobody/models").await;
    assert_eq!((nobody.status, nobody.json()), (404, json!({"detail": "No models found for developer nobody"})));
}

#[actix_web::test]
async fn openais_list_has_each_id_once_and_openrouters_fields_beside() {
    let world = Several::start().await;
    let reply = world.app.get("/v1/models").await;
    let list: ModelObjectList = serde_json::from_slice(&reply.body).unwrap();
    let unique: BTreeSet<&str> = list.data.iter().map(|model| model.id.as_str()).collect();
    assert_eq!(unique.len(), list.data.len());
    let count = world.app.get("/v1/models/count").await.json();
    assert_eq!(count, json!({"data": {"count": list.data.len()}}));
    for model in &list.data {
        assert_eq!(model.object, "model");
        let one = world.app.get(&format!("/v1/models/{}", model.id)).await.json();
        assert_eq!(one, serde_json::to_value(model).unwrap());
    }
    let dateless = list.data.iter().find(|model| model.id == "only-at/portkey").unwrap();
    assert_eq!((dateless.created, dateless.owned_by.as_str()), (0, "only-at"));
    assert_eq!(world.app.get("/models?gateway=portkey").await.json()["data"][0]["created"], Value::Null);
}

#[actix_web::test]
async fn a_models_endpoints_are_the_gateways_that_have_it_each_with_its_price() {
    let world = Several::start().await;
    let reply = world.app.get("/v1/models/openai/gpt-4o/endpoints").await;
    let EndpointsResponse { data } = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((data.id.as_str(), data.created), ("openai/gpt-4o", 1_715_558_400));
    let shown: Vec<_> =
        data.endpoints.iter().map(|at| (at.tag.as_str(), at.pricing.prompt.as_str(), at.context_length)).collect();
    // Portkey states no price: it is OpenRouter's.
    assert_eq!(shown, [("openrouter", "0.0000025", 128_000), ("portkey", "0.0000025", 0)]);
    assert_eq!(world.app.get("/v1/models/nested/a/b/endpoints").await.json()["data"]["endpoints"].as_array().unwrap().len(), 1);
    let unknown = world.app.get("/v1/models/openai/gpt-99/endpoints").await;
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (404, &json!("model_not_found")));
}

#[actix_web::test]
async fn a_price_that_changes_at_openrouter_changes_what_others_charge() {
    let world = Several::start().await;
    let price = async || {
        world.app.get("/v1/models/openai/gpt-4o/endpoints").await.json()["data"]["endpoints"][1]["pricing"]["prompt"].clone()
    };
    assert_eq!(price().await, "0.0000025");
    world
        .app
        .sim
        .serve_models(Some(r#"{"data":[{"id":"openai/gpt-4o","pricing":{"prompt":"0.000007","completion":"0"}}]}"#.into()));
    world.app.clock.advance(Duration::from_secs(300));
    support::eventually("the new price", async || (price().await == "0.000007").then_some(())).await;
    let page = world.app.get("/models?gateway=portkey").await.json();
    assert_eq!(page["data"][0]["charged_pricing"]["prompt"], "0.000007");
    assert!(world.portkey.stats().model_lists > 0 && world.featherless.stats().model_lists > 0);
}

/// All doors that answer out of the catalogue.
const DOORS: [&str; 12] = [
    "/models",
    "/models?gateway=all",
    "/models?provider=openai&limit=2",
    "/catalog/models?gateway=featherless",
    "/models/providers",
    "/catalog/provider?limit=3",
    "/model/openai/gpt-4o",
    "/developer/openai/models",
    "/v1/models",
    "/v1/models/count",
    "/v1/models/openai/gpt-4o",
    "/v1/models/openai/gpt-4o/endpoints",
];

#[actix_web::test]
async fn every_door_answers_304_to_who_has_it_and_says_how_long_it_is_good() {
    let world = Several::start().await;
    world.app.clock.advance(Duration::from_secs(100));
    for path in DOORS {
        let first = world.app.get(path).await;
        let tag = first.header("etag").to_owned();
        assert!(tag.starts_with("W/\"") && tag.ends_with('"'), "{path}: {tag}");
        let strong = tag.trim_start_matches("W/");
        for known in [&tag, strong, "*", &format!("\"a,b\", {strong}")] {
            let again = get_with(&world.app, path, ("if-none-match", known)).await;
            assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, tag.as_str()), "{path} {known}");
            assert_eq!(again.header("cache-control"), first.header("cache-control"), "{path}");
            assert_eq!(again.header("vary"), "accept-encoding", "{path}");
        }
        assert_eq!(get_with(&world.app, path, ("if-none-match", "\"x\"")).await.status, 200, "{path}");
        let max_age = first.header("cache-control").strip_prefix("public, max-age=").unwrap().parse::<u64>().unwrap();
        // The lists are a hundred seconds old, and good for three hundred; the machine may be slow.
        assert!((120..=200).contains(&max_age), "{path}: {max_age}");
    }
}

#[actix_web::test]
async fn every_door_answers_under_gzip_to_who_asks_for_it() {
    let world = Several::start().await;
    for path in DOORS {
        let plain = world.app.get(path).await;
        assert_eq!((plain.header("content-encoding"), plain.header("vary")), ("", "accept-encoding"), "{path}");
        for refused in ["identity", "gzip;q=0", "br, deflate", ""] {
            let reply = get_with(&world.app, path, ("accept-encoding", refused)).await;
            assert_eq!((reply.header("content-encoding"), &reply.body), ("", &plain.body), "{path} {refused}");
        }
        for asked in ["gzip", "br;q=1.0, gzip;q=0.8, *;q=0.1", "deflate, gzip"] {
            let zipped = get_with(&world.app, path, ("accept-encoding", asked)).await;
            if plain.body.len() < 1_024 {
                assert_eq!(zipped.body, plain.body, "{path}: too short to gain anything");
                continue;
            }
            let mut read = Vec::new();
            flate2::read::GzDecoder::new(&zipped.body[..]).read_to_end(&mut read).unwrap();
            assert_eq!((zipped.header("content-encoding"), zipped.header("etag")), ("gzip", plain.header("etag")), "{path}");
            assert!(read == plain.body && zipped.body.len() < plain.body.len(), "{path}");
        }
    }
}

#[actix_web::test]
async fn head_is_get_without_the_body_at_every_door() {
    let world = Several::start().await;
    let others = ["/", "/health", "/plans", "/openapi.json", "/user/balance", "/no/such/door"];
    for path in DOORS.into_iter().chain(others) {
        let (get, head) = (world.app.get(path).await, Reply::of(world.app.request(Method::HEAD, path)).await);
        // Mutant: without the line in the frame these are 405.
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        for header in ["content-type", "content-length", "etag", "cache-control", "vary"] {
            assert_eq!(head.header(header), get.header(header), "{path}: {header}");
        }
    }
    let zipped = Reply::of(world.app.request(Method::HEAD, "/models").header("accept-encoding", "gzip")).await;
    assert_eq!((zipped.header("content-encoding"), zipped.body.len()), ("gzip", 0));
    let post_only = Reply::of(world.app.request(Method::HEAD, "/v1/chat/completions")).await;
    assert_eq!((post_only.status, post_only.header("allow")), (405, "POST"));
}
