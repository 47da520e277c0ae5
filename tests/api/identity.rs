//! Identity on a real database, without HTTP: several replicas on one database, a ledger that can be away, NOTIFY cut.

use crate::support::{TestDatabase, TurnedClock, eventually};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use rand::SeedableRng;
use rand::rngs::StdRng;
use secrecy::ExposeSecret;
use serde_json::json;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tollgate_actors::identity::keys::{Environment, Peppers};
use tollgate_actors::identity::{
    self, Actor, AddCredits, AssignPlan, Caller, CreateKey, Identity, IdentityDeps, IdentityError, IdentityOptions, LimitTarget,
    NewLimits, RateLimits, Register, Registration, SetBy, SetLimits, Treasury, TrialTerms,
};
use tollgate_actors::ledger::{Balance, Credit, LedgerError};
use tollgate_actors::runtime::{Arbiters, RestartPolicy, Supervision};
use tollgate_domain::{KeyId, Nanos, OperationId, PlanId, UserId};
use tollgate_store::{Store, StoreOptions};
use uuid::Uuid;

const PEPPER: &str = "v1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const TWO_PEPPERS: &str = "v1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,v2:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

const LIMITS: RateLimits = RateLimits {
    requests_per_minute: 60,
    requests_per_hour: 1_000,
    requests_per_day: 10_000,
    tokens_per_minute: 10_000,
    tokens_per_hour: 100_000,
    tokens_per_day: 1_000_000,
    burst: 60,
    concurrency: 10,
};

/// A ledger that only remembers what it was asked.
#[derive(Default)]
struct Remembering {
    away: AtomicBool,
    credits: Mutex<Vec<Credit>>,
}

impl Treasury for Remembering {
    fn credit(&self, credit: Credit) -> BoxFuture<'_, Result<Balance, LedgerError>> {
        let answer = if self.away.load(Ordering::SeqCst) {
            Err(LedgerError::Unavailable)
        } else {
            let balance = Balance { credits: credit.amount, ..Balance::default() };
            self.credits.lock().unwrap().push(credit);
            Ok(balance)
        };
        std::future::ready(answer).boxed()
    }
}

/// One server's identity.
struct Replica {
    identity: Identity,
    treasury: Arc<Remembering>,
    clock: Arc<TurnedClock>,
    io: Option<tokio::runtime::Runtime>,
    arbiters: Option<Arbiters>,
}

struct Setup {
    listen: bool,
    peppers: &'static str,
    ledger_away: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { listen: true, peppers: PEPPER, ledger_away: false }
    }
}

impl Replica {
    fn on(database: &TestDatabase, setup: &Setup) -> Self {
        static SEED: AtomicU64 = AtomicU64::new(1);
        let io = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let options = StoreOptions { connections_max: 8, ..StoreOptions::new(database.app_url.clone()) };
        let store = Store::new(options, io.handle().clone()).unwrap();
        let treasury = Arc::new(Remembering { away: AtomicBool::new(setup.ledger_away), ..Remembering::default() });
        let clock = Arc::new(TurnedClock::default());
        let arbiters = Arbiters::start().unwrap();
        let supervision =
            Supervision { policy: RestartPolicy::default(), on_exhausted: Arc::new(|name| panic!("{name} is given up")) };
        let options = IdentityOptions {
            peppers: Peppers::parse(&setup.peppers.to_owned().into()).unwrap(),
            signup_credits: Nanos::from_whole_usd(10),
            trial: TrialTerms { days: 3, tokens: 100_000, requests: 1_000 },
            default_limits: LIMITS,
            register_per_hour: 0,
            listen: setup.listen,
        };
        let rng = StdRng::seed_from_u64(SEED.fetch_add(1, Ordering::SeqCst) + (u64::from(std::process::id()) << 32));
        let deps = IdentityDeps { store, clock: clock.clone(), treasury: treasury.clone(), rng };
        let identity = identity::start(&arbiters.hot, &supervision, options, deps);
        Self { identity, treasury, clock, io: Some(io), arbiters: Some(arbiters) }
    }

    async fn register(&self, name: &str) -> Registration {
        self.identity.register(registration(name)).await.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The caller, once this replica knows them.
    async fn caller(&self, key: &str) -> Arc<Caller> {
        self.identity.find_key(key).await.unwrap_or_else(|error| panic!("a known key: {error}"))
    }

    async fn drain(mut self) {
        self.identity.drain(Duration::from_secs(10)).await.expect("identity drains");
        if let Some(arbiters) = self.arbiters.take() {
            assert!(arbiters.stop(Duration::from_secs(5)).await);
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Some(io) = self.io.take() {
            io.shutdown_background();
        }
    }
}

fn registration(name: &str) -> Register {
    Register {
        username: name.to_owned(),
        email: format!("{name}@example.org"),
        auth_method: "email".to_owned(),
        environment: Environment::Live,
        key_name: "Primary Key".to_owned(),
        credits: None,
        address: None,
    }
}

fn another_key(user: UserId, max_requests: Option<i64>) -> CreateKey {
    CreateKey {
        user,
        key_name: Uuid::now_v7().to_string(),
        environment: Environment::Test,
        scope_permissions: json!({"read": ["*"]}),
        expiration_days: None,
        max_requests,
        ip_allowlist: Vec::new(),
        domain_referrers: Vec::new(),
        models: Vec::new(),
        budget: None,
    }
}

#[actix_web::test]
async fn a_registration_makes_everything_that_a_user_has_and_keeps_no_key() {
    let database = TestDatabase::create().await;
    let replica = Replica::on(&database, &Setup::default());
    let ada = replica.register("ada").await;
    let key = ada.api_key.expose_secret();
    assert_eq!((ada.credits, ada.subscription_status), (Nanos::from_whole_usd(10), "trial"));
    assert_eq!(database.number("SELECT count(*) FROM accounts WHERE user_id IS NOT NULL AND posted = 0").await, 4);
    assert_eq!(
        database
            .number(
                "SELECT count(*) FROM user_plans p JOIN plans ON plans.id = plan_id WHERE plan_type = 'free' AND end_date IS NULL"
            )
            .await,
        1
    );
    assert_eq!(database.number("SELECT count(*) FROM api_key_audit_logs WHERE action = 'create'").await, 1);
    assert_eq!(database.number("SELECT count(*) FROM users WHERE pending_grant_nanos IS NOT NULL").await, 0);
    let dump = database
        .connect()
        .await
        .query_one(
            "SELECT (SELECT json_agg(k) FROM api_keys k)::text || (SELECT json_agg(l) FROM api_key_audit_logs l)::text",
            &[],
        )
        .await
        .unwrap();
    assert!(!dump.get::<_, String>(0).contains(&key[12..]), "a key is in the database");
    let caller = replica.caller(key).await;
    assert_eq!((caller.user, caller.plan.name.as_str(), caller.limits), (ada.user, "Free", LIMITS));
    assert_eq!(
        caller.trial.as_ref().map(|trial| (trial.tokens_remaining(), trial.expires_at.timestamp_micros())),
        ada.trial_expires_at.map(|end| (100_000, end.timestamp_micros()))
    );
    let credits = replica.treasury.credits.lock().unwrap();
    assert_eq!(
        credits.iter().map(|credit| (credit.kind, credit.amount)).collect::<Vec<_>>(),
        [("trial", Nanos::from_whole_usd(10))]
    );
}

#[actix_web::test]
async fn a_taken_name_or_address_is_told_apart_and_leaves_nothing_behind() {
    let database = TestDatabase::create().await;
    let replica = Replica::on(&database, &Setup::default());
    replica.register("ada").await;
    let same_name = Register { email: "other@example.org".to_owned(), ..registration("ada") };
    let same_address = Register { email: "ADA@Example.org".to_owned(), ..registration("eve") };
    let too_much = Register { credits: Some(Nanos::from_whole_usd(11)), ..registration("eve") };
    assert_eq!(replica.identity.register(same_name).await.err(), Some(IdentityError::UsernameTaken));
    assert_eq!(replica.identity.register(same_address).await.err(), Some(IdentityError::EmailTaken));
    assert_eq!(replica.identity.register(too_much).await.err(), Some(IdentityError::GrantTooLarge(Nanos::from_whole_usd(10))));
    assert_eq!(database.number("SELECT count(*) FROM users").await, 1);
    assert_eq!(database.number("SELECT count(*) FROM accounts WHERE user_id IS NOT NULL").await, 4);
    let less = Register { credits: Some(Nanos::from_whole_usd(2)), ..registration("eve") };
    assert_eq!(replica.identity.register(less).await.unwrap().credits, Nanos::from_whole_usd(2));
}

#[actix_web::test]
async fn a_hundred_registrations_of_one_name_make_one_user() {
    let database = TestDatabase::create().await;
    let replica = Replica::on(&database, &Setup::default());
    let all = join_all((0..100).map(|_| replica.identity.register(registration("ada")))).await;
    assert_eq!(all.iter().filter(|registered| registered.is_ok()).count(), 1);
    assert!(
        all.iter().all(|registered| matches!(registered, Ok(_) | Err(IdentityError::UsernameTaken | IdentityError::EmailTaken)))
    );
}

#[actix_web::test]
async fn sign_up_credits_that_a_crash_left_open_are_granted_at_the_next_start_once() {
    let database = TestDatabase::create().await;
    let broken = Replica::on(&database, &Setup { ledger_away: true, ..Setup::default() });
    let ada = broken.register("ada").await;
    assert_eq!(ada.credits, Nanos::ZERO, "not granted yet");
    drop(broken);
    let next = Replica::on(&database, &Setup::default());
    eventually("the grant", async || {
        (database.number("SELECT count(*) FROM users WHERE pending_grant_nanos IS NOT NULL").await == 0).then_some(())
    })
    .await;
    let ids: HashSet<_> = next.treasury.credits.lock().unwrap().iter().map(|credit| credit.id).collect();
    assert_eq!(ids.len(), 1, "however often it was tried, it is one operation");
}

/// How long after its deletion on one replica the key is still accepted by the other, which uses it all the time.
async fn refused_after(by: &Replica, on: &Replica, user: UserId, key_id: KeyId, key: &str) -> Duration {
    by.identity.delete_key(user, key_id).await.unwrap();
    let deleted = Instant::now();
    assert_eq!(by.identity.find_key(key).await.err(), Some(IdentityError::UnknownKey), "at once where it was deleted");
    while on.identity.find_key(key).await.is_ok() {
        assert!(deleted.elapsed() < Duration::from_secs(5), "a deleted key is still accepted");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    deleted.elapsed()
}

/// K1's bar.
const WITHIN: Duration = Duration::from_millis(1_000);

async fn revocation(listen: bool) -> Duration {
    let database = TestDatabase::create().await;
    let one = Replica::on(&database, &Setup { listen, ..Setup::default() });
    let two = Replica::on(&database, &Setup { listen, ..Setup::default() });
    let ada = one.register("ada").await;
    let mut longest = Duration::ZERO;
    for _ in 0..4 {
        let made = one.identity.create_key(another_key(ada.user, None)).await.unwrap();
        let key = made.api_key.expose_secret();
        two.caller(key).await;
        longest = longest.max(refused_after(&one, &two, ada.user, KeyId(made.row.id), key).await);
    }
    longest
}

#[actix_web::test]
async fn a_revoked_key_is_refused_within_a_second_on_the_other_replica() {
    let longest = revocation(true).await;
    println!("K1: refused after {longest:?} with NOTIFY");
    assert!(longest <= WITHIN, "{longest:?}");
}

#[actix_web::test]
async fn a_revoked_key_is_refused_within_a_second_with_notify_cut() {
    let longest = revocation(false).await;
    println!("K1: refused after {longest:?} with NOTIFY cut");
    assert!(longest <= WITHIN, "{longest:?}");
}

#[actix_web::test]
async fn a_revoked_key_is_refused_within_a_second_without_a_follower() {
    let database = TestDatabase::create().await;
    // No replica can read the changes: each follower fails again and again, and what it might be notified of is lost.
    database.connect().await.batch_execute("REVOKE SELECT ON identity_changes FROM tollgate_app").await.unwrap();
    let (one, two) = (Replica::on(&database, &Setup::default()), Replica::on(&database, &Setup::default()));
    let ada = one.register("ada").await;
    let mut longest = Duration::ZERO;
    for _ in 0..3 {
        let made = one.identity.create_key(another_key(ada.user, None)).await.unwrap();
        let key = made.api_key.expose_secret();
        two.caller(key).await;
        longest = longest.max(refused_after(&one, &two, ada.user, KeyId(made.row.id), key).await);
    }
    assert!(longest >= Duration::from_millis(300), "{longest:?}: somebody follows after all");
    println!("K1: refused after {longest:?} without a follower");
    assert!(longest <= WITHIN, "{longest:?}");
}

#[actix_web::test]
async fn changes_of_limits_plan_and_trial_are_seen_on_the_other_replica() {
    let database = TestDatabase::create().await;
    let (one, two) = (Replica::on(&database, &Setup::default()), Replica::on(&database, &Setup::default()));
    let ada = one.register("ada").await;
    let key = ada.api_key.expose_secret();
    assert!(two.caller(key).await.trial.is_some());
    let limits = NewLimits { requests_per_minute: 7, burst: Some(3), concurrency: None, ..new_limits() };
    let target = LimitTarget::AllKeysOf(ada.user);
    assert_eq!(one.identity.set_limits(SetLimits { target, limits, by: SetBy::Operator(Actor::Operator) }).await, Ok(1));
    let expected = RateLimits { requests_per_minute: 7, burst: 3, ..LIMITS };
    eventually("the limits", async || (two.caller(key).await.limits == expected).then_some(())).await;
    let team = database.number("SELECT id FROM plans WHERE plan_type = 'team'").await;
    assert_eq!(
        one.identity.assign_plan(AssignPlan { by: Actor::Operator, user: ada.user, plan: PlanId(team), months: 1 }).await,
        Ok("Team".to_owned())
    );
    eventually("the plan", async || (two.caller(key).await.plan.name == "Team").then_some(())).await;
    assert!(two.caller(key).await.trial.is_none(), "an assigned plan ends the trial");
    assert_eq!(database.number("SELECT count(*) FROM user_plans WHERE is_active").await, 1);
    let unknown = one.identity.assign_plan(AssignPlan { by: Actor::Operator, user: ada.user, plan: PlanId(-1), months: 1 }).await;
    assert_eq!(unknown, Err(IdentityError::UnknownPlan(PlanId(-1))));
    assert_eq!(database.number("SELECT count(*) FROM user_plans WHERE is_active").await, 1);
}

fn new_limits() -> NewLimits {
    NewLimits {
        requests_per_minute: LIMITS.requests_per_minute,
        requests_per_hour: LIMITS.requests_per_hour,
        requests_per_day: LIMITS.requests_per_day,
        tokens_per_minute: LIMITS.tokens_per_minute,
        tokens_per_hour: LIMITS.tokens_per_hour,
        tokens_per_day: LIMITS.tokens_per_day,
        burst: None,
        concurrency: None,
    }
}

#[actix_web::test]
async fn credits_from_the_operator_end_the_trial() {
    let database = TestDatabase::create().await;
    let replica = Replica::on(&database, &Setup::default());
    let ada = replica.register("ada").await;
    let add = AddCredits {
        id: OperationId(Uuid::now_v7()),
        by: Actor::Operator,
        user: ada.user,
        amount: Nanos(1),
        reason: "sorry".to_owned(),
    };
    replica.identity.add_credits(add).await.unwrap();
    let caller = replica.caller(ada.api_key.expose_secret()).await;
    assert!(caller.trial.is_none());
    assert_eq!(caller.subscription_status, "active");
    let nobody = AddCredits {
        id: OperationId(Uuid::now_v7()),
        by: Actor::Operator,
        user: UserId(-1),
        amount: Nanos(1),
        reason: String::new(),
    };
    assert_eq!(replica.identity.add_credits(nobody).await, Err(IdentityError::UnknownUser));
}

#[actix_web::test]
async fn a_key_with_a_cap_makes_exactly_as_many_requests_over_two_replicas() {
    let database = TestDatabase::create().await;
    let (one, two) = (Replica::on(&database, &Setup::default()), Replica::on(&database, &Setup::default()));
    let ada = one.register("ada").await;
    let made = one.identity.create_key(another_key(ada.user, Some(10))).await.unwrap();
    let key = made.api_key.expose_secret();
    let (at_one, at_two) = (one.caller(key).await, two.caller(key).await);
    let taken = join_all((0..60).map(|turn| {
        let (replica, caller) = if turn % 2 == 0 { (&one, &at_one) } else { (&two, &at_two) };
        replica.identity.take_request(caller)
    }))
    .await;
    let (slots, refused): (Vec<_>, Vec<_>) = taken.into_iter().partition(Result::is_ok);
    assert_eq!(slots.len(), 10);
    assert!(refused.iter().all(|refusal| matches!(refusal, Err(IdentityError::RequestCap))));
    // Half of them are kept, the others given back.
    for (turn, slot) in slots.into_iter().flatten().enumerate() {
        if turn % 2 == 0 {
            slot.keep();
        }
    }
    let used = format!("SELECT requests_used FROM api_keys WHERE id = {}", made.row.id);
    eventually("a slot that is not kept is given back", async || (database.number(&used).await == 5).then_some(())).await;
}

#[actix_web::test]
async fn counts_are_written_in_batches_and_none_is_lost_on_drain() {
    let database = TestDatabase::create().await;
    let (one, two) = (Replica::on(&database, &Setup::default()), Replica::on(&database, &Setup::default()));
    let ada = one.register("ada").await;
    let key = ada.api_key.expose_secret();
    let (at_one, at_two) = (one.caller(key).await, two.caller(key).await);
    for _ in 0..500 {
        one.identity.used(&at_one);
        two.identity.used(&at_two);
        one.identity.seen(&at_one);
        one.identity.trial_used(&at_one, 7, 1);
        two.identity.trial_used(&at_two, 3, 1);
    }
    assert_eq!(at_one.trial.as_ref().unwrap().tokens_remaining(), 100_000 - 3_500, "counted at once where it happened");
    one.drain().await;
    two.drain().await;
    let user = ada.user;
    assert_eq!(
        database.number(&format!("SELECT requests_used FROM api_keys WHERE user_id = {user} AND last_used_at IS NOT NULL")).await,
        1_000
    );
    assert_eq!(database.number(&format!("SELECT trial_used_tokens FROM users WHERE id = {user}")).await, 5_000);
    assert_eq!(database.number(&format!("SELECT trial_used_requests FROM users WHERE id = {user}")).await, 1_000);
}

#[actix_web::test]
async fn counts_survive_a_database_that_is_away_and_known_keys_are_still_known() {
    let database = TestDatabase::create().await;
    let replica = Replica::on(&database, &Setup::default());
    let ada = replica.register("ada").await;
    let key = ada.api_key.expose_secret();
    let caller = replica.caller(key).await;
    let never_seen = replica.identity.create_key(another_key(ada.user, None)).await.unwrap();
    database.refuse_connections().await;
    (0..10).for_each(|_| replica.identity.used(&caller));
    // Longer than what is believed unfollowed, and than a flush.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(replica.caller(key).await.user, ada.user, "the last known answer");
    assert_eq!(replica.identity.cached(key).map(|caller| caller.user), None, "but it is not sure of it");
    let unseen = never_seen.api_key.expose_secret();
    assert_eq!(replica.identity.find_key(unseen).await.err(), Some(IdentityError::Unavailable));
    database.accept_connections().await;
    replica.drain().await;
    assert_eq!(database.number("SELECT sum(requests_used)::bigint FROM api_keys").await, 10);
}

#[actix_web::test]
async fn keys_of_an_older_pepper_are_found_under_the_newer_one() {
    let database = TestDatabase::create().await;
    let old = Replica::on(&database, &Setup::default());
    let ada = old.register("ada").await;
    drop(old);
    let new = Replica::on(&database, &Setup { peppers: TWO_PEPPERS, ..Setup::default() });
    let key = ada.api_key.expose_secret();
    assert_eq!(new.caller(key).await.user, ada.user);
    assert_eq!(new.identity.cached(key).map(|caller| caller.user), Some(ada.user));
    new.register("eve").await;
    assert_eq!(database.number("SELECT pepper_version::bigint FROM api_keys ORDER BY id DESC LIMIT 1").await, 2);
}

#[actix_web::test]
async fn a_typo_and_a_stranger_are_unknown() {
    let database = TestDatabase::create().await;
    let (replica, other) = (Replica::on(&database, &Setup::default()), Replica::on(&database, &Setup::default()));
    let ada = other.register("ada").await;
    let gone = other.identity.create_key(another_key(ada.user, None)).await.unwrap();
    other.identity.delete_key(ada.user, KeyId(gone.row.id)).await.unwrap();
    let stranger = gone.api_key.expose_secret();
    let typo = format!("{}{}", &stranger[..stranger.len() - 1], if stranger.ends_with('A') { 'B' } else { 'A' });
    for key in ["", "gw_live_", "sk-1234", stranger, &typo] {
        assert_eq!(replica.identity.find_key(key).await.err(), Some(IdentityError::UnknownKey), "{key}");
    }
}

#[actix_web::test]
async fn a_turned_clock_does_not_make_a_key_stale_or_fresh() {
    let database = TestDatabase::create().await;
    let replica = Replica::on(&database, &Setup::default());
    let ada = replica.register("ada").await;
    let key = ada.api_key.expose_secret();
    replica.caller(key).await;
    replica.clock.advance(Duration::from_secs(86_400));
    assert!(replica.identity.find_key(key).await.is_ok());
}
