//! Answers in one piece.

use super::*;
use crate::support;

#[actix_web::test]
async fn a_plain_answer_is_the_providers_with_our_bill_in_it() {
    let app = support::app().await;
    let user = app.register_user().await;
    let reply = ask(&app, &user, json!({})).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"), "{reply:?}");
    assert!(reply.header("x-generation-id").starts_with("gen-"));
    assert_eq!(reply.header("x-max-tokens-lowered"), "");
    let answer = reply.json();
    assert_eq!(answer["choices"][0]["message"]["content"], "tok1 tok2 tok3 tok4 tok5");
    assert_eq!(answer["usage"]["total_tokens"], 8);
    let bill = &answer["gateway_usage"];
    assert_eq!((&bill["tokens_charged"], &bill["cost_usd"]), (&json!(8), &json!(0.000_003_45)));
    assert_eq!(bill["user_balance_after"], json!(9.999_996_55));
    assert_eq!(bill["user_api_key"], format!("{}...", &user.key[..10]));
    assert!(bill["request_ms"].is_u64());
    assert_eq!(settled(&app, &user).await, Money { charged: COST_NANOS, records: 1, open_holds: 0, held: 0 });
    let balance = app.get_as(&user.key, "/user/balance").await.json();
    assert_eq!(balance["credits"], json!(9.999_996_55));
}

#[actix_web::test]
async fn every_price_line_is_charged_to_the_nano_dollar() {
    let app = support::app().await;
    let user = app.register_user().await;
    behave(&app, "usage:1000,100;cached:400;cache-write:100;reasoning:40");
    let reply = ask(&app, &user, json!({"model": "anthropic/claude-3.5-sonnet", "max_tokens": 100})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    // 500 × 3000 + 400 × 300 + 100 × 3750 + 60 × 15000 + 40 × 20000, and 100000 for the request.
    assert_eq!(settled(&app, &user).await.charged, 3_795_000);
    behave(&app, "usage:7,3");
    let free = ask(&app, &user, json!({"model": "meta-llama/llama-3.1-8b-instruct:free"})).await;
    assert_eq!((free.status, &free.json()["gateway_usage"]["cost_usd"]), (200, &json!(0.0)));
    assert_eq!(settled(&app, &user).await, Money { charged: 3_795_000, records: 2, open_holds: 0, held: 0 });
}

#[actix_web::test]
async fn all_fields_go_upstream_as_they_came_and_ours_do_not() {
    let app = support::app().await;
    let user = app.register_user().await;
    let tool = json!({"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}});
    let fields = json!({
        "temperature": 0.7, "top_p": 0.9, "frequency_penalty": 0.1, "presence_penalty": -0.1, "seed": 7, "stop": ["x"], "user": "u-1",
        "logit_bias": {"5": 1}, "metadata": {"a": "b"}, "tools": [tool], "tool_choice": "auto", "parallel_tool_calls": false,
        "response_format": {"type": "text"}, "reasoning": {"effort": "low"}, "transforms": [], "unheard_of": {"deep": [1, {"er": null}]},
    });
    let mut sent = body(fields);
    let reply = app.post_as(&user.key, &format!("{PATH}?session_id=5&privy_user_id=did:privy:x"), sent.clone()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let call = &reply.json()["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(call["function"]["name"], "look");
    assert_eq!(app.sim.requests().last().unwrap().body, sent);
    // Mutant: leaving `provider` in the body turns this red.
    let expected = sent.clone();
    sent["provider"] = json!("openrouter");
    assert_eq!(app.post_as(&user.key, PATH, sent).await.status, 200);
    let seen = app.sim.requests();
    let last = seen.last().unwrap();
    assert_eq!(last.body, expected);
    assert!(!last.carries(&user.key), "the caller's key stays here");
    assert_eq!(last.header("x-request-id").map(|id| id.starts_with("gen-")), Some(true));
}

#[actix_web::test]
async fn array_contents_and_every_legal_oddity_of_a_provider_are_successes() {
    let app = support::app().await;
    let user = app.register_user().await;
    let parts = json!([{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]);
    let reply = ask(&app, &user, json!({"messages": [{"role": "user", "content": parts}]})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    for (word, _) in Behaviour::oddities() {
        behave(&app, word);
        let reply = ask(&app, &user, json!({})).await;
        assert_eq!(reply.status, 200, "{word}: {reply:?}");
        assert!(reply.json()["gateway_usage"]["cost_usd"].as_f64().unwrap() > 0.0, "{word}");
    }
    assert_eq!(settled(&app, &user).await.open_holds, 0);
}

#[actix_web::test]
async fn a_call_whose_client_has_left_is_finished_and_charged() {
    let app = support::app().await;
    let user = app.register_user().await;
    behave(&app, "delay:400");
    let left = request(&app, &user, json!({})).timeout(std::time::Duration::from_millis(150)).send().await;
    assert!(left.expect_err("a time-out").is_timeout());
    let charged = eventually("the charge", async || Some(money(&app, &user).await).filter(|money| money.records == 1)).await;
    assert_eq!(charged.charged, COST_NANOS);
    assert_eq!(settled(&app, &user).await.charged, COST_NANOS);
}
