//! The fields of a key that owners give, checked alike for a new key and for a changed one.

use crate::http::error::{ApiError, FieldError};
use crate::http::principal::insufficient;
use crate::http::{dollars, text};
use serde_json::{Number, Value, json};
use std::collections::BTreeMap;
use tollgate_actors::identity::checks::{Scopes, parse_domain, parse_net};
use tollgate_actors::identity::keys::Environment;
use tollgate_actors::identity::{Caller, IdentityError};
use tollgate_domain::{BudgetPeriod, Nanos};

/// A century; longer is for ever.
const EXPIRATION_DAYS_MAX: i64 = 36_500;

/// Entries of a list; a key that needs more should name networks, or the beginnings of models' names.
const ENTRIES_MAX: usize = 100;

/// More is no limit.
const BUDGET_MAX: Nanos = Nanos::from_whole_usd(1_000_000_000);

/// Verb to resources.
pub type ScopePermissions = BTreeMap<String, Vec<String>>;

pub fn environment(tag: &str) -> Result<Environment, ApiError> {
    Environment::parse(tag).ok_or_else(|| {
        let tags = listed(Environment::ALL.map(Environment::tag));
        ApiError::bad_request(format!("Invalid environment tag. Must be one of: [{tags}]"))
    })
}

pub fn listed<const N: usize>(words: [&str; N]) -> String {
    words.map(|word| format!("'{word}'")).join(", ")
}

pub fn key_name(name: &str) -> Result<String, ApiError> {
    let [name] = text::all([text::short("key_name", name)])?;
    Ok(name)
}

pub fn expiration_days(days: i64) -> Result<i64, ApiError> {
    match days {
        ..=0 => Err(ApiError::bad_request("Expiration days must be positive")),
        days if days > EXPIRATION_DAYS_MAX => {
            Err(ApiError::bad_request(format!("Expiration days must be at most {EXPIRATION_DAYS_MAX}")))
        }
        days => Ok(days),
    }
}

pub fn max_requests(most: i64) -> Result<i64, ApiError> {
    if most <= 0 { Err(ApiError::bad_request("Max requests must be positive")) } else { Ok(most) }
}

/// A key can't grant more than it may do itself: else a key with a narrow scope would be a wide one.
pub fn scopes(asked: &ScopePermissions, caller: &Caller) -> Result<Value, ApiError> {
    let asked = json!(asked);
    let text = asked.to_string();
    if text.len() > 16_384 || text.contains("\\u0000") {
        return Err(ApiError::unprocessable(vec![FieldError::of_body("scope_permissions", "Not a list of scopes", Value::Null)]));
    }
    // Mutant: leaving this out turns `a_key_makes_no_key_that_may_do_more_than_itself` red.
    if caller.scopes.cover(&Scopes::from_json(&asked)) { Ok(asked) } else { Err(insufficient("grant", "these_scopes")) }
}

pub fn ip_allowlist(entries: &[String]) -> Result<Vec<String>, ApiError> {
    list("ip_allowlist", entries, "IP address or network", |entry| parse_net(entry).is_some())
}

pub fn domain_referrers(entries: &[String]) -> Result<Vec<String>, ApiError> {
    list("domain_referrers", entries, "domain", |entry| parse_domain(entry).is_some())
}

pub fn allowed_models(entries: &[String]) -> Result<Vec<String>, ApiError> {
    let is_model = |entry: &str| entry.chars().count() <= text::CHARS_MAX && !entry.contains([' ', '"']);
    list("allowed_models", entries, "model", |entry| is_model(entry) && !entry.chars().any(char::is_control))
}

fn list(field: &'static str, entries: &[String], what: &str, good: impl Fn(&str) -> bool) -> Result<Vec<String>, ApiError> {
    if entries.len() > ENTRIES_MAX {
        let msg = format!("List should have at most {ENTRIES_MAX} items");
        return Err(ApiError::unprocessable(vec![FieldError::of_body(field, msg, Value::Null)]));
    }
    let entries: Vec<String> = entries.iter().map(|entry| entry.trim().to_owned()).filter(|entry| !entry.is_empty()).collect();
    match entries.iter().find(|entry| !good(entry)) {
        Some(bad) => Err(ApiError::bad_request(format!("Invalid {what}: {}", bad.escape_debug().take(60).collect::<String>()))),
        None => Ok(entries),
    }
}

pub fn budget(dollars: &Number) -> Result<Nanos, ApiError> {
    if dollars.as_f64().is_some_and(|dollars| dollars <= 0.0) {
        return Err(ApiError::bad_request("Budget must be positive"));
    }
    let budget = dollars::parse(dollars).map_err(|error| ApiError::bad_request(format!("Budget: {error}")))?;
    if budget > BUDGET_MAX { Err(ApiError::bad_request(format!("Budget must be at most {BUDGET_MAX}"))) } else { Ok(budget) }
}

pub fn budget_period(period: &str) -> Result<BudgetPeriod, ApiError> {
    BudgetPeriod::parse(period).ok_or_else(|| {
        let periods = listed(BudgetPeriod::ALL.map(BudgetPeriod::as_str));
        ApiError::bad_request(format!("Invalid budget period. Must be one of: [{periods}]"))
    })
}

/// What identity refuses, as these doors say it.
pub fn refusal(error: IdentityError, key_name: &str) -> ApiError {
    match error {
        IdentityError::UnknownKey => ApiError::not_found("API key not found"),
        IdentityError::KeyNameTaken => {
            ApiError::bad_request(format!("Key name '{key_name}' already exists for this user. Please choose a different name."))
        }
        error => error.into(),
    }
}
