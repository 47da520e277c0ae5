use super::body::{Form, Pieces, entries};
use super::query::{Choice, ModelsQuery};
use super::{Shelf, parts};
use crate::http::error::ApiError;
use serde_json::{Value, json};
use std::sync::Arc;
use tollgate_actors::catalog::{CatalogSnapshot, GatewayList};
use tollgate_actors::ports::CatalogModel;
use tollgate_domain::{GatewayId, PriceList, PricePerMillion};

/// The answer to a gateway that does not exist.
const GATEWAYS: &str = "Invalid gateway. Must be one of: all, openrouter, portkey, featherless, chutes, glama, requesty, aiml, a4f, openai, anthropic";
const DEFAULT: PricePerMillion = PricePerMillion(20_000_000_000);

fn listed(gateway: GatewayId, ids: &[&str]) -> GatewayList {
    let model = |id: &&str| CatalogModel {
        id: (*id).to_owned(),
        gateway,
        upstream_id: None,
        prices: Some(PriceList::flat(PricePerMillion(1_000_000_000))),
        context_length: 8_192,
        max_completion_tokens: None,
        public: json!({"id": id, "name": "\"quoted\" \u{1F600}", "pricing": {"prompt": null}, "created": id.contains("dated").then_some(1_715_558_400), "provider_slug": id.split_once('/').map(|(slug, _)| slug)}),
    };
    GatewayList::new(gateway, "2026-11-22T06:00:00Z".parse().unwrap(), ids.iter().map(model), DEFAULT)
}

fn snapshot(lists: &[GatewayList]) -> CatalogSnapshot {
    lists.iter().fold(CatalogSnapshot::default(), |snapshot, list| snapshot.with(list, DEFAULT))
}

fn openrouter() -> CatalogSnapshot {
    snapshot(&[listed(GatewayId::OpenRouter, &["openai/gpt-4o", "openai/o3", "mistralai/nemo", "lonely", "x/openai-like"])])
}

fn ask(snapshot: &CatalogSnapshot, query: ModelsQuery) -> Result<Value, ApiError> {
    let body = Pieces::plain(&parts(&query, snapshot)?, snapshot, Form::Public).joined();
    Ok(serde_json::from_slice(&body).unwrap())
}

fn at(gateway: &str) -> ModelsQuery {
    ModelsQuery { gateway: Some(gateway.to_owned()), ..ModelsQuery::default() }
}

fn ids(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect()
}

#[test]
fn without_a_gateway_the_list_stands_there_twice_and_with_one_once() {
    let page = ask(&openrouter(), ModelsQuery::default()).unwrap();
    assert_eq!((&page["status"], &page["total_models"], &page["total"]), (&json!("success"), &json!(5), &json!(5)));
    assert_eq!(page["models"], page["data"]);
    assert_eq!((&page["gateway"], &page["timestamp"]), (&json!("openrouter"), &json!("2026-11-22T06:00:00.000Z")));
    let page = ask(&openrouter(), at("OpenRouter")).unwrap();
    assert!(page.get("models").is_none() && page.get("status").is_none());
    assert_eq!((&page["returned"], &page["offset"], &page["limit"]), (&json!(5), &json!(0), &Value::Null));
    assert_eq!((&page["note"], &page["include_huggingface"]), (&json!("OpenRouter catalog"), &json!(false)));
}

#[test]
fn a_provider_is_a_part_of_the_id_or_the_slug_in_any_case() {
    let query = ModelsQuery { provider: Some("OpenAI".to_owned()), ..ModelsQuery::default() };
    let page = ask(&openrouter(), query).unwrap();
    assert_eq!(ids(&page), ["openai/gpt-4o", "openai/o3", "x/openai-like"]);
    assert_eq!(page["total_models"], 3);
    let query = ModelsQuery { provider: Some("nobody".to_owned()), ..ModelsQuery::default() };
    assert_eq!(ask(&openrouter(), query).unwrap()["data"], json!([]));
}

#[test]
fn pages_of_any_size_join_to_the_whole_list() {
    let snapshot = openrouter();
    let whole = ask(&snapshot, at("all")).unwrap();
    for limit in 1..=6 {
        let mut joined = Vec::new();
        for offset in (0..6).step_by(limit) {
            let query = ModelsQuery { limit: u32::try_from(limit).ok(), offset: u32::try_from(offset).ok(), ..at("all") };
            let page = ask(&snapshot, query).unwrap();
            assert_eq!((&page["total"], &page["offset"], &page["limit"]), (&json!(5), &json!(offset), &json!(limit)));
            joined.extend(page["data"].as_array().unwrap().clone());
        }
        assert_eq!(Value::Array(joined), whole["data"]);
    }
    let far = ModelsQuery { offset: Some(u32::MAX), limit: Some(0), ..at("all") };
    assert_eq!(ask(&snapshot, far).unwrap()["returned"], 0);
}

#[test]
fn a_gateway_that_does_not_exist_is_400_and_one_that_is_off_is_503() {
    let error = ask(&openrouter(), at("gatewayx")).unwrap_err();
    assert_eq!((error.status().as_u16(), error.message()), (400, GATEWAYS));
    for (snapshot, gateway) in [(openrouter(), "portkey"), (CatalogSnapshot::default(), "all"), (CatalogSnapshot::default(), "")]
    {
        let error = ask(&snapshot, at(gateway)).unwrap_err();
        assert_eq!((error.status().as_u16(), error.message()), (503, "Models data unavailable"));
    }
}

#[test]
fn all_merges_the_gateways_that_are_on() {
    let lists = [listed(GatewayId::Featherless, &["openai/o3", "f/only"]), listed(GatewayId::OpenRouter, &["openai/o3"])];
    let page = ask(&snapshot(&lists), at("ALL")).unwrap();
    assert_eq!(ids(&page), ["openai/o3", "f/only"]);
    assert_eq!(ids(&ask(&snapshot(&lists), at("featherless")).unwrap()), ["openai/o3", "f/only"]);
}

#[test]
fn what_is_worked_out_is_of_this_catalogue_and_shared() {
    let (shelf, first) = (Shelf::default(), openrouter());
    let makers = |snapshot| shelf.makers(snapshot, Choice::All);
    assert!(Arc::ptr_eq(&makers(&first), &makers(&first)));
    let later = first.with(&listed(GatewayId::OpenRouter, &["new/one"]), DEFAULT);
    assert_eq!((makers(&first).get().unwrap().len(), makers(&later).get().unwrap().len()), (4, 1));
    assert_eq!((shelf.callable(&first).len(), shelf.callable(&later)[0].places.len()), (1, 1));
}

#[test]
fn openais_form_has_its_types_whatever_the_gateway_says() {
    let lists = [
        listed(GatewayId::Featherless, &["openai/o3", "f/only", "f/dated", "f/last"]),
        listed(GatewayId::OpenRouter, &["openai/o3", "lonely"]),
    ];
    let snapshot = snapshot(&lists);
    let runs = Shelf::default().callable(&snapshot);
    let body = Pieces::plain(&entries(&runs), &snapshot, Form::OpenAi).joined();
    let models: Vec<Value> = serde_json::from_slice(&[b"[", &body[..], b"]"].concat()).unwrap();
    let shown = |field: &str| models.iter().map(|model| model[field].clone()).collect::<Vec<_>>();
    assert_eq!(shown("id"), ["openai/o3", "lonely", "f/only", "f/dated", "f/last"]);
    assert_eq!(shown("owned_by"), ["openai", "openrouter", "f", "f", "f"]);
    assert_eq!(shown("created"), [0, 0, 0, 1_715_558_400, 0]);
    assert!(models.iter().all(|model| model["object"] == "model" && model["name"] == "\"quoted\" \u{1F600}"));
    assert_eq!(models[0]["charged_pricing"]["prompt"], "0.000001");
}

#[test]
fn a_zipped_list_is_the_list_whichever_part_is_asked_for() {
    let ids: Vec<String> = (0..1_400).map(|number| format!("maker{}/model-{number}", number % 7)).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let snapshot = snapshot(&[listed(GatewayId::OpenRouter, &ids), listed(GatewayId::Glama, &["g/one", "g/two"])]);
    let shelf = Shelf::default();
    let page = |offset, limit| ModelsQuery { offset: Some(offset), limit: Some(limit), ..at("all") };
    let maker = ModelsQuery { provider: Some("maker3".to_owned()), ..at("all") };
    for query in [ModelsQuery::default(), at("all"), page(512, 512), page(500, 800), page(1_399, 9), maker] {
        let parts = parts(&query, &snapshot).unwrap();
        for form in [Form::Public, Form::OpenAi] {
            let plain = Pieces::plain(&parts, &snapshot, form).joined();
            let zipped = shelf.segments().zip(&snapshot, &parts, form).unwrap().joined();
            let mut read = Vec::new();
            std::io::Read::read_to_end(&mut flate2::bufread::GzDecoder::new(&zipped[..]), &mut read).unwrap();
            assert!(read == plain, "{query:?} in {form:?}");
        }
    }
}
