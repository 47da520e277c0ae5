//! What is sent.

use super::*;
use crate::support;

#[actix_web::test]
async fn both_callers_of_the_web_client_are_understood() {
    let world = PrivyApp::start(&[]).await;
    // The header of the app, with everything that it can send.
    let mut header = body(ADA, "ada@example.org", &world.token(ADA));
    for (name, value) in [
        ("email", json!("ada@example.org")),
        ("privy_access_token", json!("")),
        ("refresh_token", json!(null)),
        ("session_update_action", json!("set")),
        ("is_new_user", json!(true)),
    ] {
        header[name] = value;
    }
    let first = world.app.post("/auth", header).await;
    assert_eq!((first.status, &first.json()["is_new_user"]), (200, &json!(true)), "{first:?}");
    // The SDK's raw user.
    let raw = json!({
        "user": {
            "id": ADA,
            "createdAt": "2025-10-12T09:00:00.000Z",
            "linkedAccounts": [
                {"type": "google_oauth", "subject": "1177", "email": "ada@example.org", "name": "Ada Lovelace",
                 "verifiedAt": "2025-10-12T09:00:00.000Z", "firstVerifiedAt": "2025-10-12T09:00:00.000Z", "latestVerifiedAt": null},
                {"type": "wallet", "address": "0xabc", "chainType": "ethereum", "verifiedAt": 1_760_000_000},
            ],
            "google": {"subject": "1177", "email": "ada@example.org", "name": "Ada Lovelace"},
            "delegatedWallets": [],
            "mfaMethods": [],
            "hasAcceptedTerms": false,
            "isGuest": false,
        },
        "token": world.token(ADA),
        "isNewUser": false,
    });
    let second = world.app.post("/auth", raw.clone()).await;
    assert_eq!((second.status, &second.json()["user_id"]), (200, &first.json()["user_id"]), "{second:?}");
    assert_eq!(second.json()["auth_method"], "google");
    let mut of_bob = raw;
    (of_bob["user"]["id"], of_bob["token"]) = (json!(BOB), json!(world.token(BOB)));
    of_bob["user"]["linkedAccounts"][0]["email"] = json!("bob@example.org");
    let bob = world.app.post("/auth", of_bob).await.json();
    assert_eq!((&bob["display_name"], &bob["email"]), (&json!("Ada Lovelace"), &json!("bob@example.org")));
}

#[actix_web::test]
async fn without_a_token_nobody_comes_in() {
    let world = PrivyApp::start(&[]).await;
    for token in [Some(json!(null)), Some(json!("")), None] {
        let mut request = body(ADA, "ada@example.org", "");
        match token {
            Some(token) => request["token"] = token,
            None => drop(request.as_object_mut().unwrap().remove("token")),
        }
        // Other members are no tokens.
        request["privy_access_token"] = json!(world.token(ADA));
        let refused = world.app.post("/auth", request).await;
        assert_eq!((refused.status, refused.json()), (401, json!({"detail": "A Privy access token is required"})));
        assert_eq!(refused.header("www-authenticate"), "Bearer");
    }
}

#[actix_web::test]
async fn a_wrong_shape_is_422_and_names_the_field() {
    let world = PrivyApp::start(&[]).await;
    let token = world.token(ADA);
    for (request, place) in [
        (json!({}), json!(["body", "user"])),
        (json!({"token": token}), json!(["body", "user"])),
        (json!({"user": {}, "token": token}), json!(["body", "user", "id"])),
        (json!({"user": {"id": 1}, "token": token}), json!(["body", "user", "id"])),
        (json!({"user": {"id": ADA}, "token": 1}), json!(["body", "token"])),
        (json!({"user": {"id": ADA, "created_at": "yesterday"}, "token": token}), json!(["body", "user", "created_at"])),
        (json!({"user": {"id": ADA, "linked_accounts": {}}, "token": token}), json!(["body", "user", "linked_accounts"])),
        (
            json!({"user": {"id": ADA, "linked_accounts": [{}]}, "token": token}),
            json!(["body", "user", "linked_accounts", 0, "type"]),
        ),
    ] {
        let refused = world.app.post("/auth", request.clone()).await;
        assert_eq!((refused.status, &refused.json()["detail"][0]["loc"]), (422, &place), "{request}: {refused:?}");
    }
}

#[actix_web::test]
async fn a_server_that_does_not_offer_it_says_so() {
    let app = support::app().await;
    let refused = app.post("/auth", body(ADA, "ada@example.org", "a.b.c")).await;
    assert_eq!(refused.status, 501);
    assert_eq!(refused.json()["detail"], "Signing in with Privy is not configured on this server");
    assert!(refused.json()["request_id"].is_string());
}
