//! What needs no database; the rest is in `tests/identity`.

use super::cache::{CallerCache, Found};
use super::checks::{self, Origin};
use super::*;
use chrono::{DateTime, Utc};
use rand::SeedableRng;
use rand::rngs::StdRng;
use secrecy::ExposeSecret;
use serde_json::json;
use std::net::IpAddr;
use std::time::Instant;
use tollgate_domain::AccountId;
use tollgate_store::api_keys::{CallerRow, PreviousSecret};
use tollgate_store::ledger::BudgetRow;

pub(crate) const NOON: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");

const DEFAULTS: CallerDefaults = CallerDefaults {
    limits: RateLimits {
        requests_per_minute: 60,
        requests_per_hour: 1_000,
        requests_per_day: 10_000,
        tokens_per_minute: 10_000,
        tokens_per_hour: 100_000,
        tokens_per_day: 1_000_000,
        burst: 60,
        concurrency: 10,
    },
    trial: TrialTerms { days: 3, tokens: 100_000, requests: 1_000 },
};

/// A caller who may do everything, but for what `change` takes away.
pub(crate) fn caller(change: impl FnOnce(&mut CallerRow)) -> Caller {
    let key = KeyRow {
        id: 1,
        user_id: 1,
        masked: "gw_live_ab...".to_owned(),
        last4: "wxyz".to_owned(),
        key_name: "Primary Key".to_owned(),
        environment_tag: "live".to_owned(),
        is_primary: true,
        is_active: true,
        scope_permissions: json!({}),
        ip_allowlist: Vec::new(),
        domain_referrers: Vec::new(),
        model_allowlist: Vec::new(),
        expiration_date: None,
        max_requests: None,
        requests_used: 0,
        last_used_at: None,
        created_at: NOON,
        is_session: false,
        updated_at: NOON,
        rotated_at: None,
        previous: PreviousSecret::default(),
        budget: BudgetRow { budget_nanos: None, budget_period: None, budget_since: None },
    };
    let user = UserRow {
        id: 1,
        public_id: "0123456789abcdef01234567".to_owned(),
        username: "ada".to_owned(),
        email: "ada@example.org".to_owned(),
        auth_method: "email".to_owned(),
        is_active: true,
        is_admin: false,
        subscription_status: "active".to_owned(),
        trial_expires_at: None,
        trial_used_tokens: 0,
        trial_used_requests: 0,
        registration_date: NOON,
        created_at: NOON,
        updated_at: NOON,
    };
    let accounts = DollarAccounts { credits: AccountId(1), debt: AccountId(2) };
    let mut row = CallerRow { key, has_previous_secret: false, user, limits: None, plan: None, accounts };
    change(&mut row);
    Caller::from_row(row, &DEFAULTS, None)
}

/// A caller whose trial ends a day after noon.
pub(crate) fn caller_on_trial(tokens_max: i64, requests_max: i64) -> Caller {
    let meter = Arc::new(TrialMeter::new(UserId(1)));
    let trial = Trial { expires_at: NOON + chrono::TimeDelta::days(1), tokens_max, requests_max, meter };
    Caller { trial: Some(trial), ..caller(|_| ()) }
}

/// K1. The bar has slack for unoptimised builds and shared machines; the figure is printed.
#[test]
fn known_keys_are_checked_from_memory_fast() {
    const CHECKS: u32 = 100_000;
    let bar_per_s = if cfg!(debug_assertions) { 20_000.0 } else { 200_000.0 };
    let list = format!("v1:{}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32]));
    let peppers = Peppers::parse(&list.into()).expect("a pepper");
    let minted: Vec<_> = (0..1_000).map(|seed| peppers.mint(keys::Environment::Live, &mut StdRng::seed_from_u64(seed))).collect();
    let cache = CallerCache::new();
    for key in &minted {
        cache.put(key.hash, Some(Arc::new(caller(|_| ()))), cache.freshness.now());
    }
    let origin = Origin { address: IpAddr::from([192, 0, 2, 1]), site: None };
    let mut best_per_s = 0.0_f64;
    // A neighbour may take the core away; the best of three rounds is this code's.
    for _ in 0..3 {
        let started = Instant::now();
        cache.freshness.followed(cache.freshness.now());
        let allowed = (0..CHECKS).zip(minted.iter().cycle()).filter(|(_, key)| {
            let presented = key.secret.expose_secret();
            cache.freshness.followed(cache.freshness.now());
            keys::is_well_formed(presented)
                && matches!(cache.get(&peppers.hash(presented)), Found::Caller(caller) if checks::check(&caller, origin, NOON).is_ok())
        });
        assert_eq!(allowed.count(), 100_000);
        best_per_s = best_per_s.max(f64::from(CHECKS) / started.elapsed().as_secs_f64());
    }
    println!("K1: {best_per_s:.0} key checks/s on one core");
    assert!(best_per_s >= bar_per_s, "{best_per_s:.0}/s, wanted {bar_per_s:.0}/s");
}

#[test]
fn an_unknown_key_stays_unknown_for_a_moment_and_a_known_one_replaces_it() {
    let cache = CallerCache::new();
    let hash = keys::KeyHash([1; 32]);
    assert!(matches!(cache.get(&hash), Found::Nothing));
    cache.put(hash, None, cache.freshness.now());
    assert!(matches!(cache.get(&hash), Found::Unknown));
    cache.put(hash, Some(Arc::new(caller(|_| ()))), cache.freshness.now());
    assert!(matches!(cache.get(&hash), Found::Caller(_)));
    cache.freshness.mark(UserId(1));
    assert!(matches!(cache.get(&hash), Found::Stale(_)));
}

#[test]
fn a_plan_that_has_ended_leaves_the_limits_of_none() {
    let on_plan = caller(|row| {
        let plan = tollgate_store::plans::PlanRow {
            id: 2,
            plan_type: "dev".to_owned(),
            name: "Dev".to_owned(),
            description: String::new(),
            daily_request_limit: 10_000,
            monthly_request_limit: 300_000,
            daily_token_limit: 1_000_000,
            monthly_token_limit: 10_000_000,
            price_per_month_nanos: 0,
            yearly_price_nanos: None,
            price_per_million_nanos: None,
            is_pay_as_you_go: false,
            max_concurrent_requests: 15,
            features: json!([]),
            is_active: true,
        };
        let end_date = Some(NOON + chrono::TimeDelta::days(30));
        let user_plan = tollgate_store::plans::UserPlanRow { id: 1, user_id: 1, plan_id: 2, start_date: NOON, end_date };
        row.plan = Some((user_plan, plan));
    });
    let end = on_plan.plan.ends_at.expect("an end");
    assert_eq!(on_plan.plan.limits(end - chrono::TimeDelta::nanoseconds(1)).requests_per_day, 10_000);
    assert_eq!(on_plan.plan.limits(end), caller::WITHOUT_PLAN);
    assert_eq!(caller(|_| ()).plan.limits(NOON), caller::WITHOUT_PLAN);
}
