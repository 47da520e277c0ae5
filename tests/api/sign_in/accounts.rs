//! Whose account it is.

use super::*;
use futures_util::future::join_all;
use std::collections::HashSet;
use std::time::Duration;

#[actix_web::test]
async fn a_first_sign_in_answers_what_the_contract_says() {
    let world = PrivyApp::start(&[]).await;
    let answer = world.signed_in(ADA, "ada@example.org").await;
    let key = answer["api_key"].as_str().unwrap().to_owned();
    assert!(key.starts_with("gw_live_"), "{key}");
    let expected = json!({
        "success": true,
        "message": "Account created successfully",
        "user_id": answer["user_id"],
        "api_key": key,
        "auth_method": "email",
        "privy_user_id": ADA,
        "is_new_user": true,
        "display_name": "ada",
        "email": "ada@example.org",
        "credits": 10.0,
        "timestamp": answer["timestamp"],
    });
    assert_eq!(answer, expected);
    assert!(answer["user_id"].is_i64() && answer["timestamp"].is_string());
    let keys = world.app.get_as(&key, "/user/api-keys").await.json();
    assert_eq!((&keys["total_keys"], &keys["keys"][0]["key_name"]), (&json!(1), &json!("Primary Key")));
    assert_eq!((&keys["keys"][0]["is_primary"], &keys["keys"][0]["is_session"]), (&json!(true), &json!(false)));
    let balance = world.app.get_as(&key, "/user/balance").await.json();
    assert_eq!((&balance["status"], &balance["credits"]), (&json!("trial"), &json!(10.0)), "one grant, on trial");
    assert_eq!(world.app.get_as(&key, "/user/plan").await.json()["plan_name"], "Free");
}

#[actix_web::test]
async fn who_comes_back_is_the_same_user_with_a_session_of_30_days() {
    let world = PrivyApp::start(&[]).await;
    let first = world.signed_in(ADA, "ada@example.org").await;
    // Another address and another method: only the DID counts.
    let again = json!({"user": {"id": ADA, "linked_accounts": [{"type": "github_oauth", "email": "other@example.org", "name": "Ada L."}]},
        "token": world.token(ADA)});
    let reply = world.app.post("/auth", again).await;
    let answer = reply.json();
    let key = answer["api_key"].as_str().unwrap().to_owned();
    let expected = json!({
        "success": true,
        "message": "Login successful",
        "user_id": first["user_id"],
        "api_key": key,
        "auth_method": "github",
        "privy_user_id": ADA,
        "is_new_user": false,
        "display_name": "ada",
        "email": "ada@example.org",
        "credits": 10.0,
        "timestamp": answer["timestamp"],
    });
    assert_eq!((reply.status, answer), (200, expected));
    assert_ne!(key, first["api_key"]);
    assert_eq!(world.app.get_as(&key, "/user/balance").await.json()["user_id"], first["user_id"]);
    assert_eq!(world.app.get_as(first["api_key"].as_str().unwrap(), "/user/balance").await.status, 200, "the first key lives on");
    world.app.clock.advance(Duration::from_secs(30 * 86_400 + 1));
    let over = world.app.get_as(&key, "/user/balance").await;
    assert_eq!((over.status, over.json()), (401, json!({"detail": "API key has expired"})));
}

#[actix_web::test]
async fn a_sign_in_is_in_the_activity_log() {
    let world = PrivyApp::start(&[]).await;
    let first = world.signed_in(ADA, "ada@example.org").await;
    let key = first["api_key"].as_str().unwrap();
    world.signed_in(ADA, "ada@example.org").await;
    let path = "/user/activity/log?action=user_login";
    let log = eventually("both are in the log", async || {
        Some(world.app.get_as(key, path).await.json()).filter(|log| log["total"] == 2)
    })
    .await;
    for (row, action, is_new) in [(&log["logs"][0], "login", false), (&log["logs"][1], "register", true)] {
        let mut details = json!({"action": action, "auth_method": "email", "privy_user_id": ADA, "is_new_user": is_new, "finish_reason": action, "app": "Auth"});
        if is_new {
            details["initial_credits"] = json!(10.0);
        }
        let expected = json!({"id": row["id"], "user_id": first["user_id"], "timestamp": row["timestamp"], "action": "user_login",
            "model": "auth", "provider": "Privy", "tokens": 0, "cost": 0.0, "speed": 0.0, "finish_reason": action, "app": "Auth",
            "details": details, "metadata": details, "created_at": row["created_at"]});
        assert_eq!(row, &expected);
    }
}

#[actix_web::test]
async fn a_name_or_an_address_that_is_taken_opens_nobodys_account() {
    let world = PrivyApp::start(&[]).await;
    let victim = world.app.post("/auth/register", json!({"username": "ada", "email": "ada@example.org"})).await.json();
    let answer = world.signed_in(ADA, "ada@example.org").await;
    // Mutant: an account that is found by its address.
    assert_ne!(answer["user_id"], victim["user_id"]);
    assert_eq!((&answer["email"], &answer["is_new_user"]), (&json!(format!("{ADA}@privy.user")), &json!(true)));
    assert_eq!(answer["display_name"], "ada_cmgg27la");
    // Also the second choice can be taken.
    world.app.post("/auth/register", json!({"username": "ada_cmzz99bb", "email": "x@example.org"})).await;
    let bob = world.signed_in(BOB, "ADA@example.org").await;
    assert_eq!(bob["display_name"], "ADA");
    let third = world.signed_in("did:privy:cmzz99bbother", "ada@example.org").await;
    let name = third["display_name"].as_str().unwrap();
    assert!(name.starts_with("ada_cmzz99bb_") && name.len() == "ada_cmzz99bb_".len() + 8, "{name}");
    let nameless = json!({"user": {"id": "did:privy:qwertyuiop"}, "token": world.token("did:privy:qwertyuiop")});
    let nameless = world.app.post("/auth", nameless).await.json();
    assert_eq!(
        (&nameless["display_name"], &nameless["email"], &nameless["auth_method"]),
        (&json!("user_qwertyui"), &json!("did:privy:qwertyuiop@privy.user"), &json!("email"))
    );
}

#[actix_web::test]
async fn many_first_sign_ins_at_once_make_one_user() {
    let world = PrivyApp::start(&[("DATABASE_CONNECTIONS", "8")]).await;
    let replies = join_all((0..20).map(|_| world.sign_in(ADA, "ada@example.org"))).await;
    let answers: Vec<Value> = replies
        .iter()
        .map(|reply| {
            assert_eq!(reply.status, 200, "{reply:?}");
            reply.json()
        })
        .collect();
    let users: HashSet<_> = answers.iter().map(|answer| answer["user_id"].as_i64().unwrap()).collect();
    assert_eq!(users.len(), 1);
    assert_eq!(answers.iter().filter(|answer| answer["is_new_user"] == true).count(), 1);
    assert_eq!(world.app.database.number("SELECT count(*) FROM users").await, 1);
    assert_eq!(world.app.database.number("SELECT count(*) FROM api_keys WHERE is_session").await, 5);
    let new = answers.iter().find(|answer| answer["is_new_user"] == true).unwrap();
    assert_eq!(world.app.get_as(new["api_key"].as_str().unwrap(), "/user/balance").await.json()["credits"], 10.0);
}

#[actix_web::test]
async fn first_sign_ins_are_counted_as_registrations_and_later_ones_are_not() {
    let world = PrivyApp::start(&[("REGISTER_PER_HOUR", "1")]).await;
    for _ in 0..3 {
        world.signed_in(ADA, "ada@example.org").await;
    }
    let refused = world.sign_in(BOB, "bob@example.org").await;
    assert_eq!((refused.status, refused.json()), (429, json!({"detail": "Too many registrations from this address"})));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    world.app.clock.advance(Duration::from_secs(wait));
    assert_eq!(world.signed_in(BOB, "bob@example.org").await["is_new_user"], true);
}

#[actix_web::test]
async fn a_user_who_is_shut_out_gets_no_key() {
    let world = PrivyApp::start(&[]).await;
    world.signed_in(ADA, "ada@example.org").await;
    world.app.database.connect().await.execute("UPDATE users SET is_active = false", &[]).await.unwrap();
    let refused = world.sign_in(ADA, "ada@example.org").await;
    assert_eq!((refused.status, refused.json()), (403, json!({"detail": "User account is inactive"})));
    assert_eq!(world.app.database.number("SELECT count(*) FROM api_keys").await, 1);
}

#[actix_web::test]
async fn without_the_database_a_sign_in_is_503_and_makes_nothing() {
    let world = PrivyApp::start(&[]).await;
    world.app.database.refuse_connections().await;
    let refused = world.sign_in(ADA, "ada@example.org").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert_ne!(refused.header("retry-after"), "");
    world.app.database.accept_connections().await;
    let answer =
        eventually("it is back", async || Some(world.sign_in(ADA, "ada@example.org").await).filter(|reply| reply.status == 200))
            .await;
    assert_eq!(answer.json()["is_new_user"], true);
}
