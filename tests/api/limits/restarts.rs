//! Counts outlive the process that made them, and replicas share them.

use super::*;
use crate::support::binary::Served;
use crate::support::{TestDatabase, TestFolder, kill};
use tollgate_sim::provider::{Provider, ProviderOptions};

#[actix_web::test]
async fn a_restart_forgets_nothing_that_was_counted() {
    let app = support::app().await;
    let user = app.register_user().await;
    grant(&app, &user, json!({"requests_per_day": 5})).await;
    for _ in 0..3 {
        assert_eq!(ask(&app, &user).await.status, 200);
    }
    let (_, database) = app.stop().await;
    let app = support::app_on(database, &[]).await;
    let balance = app.get_as(&user.key, "/user/balance").await;
    assert_eq!(balance.header("x-ratelimit-remaining"), "2", "also the first header after a restart is right");
    let statuses = [ask(&app, &user).await.status, ask(&app, &user).await.status, ask(&app, &user).await.status];
    assert_eq!(statuses, [200, 200, 429]);
}

/// Two replicas on one database, and a user with limits.
pub struct Pair {
    pub database: TestDatabase,
    _folders: [TestFolder; 2],
    _sim: Provider,
    pub client: reqwest::Client,
    key: String,
    replicas: [Option<Served>; 2],
}

impl Pair {
    pub async fn start(changed: Value, settings: &[(&str, &str)]) -> Self {
        tollgate::install_crypto();
        let database = TestDatabase::create().await;
        let folders = [TestFolder::create(), TestFolder::create()];
        let sim = Provider::start(ProviderOptions::default()).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
        let one = kill::start_with(&database, &folders[0], &sim, &client, settings).await;
        let two = kill::start_with(&database, &folders[1], &sim, &client, settings).await;
        let key = kill::rich_user(&client, one.address).await;
        let body = json!({"api_key": key, "rate_limits": limits(changed)});
        let set = client.post(format!("http://{}/admin/limit", one.address)).bearer_auth(ADMIN_KEY).json(&body).send().await;
        assert_eq!(set.unwrap().status().as_u16(), 200);
        Self { database, _folders: folders, _sim: sim, client, key, replicas: [Some(one), Some(two)] }
    }

    pub fn url(&self, replica: usize, path: &str) -> String {
        format!("http://{}{path}", self.replicas[replica].as_ref().expect("a replica that lives").address)
    }

    /// Of so many calls at that replica, how many are served.
    pub async fn served(&self, replica: usize, calls: u32) -> u32 {
        let mut served = 0;
        for _ in 0..calls {
            served += u32::from(self.call(replica, 8).await.status().as_u16() == 200);
        }
        served
    }

    pub async fn call(&self, replica: usize, max_tokens: i64) -> reqwest::Response {
        self.client.post(self.url(replica, CHAT)).bearer_auth(&self.key).json(&question(max_tokens)).send().await.unwrap()
    }

    /// Waits until so many requests of today are in the table.
    pub async fn counted(&self, requests: i64) {
        eventually("the counts are written", async || {
            let written = "SELECT coalesce(max(day_requests), 0)::bigint FROM limit_counters WHERE scope = 'key'";
            (self.database.number(written).await == requests).then_some(())
        })
        .await;
    }

    /// Waits until the replica shows that so many are left today.
    async fn knows(&self, replica: usize, remaining: u32) {
        eventually("the other's counts", async || {
            let request = self.client.get(self.url(replica, "/user/balance")).bearer_auth(&self.key);
            let reply = request.send().await.unwrap();
            (reply.headers()["x-ratelimit-remaining"] == remaining.to_string().as_str()).then_some(())
        })
        .await;
    }
}

#[actix_web::test]
async fn two_replicas_share_a_limit() {
    let pair = Pair::start(json!({"requests_per_day": 100}), &[]).await;
    // Both have seen the key, so neither reads its counts for being new.
    assert_eq!((pair.served(0, 1).await, pair.served(1, 1).await), (1, 1));
    assert_eq!(pair.served(0, 59).await, 59);
    pair.counted(61).await;
    // Two hears of them with its own next flush.
    assert_eq!(pair.served(1, 1).await, 1);
    pair.knows(1, 38).await;
    assert_eq!(pair.served(1, 60).await, 38);
}

#[actix_web::test]
async fn kill_9_loses_nothing_that_was_counted_a_second_before() {
    let mut pair = Pair::start(json!({"requests_per_day": 20}), &[]).await;
    assert_eq!(pair.served(0, 12).await, 12);
    pair.counted(12).await;
    let killed = pair.replicas[0].take().unwrap();
    killed.signal("KILL");
    killed.wait(Duration::from_secs(10));
    assert_eq!(pair.served(1, 20).await, 8, "a replica that has never seen the key reads what the dead one counted");
}
