//! Two replicas that decide together in a real Redis.

use super::restarts::Pair;
use super::*;
use crate::support::redis::TestRedis;
use futures_util::stream::{self, StreamExt};

#[actix_web::test]
async fn with_redis_two_replicas_admit_exactly_100_of_400_concurrent_requests() {
    let redis = TestRedis::start();
    let pair = Pair::start(json!({"requests_per_day": 100}), &[("REDIS_URL", &redis.url())]).await;
    let served: u32 = stream::iter(0..400)
        .map(|n| pair.served(n % 2, 1))
        .buffer_unordered(100)
        .fold(0, |all, one| std::future::ready(all + one))
        .await;
    // Mutant: `SharedVerdict::Full` taken for admitted turns this red.
    assert_eq!(served, 100);
}

#[actix_web::test]
async fn with_redis_what_one_replica_gives_back_another_may_use() {
    let redis = TestRedis::start();
    let pair = Pair::start(json!({"tokens_per_day": 1_000}), &[("REDIS_URL", &redis.url())]).await;
    // Each may come to 270 tokens by what it asks, and comes to a tenth of that.
    let mut open_ended = question(0);
    open_ended.as_object_mut().unwrap().remove("max_tokens");
    for replica in [0, 1, 0, 1, 0, 1] {
        eventually("the tokens that were not used", async || {
            (pair.call(replica, &open_ended).await.status().as_u16() == 200).then_some(())
        })
        .await;
    }
}

#[actix_web::test]
async fn while_redis_is_away_calls_are_served_and_what_was_counted_still_counts_when_it_is_back_empty() {
    let mut redis = TestRedis::start();
    let pair = Pair::start(json!({"requests_per_day": 30}), &[("REDIS_URL", &redis.url())]).await;
    assert_eq!(pair.served(0, 10).await, 10);
    redis.kill();
    assert_eq!(pair.served(0, 10).await, 10);
    let metrics = pair.client.get(pair.url(0, "/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("tollgate_limiter_failed_open_total{missing=\"shared\"}"), "{metrics}");
    pair.counted(20).await;
    redis.revive();
    // The other replica has not seen the key: it reads what was counted, and tells Redis.
    assert_eq!(pair.served(1, 20).await, 10);
    eventually("the first one asks Redis again", async || (pair.served(0, 1).await == 0).then_some(())).await;
}

#[actix_web::test]
async fn a_redis_that_is_away_stops_no_start() {
    let mut redis = TestRedis::start();
    redis.kill();
    let app = support::app_with(&[("REDIS_URL", &redis.url())]).await;
    let user = app.register_user().await;
    assert_eq!(ask(&app, &user).await.status, 200);
}
