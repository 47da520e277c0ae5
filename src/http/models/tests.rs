use super::*;
use crate::http::error::ApiError;
use actix_web::body::to_bytes;
use actix_web::test::TestRequest;
use serde_json::{Value, json};
use tollgate_actors::catalog::GatewayList;
use tollgate_actors::ports::CatalogModel;
use tollgate_domain::{GatewayId, PriceList, PricePerMillion};

const DEFAULT: PricePerMillion = PricePerMillion(20_000_000_000);

fn listed(gateway: GatewayId, ids: &[&str]) -> GatewayList {
    let model = |id: &&str| CatalogModel {
        id: (*id).to_owned(),
        gateway,
        upstream_id: None,
        prices: Some(PriceList::flat(PricePerMillion(1_000_000_000))),
        context_length: 8_192,
        max_completion_tokens: None,
        public: json!({"id": id, "name": "\"quoted\" \u{1F600}", "pricing": {"prompt": null}, "provider_slug": id.split_once('/').map(|(slug, _)| slug)}),
    };
    GatewayList::new(gateway, "2026-11-22T06:00:00Z".parse().unwrap(), ids.iter().map(model).collect(), DEFAULT)
}

fn snapshot(lists: &[GatewayList]) -> CatalogSnapshot {
    lists.iter().fold(CatalogSnapshot::default(), |snapshot, list| snapshot.with(list, DEFAULT))
}

fn openrouter() -> CatalogSnapshot {
    snapshot(&[listed(GatewayId::OpenRouter, &["openai/gpt-4o", "openai/o3", "mistralai/nemo", "lonely", "x/openai-like"])])
}

async fn body_of(response: HttpResponse) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body()).await.unwrap()).unwrap()
}

async fn ask(snapshot: &CatalogSnapshot, query: ModelsQuery) -> Result<Value, ApiError> {
    let response = list(&TestRequest::default().to_http_request(), &query, snapshot, &Shelf::default())?;
    Ok(body_of(response).await)
}

fn at(gateway: &str) -> ModelsQuery {
    ModelsQuery { gateway: Some(gateway.to_owned()), ..ModelsQuery::default() }
}

fn ids(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn without_a_gateway_the_list_stands_there_twice_and_with_one_once() {
    let page = ask(&openrouter(), ModelsQuery::default()).await.unwrap();
    assert_eq!((&page["status"], &page["total_models"], &page["total"]), (&json!("success"), &json!(5), &json!(5)));
    assert_eq!(page["models"], page["data"]);
    assert_eq!((&page["gateway"], &page["timestamp"]), (&json!("openrouter"), &json!("2026-11-22T06:00:00.000Z")));
    let page = ask(&openrouter(), at("OpenRouter")).await.unwrap();
    assert!(page.get("models").is_none() && page.get("status").is_none());
    assert_eq!((&page["returned"], &page["offset"], &page["limit"]), (&json!(5), &json!(0), &Value::Null));
    assert_eq!((&page["note"], &page["include_huggingface"]), (&json!("OpenRouter catalog"), &json!(false)));
}

#[actix_web::test]
async fn a_provider_is_a_part_of_the_id_or_the_slug_in_any_case() {
    let query = ModelsQuery { provider: Some("OpenAI".to_owned()), ..ModelsQuery::default() };
    let page = ask(&openrouter(), query).await.unwrap();
    assert_eq!(ids(&page), ["openai/gpt-4o", "openai/o3", "x/openai-like"]);
    assert_eq!(page["total_models"], 3);
    let query = ModelsQuery { provider: Some("nobody".to_owned()), ..ModelsQuery::default() };
    assert_eq!(ask(&openrouter(), query).await.unwrap()["data"], json!([]));
}

#[actix_web::test]
async fn pages_of_any_size_join_to_the_whole_list() {
    let snapshot = openrouter();
    let whole = ask(&snapshot, at("all")).await.unwrap();
    for limit in 1..=6 {
        let mut joined = Vec::new();
        for offset in (0..6).step_by(limit) {
            let query = ModelsQuery { limit: u32::try_from(limit).ok(), offset: u32::try_from(offset).ok(), ..at("all") };
            let page = ask(&snapshot, query).await.unwrap();
            assert_eq!((&page["total"], &page["offset"], &page["limit"]), (&json!(5), &json!(offset), &json!(limit)));
            joined.extend(page["data"].as_array().unwrap().clone());
        }
        assert_eq!(Value::Array(joined), whole["data"]);
    }
    let far = ModelsQuery { offset: Some(u32::MAX), limit: Some(0), ..at("all") };
    assert_eq!(ask(&snapshot, far).await.unwrap()["returned"], 0);
}

#[actix_web::test]
async fn a_gateway_that_does_not_exist_is_400_and_one_that_is_off_is_503() {
    let error = ask(&openrouter(), at("gatewayx")).await.unwrap_err();
    assert_eq!((error.status().as_u16(), error.message()), (400, "Invalid gateway"));
    for (snapshot, gateway) in [(openrouter(), "portkey"), (CatalogSnapshot::default(), "all"), (CatalogSnapshot::default(), "")]
    {
        let error = ask(&snapshot, at(gateway)).await.unwrap_err();
        assert_eq!((error.status().as_u16(), error.message()), (503, "Models data unavailable"));
    }
}

#[actix_web::test]
async fn all_merges_the_gateways_that_are_on() {
    let lists = [listed(GatewayId::Featherless, &["openai/o3", "f/only"]), listed(GatewayId::OpenRouter, &["openai/o3"])];
    let page = ask(&snapshot(&lists), at("ALL")).await.unwrap();
    assert_eq!(ids(&page), ["openai/o3", "f/only"]);
    assert_eq!(ids(&ask(&snapshot(&lists), at("featherless")).await.unwrap()), ["openai/o3", "f/only"]);
}

#[actix_web::test]
async fn a_list_that_is_known_is_304_until_a_model_or_a_price_changes() {
    let (shelf, snapshot) = (Shelf::default(), openrouter());
    let get = |tags: Option<&str>, snapshot: &CatalogSnapshot| {
        let mut request = TestRequest::default();
        if let Some(tags) = tags {
            request = request.insert_header((IF_NONE_MATCH, tags));
        }
        list(&request.to_http_request(), &at("openrouter"), snapshot, &shelf).unwrap()
    };
    let first = get(None, &snapshot);
    let etag = first.headers().get(ETAG).unwrap().to_str().unwrap().to_owned();
    assert!(etag.starts_with("W/\""), "{etag}");
    for tags in [etag.clone(), etag.trim_start_matches("W/").to_owned(), format!("\"other\", {etag}"), "*".to_owned()] {
        let known = get(Some(&tags), &snapshot);
        assert_eq!(known.status(), 304, "{tags}");
        assert_eq!(known.headers().get(ETAG).unwrap(), etag.as_str());
    }
    assert_eq!(get(Some("\"other\""), &snapshot).status(), 200);
    let mut later = listed(GatewayId::OpenRouter, &["openai/gpt-4o", "openai/o3", "mistralai/nemo", "lonely", "x/openai-like"]);
    later.fetched_at += chrono::TimeDelta::minutes(5);
    let same = snapshot.with(&later, DEFAULT);
    // Mutant: hashing the whole body with its time makes this 200.
    assert_eq!(get(Some(&etag), &same).status(), 304);
    let other = snapshot.with(&listed(GatewayId::OpenRouter, &["new"]), DEFAULT);
    // Mutant: a shelf that is not cleared by a new version still says 304.
    assert_eq!(get(Some(&etag), &other).status(), 200);
}

#[actix_web::test]
async fn a_list_is_rendered_once_for_each_catalogue() {
    let (shelf, snapshot) = (Shelf::default(), openrouter());
    let page = Page::List { choice: Choice::All, twice: true };
    let first = shelf.get(&snapshot, page, || Rendered::new("[]".to_owned(), "[]"));
    let second = shelf.get(&snapshot, page, || panic!("rendered again"));
    assert!(std::rc::Rc::ptr_eq(&first, &second));
}

#[test]
fn openais_form_has_its_types_whatever_the_gateway_says() {
    let lists =
        [listed(GatewayId::Featherless, &["openai/o3", "f/only"]), listed(GatewayId::OpenRouter, &["openai/o3", "lonely"])];
    let rendered = page::openai_list(&snapshot(&lists));
    let page: ModelObjectList = serde_json::from_slice(&rendered.body).unwrap();
    let shown: Vec<(&str, &str)> = page.data.iter().map(|model| (model.id.as_str(), model.owned_by.as_str())).collect();
    assert_eq!(shown, [("openai/o3", "openai"), ("lonely", "openrouter"), ("f/only", "f")]);
    assert!(page.object == "list" && page.data.iter().all(|model| model.object == "model" && model.created == 0));
    assert_eq!(page.data[0].name.as_deref(), Some("\"quoted\" \u{1F600}"));
    assert_eq!(page.data[0].charged_pricing.prompt, "0.000001");
}
