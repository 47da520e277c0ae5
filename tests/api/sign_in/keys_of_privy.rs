//! Privy's keys: rotation, made-up key ids, and a Privy that is away. Promise A2, through the door.

use super::*;
use std::time::Duration;
use tollgate_actors::token_keys::{STALE_MAX, WINDOW};
use tollgate_sim::privy::KeySetAnswer;

const A_WINDOW: Duration = Duration::from_secs(WINDOW.num_seconds().unsigned_abs());

async fn asked(world: &PrivyApp, at_least: usize) {
    eventually("Privy is asked", async || (world.privy.key_sets() >= at_least).then_some(())).await;
}

#[actix_web::test]
async fn a_rotation_is_seen_with_one_request() {
    let world = PrivyApp::start(&[]).await;
    world.signed_in(ADA, "ada@example.org").await;
    let old_token = world.token(ADA);
    world.privy.rotate().unwrap();
    world.app.clock.advance(A_WINDOW);
    let before = world.privy.key_sets();
    world.signed_in(ADA, "ada@example.org").await;
    assert_eq!(world.privy.key_sets(), before + 1);
    // The old key is in the set still, and both are known now.
    assert_eq!(world.app.post("/auth", body(ADA, "ada@example.org", &old_token)).await.status, 200);
    world.signed_in(ADA, "ada@example.org").await;
    assert_eq!(world.privy.key_sets(), before + 1);
}

#[actix_web::test]
async fn made_up_key_ids_cost_one_request_a_window() {
    let world = PrivyApp::start(&[]).await;
    world.signed_in(ADA, "ada@example.org").await;
    let (mut header, claims) = world.privy.good(ADA, world.now().timestamp());
    world.app.clock.advance(A_WINDOW);
    let before = world.privy.key_sets();
    for number in 0..300 {
        header["kid"] = json!(format!("made-up-{number}"));
        let refused = world.app.post("/auth", body(ADA, "ada@example.org", &world.privy.sign(&header, &claims))).await;
        assert_eq!(refused.status, 401);
    }
    // The refresh that is due by itself may fall into it.
    assert!(world.privy.key_sets() <= before + 1);
    world.signed_in(ADA, "ada@example.org").await;
}

#[actix_web::test]
async fn while_privy_is_away_known_keys_work_for_an_hour_and_longer_but_not_for_ever() {
    let world = PrivyApp::start(&[]).await;
    world.signed_in(ADA, "ada@example.org").await;
    for answer in [KeySetAnswer::Failing, KeySetAnswer::Garbage, KeySetAnswer::Redirecting, KeySetAnswer::Endless] {
        world.privy.set_answer(answer);
        let before = world.privy.key_sets();
        world.app.clock.advance(Duration::from_secs(3_600));
        asked(&world, before + 1).await;
        world.signed_in(ADA, "ada@example.org").await;
    }
    // A new key can't be told from a made-up one.
    world.privy.rotate().unwrap();
    let unknown = world.sign_in(ADA, "ada@example.org").await;
    assert_eq!(unknown.status, 503, "{unknown:?}");
    assert_ne!(unknown.header("retry-after"), "");
    world.app.clock.advance(STALE_MAX.to_std().unwrap());
    assert_eq!(world.sign_in(ADA, "ada@example.org").await.status, 503);
    world.privy.set_answer(KeySetAnswer::Served);
    let back = eventually("it is back", async || {
        world.app.clock.advance(Duration::from_secs(10));
        Some(world.sign_in(ADA, "ada@example.org").await).filter(|reply| reply.status == 200)
    })
    .await;
    assert_eq!(back.json()["is_new_user"], false);
}

#[actix_web::test]
async fn a_server_starts_without_privy_and_takes_tokens_when_it_is_there() {
    let world = PrivyApp::start(&[]).await;
    // The first set has come with the start; take it away again by time.
    world.signed_in(ADA, "ada@example.org").await;
    world.privy.set_answer(KeySetAnswer::Failing);
    world.app.clock.advance(STALE_MAX.to_std().unwrap());
    assert_eq!(world.sign_in(BOB, "bob@example.org").await.status, 503);
    assert_eq!(world.app.get("/health").await.status, 200);
}
