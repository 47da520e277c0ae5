//! `PUT /user/api-keys/{key_id}`: change a key, give it a new secret, give all keys new secrets.

use super::fields::{self, ScopePermissions};
use super::list::ApiKey;
use crate::http::error::ApiError;
use crate::http::extract::{Body, Path};
use crate::http::principal::scopes::ApiKeys;
use crate::http::principal::{May, Write};
use crate::startup::Services;
use actix_web::{put, web};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;
use std::sync::Arc;
use tollgate_actors::identity::{BudgetChange, Caller, CreatedKey, KeyEdit, RotateKey, RotateKeys, UpdateKey};
use tollgate_domain::KeyId;
use tollgate_store::api_keys::KeyRow;
use utoipa::ToSchema;

/// How long the secret before a rotation works when nothing else is asked for.
const GRACE_HOURS: i64 = 24;
/// Thirty days; who needs longer has two keys.
const GRACE_HOURS_MAX: i64 = 720;

/// What is to be done with a key. What is absent stays as it is
#[derive(Deserialize, ToSchema)]
pub struct UpdateApiKeyRequest {
    /// `update` (default), `rotate` or `bulk_rotate`.
    action: Option<String>,
    #[schema(min_length = 1, max_length = 255)]
    key_name: Option<String>,
    /// Not more than the calling key may do itself.
    scope_permissions: Option<ScopePermissions>,
    /// From now on; with `update`, `null` is never.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    expiration_days: Option<Option<i64>>,
    /// Cut to the plan's monthly requests; with `update`, `null` is no cap.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    max_requests: Option<Option<i64>>,
    /// Empty: from anywhere.
    ip_allowlist: Option<Vec<String>>,
    /// Empty: any page.
    domain_referrers: Option<Vec<String>>,
    /// Empty: any model.
    allowed_models: Option<Vec<String>>,
    /// What the key may spend in each period, in dollars; with `update`, `null` is no budget. What is spent stays spent.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f64>, exclusive_minimum = 0, maximum = 1_000_000_000)]
    budget_usd: Option<Option<Number>>,
    /// `daily`, `weekly`, `monthly` or `total`. Another one than before begins a new count.
    budget_period: Option<String>,
    /// `false` refuses the key, with every secret of it, until it is `true` again.
    is_active: Option<bool>,
    /// With `bulk_rotate`: keys of this environment only.
    environment_tag: Option<String>,
    /// For how many hours the secret before a rotation works on, 24 by default; 0 ends it at once. With `update` it shortens what
    /// is left of the last rotation's.
    #[schema(minimum = 0, maximum = 720)]
    grace_hours: Option<i64>,
}

/// `null` is something that was said, too.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// The key as it is now, or the keys with new secrets
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum UpdateApiKeyResponse {
    One(Box<UpdatedKey>),
    All(RotatedKeys),
}

/// The changed key
#[derive(Serialize, ToSchema)]
pub struct UpdatedKey {
    status: &'static str,
    message: &'static str,
    /// After a rotation `api_key` is the whole new key, shown this once.
    updated_key: ApiKey,
    timestamp: DateTime<Utc>,
}

/// All rotated keys
#[derive(Serialize, ToSchema)]
pub struct RotatedKeys {
    status: &'static str,
    message: String,
    rotated_count: usize,
    /// Newest first.
    new_keys: Vec<RotatedKey>,
    phase4_integration: bool,
    timestamp: DateTime<Utc>,
}

/// A key with a new secret
#[derive(Serialize, ToSchema)]
pub struct RotatedKey {
    key_id: i64,
    key_name: String,
    /// The whole new key, shown this once.
    new_api_key: String,
    /// When the old one ends; `null`: it has ended.
    previous_key_expires_at: Option<DateTime<Utc>>,
}

/// Change a key, or give it a new secret
///
/// `rotate` gives the key a new secret; the one before it works on for `grace_hours`. A key has at most one such previous secret:
/// rotated again, the older one ends at once. Fields that are given with it are changed in the same step. `bulk_rotate` does so
/// with all of the user's keys that are active and have not expired, or none of them. Every replica knows within a second.
#[utoipa::path(tag = "api keys", params(("key_id" = i64, Path)), request_body = UpdateApiKeyRequest, responses(
    (status = 200, description = "Done", body = UpdateApiKeyResponse),
    (status = 400, description = "A rule is broken, nothing is to be done, or the name is taken"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not change this key"),
    (status = 404, description = "No such key of this user"),
    (status = 422, description = "A wrong shape"),
    (status = 503, description = "The database is away"),
))]
#[put("/user/api-keys/{key_id}")]
pub async fn update_api_key(
    services: web::Data<Services>,
    caller: May<Write, ApiKeys>,
    Path(key_id): Path<i64>,
    Body(request): Body<UpdateApiKeyRequest>,
) -> Result<web::Json<UpdateApiKeyResponse>, ApiError> {
    let key = KeyId(key_id);
    let answer = match request.action.as_deref().unwrap_or("update") {
        "update" => UpdateApiKeyResponse::One(Box::new(update(&services, &caller.0, key, request).await?)),
        "rotate" => UpdateApiKeyResponse::One(Box::new(rotate(&services, &caller.0, key, request).await?)),
        "bulk_rotate" => UpdateApiKeyResponse::All(rotate_all(&services, &caller.0, key, &request).await?),
        _ => {
            let actions = fields::listed(["update", "rotate", "bulk_rotate"]);
            return Err(ApiError::bad_request(format!("Invalid action. Must be one of: [{actions}]")));
        }
    };
    Ok(web::Json(answer))
}

async fn update(
    services: &Services,
    caller: &Arc<Caller>,
    key: KeyId,
    request: UpdateApiKeyRequest,
) -> Result<UpdatedKey, ApiError> {
    let grace = request.grace_hours.map(grace_of).transpose()?;
    let (edit, name) = edit_of(request, caller)?;
    if edit == KeyEdit::default() && grace.is_none() {
        return Err(ApiError::bad_request("No valid fields to update"));
    }
    let updated = services.actors.identity.update_key(UpdateKey { user: caller.user, key, edit, grace }).await;
    let row = updated.map_err(|error| fields::refusal(error, &name))?;
    Ok(UpdatedKey {
        status: "success",
        message: "API key updated successfully with enhanced security features",
        updated_key: shown(services, row).await?,
        timestamp: services.clock.now(),
    })
}

async fn rotate(
    services: &Services,
    caller: &Arc<Caller>,
    key: KeyId,
    request: UpdateApiKeyRequest,
) -> Result<UpdatedKey, ApiError> {
    let grace = grace_of(request.grace_hours.unwrap_or(GRACE_HOURS))?;
    let (edit, name) = edit_of(request.without_nulls(), caller)?;
    let by = Arc::clone(caller);
    let rotated = services.actors.identity.rotate_key(RotateKey { by, key, edit, grace }).await;
    let CreatedKey { api_key, row } = rotated.map_err(|error| fields::refusal(error, &name))?;
    Ok(UpdatedKey {
        status: "success",
        message: "API key rotated successfully with new key generated",
        updated_key: shown(services, row).await?.with_secret(&api_key),
        timestamp: services.clock.now(),
    })
}

async fn rotate_all(
    services: &Services,
    caller: &Arc<Caller>,
    key: KeyId,
    request: &UpdateApiKeyRequest,
) -> Result<RotatedKeys, ApiError> {
    let grace = grace_of(request.grace_hours.unwrap_or(GRACE_HOURS))?;
    let environment = request.environment_tag.as_deref().map(fields::environment).transpose()?;
    let rotate = RotateKeys { by: Arc::clone(caller), key, environment, grace };
    let rotated = services.actors.identity.rotate_keys(rotate).await.map_err(|error| fields::refusal(error, ""))?;
    let new_key = |CreatedKey { api_key, row }: CreatedKey| RotatedKey {
        key_id: row.id,
        key_name: row.key_name,
        new_api_key: api_key.expose_secret().to_owned(),
        previous_key_expires_at: row.previous.previous_expires_at,
    };
    Ok(RotatedKeys {
        status: "success",
        message: format!("Bulk rotation completed: {} keys rotated", rotated.len()),
        rotated_count: rotated.len(),
        new_keys: rotated.into_iter().map(new_key).collect(),
        phase4_integration: true,
        timestamp: services.clock.now(),
    })
}

async fn shown(services: &Services, row: KeyRow) -> Result<ApiKey, ApiError> {
    let shown = ApiKey::all(services, vec![row]).await?;
    shown.into_iter().next().ok_or_else(|| ApiError::not_found("API key not found"))
}

impl UpdateApiKeyRequest {
    /// Clients that rotate may fill what they don't mean with `null`: that clears nothing.
    fn without_nulls(mut self) -> Self {
        self.expiration_days = self.expiration_days.filter(Option::is_some);
        self.max_requests = self.max_requests.filter(Option::is_some);
        self.budget_usd = self.budget_usd.filter(Option::is_some);
        self
    }
}

fn grace_of(hours: i64) -> Result<TimeDelta, ApiError> {
    let in_range = (0..=GRACE_HOURS_MAX).contains(&hours);
    let grace = TimeDelta::try_hours(hours).filter(|_| in_range);
    grace.ok_or_else(|| ApiError::bad_request(format!("Grace hours must be from 0 to {GRACE_HOURS_MAX}")))
}

/// The checked fields, and the name for a refusal's text.
fn edit_of(request: UpdateApiKeyRequest, caller: &Caller) -> Result<(KeyEdit, String), ApiError> {
    let key_name = request.key_name.as_deref().map(fields::key_name).transpose()?;
    let name = key_name.clone().unwrap_or_default();
    let period = request.budget_period.as_deref().map(fields::budget_period).transpose()?;
    let budget = match request.budget_usd {
        Some(None) if period.is_none() => Some(BudgetChange::Remove),
        Some(None) => return Err(ApiError::bad_request("A budget that is removed has no budget_period")),
        Some(Some(dollars)) => Some(BudgetChange::Set { limit: Some(fields::budget(&dollars)?), period }),
        None => period.map(|period| BudgetChange::Set { limit: None, period: Some(period) }),
    };
    let edit = KeyEdit {
        key_name,
        is_active: request.is_active,
        scope_permissions: request.scope_permissions.map(|asked| fields::scopes(&asked, caller)).transpose()?,
        ip_allowlist: request.ip_allowlist.as_deref().map(fields::ip_allowlist).transpose()?,
        domain_referrers: request.domain_referrers.as_deref().map(fields::domain_referrers).transpose()?,
        models: request.allowed_models.as_deref().map(fields::allowed_models).transpose()?,
        expiration_days: request.expiration_days.map(|days| days.map(fields::expiration_days).transpose()).transpose()?,
        max_requests: request.max_requests.map(|most| most.map(fields::max_requests).transpose()).transpose()?,
        budget,
    };
    Ok((edit, name))
}
