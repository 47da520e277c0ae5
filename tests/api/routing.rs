//! How a call finds its gateway, and what it survives: several stand-ins, each behind a gateway of its own.

use crate::support::{self, Reply, TestApp, TestUser, eventually};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tollgate_domain::{GenerationId, UserId};
use tollgate_sim::provider::{Behaviour, Provider, ProviderOptions};
use tollgate_store::failed_attempts::{self, FailedAttempt};
use tollgate_store::ledger::{VerifyOptions, verify};

const PATH: &str = "/v1/chat/completions";
/// $0.15 and $0.60 for a million tokens at OpenRouter, and so at gateways that tell no price.
const MODEL: &str = "openai/gpt-4o-mini";
const MODEL_NANOS: i64 = 3 * 150 + 5 * 600;
/// $2.50 and $10.
const DEAR: &str = "openai/gpt-4o";
const DEAR_NANOS: i64 = 3 * 2_500 + 5 * 10_000;
/// Nothing waits long.
const QUICK: [(&str, &str); 5] = [
    ("FIRST_BYTE_TIMEOUT", "1"),
    ("BETWEEN_BYTES_TIMEOUT", "1"),
    ("TOTAL_TIMEOUT", "20"),
    ("RETRY_BACKOFF_MS", "20"),
    ("BREAKER_REST", "0.3"),
];

/// A server with two gateways: `openrouter`, which is asked first, and `chutes`.
struct House {
    app: TestApp,
    user: TestUser,
    chutes: Provider,
}

impl House {
    async fn new(further: &[(&str, &str)]) -> Self {
        let chutes = Provider::start(ProviderOptions::default()).await.expect("a second stand-in");
        let list = json!({"data": [{"id": MODEL}, {"id": DEAR}, {"id": "only/chutes"}]});
        chutes.serve_models(Some(list.to_string().into()));
        let base_url = chutes.base_url();
        let own = [("CHUTES_API_KEY", "sim-key"), ("CHUTES_BASE_URL", base_url.as_str())];
        let app = support::app_with(&[&QUICK, &own[..], further].concat()).await;
        let user = app.register_user().await;
        Self { app, user, chutes }
    }

    fn behave(&self, openrouter: &str, chutes: &str) {
        self.app.sim.set_default(Behaviour::parse(openrouter).expect("a behaviour"));
        self.chutes.set_default(Behaviour::parse(chutes).expect("a behaviour"));
    }

    async fn ask(&self, fields: Value) -> Reply {
        let mut body = json!({"model": MODEL, "messages": [{"role": "user", "content": "hello world"}], "max_tokens": 5});
        for (name, value) in fields.as_object().expect("fields") {
            body[name] = value.clone();
        }
        self.app.post_as(&self.user.key, PATH, body).await
    }

    /// Completions that each gateway was asked for since the last time.
    fn asked(&self) -> (u64, u64) {
        let count = |sim: &Provider| sim.requests().len().try_into().expect("few");
        let asked = (count(&self.app.sim), count(&self.chutes));
        self.app.sim.reset();
        self.chutes.reset();
        let list = json!({"data": [{"id": MODEL}, {"id": DEAR}, {"id": "only/chutes"}]});
        self.chutes.serve_models(Some(list.to_string().into()));
        asked
    }

    /// Gateway, model and cost of each charged call.
    async fn charged(&self) -> Vec<(String, String, i64)> {
        let rows = "SELECT gateway, model, cost FROM usage_records ORDER BY batch, ordinal";
        let rows = self.app.database.connect().await.query(rows, &[]).await.expect("usage records");
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    /// What was tried in vain for that answer.
    async fn tried(&self, reply: &Reply) -> Vec<FailedAttempt> {
        let generation = GenerationId::parse(reply.header("x-generation-id")).expect("a generation");
        let store = &self.app.services.store;
        eventually("the failed attempts", async || {
            let rows = failed_attempts::of_generation(store, UserId(self.user.id), generation).await.expect("the table");
            (!rows.is_empty()).then_some(rows)
        })
        .await
    }

    /// Nothing is held, and the books balance.
    async fn assert_clean(&self) {
        let report = eventually("no hold is open", async || {
            let report = verify(&self.app.services.store, VerifyOptions::default()).await.expect("the proof runs");
            (report.open_holds == 0).then_some(report)
        })
        .await;
        assert!(report.is_clean(), "{report}");
        assert_eq!(self.app.database.number("SELECT coalesce(sum(held), 0)::bigint FROM accounts").await, 0);
    }
}

fn charge(gateway: &str, model: &str, nanos: i64) -> (String, String, i64) {
    (gateway.to_owned(), model.to_owned(), nanos)
}

#[actix_web::test]
async fn what_fails_before_the_first_byte_is_served_by_the_next_gateway_and_charged_once() {
    // Six kinds of failure in a row would open the breaker; that is another test's.
    let house = House::new(&[("BREAKER_FAILURES", "0")]).await;
    let kinds: BTreeMap<&str, (&str, Option<i16>)> = [
        ("rst", ("connection", None)),
        ("hang-up", ("connection", None)),
        ("silent", ("timeout", None)),
        ("500-html", ("status", Some(500))),
        ("503", ("status", Some(503))),
        ("529", ("status", Some(529))),
        ("429", ("status", Some(429))),
        ("retry-after:30", ("status", Some(429))),
        ("status:401", ("status", Some(401))),
        ("status:404", ("status", Some(404))),
        ("gzip-unasked", ("malformed", None)),
        ("redirect", ("malformed", None)),
        // Under status 200, and in a stream behind an opening chunk; but nothing of it has gone to the client.
        ("error-in-200:0", ("status", Some(502))),
        ("headers-then-silence", ("timeout", None)),
        ("cut-after:0", ("connection", None)),
    ]
    .into();
    let mut served = 0;
    for (word, (kind, status)) in kinds {
        for stream in [false, true] {
            house.behave(word, "fast");
            let reply = house.ask(json!({"stream": stream})).await;
            assert_eq!(reply.status, 200, "{word}: {reply:?}");
            assert!(reply.text().contains("tok5"), "{word}: {}", reply.text());
            assert_eq!(house.asked(), (1, 1), "{word}");
            let tried = house.tried(&reply).await;
            assert_eq!(tried.len(), 1, "{word}: {tried:?}");
            assert_eq!((tried[0].ordinal, tried[0].gateway.as_str(), tried[0].model.as_str()), (1, "openrouter", MODEL));
            // What the stand-in says in an error under 200 is its own affair.
            let is_expected = tried[0].kind == kind && (tried[0].status == status || word == "error-in-200:0");
            assert!(is_expected, "{word}: {tried:?}");
            served += 1;
        }
    }
    assert_eq!(house.charged().await, vec![charge("chutes", MODEL, MODEL_NANOS); served]);
    house.assert_clean().await;
}

// Mutant: another attempt after a part of the answer has gone to the client turns this red.
#[actix_web::test]
async fn what_is_the_callers_fault_or_has_begun_is_tried_nowhere_else() {
    let house = House::new(&[]).await;
    for (word, status) in [("status:400", 400), ("status:422", 400), ("status:413", 400)] {
        house.behave(word, "fast");
        assert_eq!(house.ask(json!({})).await.status, status, "{word}");
        assert_eq!(house.asked(), (1, 0), "{word}");
    }
    house.behave("cut-after:3", "fast");
    let reply = house.ask_to_the_end().await;
    assert!(reply.contains("tok3") && !reply.contains("tok4") && !reply.contains("[DONE]"), "{reply}");
    assert_eq!(house.asked(), (1, 0));
    let charged = house.charged().await;
    assert_eq!((charged.len(), charged[0].0.as_str()), (1, "openrouter"));
    house.assert_clean().await;
}

impl House {
    /// A stream that breaks, as far as it came.
    async fn ask_to_the_end(&self) -> String {
        let body =
            json!({"model": MODEL, "messages": [{"role": "user", "content": "hello world"}], "max_tokens": 5, "stream": true});
        let request = self.app.request(reqwest::Method::POST, PATH).bearer_auth(&self.user.key).json(&body);
        let mut response = request.send().await.expect("a head");
        let mut bytes = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            bytes.extend_from_slice(&chunk);
        }
        String::from_utf8(bytes).expect("UTF-8")
    }
}

// Mutants: without the cap on attempts, or with a 404 that is tried again, this is red.
// Mutant: without the ping in `while_here` the second provider is kept waiting, and this is red.
#[actix_web::test]
async fn a_client_that_leaves_while_another_gateway_is_asked_is_noticed_and_pays_nothing() {
    let house = House::new(&[("FIRST_BYTE_TIMEOUT", "60")]).await;
    house.behave("error-in-200:0", "silent");
    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5, "stream": true});
    let request = house.app.request(reqwest::Method::POST, PATH).bearer_auth(&house.user.key).json(&body);
    let asking = actix_web::rt::spawn(request.send());
    eventually("the second gateway is asked", async || (house.chutes.stats().open == 1).then_some(())).await;
    asking.abort();
    eventually("the second provider is let go", async || (house.chutes.stats().open == 0).then_some(())).await;
    assert_eq!(house.charged().await, []);
    house.assert_clean().await;
}

#[actix_web::test]
async fn where_no_other_gateway_has_the_model_the_same_is_asked_again_a_bounded_number_of_times() {
    let house = House::new(&[]).await;
    house.behave("fast", "503");
    let reply = house.ask(json!({"model": "only/chutes"})).await;
    assert_eq!(reply.status, 502, "{reply:?}");
    assert_eq!(house.asked(), (0, 3), "RETRY_ATTEMPTS");
    // What another attempt would not change is not tried again.
    for word in ["status:404", "status:401", "gzip-unasked"] {
        house.behave("fast", word);
        house.ask(json!({"model": "only/chutes"})).await;
        assert_eq!(house.asked(), (0, 1), "{word}");
    }
    assert_eq!(house.charged().await, []);
    house.assert_clean().await;
}

#[actix_web::test]
async fn a_short_retry_after_is_waited_for_and_a_long_one_is_handed_on() {
    let house = House::new(&[]).await;
    house.behave("fast", "retry-after:1");
    let started = Instant::now();
    let asking = house.ask(json!({"model": "only/chutes"}));
    let recovering = async {
        eventually("the first attempt", async || (house.chutes.stats().faulted == 1).then_some(())).await;
        house.behave("fast", "fast");
    };
    let (reply, ()) = futures_util::join!(asking, recovering);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(house.asked(), (0, 2));

    house.behave("fast", "retry-after:30");
    let reply = house.ask(json!({"model": "only/chutes"})).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, "30"), "{reply:?}");
    assert_eq!(house.asked(), (0, 1));
    // Until then it is left alone: for this model, not for others.
    house.behave("fast", "fast");
    let reply = house.ask(json!({"model": "only/chutes"})).await;
    assert_eq!(reply.status, 429, "{reply:?}");
    let wait: u64 = reply.header("retry-after").parse().expect("seconds");
    assert!((25..=30).contains(&wait), "{wait}");
    assert_eq!(house.asked(), (0, 0));
    assert_eq!(house.ask(json!({"provider": "chutes"})).await.status, 200);
    assert_eq!(house.asked(), (0, 1));
    house.assert_clean().await;
}

// Mutant: retries that do not ask the budget turn this red.
#[actix_web::test]
async fn without_a_retry_budget_every_call_is_one_request() {
    let house = House::new(&[("RETRY_BUDGET_PER_SECOND", "0"), ("RETRY_BUDGET_PERCENT", "20"), ("BREAKER_FAILURES", "0")]).await;
    house.behave("503", "503");
    for _ in 0..20 {
        assert_eq!(house.ask(json!({})).await.status, 502);
    }
    let (openrouter, chutes) = house.asked();
    // A fifth of twenty calls, rounded down each time.
    assert_eq!((openrouter, chutes), (20, 4));
    house.assert_clean().await;
}

#[actix_web::test]
async fn a_gateway_that_is_down_is_passed_over_and_one_call_finds_out_that_it_is_back() {
    let house = House::new(&[]).await;
    house.behave("rst", "fast");
    for _ in 0..5 {
        assert_eq!(house.ask(json!({})).await.status, 200);
    }
    assert_eq!(house.asked(), (5, 5));
    // Its breaker is open: no call waits for it, whatever the model.
    house.behave("silent", "fast");
    let started = Instant::now();
    let calls = (0..20).map(|n| house.ask(json!({"model": if n % 2 == 0 { MODEL } else { DEAR }})));
    let replies = futures_util::future::join_all(calls).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    let (openrouter, chutes) = house.asked();
    // The rest is short here: at most one probe went out meanwhile.
    assert!(openrouter <= 1 && chutes == 20, "{openrouter} {chutes}");
    assert!(started.elapsed() < Duration::from_secs(10));
    let metrics = house.app.get("/metrics").await;
    assert!(metrics.text().contains(r#"tollgate_breaker_changes_total{gateway="openrouter",scope="gateway",to="open"}"#));
    house.behave("fast", "fast");
    eventually("the gateway is back", async || {
        let reply = house.ask(json!({})).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let is_back = house.charged().await.last().is_some_and(|(gateway, ..)| gateway == "openrouter");
        is_back.then_some(())
    })
    .await;
    house.assert_clean().await;
}

#[actix_web::test]
async fn a_model_that_fails_rests_alone() {
    let house = House::new(&[("BREAKER_REST", "60"), ("RETRY_ATTEMPTS", "1")]).await;
    for _ in 0..5 {
        assert_eq!(house.ask(json!({"model": "sim/503"})).await.status, 502);
    }
    let reply = house.ask(json!({"model": "sim/503"})).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_ne!(reply.header("retry-after"), "");
    assert_eq!(house.asked(), (5, 0));
    assert_eq!(house.ask(json!({})).await.status, 200);
    assert_eq!(house.asked(), (1, 0));
    house.assert_clean().await;
}

#[actix_web::test]
async fn when_all_are_down_callers_are_told_when_to_come_back() {
    let house = House::new(&[("BREAKER_REST", "20")]).await;
    house.behave("rst", "rst");
    for _ in 0..5 {
        let reply = house.ask(json!({})).await;
        assert_eq!(reply.status, 503, "{reply:?}");
        assert_ne!(reply.header("retry-after"), "");
    }
    let (openrouter, chutes) = house.asked();
    assert!(openrouter + chutes <= 5 * 3, "{openrouter} {chutes}");
    // Each breaker is open, so nobody is asked and nobody waits, and nothing is held for it.
    let holds = async || house.app.database.number("SELECT count(*) FROM holds").await;
    let (started, held) = (Instant::now(), holds().await);
    let reply = house.ask(json!({})).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    let wait: u64 = reply.header("retry-after").parse().expect("seconds");
    assert!((1..=20).contains(&wait), "{wait}");
    assert!(started.elapsed() < Duration::from_secs(5));
    // Mutant: without `is_asked` in `begin` there is one more.
    assert_eq!((house.asked(), holds().await), ((0, 0), held));
    assert_eq!(house.charged().await, []);
    house.assert_clean().await;
}

#[actix_web::test]
async fn a_refused_connection_goes_to_the_next_gateway() {
    let house = House::new(&[]).await;
    let House { app, user, chutes } = house;
    let reply =
        app.post_as(&user.key, PATH, json!({"model": "only/chutes", "messages": [{"role": "user", "content": "x"}]})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    chutes.stop().await;
    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "x"}], "provider": {"order": ["chutes"]}});
    let reply = app.post_as(&user.key, PATH, body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(app.sim.requests().len(), 1);
}

// Mutants: `models` sent upstream, or records that name the model that was asked for, turn this red.
#[actix_web::test]
async fn fallback_models_are_tried_by_us_and_the_one_that_answered_is_charged() {
    let house = House::new(&[]).await;
    house.app.sim.set_default(Behaviour::parse("fast").expect("a behaviour"));
    for stream in [false, true] {
        let reply = house.ask(json!({"model": "sim/status-404", "models": [DEAR], "stream": stream})).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let requests = house.app.sim.requests();
        let sent: Vec<&Value> = requests.iter().map(|request| &request.body["model"]).collect();
        assert_eq!(sent, [&json!("sim/status-404"), &json!(DEAR)]);
        assert!(requests.iter().all(|request| request.body.get("models").is_none()));
        assert_eq!(house.tried(&reply).await[0].model, "sim/status-404");
        house.asked();
    }
    assert_eq!(house.charged().await, vec![charge("openrouter", DEAR, DEAR_NANOS); 2]);
    let unknown = house.ask(json!({"models": [DEAR, "no/such"]})).await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    assert!(unknown.text().contains("no/such"));
    // The activity page, too, names what answered.
    let activity = "SELECT count(*) FROM activity WHERE details->>'model' = 'openai/gpt-4o'";
    eventually("the activity", async || (house.app.database.number(activity).await == 2).then_some(())).await;
    house.assert_clean().await;
}

#[actix_web::test]
async fn a_caller_chooses_the_gateway_and_names_the_model_as_he_knows_it() {
    let house = House::new(&[]).await;
    for (fields, expected) in [
        (json!({}), (1, 0)),
        (json!({"provider": "chutes"}), (0, 1)),
        (json!({"provider": {"order": ["chutes", "azure"]}}), (0, 1)),
        (json!({"provider": {"ignore": ["openrouter"]}}), (0, 1)),
        (json!({"provider": {"only": ["azure"]}}), (1, 0)),
        (json!({"model": "OpenAI/GPT-4o-mini"}), (1, 0)),
        (json!({"model": "@openai/gpt-4o-mini", "provider": "chutes"}), (0, 1)),
        (json!({"model": "ONLY/chutes"}), (0, 1)),
    ] {
        let reply = house.ask(fields.clone()).await;
        assert_eq!(reply.status, 200, "{fields}: {reply:?}");
        let sent = house.app.sim.requests().into_iter().chain(house.chutes.requests()).next_back().expect("a request");
        // Each gateway hears its own name of the model, and nothing that is not for it.
        let own = if fields["model"] == "ONLY/chutes" { "only/chutes" } else { MODEL };
        assert_eq!(sent.body["model"], own, "{fields}");
        let is_theirs = fields["provider"]["only"].is_array();
        assert_eq!(sent.body.get("provider").is_some(), is_theirs, "{fields}");
        assert_eq!(house.asked(), expected, "{fields}");
    }
    // Each at the price of the gateway that answered: the last one's is unknown, so $20 for a million tokens.
    let charged = house.charged().await;
    let (only, others) = charged.split_last().expect("charges");
    assert_eq!(*only, charge("chutes", "only/chutes", 8 * 20_000));
    assert!(others.iter().all(|(_, model, nanos)| model == MODEL && *nanos == MODEL_NANOS), "{others:?}");
    house.assert_clean().await;
}

/// Another replica has spent from the balance meanwhile, as this one has not heard.
// Mutant, red: a second call that begins with attempts of its own, as the first version did.
#[actix_web::test]
async fn a_call_made_again_for_less_goes_on_where_its_first_attempts_ended() {
    let house = House::new(&[]).await;
    house.behave("503", "fast");
    assert_eq!(house.ask(json!({})).await.status, 200);
    house.asked();
    house.behave("503", "fast");
    let (spent, user) = (10_000_000_000_i64 - 300_000 - MODEL_NANOS, house.user.id);
    let elsewhere =
        format!("UPDATE accounts SET posted = posted - {spent} WHERE user_id = {user} AND kind = 'user' AND asset = 'usd'");
    house.app.database.connect().await.batch_execute(&elsewhere).await.expect("another replica");
    // A thousand tokens are $0.0006; what is left pays for some 500.
    let reply = house.ask(json!({"max_tokens": 1_000})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_ne!(reply.header("x-max-tokens-lowered"), "");
    assert_eq!(house.asked(), (1, 2), "who has failed is not asked again");
    let charged = house.charged().await;
    assert!(
        charged.len() == 2 && charged.iter().all(|(gateway, ..)| gateway == "chutes") && charged[1].2 <= 300_000,
        "{charged:?}"
    );
}
