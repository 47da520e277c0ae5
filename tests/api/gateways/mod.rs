//! Every model gateway: its list, its prices, its headers, its ways of failing. Each has a stand-in of its own that lists and
//! refuses as it does.

mod calls;
mod faults;
mod lists;
mod refusals;

use crate::support::{self, TestApp};
use tollgate_domain::GatewayId;
use tollgate_sim::provider::{GatewayFormat, Provider, ProviderOptions};

/// All that have an adapter, and what their stand-ins speak.
const GATEWAYS: [(GatewayId, GatewayFormat); 9] = [
    (GatewayId::OpenRouter, GatewayFormat::OpenRouter),
    (GatewayId::Portkey, GatewayFormat::Portkey),
    (GatewayId::Featherless, GatewayFormat::Featherless),
    (GatewayId::Chutes, GatewayFormat::Chutes),
    (GatewayId::Glama, GatewayFormat::Glama),
    (GatewayId::Requesty, GatewayFormat::Requesty),
    (GatewayId::Aiml, GatewayFormat::Aiml),
    (GatewayId::A4f, GatewayFormat::A4f),
    (GatewayId::OpenAi, GatewayFormat::OpenAi),
];

/// A server with all gateways on, and the stand-ins behind them.
struct World {
    app: TestApp,
    providers: Vec<(GatewayId, Provider)>,
}

impl World {
    /// Breakers and retries are off: a gateway that fails on purpose is asked again and again, once a call.
    async fn start(settings: &[(&str, &str)]) -> Self {
        let mut providers = Vec::new();
        for (gateway, format) in GATEWAYS {
            let options = ProviderOptions { format, ..ProviderOptions::default() };
            providers.push((gateway, Provider::start(options).await.expect("the stand-in starts")));
        }
        let mut env = vec![("BREAKER_FAILURES".to_owned(), "0".to_owned()), ("RETRY_ATTEMPTS".to_owned(), "1".to_owned())];
        for (gateway, provider) in &providers {
            let name = gateway.as_str().to_uppercase();
            let base = match gateway {
                // Its list stands beside its door.
                GatewayId::Glama => format!("http://{}/api/gateway/openai/v1", provider.addr()),
                _ => provider.base_url(),
            };
            env.extend([(format!("{name}_API_KEY"), key_of(*gateway)), (format!("{name}_BASE_URL"), base)]);
        }
        env.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let app = support::app_with(&env).await;
        support::eventually("all lists", async || {
            (app.services.actors.catalog.snapshot().lists().count() == GATEWAYS.len()).then_some(())
        })
        .await;
        Self { app, providers }
    }

    fn provider(&self, gateway: GatewayId) -> &Provider {
        &self.providers.iter().find(|(id, _)| *id == gateway).expect("a stand-in").1
    }
}

fn key_of(gateway: GatewayId) -> String {
    format!("operators-key-of-{gateway}")
}

/// What callers call a model of the stand-ins' there.
fn model_at(gateway: GatewayId, model: &str) -> String {
    match gateway {
        GatewayId::A4f => format!("provider-1/{}", model.strip_prefix("openai/").unwrap_or(model)),
        GatewayId::OpenAi => model.strip_prefix("openai/").unwrap_or(model).to_owned(),
        _ => model.to_owned(),
    }
}
