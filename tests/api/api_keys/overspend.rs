//! Promise L6 through the doors, over two server processes on one database: no balance and no budget is spent twice.

use crate::support::binary::{self, Served};
use crate::support::{TestDatabase, TestFolder, environment, eventually, kill};
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use tollgate_sim::provider::{Provider, ProviderOptions};

const CALLS: usize = 1_000;

struct Pair {
    database: TestDatabase,
    _folders: [TestFolder; 2],
    _sim: Provider,
    client: reqwest::Client,
    servers: [Served; 2],
}

impl Pair {
    /// With that balance for each new user.
    async fn start(credits: &str) -> Self {
        tollgate::install_crypto();
        let (database, folders) = (TestDatabase::create().await, [TestFolder::create(), TestFolder::create()]);
        let sim = Provider::start(ProviderOptions::default()).await.unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        let settings = [("SIGNUP_CREDITS_USD", credits)];
        let one = kill::start_with(&database, &folders[0], &sim, &client, &settings).await;
        let two = kill::start_with(&database, &folders[1], &sim, &client, &settings).await;
        Self { database, _folders: folders, _sim: sim, client, servers: [one, two] }
    }

    fn url(&self, server: usize, path: &str) -> String {
        format!("http://{}{path}", self.servers[server].address)
    }

    /// So many calls of $0.1 at once, on both servers in turn; how often each status was answered.
    async fn dimes(&self, key: &str) -> HashMap<u16, usize> {
        let body = json!({"model": "sim/dime", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 100});
        let call = async |number: usize| {
            let url = self.url(number % 2, "/v1/chat/completions");
            let reply = self.client.post(url).bearer_auth(key).json(&body).send().await.expect("an answer");
            let status = reply.status().as_u16();
            reply.bytes().await.expect("a whole answer");
            status
        };
        let mut statuses = HashMap::new();
        let mut all = stream::iter(0..CALLS).map(call).buffer_unordered(CALLS);
        while let Some(status) = all.next().await {
            *statuses.entry(status).or_default() += 1;
        }
        statuses
    }

    /// The ledger's own proof, as an operator runs it.
    async fn assert_clean(&self, answered: i64) {
        eventually("no hold is open", async || {
            (self.database.number("SELECT count(*) FROM holds WHERE state = 0").await == 0).then_some(())
        })
        .await;
        assert_eq!(self.database.number("SELECT count(*) FROM usage_records").await, answered);
        let folder = TestFolder::create();
        let env = environment(&self.database, &folder, "http://127.0.0.1:9");
        let proof = binary::run(&["ledger", "verify"], &env);
        assert!(proof.status.success(), "{}", String::from_utf8_lossy(&proof.stdout));
    }
}

#[actix_web::test]
async fn of_a_thousand_calls_over_two_servers_a_balance_for_25_answers_exactly_25() {
    let pair = Pair::start("2.5").await;
    let key = kill::rich_user(&pair.client, pair.servers[0].address).await;
    let statuses = pair.dimes(&key).await;
    println!("promise L6: {CALLS} calls at once on a balance for 25, over two servers: {statuses:?}");
    assert_eq!(statuses, HashMap::from([(200, 25), (402, CALLS - 25)]));
    assert_eq!(pair.database.number("SELECT posted FROM accounts WHERE kind = 'user' AND asset = 'usd'").await, 0);
    pair.assert_clean(25).await;
}

#[actix_web::test]
async fn of_a_thousand_calls_over_two_servers_a_budget_for_10_answers_exactly_10() {
    let pair = Pair::start("1000").await;
    let key = kill::rich_user(&pair.client, pair.servers[0].address).await;
    let budgeted = json!({"key_name": "budgeted", "budget_usd": 1, "budget_period": "daily"});
    let made: Value = pair
        .client
        .post(pair.url(0, "/user/api-keys"))
        .bearer_auth(&key)
        .json(&budgeted)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let statuses = pair.dimes(made["api_key"].as_str().expect("a key")).await;
    println!("promise L6: {CALLS} calls at once on a budget for 10, over two servers: {statuses:?}");
    assert_eq!(statuses, HashMap::from([(200, 10), (402, CALLS - 10)]));
    assert_eq!(pair.database.number("SELECT posted FROM accounts WHERE kind = 'budget'").await, 0);
    assert_eq!(pair.database.number("SELECT count(*) FROM key_budgets").await, 1);
    pair.assert_clean(10).await;
}
