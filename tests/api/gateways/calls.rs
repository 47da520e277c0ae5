//! Completions through each gateway: what is sent, and what is charged.

use super::*;
use crate::chat::{Money, ask, settled, stream};
use serde_json::{Value, json};

/// Three tokens of prompt and five of completion of `openai/gpt-4o-mini`, in nano-dollars.
const fn cost(gateway: GatewayId) -> i64 {
    const AT_OPENROUTER: i64 = 3 * 150 + 5 * 600;
    match gateway {
        GatewayId::Chutes => AT_OPENROUTER / 2,
        GatewayId::Glama => AT_OPENROUTER * 2,
        GatewayId::Requesty => AT_OPENROUTER * 3,
        // Nobody knows its price, and no other gateway has a model of its name: the default of $0.00002 a token.
        GatewayId::A4f => 8 * 20_000,
        // Without prices of their own: as at OpenRouter.
        _ => AT_OPENROUTER,
    }
}

fn fields(gateway: GatewayId) -> Value {
    json!({"model": model_at(gateway, "openai/gpt-4o-mini"), "provider": gateway.as_str()})
}

#[actix_web::test]
async fn every_gateway_serves_plain_and_streamed_completions_at_its_price() {
    let world = World::start(&[]).await;
    for (gateway, _) in GATEWAYS {
        let user = world.app.register_user().await;
        let reply = ask(&world.app, &user, fields(gateway)).await;
        assert_eq!(reply.status, 200, "{gateway}: {reply:?}");
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "tok1 tok2 tok3 tok4 tok5", "{gateway}");
        let once = Money { charged: cost(gateway), records: 1, open_holds: 0, held: 0 };
        assert_eq!(settled(&world.app, &user).await, once, "{gateway}");
        let events = stream(&world.app, &user, fields(gateway)).await;
        assert!(events.is_whole && events.is_done(), "{gateway}");
        assert_eq!(events.content, "tok1 tok2 tok3 tok4 tok5", "{gateway}");
        let twice = Money { charged: 2 * cost(gateway), records: 2, ..once };
        assert_eq!(settled(&world.app, &user).await, twice, "{gateway}");
        let rows = world.app.database.connect().await;
        let count = "SELECT count(*) FROM usage_records WHERE user_id = $1 AND gateway = $2";
        let of_gateway: i64 = rows.query_one(count, &[&user.id, &gateway.as_str()]).await.unwrap().get(0);
        assert_eq!(of_gateway, 2, "{gateway}: the record names who served it");
    }
}

#[actix_web::test]
async fn every_gateway_gets_its_own_key_its_own_model_and_nothing_of_the_callers() {
    let world = World::start(&[("PUBLIC_URL", "https://tollgate.example")]).await;
    let user = world.app.register_user().await;
    for (gateway, _) in GATEWAYS {
        assert_eq!(ask(&world.app, &user, fields(gateway)).await.status, 200, "{gateway}");
        let request = world.provider(gateway).requests().pop().expect("a request");
        assert!(!request.carries(&user.key), "{gateway}");
        let bearer = format!("Bearer {}", key_of(gateway));
        assert_eq!(request.carries(&bearer), gateway != GatewayId::Portkey, "{gateway}");
        for (other, _) in GATEWAYS.into_iter().filter(|(other, _)| *other != gateway) {
            assert!(!request.carries(&key_of(other)), "{gateway} got the key of {other}");
        }
        let own_id = match gateway {
            GatewayId::Portkey => "@sim/openai/gpt-4o-mini".to_owned(),
            _ => model_at(gateway, "openai/gpt-4o-mini"),
        };
        assert_eq!(request.body["model"], own_id, "{gateway}");
        for ours in ["provider", "portkey_provider", "portkey_virtual_key"] {
            assert!(request.body.get(ours).is_none(), "{gateway}: {ours}");
        }
        let is_openrouter = gateway == GatewayId::OpenRouter;
        let site = is_openrouter.then_some("https://tollgate.example");
        assert_eq!((request.header("http-referer"), request.header("x-title")), (site, is_openrouter.then_some("Tollgate")));
    }
}

#[actix_web::test]
async fn portkey_is_told_the_provider_of_the_request_or_of_the_models_id() {
    let world = World::start(&[]).await;
    let user = world.app.register_user().await;
    let cases = [
        (json!({}), Some("@sim"), None),
        (json!({"portkey_provider": "openai"}), Some("openai"), None),
        (json!({"portkey_virtual_key": "vk-1"}), None, Some("vk-1")),
        (json!({"portkey_provider": "openai", "portkey_virtual_key": "vk-1"}), Some("openai"), Some("vk-1")),
    ];
    for (mut asked, provider, virtual_key) in cases {
        asked["model"] = json!("openai/gpt-4o-mini");
        asked["provider"] = json!("portkey");
        assert_eq!(ask(&world.app, &user, asked.clone()).await.status, 200, "{asked}");
        let request = world.provider(GatewayId::Portkey).requests().pop().expect("a request");
        assert_eq!(request.header("x-portkey-provider"), provider, "{asked}");
        assert_eq!(request.header("x-portkey-virtual-key"), virtual_key, "{asked}");
        assert_eq!(request.header("authorization"), None);
        assert!(request.carries(&format!("x-portkey-api-key: {}", key_of(GatewayId::Portkey))));
    }
}
