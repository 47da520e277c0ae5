//! The ledger's rules and its writer against stand-ins in memory (promise L4).
//!
//! Every random check prints its seed when it fails; `SEED=<it>` runs that one alone, `CHAOS=long` ten times as many.

mod fake_database;
mod leases;
mod model;
mod rules;
mod simulation;
mod tables;

use super::messages::{Asset, CallRecord, UserAccounts};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;
use tollgate_domain::{AccountId, GatewayId, Nanos, TokenUsage, UserId};

/// Runs the check with that many seeds.
fn for_each_seed(what: &str, push: u64, check: impl Fn(u64, StdRng)) {
    let chosen = std::env::var("SEED").ok().map(|seed| seed.parse::<u64>().expect("SEED is a number"));
    let long = std::env::var("CHAOS").is_ok_and(|size| size == "long");
    let seeds = chosen.map_or(0..if long { 10 * push } else { push }, |seed| seed..seed + 1);
    let count = seeds.clone().count();
    for seed in seeds {
        let run = catch_unwind(AssertUnwindSafe(|| check(seed, StdRng::seed_from_u64(seed))));
        if let Err(failure) = run {
            eprintln!("failed with SEED={seed}");
            resume_unwind(failure);
        }
    }
    println!("promise L4: {count} {what}, 0 differences");
}

/// True once in `in_all` times.
fn once_in(dice: &mut StdRng, in_all: u32) -> bool {
    dice.random_range(0..in_all) == 0
}

/// The accounts of one of the tests' users: dollars for even ones, tokens for odd ones.
fn accounts_of_user(user: i64) -> UserAccounts {
    UserAccounts {
        user: UserId(user),
        asset: if user % 2 == 0 { Asset::Usd } else { Asset::Tokens },
        credits: AccountId(100 + 2 * user),
        debt: AccountId(101 + 2 * user),
    }
}

/// The sub-account of a budget that some of the user's holds are made under; it begins with this much.
fn budget_of_user(user: i64) -> AccountId {
    AccountId(1_000 + user)
}
const BUDGET: i64 = 60;

fn record_of(cost: i64) -> CallRecord {
    CallRecord {
        model: "test/model".to_owned(),
        gateway: GatewayId::OpenRouter,
        usage: TokenUsage { prompt: 3, completion: 4, ..TokenUsage::default() },
        cost: Nanos(cost),
        latency: Duration::from_millis(5),
        estimated: false,
        streamed: true,
        finish_reason: "stop".to_owned(),
        provider: "Other".into(),
        session_id: None,
    }
}
