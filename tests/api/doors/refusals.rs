//! The error codes of seed 004: each door × each error that it can give.

use super::table::doors;
use super::*;
use crate::support::{self, eventually};
use std::collections::BTreeSet;

fn needs_key(door: &Door) -> bool {
    matches!(door.needs, Needs::Key(..))
}

/// The status under which the envelope shows a wrong shape.
fn wrong_shape(door: &Door) -> u16 {
    if door.path.starts_with("/v1/") || door.path.starts_with("/api/") { 400 } else { 422 }
}

#[actix_web::test]
async fn each_door_refuses_what_its_row_says() {
    let app = support::app().await;
    for door in doors() {
        for (status, how) in &door.refusals {
            let about = visitor(&app, &door).await;
            let request = match how {
                How::Body(body) => build(&app, &door, door.path, door.query, Some(body), &about),
                How::Query(query) => build(&app, &door, &filled(door.path), query, door.body.as_ref(), &about),
                How::Path(path) => build(&app, &door, path, door.query, door.body.as_ref(), &about),
                How::Poor => {
                    let broke = "UPDATE accounts SET posted = 0 WHERE user_id = $1";
                    app.database.connect().await.execute(broke, &[&about.user.id]).await.unwrap();
                    request(&app, &door, &about)
                }
                How::Elsewhere(file) => {
                    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/api").join(file);
                    assert!(path.exists(), "{door:?}: there is no {file}");
                    continue;
                }
            };
            let reply = Reply::of(let_in(&door, request, &about)).await;
            text_of(&door, &reply, *status);
        }
        if door.body.is_some() {
            let about = visitor(&app, &door).await;
            let request = build(&app, &door, &filled(door.path), door.query, Some(&json!([1])), &about);
            text_of(&door, &Reply::of(let_in(&door, request, &about)).await, wrong_shape(&door));
        }
    }
}

/// Placeholders that a public path has, by something that may be there.
fn filled(path: &str) -> String {
    let path = path.replace("{provider}/{model}", "openai/gpt-4o-mini").replace("{model}", "openai/gpt-4o-mini");
    path.replace("{name}", "openai").replace("{file}", "index.html").replace("{plan_id}", "1")
}

#[actix_web::test]
async fn a_key_that_may_not_be_used_from_there_or_any_more_is_refused_at_every_door() {
    let app = support::app().await;
    let user = app.register_user().await;
    let (elsewhere, _) = spare_key(&app, &user, json!({"ip_allowlist": ["192.0.2.0/24"]})).await;
    let (page, _) = spare_key(&app, &user, json!({"domain_referrers": ["example.org"]})).await;
    let (used_up, id) = spare_key(&app, &user, json!({"max_requests": 1})).await;
    app.database.connect().await.execute("UPDATE api_keys SET requests_used = 1 WHERE id = $1", &[&id]).await.unwrap();
    let refused = [
        (elsewhere, 403, "IP address not allowed for this API key"),
        (page, 403, "Domain not allowed for this API key"),
        (used_up, 429, "API key request limit reached"),
    ];
    for door in doors().iter().filter(|door| needs_key(door)) {
        let about = Visitor { user: user.clone(), key_id: 1, session_id: 1, generation: "gen-0".to_owned() };
        for (key, status, text) in &refused {
            let reply = Reply::of(request(&app, door, &about).bearer_auth(key)).await;
            assert_eq!(text_of(door, &reply, *status), *text, "{door:?}");
        }
    }
}

#[actix_web::test]
async fn an_address_that_asks_too_often_is_429_at_every_door() {
    let app = support::app_with(&[("RATE_LIMIT_ADDRESS_PER_MINUTE", "1")]).await;
    app.get("/").await;
    let user = TestUser { id: 1, key: "gw_live_nobody".to_owned(), username: "nobody".to_owned() };
    let about = Visitor { user, key_id: 1, session_id: 1, generation: "gen-0".to_owned() };
    for door in doors() {
        let request = build(&app, &door, &filled(door.path), door.query, door.body.as_ref(), &about);
        let reply = Reply::of(let_in(&door, request, &about)).await;
        text_of(&door, &reply, 429);
        assert_ne!(reply.header("retry-after"), "", "{door:?}");
    }
}

/// The doors that a client can use as if nothing were wrong, and the others refuse with that status.
async fn walk(app: &TestApp, user: &TestUser, status: u16, served: impl Fn(&Door) -> bool) -> Vec<String> {
    let about =
        Visitor { user: user.clone(), key_id: 1, session_id: 1, generation: "gen-00000000000000000000000000000000".to_owned() };
    let mut texts = Vec::new();
    // Switched off here: 501, whatever else is wrong.
    for door in doors().into_iter().filter(|door| door.path != "/auth") {
        let request = build(app, &door, &filled(door.path), door.query, door.body.as_ref(), &about);
        let reply = Reply::of(let_in(&door, request, &about)).await;
        if served(&door) {
            // `/ready` tells the load balancer, who is no client.
            assert!(reply.status < 500 || door.path == "/ready", "{door:?}: {reply:?}");
        } else {
            texts.push(text_of(&door, &reply, status));
        }
    }
    texts
}

#[actix_web::test]
async fn without_the_database_doors_are_503_or_need_none() {
    let app = support::app().await;
    let user = app.register_user().await;
    assert_eq!(app.get_as(&user.key, "/user/balance").await.status, 200);
    app.database.refuse_connections().await;
    // A call whose hold and settle were sent when the connection broke may be committed, so it is served: the ledger learns by it.
    let call = json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8});
    let is_refused = async || (app.post_as(&user.key, "/v1/chat/completions", call.clone()).await.status == 503).then_some(());
    eventually("the ledger knows that the database is away", is_refused).await;
    for text in walk(&app, &user, 503, |door| door.from_memory).await {
        assert_eq!(text, "Service temporarily unavailable, please retry");
    }
}

#[actix_web::test]
async fn a_defect_is_500_with_a_fixed_text_and_shows_nothing_of_its_cause() {
    let app = support::app().await;
    let user = app.register_user().await;
    // Every statement fails, and not for want of a connection.
    let revoke = "REVOKE ALL ON ALL TABLES IN SCHEMA public FROM tollgate_app";
    app.database.connect().await.batch_execute(revoke).await.unwrap();
    eventually("keys are not known any more", async || (app.get_as(&user.key, "/user/limit").await.status == 500).then_some(()))
        .await;
    let fixed = ["Internal server error", "Failed to retrieve monitoring data", "Failed to retrieve usage data"];
    // Who calls is not known without the database.
    for text in walk(&app, &user, 500, |door| door.from_memory && !needs_key(door)).await {
        assert!(fixed.contains(&text.as_str()), "{text}");
    }
}

#[actix_web::test]
async fn what_a_door_refuses_is_described_and_what_is_described_is_in_its_row() {
    let app = support::app().await;
    let document = app.get("/openapi.json").await.json();
    for door in doors() {
        let responses = document["paths"][door.path][door.method.to_lowercase()]["responses"].as_object().unwrap();
        let described: BTreeSet<u16> =
            responses.keys().map(|status| status.parse().unwrap()).filter(|status| *status >= 400).collect();
        let mut refused: BTreeSet<u16> = door.refusals.iter().map(|(status, _)| *status).collect();
        if door.needs != Needs::Nobody {
            refused.extend([401, 403]);
        }
        // What every door, or every door with a body or parameters, may answer (`openapi/refusals.rs`).
        refused.extend([400, 429, 500, 503]);
        let generic: BTreeSet<u16> = [408, 413, 415, 422].into();
        let missing: Vec<_> = refused.difference(&described).collect();
        assert!(missing.is_empty(), "{} {} gives {missing:?}, which is not described", door.method, door.path);
        let unprovoked: Vec<_> = described.difference(&refused).filter(|status| !generic.contains(status)).collect();
        assert!(unprovoked.is_empty(), "{} {} describes {unprovoked:?}: its row has no example", door.method, door.path);
    }
}
