//! What the web client reads of each gateway's models.

use super::{GATEWAYS, World};
use serde_json::Value;
use tollgate::http::models::ModelsPage;

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
    let world = World::start(&[]).await;
    for (gateway, _) in GATEWAYS {
        let gateway = gateway.as_str();
        let reply = world.app.get(&format!("/models?gateway={gateway}")).await;
        let page: ModelsPage = serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{gateway}: {error}"));
        assert!(page.total > 0 && page.data.len() > 10, "{gateway}: {}", page.total);
        reply.json()["data"].as_array().unwrap().iter().for_each(|model| assert_readable(model, gateway));
    }
    let all = world.app.get("/models?gateway=all").await.json();
    for model in all["data"].as_array().unwrap() {
        assert_readable(model, model["source_gateway"].as_str().unwrap());
    }
}
