//! What can be asked of identity, and what it answers.

use super::caller::Caller;
use super::keys::{Environment, KeyHash};
use crate::ledger::{Balance, LedgerError, UserAccounts};
use crate::runtime::AskError;
use actix::Message;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tollgate_domain::{BudgetPeriod, KeyId, Nanos, OperationId, PlanId, UserId};
use tollgate_store::StoreError;
use tollgate_store::api_keys::{BudgetChange, ChangeKeyError, CreateKeyError, KeyRow};
use tollgate_store::audit::Actor;
use tollgate_store::plans::AssignError;
use tollgate_store::rate_limits::{NewLimits, RateLimits, SetBy, SetLimitsError};
use tollgate_store::users::RegisterError;

/// Why identity did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("no such key")]
    UnknownKey,
    #[error("no such user")]
    UnknownUser,
    #[error("no such plan: {0}")]
    UnknownPlan(PlanId),
    #[error("the username is taken")]
    UsernameTaken,
    #[error("the e-mail address has an account")]
    EmailTaken,
    /// Two first sign-ins of one user met, and neither won: try again.
    #[error("the Privy user has an account")]
    PrivyUserTaken,
    /// The operator has shut the user out.
    #[error("the user's account is inactive")]
    InactiveUser,
    #[error("the user has a key of that name")]
    KeyNameTaken,
    /// `initial_credits` may lower the grant, never raise it.
    #[error("at most {0} dollars are granted")]
    GrantTooLarge(Nanos),
    #[error("too many registrations from this address")]
    TooManyRegistrations { retry_after: Duration },
    #[error("the cap is below the requests that the key has made")]
    CapBelowUse,
    #[error("the key has no budget")]
    NoBudget,
    #[error("a key that is not active is not rotated")]
    RotateInactive,
    #[error("a key that has expired is not rotated")]
    RotateExpired,
    /// Whoever learns a key's secret may do what the key may.
    #[error("the key may do more than the one that asks")]
    BeyondScopes,
    #[error("at most {0} keys are rotated at once")]
    TooManyKeys(usize),
    #[error("the key's request limit is reached")]
    RequestCap,
    /// An owner may lower a key's limits, not raise them above what an operator or the settings gave.
    #[error("key {key} may have at most {ceiling:?}")]
    AboveGrant { key: KeyId, ceiling: RateLimits },
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("identity is overloaded")]
    Overloaded,
    /// The database is away, or identity is ending.
    #[error("identity is unavailable")]
    Unavailable,
    /// A defect; the text is for the log.
    #[error("{0}")]
    Defect(String),
}

impl From<AskError> for IdentityError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Overloaded => Self::Overloaded,
            AskError::Closed | AskError::Timeout => Self::Unavailable,
        }
    }
}

impl From<StoreError> for IdentityError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::Unavailable,
            // The account was deleted a moment ago: nothing hangs on it any more.
            StoreError::Constraint { constraint } if constraint.ends_with("_user_id_fkey") => Self::UnknownUser,
            error @ (StoreError::Constraint { .. } | StoreError::Query(_)) => Self::Defect(error.to_string()),
        }
    }
}

impl From<RegisterError> for IdentityError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::UsernameTaken => Self::UsernameTaken,
            RegisterError::EmailTaken => Self::EmailTaken,
            RegisterError::PrivyUserTaken => Self::PrivyUserTaken,
            RegisterError::Store(error) => error.into(),
        }
    }
}

impl From<CreateKeyError> for IdentityError {
    fn from(error: CreateKeyError) -> Self {
        match error {
            CreateKeyError::NameTaken => Self::KeyNameTaken,
            CreateKeyError::Store(error) => error.into(),
        }
    }
}

impl From<ChangeKeyError> for IdentityError {
    fn from(error: ChangeKeyError) -> Self {
        match error {
            ChangeKeyError::Unknown => Self::UnknownKey,
            ChangeKeyError::NameTaken => Self::KeyNameTaken,
            ChangeKeyError::CapBelowUse => Self::CapBelowUse,
            ChangeKeyError::NoBudget => Self::NoBudget,
            ChangeKeyError::Inactive => Self::RotateInactive,
            ChangeKeyError::Expired => Self::RotateExpired,
            ChangeKeyError::Store(error) => error.into(),
        }
    }
}

impl From<SetLimitsError> for IdentityError {
    fn from(error: SetLimitsError) -> Self {
        match error {
            SetLimitsError::AboveGrant { key, ceiling } => Self::AboveGrant { key, ceiling },
            SetLimitsError::Store(error) => error.into(),
        }
    }
}

impl From<AssignError> for IdentityError {
    fn from(error: AssignError) -> Self {
        match error {
            AssignError::UnknownPlan(plan) => Self::UnknownPlan(plan),
            AssignError::UnknownUser(_) => Self::UnknownUser,
            AssignError::Store(error) => error.into(),
        }
    }
}

/// Who has the key with this hash? Read from the database, once for all who ask at the same time.
#[derive(Message)]
#[rtype(result = "Result<Arc<Caller>, IdentityError>")]
pub(super) struct FindKey {
    pub hash: KeyHash,
    /// Under the older peppers.
    pub older: Vec<KeyHash>,
}

/// Make a user with a primary key, on the Free plan, and grant the sign-up credits.
#[derive(Message)]
#[rtype(result = "Result<Registration, IdentityError>")]
pub struct Register {
    pub username: String,
    pub email: String,
    /// `email`, `wallet`, `google`, `github`.
    pub auth_method: String,
    pub environment: Environment,
    pub key_name: String,
    /// `None`: what the settings grant. May be less, not more.
    pub credits: Option<Nanos>,
    /// Whose registrations are counted; `None` for the operator's own.
    pub address: Option<IpAddr>,
}

/// A registered user, with the only full copy of their key.
pub struct Registration {
    pub user: UserId,
    pub key: KeyId,
    pub api_key: SecretString,
    pub credits: Nanos,
    /// `trial` or `active`.
    pub subscription_status: &'static str,
    pub trial_expires_at: Option<DateTime<Utc>>,
    pub registered_at: DateTime<Utc>,
}

/// Sign a Privy user in who has an account: answers `None` when there is none.
#[derive(Message)]
#[rtype(result = "Result<Option<SignedIn>, IdentityError>")]
pub(super) struct OpenSession {
    pub did: String,
}

/// Sign a Privy user in, whose token has been verified; whoever has no account gets one. What is told of the person is what a
/// client says of itself: it names a new account, and finds none.
#[derive(Message)]
#[rtype(result = "Result<SignedIn, IdentityError>")]
pub struct SignIn {
    /// `did:privy:…`, which alone decides whose account it is.
    pub did: String,
    /// A new account's, when it is free.
    pub email: Option<String>,
    pub name: Option<String>,
    /// `email`, `google`, `github`, `wallet`, …; of a new account.
    pub auth_method: String,
    /// Whose registrations are counted.
    pub address: Option<IpAddr>,
}

/// A user who is signed in, with a key that is shown this once.
pub struct SignedIn {
    pub user: UserId,
    /// A new user's primary key, else a web session's.
    pub api_key: SecretString,
    pub username: String,
    pub email: String,
    pub name: Option<String>,
    pub auth_method: String,
    pub accounts: UserAccounts,
    /// What a new user was granted; `None`: the user was here before.
    pub granted: Option<Nanos>,
}

/// Make a further key.
#[derive(Message)]
#[rtype(result = "Result<CreatedKey, IdentityError>")]
pub struct CreateKey {
    pub user: UserId,
    pub key_name: String,
    pub environment: Environment,
    /// Verb → resources.
    pub scope_permissions: Value,
    pub expiration_days: Option<i64>,
    pub max_requests: Option<i64>,
    pub ip_allowlist: Vec<String>,
    pub domain_referrers: Vec<String>,
    /// Empty: any.
    pub models: Vec<String>,
    /// What it may spend in each period.
    pub budget: Option<(Nanos, BudgetPeriod)>,
}

/// A new key, or one with a new secret: with its only full copy.
pub struct CreatedKey {
    pub api_key: SecretString,
    pub row: KeyRow,
}

/// What shall be other about a key; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyEdit {
    pub key_name: Option<String>,
    pub is_active: Option<bool>,
    /// Verb → resources.
    pub scope_permissions: Option<Value>,
    pub ip_allowlist: Option<Vec<String>>,
    pub domain_referrers: Option<Vec<String>>,
    pub models: Option<Vec<String>>,
    /// From now; `Some(None)`: never.
    pub expiration_days: Option<Option<i64>>,
    pub max_requests: Option<Option<i64>>,
    pub budget: Option<BudgetChange>,
}

/// Change one of the user's keys; known here at once and within a second everywhere.
#[derive(Message)]
#[rtype(result = "Result<KeyRow, IdentityError>")]
pub struct UpdateKey {
    pub user: UserId,
    pub key: KeyId,
    pub edit: KeyEdit,
    /// The secret before the last rotation is to end after this time, if that is sooner than it would.
    pub grace: Option<TimeDelta>,
}

/// Give one of the user's keys a new secret, and edit it at the same time.
#[derive(Message)]
#[rtype(result = "Result<CreatedKey, IdentityError>")]
pub struct RotateKey {
    /// Who asks: no key learns the secret of one that may do more than itself.
    pub by: Arc<Caller>,
    pub key: KeyId,
    pub edit: KeyEdit,
    /// How long the old secret works on; none for zero.
    pub grace: TimeDelta,
}

/// Give all of the user's keys new secrets that are active and have not expired. Newest first.
#[derive(Message)]
#[rtype(result = "Result<Vec<CreatedKey>, IdentityError>")]
pub struct RotateKeys {
    pub by: Arc<Caller>,
    /// Must be one of the user's keys, whichever.
    pub key: KeyId,
    /// Of this environment only.
    pub environment: Option<Environment>,
    pub grace: TimeDelta,
}

/// Delete one of the user's keys; it is refused here at once and within a second everywhere.
#[derive(Message)]
#[rtype(result = "Result<KeyRow, IdentityError>")]
pub struct DeleteKey {
    pub user: UserId,
    pub key: KeyId,
}

/// Whose limits to set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LimitTarget {
    /// These of the user's keys.
    Keys { user: UserId, keys: Vec<KeyId> },
    /// All keys that the user has now.
    AllKeysOf(UserId),
}

/// Give keys other limits. Answers how many keys.
#[derive(Message)]
#[rtype(result = "Result<usize, IdentityError>")]
pub struct SetLimits {
    pub target: LimitTarget,
    pub limits: NewLimits,
    pub by: SetBy,
}

/// Put a user on a plan from now on, for months of 30 days; ends the trial. Answers the plan's name.
#[derive(Message)]
#[rtype(result = "Result<String, IdentityError>")]
pub struct AssignPlan {
    pub by: Actor,
    pub user: UserId,
    pub plan: PlanId,
    pub months: u16,
}

/// Give a user credits on the operator's word; ends the trial.
#[derive(Message)]
#[rtype(result = "Result<Balance, IdentityError>")]
pub struct AddCredits {
    /// The same id has one effect.
    pub id: OperationId,
    pub by: Actor,
    pub user: UserId,
    pub amount: Nanos,
    pub reason: String,
}

/// Take one request of a capped key's cap.
#[derive(Message)]
#[rtype(result = "Result<super::RequestSlot, IdentityError>")]
pub(super) struct TakeRequest(pub Arc<Caller>);
