//! `GET /user/api-keys`.

use super::budget::BudgetUse;
use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::principal::scopes::ApiKeys;
use crate::http::principal::{May, Read};
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tollgate_domain::KeyId;
use tollgate_store::api_keys::{KeyRow, PreviousSecret};
use tollgate_store::ledger::BudgetLeft;
use utoipa::{IntoParams, ToSchema};

/// Which keys
#[derive(Deserialize, IntoParams)]
pub struct ListApiKeysQuery {
    /// Those of web sessions, too.
    #[serde(default)]
    include_sessions: bool,
}

/// The user's keys
#[derive(Serialize, ToSchema)]
pub struct ListApiKeysResponse {
    status: &'static str,
    message: String,
    total_keys: usize,
    /// Newest first.
    keys: Vec<ApiKey>,
    phase4_integration: bool,
    security_features_enabled: bool,
}

/// A key
#[derive(Serialize, ToSchema)]
pub struct ApiKey {
    id: i64,
    /// Its first ten characters: the whole key is not kept.
    api_key: String,
    last4: String,
    key_name: String,
    environment_tag: String,
    #[schema(value_type = Object)]
    scope_permissions: Value,
    is_active: bool,
    is_primary: bool,
    /// Made by a sign-in.
    is_session: bool,
    expiration_date: Option<DateTime<Utc>>,
    /// Whole days, not negative.
    days_remaining: Option<i64>,
    max_requests: Option<i64>,
    requests_used: i64,
    requests_remaining: Option<i64>,
    /// At most 100.
    usage_percentage: Option<f64>,
    ip_allowlist: Vec<String>,
    domain_referrers: Vec<String>,
    /// Empty: any model.
    allowed_models: Vec<String>,
    budget: Option<BudgetUse>,
    /// `null`: it has had one secret only.
    rotation: Option<Rotation>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
    security_status: SecurityStatus,
}

/// What protects a key
#[derive(Serialize, ToSchema)]
pub struct SecurityStatus {
    has_ip_restrictions: bool,
    has_domain_restrictions: bool,
    has_expiration: bool,
    has_usage_limits: bool,
    has_model_restrictions: bool,
    has_budget: bool,
    last_used_tracking: bool,
    audit_logging: bool,
    phase4_enhanced: bool,
}

/// The last rotation of a key, and the secret before it
#[derive(Serialize, ToSchema)]
pub struct Rotation {
    rotated_at: DateTime<Utc>,
    /// When the secret before it ends, or ended; `null`: with the rotation.
    previous_key_expires_at: Option<DateTime<Utc>>,
    previous_key_masked: Option<String>,
    previous_key_last4: Option<String>,
    /// Does it work still?
    previous_key_active: bool,
}

/// List the keys
#[utoipa::path(tag = "api keys", params(ListApiKeysQuery), responses(
    (status = 200, description = "The keys", body = ListApiKeysResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read keys"),
    (status = 503, description = "The database is away"),
))]
#[get("/user/api-keys")]
pub async fn list_api_keys(
    services: web::Data<Services>,
    caller: May<Read, ApiKeys>,
    Query(query): Query<ListApiKeysQuery>,
) -> Result<web::Json<ListApiKeysResponse>, ApiError> {
    let (identity, user) = (&services.actors.identity, caller.0.user);
    let rows =
        if query.include_sessions { identity.list_keys_with_sessions(user).await? } else { identity.list_keys(user).await? };
    let keys = ApiKey::all(&services, rows).await?;
    Ok(web::Json(ListApiKeysResponse {
        status: "success",
        message: format!("Retrieved {} API keys", keys.len()),
        total_keys: keys.len(),
        keys,
        phase4_integration: true,
        security_features_enabled: true,
    }))
}

impl ApiKey {
    /// The keys as they are shown, in the same order.
    ///
    /// # Errors
    /// 503 when the database is away.
    pub(super) async fn all(services: &Services, rows: Vec<KeyRow>) -> Result<Vec<Self>, ApiError> {
        let budgeted: Vec<KeyId> = rows.iter().filter(|row| row.budget.budget().is_some()).map(|row| KeyId(row.id)).collect();
        let left = services.actors.identity.budgets_left(&budgeted).await?;
        let now = services.clock.now();
        Ok(rows.into_iter().map(|row| Self::of(left.get(&KeyId(row.id)), row, now)).collect())
    }

    /// The same, with the whole secret in the place of the masked one.
    pub(super) fn with_secret(self, secret: &SecretString) -> Self {
        Self { api_key: secret.expose_secret().to_owned(), ..self }
    }

    fn of(left: Option<&BudgetLeft>, row: KeyRow, now: DateTime<Utc>) -> Self {
        let budget = row.budget.budget().map(|budget| BudgetUse::from_rows(&budget, left, now));
        Self {
            id: row.id,
            security_status: SecurityStatus::of(&row),
            api_key: row.masked,
            last4: row.last4,
            key_name: row.key_name,
            environment_tag: row.environment_tag,
            scope_permissions: row.scope_permissions,
            is_active: row.is_active,
            is_primary: row.is_primary,
            is_session: row.is_session,
            expiration_date: row.expiration_date,
            days_remaining: row.expiration_date.map(|end| (end - now).num_days().max(0)),
            max_requests: row.max_requests,
            requests_used: row.requests_used,
            requests_remaining: row.max_requests.map(|most| most.saturating_sub(row.requests_used).max(0)),
            usage_percentage: row.max_requests.map(|most| percentage(row.requests_used, most)),
            ip_allowlist: row.ip_allowlist,
            domain_referrers: row.domain_referrers,
            allowed_models: row.model_allowlist,
            budget,
            rotation: row.rotated_at.map(|rotated_at| Rotation::of(rotated_at, row.previous, now)),
            created_at: row.created_at,
            updated_at: row.updated_at,
            last_used_at: row.last_used_at,
        }
    }
}

impl SecurityStatus {
    fn of(row: &KeyRow) -> Self {
        Self {
            has_ip_restrictions: !row.ip_allowlist.is_empty(),
            has_domain_restrictions: !row.domain_referrers.is_empty(),
            has_expiration: row.expiration_date.is_some(),
            has_usage_limits: row.max_requests.is_some(),
            has_model_restrictions: !row.model_allowlist.is_empty(),
            has_budget: row.budget.budget().is_some(),
            last_used_tracking: true,
            audit_logging: true,
            phase4_enhanced: true,
        }
    }
}

impl Rotation {
    fn of(rotated_at: DateTime<Utc>, previous: PreviousSecret, now: DateTime<Utc>) -> Self {
        Self {
            rotated_at,
            previous_key_active: previous.previous_expires_at.is_some_and(|end| end > now),
            previous_key_expires_at: previous.previous_expires_at,
            previous_key_masked: previous.previous_masked,
            previous_key_last4: previous.previous_last4,
        }
    }
}

/// In hundredths of a percent, so that no float decides.
pub(super) fn percentage(used: i64, most: i64) -> f64 {
    let hundredths = used.max(0).saturating_mul(10_000).checked_div(most).unwrap_or(0).min(10_000);
    i32::try_from(hundredths).map_or(100.0, |hundredths| f64::from(hundredths) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::percentage;

    #[test]
    fn a_percentage_is_at_most_a_hundred() {
        assert_eq!((percentage(0, 3), percentage(1, 3), percentage(3, 3), percentage(9, 3)), (0.0, 33.33, 100.0, 100.0));
        assert_eq!(percentage(i64::MAX, 1), 100.0);
    }
}
