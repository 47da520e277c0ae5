//! `POST /user/api-keys`.

use super::fields::{self, ScopePermissions};
use crate::http::error::ApiError;
use crate::http::extract::Body;
use crate::http::principal::scopes::ApiKeys;
use crate::http::principal::{May, Write};
use crate::startup::Services;
use actix_web::{post, web};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Number;
use tollgate_actors::identity::{Caller, CreateKey, IdentityError};
use tollgate_domain::{BudgetPeriod, Nanos};
use utoipa::ToSchema;

/// A key to be made
#[derive(Deserialize, ToSchema)]
pub struct CreateApiKeyRequest {
    /// Unique among the user's keys.
    #[schema(min_length = 1, max_length = 255)]
    key_name: String,
    /// `live` (default), `test`, `staging` or `development`.
    environment_tag: Option<String>,
    /// Verb to resources, `*` is any. Absent: everything. Not more than the calling key may do itself.
    scope_permissions: Option<ScopePermissions>,
    expiration_days: Option<i64>,
    /// Cut to the plan's monthly requests.
    max_requests: Option<i64>,
    /// Addresses and networks; empty: from anywhere.
    ip_allowlist: Option<Vec<String>>,
    /// Hosts, each with its sub-domains; empty: any page. Binds browsers only: other programs can send any header.
    domain_referrers: Option<Vec<String>>,
    /// Models that the key may call, each by its id, or with `*` behind for all that begin so; empty: any.
    allowed_models: Option<Vec<String>>,
    /// What the key may spend in each period, in dollars.
    #[schema(value_type = Option<f64>, exclusive_minimum = 0, maximum = 1_000_000_000)]
    budget_usd: Option<Number>,
    /// `daily`, `weekly`, `monthly` (from midnight UTC, Monday, the 1st), or `total` (default).
    budget_period: Option<String>,
    /// `create`.
    action: Option<String>,
}

/// A new key
#[derive(Serialize, ToSchema)]
pub struct CreateApiKeyResponse {
    status: &'static str,
    message: &'static str,
    id: i64,
    key_id: i64,
    /// The whole key, shown this once.
    api_key: String,
    key_name: String,
    environment_tag: String,
    security_features: SecurityFeatures,
    phase4_integration: bool,
}

/// What protects the key
#[derive(Serialize, ToSchema)]
pub struct SecurityFeatures {
    ip_allowlist: Vec<String>,
    domain_referrers: Vec<String>,
    expiration_days: Option<i64>,
    max_requests: Option<i64>,
    allowed_models: Vec<String>,
    #[schema(value_type = Option<f64>)]
    budget_usd: Option<Nanos>,
    budget_period: Option<&'static str>,
    audit_logging: bool,
    last_used_tracking: bool,
}

/// Make a key
///
/// A key that may write `api_keys` can lift its own limits: give a key that leaves your hands scopes without it.
#[utoipa::path(tag = "api keys", request_body = CreateApiKeyRequest, responses(
    (status = 200, description = "Made", body = CreateApiKeyResponse),
    (status = 400, description = "A rule is broken, or the name is taken"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not make this key"),
    (status = 422, description = "A wrong shape"),
))]
#[post("/user/api-keys")]
pub async fn create_api_key(
    services: web::Data<Services>,
    caller: May<Write, ApiKeys>,
    Body(request): Body<CreateApiKeyRequest>,
) -> Result<web::Json<CreateApiKeyResponse>, ApiError> {
    let create = checked(request, &caller.0)?;
    let (key_name, expiration_days) = (create.key_name.clone(), create.expiration_days);
    let created = services.actors.identity.create_key(create).await.map_err(|error| fields::refusal(error, &key_name))?;
    let row = created.row;
    let budget = row.budget.budget();
    Ok(web::Json(CreateApiKeyResponse {
        status: "success",
        message: "API key created successfully with enhanced security features",
        id: row.id,
        key_id: row.id,
        api_key: created.api_key.expose_secret().to_owned(),
        key_name: row.key_name,
        environment_tag: row.environment_tag,
        security_features: SecurityFeatures {
            ip_allowlist: row.ip_allowlist,
            domain_referrers: row.domain_referrers,
            expiration_days,
            max_requests: row.max_requests,
            allowed_models: row.model_allowlist,
            budget_usd: budget.map(|budget| budget.limit),
            budget_period: budget.map(|budget| budget.period.as_str()),
            audit_logging: true,
            last_used_tracking: true,
        },
        phase4_integration: true,
    }))
}

fn checked(request: CreateApiKeyRequest, caller: &Caller) -> Result<CreateKey, ApiError> {
    let key_name = fields::key_name(&request.key_name)?;
    if request.action.is_some_and(|action| action != "create") {
        return Err(ApiError::bad_request("Invalid action. Must be 'create'"));
    }
    let everything = || ["read", "write", "admin"].map(|verb| (verb.to_owned(), vec!["*".to_owned()])).into();
    Ok(CreateKey {
        user: caller.user,
        key_name,
        environment: fields::environment(request.environment_tag.as_deref().unwrap_or("live"))?,
        expiration_days: request.expiration_days.map(fields::expiration_days).transpose()?,
        max_requests: request.max_requests.map(fields::max_requests).transpose()?,
        scope_permissions: fields::scopes(&request.scope_permissions.unwrap_or_else(everything), caller)?,
        ip_allowlist: fields::ip_allowlist(&request.ip_allowlist.unwrap_or_default())?,
        domain_referrers: fields::domain_referrers(&request.domain_referrers.unwrap_or_default())?,
        models: fields::allowed_models(&request.allowed_models.unwrap_or_default())?,
        budget: budget(request.budget_usd.as_ref(), request.budget_period.as_deref())?,
    })
}

fn budget(dollars: Option<&Number>, period: Option<&str>) -> Result<Option<(Nanos, BudgetPeriod)>, ApiError> {
    let period = period.map(fields::budget_period).transpose()?;
    match dollars {
        Some(dollars) => Ok(Some((fields::budget(dollars)?, period.unwrap_or(BudgetPeriod::Total)))),
        None if period.is_some() => Err(IdentityError::NoBudget.into()),
        None => Ok(None),
    }
}
