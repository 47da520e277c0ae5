use super::*;
use serde_json::{Value, json};
use tollgate_actors::catalog::GatewayList;
use tollgate_actors::ports::CatalogModel;
use tollgate_domain::{PriceLines, PricePerMillion};

const DEFAULT: PricePerMillion = PricePerMillion(20_000_000_000);
use GatewayId::{Chutes, Glama, OpenRouter, Portkey};

/// Gateway, id, price of a token in nano-dollars.
fn catalog(models: &[(GatewayId, &str, i64)]) -> CatalogSnapshot {
    let lists = GatewayId::ALL.into_iter().filter(|gateway| models.iter().any(|(of, ..)| of == gateway)).map(|gateway| {
        let models = models.iter().filter(|(of, ..)| *of == gateway).map(|(_, id, nanos)| CatalogModel {
            id: (*id).to_owned(),
            upstream_id: None,
            gateway,
            prices: Some(PriceLines::flat(PricePerMillion(nanos * 1_000_000)).into()),
            context_length: 8_192,
            max_completion_tokens: None,
            public: json!({"id": id}),
        });
        GatewayList::new(gateway, "2026-11-22T06:00:00Z".parse().unwrap(), models, DEFAULT)
    });
    lists.fold(CatalogSnapshot::default(), |snapshot, list| snapshot.with(&list, DEFAULT))
}

fn house() -> CatalogSnapshot {
    catalog(&[
        (OpenRouter, "a/m", 3),
        (Glama, "a/m", 1),
        (Chutes, "A/M", 2),
        (OpenRouter, "b/n", 1),
        (Portkey, "@openai/gpt-4o", 9),
        (Portkey, "@x/z/glm", 9),
        (Portkey, "@y/z/glm", 9),
    ])
}

fn request(model: &str, fields: &Value) -> ChatRequest {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "x"}]});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    ChatRequest::read(body.to_string().into()).unwrap()
}

/// Gateway and upstream id of each offer, and OpenRouter's `provider`.
fn routed(model: &str, fields: Value) -> (Vec<(GatewayId, String)>, Value) {
    let mut request = request(model, &fields);
    let offers = offers(&mut request, &house()).unwrap();
    let body: Value = serde_json::from_slice(&request.upstream_body(OpenRouter, "m", None)).unwrap();
    (offers.into_iter().map(|offer| (offer.gateway, offer.upstream_id.to_string())).collect(), body["provider"].clone())
}

fn gateways(provider: Value) -> Vec<GatewayId> {
    routed("a/m", json!({"provider": provider})).0.into_iter().map(|(gateway, _)| gateway).collect()
}

#[test]
fn a_name_of_ours_in_openrouters_preferences_is_for_us() {
    for (wishes, expected) in [
        (json!({}), vec![OpenRouter, Glama, Chutes]),
        (json!({"order": ["glama"]}), vec![Glama, OpenRouter, Chutes]),
        (json!({"order": ["Glama", "azure", "chutes"]}), vec![Glama, OpenRouter, Chutes]),
        (json!({"order": ["chutes", "glama"], "allow_fallbacks": false}), vec![Chutes]),
        (json!({"only": ["glama"]}), vec![Glama]),
        (json!({"only": ["azure"]}), vec![OpenRouter]),
        (json!({"only": ["chutes", "azure"]}), vec![OpenRouter, Chutes]),
        (json!({"ignore": ["openrouter"]}), vec![Glama, Chutes]),
        (json!({"ignore": ["azure"]}), vec![OpenRouter, Glama, Chutes]),
        (json!({"sort": "price"}), vec![Glama, Chutes, OpenRouter]),
        (json!({"sort": {"by": "price"}, "order": ["chutes"]}), vec![Chutes, Glama, OpenRouter]),
        // Nobody else can be told of these.
        (json!({"data_collection": "deny"}), vec![OpenRouter]),
        (json!({"zdr": true, "order": ["glama"]}), vec![Glama, OpenRouter]),
        // A gateway that does not have the model is not meant.
        (json!({"only": ["openai"]}), vec![OpenRouter]),
    ] {
        assert_eq!(gateways(wishes.clone()), expected, "{wishes}");
    }
}

#[test]
fn openrouter_gets_its_own_preferences_untouched_and_none_of_ours() {
    for (wishes, theirs) in [
        (
            json!({"order": ["azure", "openai"], "sort": "throughput"}),
            json!({"order": ["azure", "openai"], "sort": "throughput"}),
        ),
        (json!({"order": ["glama", "azure"], "zdr": true}), json!({"order": ["azure"], "zdr": true})),
        (json!({"order": ["glama"], "only": ["openrouter"]}), Value::Null),
        (json!({"ignore": ["chutes", "azure"], "allow_fallbacks": true}), json!({"ignore": ["azure"], "allow_fallbacks": true})),
    ] {
        assert_eq!(routed("a/m", json!({"provider": wishes})).1, theirs, "{wishes}");
    }
}

#[test]
fn another_gateway_is_told_nothing_of_routing() {
    let fields = json!({"provider": {"order": ["azure"]}, "models": ["b/n"], "route": "fallback", "user": "u"});
    let mut request = request("a/m", &fields);
    offers(&mut request, &house()).unwrap();
    let sent = |gateway| serde_json::from_slice::<Value>(&request.upstream_body(gateway, "own", None)).unwrap();
    let messages = json!([{"role": "user", "content": "x"}]);
    assert_eq!(sent(Glama), json!({"model": "own", "messages": messages, "user": "u"}));
    assert_eq!(sent(OpenRouter), json!({"model": "own", "messages": messages, "provider": {"order": ["azure"]}, "user": "u"}));
}

#[test]
fn fallback_models_come_behind_all_gateways_of_the_first_and_an_unknown_one_is_named() {
    let (offers, _) = routed("b/n", json!({"models": ["A/m"]}));
    let offers: Vec<(GatewayId, &str)> = offers.iter().map(|(gateway, id)| (*gateway, id.as_str())).collect();
    assert_eq!(offers, [(OpenRouter, "b/n"), (OpenRouter, "a/m"), (Chutes, "A/M"), (Glama, "a/m")]);
    let mut unknown = request("a/m", &json!({"models": ["b/n", "b/nowhere"]}));
    let error = super::offers(&mut unknown, &house()).unwrap_err();
    assert_eq!(error.status().as_u16(), 404);
    assert!(error.message().contains("b/nowhere"), "{error:?}");
}

#[test]
fn a_gateways_name_is_the_only_one_that_is_asked() {
    assert_eq!(gateways(json!("glama")), [Glama]);
    assert_eq!(gateways(json!("")), [OpenRouter, Glama, Chutes]);
    let mut elsewhere = request("b/n", &json!({"provider": "glama"}));
    assert_eq!(offers(&mut elsewhere, &house()).unwrap_err().status().as_u16(), 404);
}

#[test]
fn what_is_said_to_portkey_leads_to_portkey() {
    let portkey = |model, fields| routed(model, fields).0;
    let own = |id: &str| vec![(Portkey, id.to_owned())];
    assert_eq!(portkey("@openai/gpt-4o", json!({})), own("@openai/gpt-4o"));
    assert_eq!(portkey("openai/gpt-4o", json!({"portkey_provider": "openai"})), own("@openai/gpt-4o"));
    // Two of Portkey's providers have it.
    assert_eq!(portkey("z/glm", json!({"portkey_provider": "x"})), own("@x/z/glm"));
    assert_eq!(portkey("z/glm", json!({"portkey_provider": "@y"})), own("@y/z/glm"));
    // A name that Portkey's list does not have: priced as elsewhere, sent as it was said.
    assert_eq!(portkey("m", json!({"portkey_provider": "a"})), own("m"));
    assert_eq!(portkey("a/m", json!({"portkey_virtual_key": "vk-1"})), own("a/m"));
    let without = catalog(&[(OpenRouter, "a/m", 3)]);
    let mut hinted = request("a/m", &json!({"portkey_provider": "a"}));
    assert_eq!(offers(&mut hinted, &without).unwrap()[0].gateway, OpenRouter);
}
