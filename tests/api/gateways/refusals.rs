//! Refusals, each in its gateway's own form.

use super::*;
use crate::chat::{ask, settled};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tollgate_sim::provider::Behaviour;

fn refuse_with(world: &World, gateway: GatewayId, status: u16) {
    world.provider(gateway).set_default(Behaviour::parse(&format!("status:{status}")).expect("a behaviour"));
}

#[actix_web::test]
async fn every_gateways_own_words_are_told_and_nothing_of_the_operators() {
    let world = World::start(&[]).await;
    let user = world.app.register_user().await;
    for (gateway, _) in GATEWAYS {
        let fields = json!({"model": model_at(gateway, "openai/gpt-4o-mini"), "provider": gateway.as_str()});
        for (said, told) in [(400, 400), (404, 404), (413, 400), (422, 400), (429, 429)] {
            refuse_with(&world, gateway, said);
            let reply = ask(&world.app, &user, fields.clone()).await;
            assert_eq!(reply.status, told, "{gateway}: {said}");
            assert_eq!(reply.json()["error"]["message"], format!("The stand-in was told to answer {said}"), "{gateway}");
        }
        for said in [401, 402, 403, 500, 502] {
            refuse_with(&world, gateway, said);
            let reply = ask(&world.app, &user, fields.clone()).await;
            assert_eq!(reply.status, 502, "{gateway}: {said}");
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            assert!(!text.contains("stand-in") && !text.contains('<'), "{gateway}: {said}: {text}");
        }
    }
    assert_eq!(settled(&world.app, &user).await.records, 0);
}

#[actix_web::test]
async fn a_key_that_a_gateway_refuses_is_502_and_harms_no_other_gateway() {
    // A bearer token, a header of its own, and a gateway in the middle of the order.
    for refused in [GatewayId::OpenRouter, GatewayId::Portkey, GatewayId::Glama] {
        let name = format!("{}_API_KEY", refused.as_str().to_uppercase());
        let world = World::start(&[(&name, "bad-key")]).await;
        let user = world.app.register_user().await;
        for (gateway, _) in GATEWAYS {
            let fields = json!({"model": model_at(gateway, "openai/gpt-4o-mini"), "provider": gateway.as_str()});
            let reply = ask(&world.app, &user, fields).await;
            assert_eq!(reply.status, if gateway == refused { 502 } else { 200 }, "{refused} refused, {gateway} asked");
            assert!(!String::from_utf8_lossy(&reply.body).contains("bad-key"));
        }
        let money = settled(&world.app, &user).await;
        assert_eq!(money.records, 8, "what was refused is not charged");
    }
}

#[actix_web::test]
async fn a_provider_that_repeats_our_key_does_not_give_it_away() {
    let key = key_of(GatewayId::Requesty);
    let error = format!(r#"{{"error":{{"message":"{key} may not use it","code":400}}}}"#);
    let chunk = r#"data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hi"}}]}"#;
    let answers = [
        (false, "400 Bad Request", "application/json", error.clone()),
        (false, "200 OK", "application/json", error.clone()),
        (true, "200 OK", "text/event-stream", format!("data: {error}\n\n")),
        (true, "200 OK", "text/event-stream", format!("{chunk}\n\ndata: {error}\n\n")),
    ];
    // Its list is archived: the gateway that answers with refusals only is asked for a model that it had.
    let world = World::start(&[]).await;
    let archived = "SELECT count(*) FROM catalog_snapshots";
    support::eventually("saved", async || (world.app.database.number(archived).await == 9).then_some(())).await;
    let (_, mut database) = world.app.stop().await;
    for (stream, status, content_type, body) in answers {
        let base = gossip(format!(
            "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ));
        let app = support::app_on(database, &[("REQUESTY_API_KEY", &key), ("REQUESTY_BASE_URL", &base.await)]).await;
        let user = app.register_user().await;
        let question = json!({"model": "openai/gpt-4o-mini", "provider": "requesty", "stream": stream,
            "messages": [{"role": "user", "content": "hi"}]});
        let told = told(app.request(Method::POST, "/v1/chat/completions").bearer_auth(&user.key).json(&question)).await;
        // Mutant: without `without_key` the key is told.
        assert!(told.contains("(our key) may not use it") && !told.contains(&key), "{status} {body}: {told}");
        database = app.stop().await.1;
    }
}

/// What comes of an answer, also of one that breaks off.
async fn told(request: reqwest::RequestBuilder) -> String {
    let mut answer = request.send().await.expect("an answer");
    let mut text = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        text.extend_from_slice(&piece);
    }
    String::from_utf8(text).expect("UTF-8")
}

/// Answers every request like that. The base URL.
async fn gossip(answer: String) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}/v1", listener.local_addr().expect("an address"));
    actix_web::rt::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = vec![0; 64 << 10];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    base
}
