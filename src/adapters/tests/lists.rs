//! The list of models over HTTP.

use super::*;
use tollgate_actors::ports::{CatalogModel, ModelGateway, Phase};
use tollgate_sim::provider::ModelList;

fn openrouter(base_url: String, timeouts: TimeoutSettings) -> Arc<dyn ModelGateway> {
    let clock: Arc<dyn Clock> = Arc::new(NoonClock);
    let gateways = Gateways::build(&[settings(base_url)], timeouts, &clock).unwrap();
    Arc::clone(gateways.get(GatewayId::OpenRouter).unwrap())
}

async fn listed(gateway: &dyn ModelGateway) -> Result<Vec<CatalogModel>, GatewayError> {
    Ok(gateway.list_models().await?.collect())
}

#[tokio::test]
async fn the_providers_list_becomes_models_with_prices() {
    let provider = provider().await;
    let models = listed(&*openrouter(provider.base_url(), LONG)).await.unwrap();
    let find = |id: &str| models.iter().find(|model| model.id == id).unwrap();
    assert_eq!(find("openai/gpt-4o").context_length, 128_000);
    assert_eq!(find("openai/gpt-4o").prices.as_ref().unwrap().base.completion.to_usd_per_token(), "0.00001");
    assert!(find("meta-llama/llama-3.1-8b-instruct:free").prices.as_ref().unwrap().is_free());
    assert!(find("openrouter/auto").prices.as_ref().unwrap().base.prompt.is_absurd());
    assert_eq!(find("anthropic/claude-3.5-sonnet").public["provider_slug"], "anthropic");
}

#[tokio::test]
async fn a_list_that_does_not_come_whole_is_an_error() {
    let provider = provider().await;
    let gateway = openrouter(provider.base_url(), SHORT);
    provider.set_model_list(ModelList::Failing);
    assert!(matches!(listed(&*gateway).await, Err(GatewayError::Status { status: 500, .. })));
    provider.set_model_list(ModelList::Garbage);
    assert!(matches!(listed(&*gateway).await, Err(GatewayError::Malformed(_))));
    provider.set_model_list(ModelList::Hanging);
    assert_eq!(listed(&*gateway).await, Err(GatewayError::Timeout(Phase::FirstByte)));
}

#[tokio::test]
async fn a_list_of_html_is_malformed_and_one_without_a_content_type_is_read() {
    let html = canned("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 11\r\n\r\n{\"data\":[]}").await;
    assert!(matches!(listed(&*openrouter(html, LONG)).await, Err(GatewayError::Malformed(_))));
    let bare = canned("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"data\":[]}").await;
    assert_eq!(listed(&*openrouter(bare, LONG)).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_gateway_without_an_adapter_stays_off() {
    let mut anthropic = settings("https://api.anthropic.com/v1".to_owned());
    anthropic.id = GatewayId::Anthropic;
    let clock: Arc<dyn Clock> = Arc::new(NoonClock);
    let gateways = Gateways::build(&[anthropic, settings("http://127.0.0.1:1".to_owned())], LONG, &clock).unwrap();
    assert!(gateways.get(GatewayId::Anthropic).is_none());
    assert_eq!(gateways.all().len(), 1);
}
