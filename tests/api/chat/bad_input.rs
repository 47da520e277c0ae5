//! Requests that make no sense: each is a 4xx in OpenAI's form, and costs nothing.

use super::*;
use crate::support;

#[actix_web::test]
async fn bad_input_is_400_with_its_parameter_and_costs_nothing() {
    let app = support::app().await;
    let user = app.register_user().await;
    let messages = json!([{"role": "user", "content": "hi"}]);
    for (sent, param) in [
        (json!({"messages": messages}), json!("model")),
        (json!({"model": MODEL}), json!("messages")),
        (json!({"model": MODEL, "messages": []}), json!("messages")),
        (json!({"model": MODEL, "messages": [{"role": "user", "content": 7}]}), json!("messages[0].content")),
        (json!({"model": MODEL, "messages": messages, "max_tokens": 0}), json!("max_tokens")),
        (json!({"model": MODEL, "messages": messages, "max_tokens": -3}), json!("max_tokens")),
        (json!({"model": MODEL, "messages": messages, "n": 0}), json!("n")),
        (json!({"model": MODEL, "messages": messages, "n": 129}), json!("n")),
        (json!({"model": MODEL, "messages": messages, "stream": "yes"}), json!("stream")),
        (json!({"model": MODEL, "messages": messages, "provider": "nobody"}), json!("provider")),
        (json!([1, 2]), Value::Null),
        (json!("text"), Value::Null),
    ] {
        let reply = app.post_as(&user.key, PATH, sent.clone()).await;
        assert_eq!(reply.status, 400, "{sent}: {reply:?}");
        let answer = reply.json();
        assert_eq!(
            (&answer["error"]["type"], &answer["error"]["param"]),
            (&json!("invalid_request_error"), &param),
            "{sent}: {answer}"
        );
        assert_eq!(answer["detail"], answer["error"]["message"], "{sent}");
    }
    let unknown = ask(&app, &user, json!({"model": "nobody/has-this"})).await;
    assert_eq!((unknown.status, &unknown.json()["error"]["code"]), (404, &json!("model_not_found")));
    let elsewhere = ask(&app, &user, json!({"provider": "featherless"})).await;
    assert_eq!(elsewhere.status, 404, "{elsewhere:?}");
    assert_eq!(app.post(PATH, body(json!({}))).await.status, 401);
    assert_eq!(settled(&app, &user).await, Money { charged: 0, records: 0, open_holds: 0, held: 0 });
    assert_eq!(app.sim.stats().started + app.sim.stats().rejected, 0);
}

#[actix_web::test]
async fn any_bytes_are_answered_with_a_4xx() {
    let app = support::app().await;
    let user = app.register_user().await;
    let deep = format!(r#"{{"model":"m","messages":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    for sent in [
        &b""[..],
        b"\xff\xfe",
        b"{",
        b"{}",
        b"null",
        b"{\"model\":\"\xc3\x28\"}",
        deep.as_bytes(),
        b"{\"model\":\"a\",\"model\":\"b\"}",
    ] {
        let request = app.request(Method::POST, PATH).bearer_auth(&user.key).header("content-type", "application/json");
        let reply = Reply::of(request.body(sent.to_vec())).await;
        assert_eq!(reply.status, 400, "{}", String::from_utf8_lossy(&sent[..sent.len().min(80)]));
    }
    assert_eq!(settled(&app, &user).await.records, 0);
}
