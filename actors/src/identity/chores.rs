//! What changes users and keys: each a plain function over the store and the ledger, run by the actor.

use super::caller::{Caller, dollars_of};
use super::keys::{Environment, MintedKey};
use super::messages::{
    AddCredits, AssignPlan, CreateKey, CreatedKey, IdentityError, LimitTarget, Register, Registration, SetLimits,
};
use super::{RequestSlot, Shared};
use crate::ledger::{Balance, Credit, LedgerError, Source};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tollgate_domain::{Budget, KeyId, Nanos, OperationId, UserId};
use tollgate_store::api_keys::{self, KeyRow, NewKey};
use tollgate_store::users::{DollarAccounts, NewUser};
use tollgate_store::{audit, identity_changes, plans, rate_limits, users};
use uuid::Uuid;

/// Every sign-up grant's id is this and the user's id, so that a user is granted one, however often it is tried.
const SIGNUP_GRANTS: u128 = 0x7369_676e_2d75_7020_0000_0000_0000_0000;

/// How often a grant is tried before the next start, or the next minute, has to do it.
const GRANT_TRIES: u32 = 4;
const GRANT_PAUSE: Duration = Duration::from_millis(50);

/// Pending grants older than this are the operator's to look at.
const PENDING_MAX: TimeDelta = TimeDelta::days(1);

/// Pending grants made good in one go.
const PENDING_BATCH: i64 = 1_000;

/// Changes that no replica reads any more.
const CHANGES_KEPT: Duration = Duration::from_secs(3_600);

/// Someone who is to have an account.
pub(super) struct Applicant<'a> {
    pub username: &'a str,
    pub email: &'a str,
    pub name: Option<&'a str>,
    pub privy_user_id: Option<&'a str>,
    pub auth_method: &'a str,
    pub environment: Environment,
    pub key_name: &'a str,
    pub credits: Option<Nanos>,
}

/// What an applicant got.
pub(super) struct Enrolled {
    pub user: UserId,
    pub key: KeyId,
    pub accounts: DollarAccounts,
    pub credits: Nanos,
    pub trial_expires_at: Option<DateTime<Utc>>,
    pub enrolled_at: DateTime<Utc>,
}

pub(super) async fn register(shared: Arc<Shared>, register: Register, minted: MintedKey) -> Result<Registration, IdentityError> {
    let applicant = Applicant {
        username: &register.username,
        email: &register.email,
        name: None,
        privy_user_id: None,
        auth_method: &register.auth_method,
        environment: register.environment,
        key_name: &register.key_name,
        credits: register.credits,
    };
    let enrolled = enrol(&shared, &applicant, &minted).await?;
    Ok(Registration {
        user: enrolled.user,
        key: enrolled.key,
        api_key: minted.secret,
        credits: enrolled.credits,
        subscription_status: if enrolled.trial_expires_at.is_some() { "trial" } else { "active" },
        trial_expires_at: enrolled.trial_expires_at,
        registered_at: enrolled.enrolled_at,
    })
}

/// Makes the account and grants the sign-up credits. The two are separate commits; `pending_grant` bridges them.
pub(super) async fn enrol(shared: &Shared, applicant: &Applicant<'_>, minted: &MintedKey) -> Result<Enrolled, IdentityError> {
    let (now, options) = (shared.clock.now(), &shared.options);
    let grant = grant_of(applicant.credits, options.signup_credits)?;
    let trial_expires_at = (options.trial.days > 0).then(|| days_after(now, options.trial.days));
    let new = NewUser {
        username: applicant.username,
        email: applicant.email,
        name: applicant.name,
        privy_user_id: applicant.privy_user_id,
        auth_method: applicant.auth_method,
        trial_expires_at,
        pending_grant: (grant > Nanos::ZERO).then_some(grant),
        key: NewKey {
            key_hash: &minted.hash.0,
            pepper_version: minted.pepper_version,
            masked: &minted.masked,
            last4: &minted.last4,
            key_name: applicant.key_name,
            environment_tag: applicant.environment.tag(),
            is_primary: true,
            scope_permissions: json!({"read": ["*"], "write": ["*"], "admin": ["*"]}),
            ip_allowlist: &[],
            domain_referrers: &[],
            model_allowlist: &[],
            expiration_days: None,
            expiration_date: None,
            max_requests: None,
            budget: None,
            is_session: false,
        },
    };
    let registered = users::register(&shared.store, &new, now).await?;
    let credits = if new.pending_grant.is_some() {
        // Not an error of the registration: the user is there, and the credits will be.
        grant_signup(shared, registered.user, registered.accounts, grant).await.unwrap_or(Nanos::ZERO)
    } else {
        Nanos::ZERO
    };
    let (user, key, accounts) = (registered.user, registered.key, registered.accounts);
    Ok(Enrolled { user, key, accounts, credits, trial_expires_at, enrolled_at: now })
}

/// What is granted to someone who asked for `asked`: at most what the settings give.
fn grant_of(asked: Option<Nanos>, signup_credits: Nanos) -> Result<Nanos, IdentityError> {
    let grant = asked.unwrap_or(signup_credits);
    if grant > signup_credits { Err(IdentityError::GrantTooLarge(signup_credits)) } else { Ok(grant) }
}

/// Credits the sign-up grant and notes it. `None` when that has to wait.
async fn grant_signup(shared: &Shared, user: UserId, accounts: DollarAccounts, amount: Nanos) -> Option<Nanos> {
    let unsigned = u128::try_from(user.0).unwrap_or_default();
    let credit = Credit {
        id: OperationId(Uuid::from_u128(SIGNUP_GRANTS | unsigned)),
        accounts: dollars_of(user, accounts),
        amount,
        source: Source::Grants,
        kind: "trial",
        description: "Sign-up credits".to_owned(),
    };
    for attempt in 0..GRANT_TRIES {
        match shared.treasury.credit(credit.clone()).await {
            Ok(balance) => {
                if let Err(error) = users::grant_done(&shared.store, user).await {
                    tracing::warn!(%user, %error, "sign-up credits granted, but not noted; granting again has no effect");
                }
                return Some(balance.credits);
            }
            Err(error @ (LedgerError::Overloaded | LedgerError::Unavailable)) => {
                tracing::warn!(%user, %error, attempt, "sign-up credits not granted yet");
                tokio::time::sleep(GRANT_PAUSE.saturating_mul(2_u32.saturating_pow(attempt))).await;
            }
            Err(error) => {
                tracing::error!(%user, %error, "sign-up credits refused");
                return None;
            }
        }
    }
    None
}

/// Grants the sign-up credits that a crash or a ledger that was away has left open. Each has one effect, however many
/// replicas try.
pub(super) async fn grant_pending(shared: &Shared) -> Result<usize, IdentityError> {
    let from = shared.clock.now() - PENDING_MAX;
    let pending = users::pending_grants(&shared.store, from, PENDING_BATCH).await?;
    for grant in &pending {
        if grant_signup(shared, grant.user, grant.accounts, grant.amount).await.is_none() {
            break;
        }
    }
    Ok(pending.len())
}

/// Forgets changes that everyone has seen.
pub(super) async fn prune_changes(shared: &Shared) -> Result<usize, IdentityError> {
    Ok(identity_changes::prune(&shared.store, CHANGES_KEPT).await?)
}

pub(super) async fn create_key(shared: Arc<Shared>, create: CreateKey, minted: MintedKey) -> Result<CreatedKey, IdentityError> {
    let now = shared.clock.now();
    let max_requests = within_plan(&shared, create.user, create.max_requests).await?;
    let new = NewKey {
        key_hash: &minted.hash.0,
        pepper_version: minted.pepper_version,
        masked: &minted.masked,
        last4: &minted.last4,
        key_name: &create.key_name,
        environment_tag: create.environment.tag(),
        is_primary: false,
        scope_permissions: create.scope_permissions,
        ip_allowlist: &create.ip_allowlist,
        domain_referrers: &create.domain_referrers,
        model_allowlist: &create.models,
        expiration_days: create.expiration_days,
        expiration_date: create.expiration_days.map(|days| days_after(now, days)),
        max_requests,
        budget: create.budget.map(|(limit, period)| Budget { limit, period, since: now }),
        is_session: false,
    };
    let row = api_keys::create(&shared.store, create.user, &new, now).await?;
    Ok(CreatedKey { api_key: minted.secret, row })
}

/// A key's cap is at most what the plan gives in a month.
pub(super) async fn within_plan(shared: &Shared, user: UserId, asked: Option<i64>) -> Result<Option<i64>, IdentityError> {
    let Some(asked) = asked else { return Ok(None) };
    let plan = plans::of_user(&shared.store, user).await?;
    Ok(Some(plan.map_or(asked, |(_, plan)| asked.min(plan.monthly_request_limit))))
}

pub(super) async fn delete_key(shared: Arc<Shared>, user: UserId, key: KeyId) -> Result<KeyRow, IdentityError> {
    let deleted = api_keys::delete(&shared.store, user, key, shared.clock.now()).await?;
    // Here at once; the others learn it from the change.
    shared.cache.freshness.mark(user);
    deleted.ok_or(IdentityError::UnknownKey)
}

pub(super) async fn set_limits(shared: Arc<Shared>, set: SetLimits) -> Result<usize, IdentityError> {
    let (LimitTarget::Keys { user, .. } | LimitTarget::AllKeysOf(user)) = set.target;
    let all: Vec<KeyId> = api_keys::list_with_sessions(&shared.store, user).await?.into_iter().map(|row| KeyId(row.id)).collect();
    let keys = match set.target {
        LimitTarget::Keys { keys, .. } if keys.iter().all(|key| all.contains(key)) => keys,
        LimitTarget::Keys { .. } => return Err(IdentityError::UnknownKey),
        LimitTarget::AllKeysOf(_) => all,
    };
    if keys.is_empty() {
        return Err(IdentityError::UnknownUser);
    }
    let defaults = shared.options.default_limits;
    rate_limits::set(&shared.store, user, &keys, set.limits, set.by, defaults, shared.clock.now()).await?;
    shared.cache.freshness.mark(user);
    Ok(keys.len())
}

pub(super) async fn assign_plan(shared: Arc<Shared>, assign: AssignPlan) -> Result<String, IdentityError> {
    const DAYS_PER_MONTH: i64 = 30;
    let now = shared.clock.now();
    let end = days_after(now, DAYS_PER_MONTH * i64::from(assign.months));
    let plan = plans::assign(&shared.store, assign.by, assign.user, assign.plan, now, end).await?;
    shared.cache.freshness.mark(assign.user);
    Ok(plan.name)
}

pub(super) async fn add_credits(shared: Arc<Shared>, add: AddCredits) -> Result<Balance, IdentityError> {
    let (_, accounts) = users::find(&shared.store, add.user).await?.ok_or(IdentityError::UnknownUser)?;
    // Before the money, which is another commit: nothing is given that the audit rows don't know. What came of it, the ledger tells
    // under the operation's id.
    let details = json!({"operation_id": add.id, "credits": add.amount, "reason": add.reason});
    audit::record(&shared.store, add.by, Some(add.user), "add_credits", details, shared.clock.now()).await?;
    let credit = Credit {
        id: add.id,
        accounts: dollars_of(add.user, accounts),
        amount: add.amount,
        source: Source::Grants,
        kind: "admin_credit",
        description: add.reason,
    };
    let balance = shared.treasury.credit(credit).await?;
    users::end_trial(&shared.store, add.user, shared.clock.now()).await?;
    shared.cache.freshness.mark(add.user);
    Ok(balance)
}

pub(super) async fn take_request(shared: Arc<Shared>, caller: Arc<Caller>) -> Result<RequestSlot, IdentityError> {
    match api_keys::take_request(&shared.store, caller.key, shared.clock.now()).await? {
        Some(used) => {
            caller.meter.set_used(used);
            Ok(RequestSlot { taken: Some((caller, shared)) })
        }
        None => Err(IdentityError::RequestCap),
    }
}

/// Saturates at the end of time: a key that outlives it does not expire.
pub(super) fn days_after(now: DateTime<Utc>, days: i64) -> DateTime<Utc> {
    TimeDelta::try_days(days).and_then(|days| now.checked_add_signed(days)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}
