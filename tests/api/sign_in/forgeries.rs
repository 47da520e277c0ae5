//! Tokens that are not believed. Promise A1; what a second decides is judged in the adapter's own tests.

use super::*;

#[actix_web::test]
async fn the_door_takes_the_tokens_that_the_table_says_and_no_other() {
    let world = PrivyApp::start(&[]).await;
    let attacks = world.privy.attacks(ADA, world.now().timestamp());
    assert!(attacks.len() >= 60);
    for attack in attacks.iter().filter(|attack| !attack.to_the_second) {
        let reply = world.app.post("/auth", body(ADA, "ada@example.org", &attack.token)).await;
        assert_eq!(reply.status, if attack.tollgate { 200 } else { 401 }, "{}: {reply:?}", attack.name);
        if !attack.tollgate && !attack.token.is_empty() {
            assert_eq!(reply.json(), json!({"detail": "Invalid or expired Privy token"}), "{}", attack.name);
        }
    }
    assert_eq!(world.app.database.number("SELECT count(*) FROM users").await, 1, "all of them are of one user");
}

#[actix_web::test]
async fn a_good_token_opens_nobody_elses_account() {
    let world = PrivyApp::start(&[]).await;
    world.signed_in(ADA, "ada@example.org").await;
    let refused = world.app.post("/auth", body(ADA, "ada@example.org", &world.token(BOB))).await;
    assert_eq!((refused.status, refused.json()), (401, json!({"detail": "The Privy token is another user's"})));
    for other in [ADA.to_uppercase(), format!("{ADA} "), format!("{ADA}x"), "user_1".to_owned(), String::new()] {
        let refused = world.app.post("/auth", body(&other, "ada@example.org", &world.token(ADA))).await;
        assert_eq!(refused.status, 401, "{other:?}");
    }
    assert_eq!(world.app.database.number("SELECT count(*) FROM users").await, 1);
}

#[actix_web::test]
async fn a_token_of_another_app_of_privys_is_refused() {
    let world = PrivyApp::start(&[]).await;
    let (header, mut claims) = world.privy.good(ADA, world.now().timestamp());
    assert_eq!(claims["aud"], APP_ID);
    let good = world.app.post("/auth", body(ADA, "ada@example.org", &world.privy.sign(&header, &claims))).await;
    assert_eq!(good.status, 200);
    claims["aud"] = json!("another-app");
    let refused = world.app.post("/auth", body(ADA, "ada@example.org", &world.privy.sign(&header, &claims))).await;
    assert_eq!(refused.status, 401);
}
