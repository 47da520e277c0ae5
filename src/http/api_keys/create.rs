//! `POST /user/api-keys`.

use super::RESOURCE;
use crate::http::error::{ApiError, FieldError};
use crate::http::extract::Body;
use crate::http::principal::{Principal, insufficient};
use crate::http::text;
use crate::startup::Services;
use actix_web::{post, web};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tollgate_actors::identity::checks::{Scopes, parse_domain, parse_net};
use tollgate_actors::identity::keys::Environment;
use tollgate_actors::identity::{CreateKey, IdentityError};
use utoipa::ToSchema;

/// A century; longer is for ever.
const EXPIRATION_DAYS_MAX: i64 = 36_500;

/// Entries of a list; a key that needs more should name networks.
const ENTRIES_MAX: usize = 100;

type ScopePermissions = BTreeMap<String, Vec<String>>;

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
    /// Hosts, each with its sub-domains; empty: any page.
    domain_referrers: Option<Vec<String>>,
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
    audit_logging: bool,
    last_used_tracking: bool,
}

/// Make a key
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
    principal: Principal,
    Body(request): Body<CreateApiKeyRequest>,
) -> Result<web::Json<CreateApiKeyResponse>, ApiError> {
    principal.require("write", RESOURCE)?;
    let create = checked(request, &principal)?;
    let (key_name, expiration_days) = (create.key_name.clone(), create.expiration_days);
    let created = services.actors.identity.create_key(create).await.map_err(|error| refusal(error, &key_name))?;
    let row = created.row;
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
            audit_logging: true,
            last_used_tracking: true,
        },
        phase4_integration: true,
    }))
}

fn checked(request: CreateApiKeyRequest, principal: &Principal) -> Result<CreateKey, ApiError> {
    let [key_name] = text::all([text::short("key_name", &request.key_name)])?;
    if request.action.is_some_and(|action| action != "create") {
        return Err(ApiError::bad_request("Invalid action. Must be 'create'"));
    }
    let tag = request.environment_tag.as_deref().unwrap_or("live");
    let environment = Environment::parse(tag).ok_or_else(invalid_tag)?;
    let max_requests = request.max_requests;
    if max_requests.is_some_and(|most| most <= 0) {
        return Err(ApiError::bad_request("Max requests must be positive"));
    }
    Ok(CreateKey {
        user: principal.0.user,
        key_name,
        environment,
        scope_permissions: scopes(request.scope_permissions, principal)?,
        expiration_days: expiration(request.expiration_days)?,
        max_requests,
        ip_allowlist: list("ip_allowlist", request.ip_allowlist, "IP address or network", |entry| parse_net(entry).is_some())?,
        domain_referrers: list("domain_referrers", request.domain_referrers, "domain", |entry| parse_domain(entry).is_some())?,
    })
}

fn invalid_tag() -> ApiError {
    let tags = Environment::ALL.map(|environment| format!("'{}'", environment.tag())).join(", ");
    ApiError::bad_request(format!("Invalid environment tag. Must be one of: [{tags}]"))
}

fn expiration(days: Option<i64>) -> Result<Option<i64>, ApiError> {
    match days {
        Some(..=0) => Err(ApiError::bad_request("Expiration days must be positive")),
        Some(days) if days > EXPIRATION_DAYS_MAX => {
            Err(ApiError::bad_request(format!("Expiration days must be at most {EXPIRATION_DAYS_MAX}")))
        }
        days => Ok(days),
    }
}

/// A key can't make one that may do more than itself: else a key with a narrow scope would be a wide one.
fn scopes(asked: Option<ScopePermissions>, principal: &Principal) -> Result<Value, ApiError> {
    let asked = match asked {
        Some(asked) => json!(asked),
        None => json!({"read": ["*"], "write": ["*"], "admin": ["*"]}),
    };
    let text = asked.to_string();
    if text.len() > 16_384 || text.contains("\\u0000") {
        return Err(ApiError::unprocessable(vec![FieldError::of_body("scope_permissions", "Not a list of scopes", Value::Null)]));
    }
    // Mutant: leaving this out turns `a_key_makes_no_key_that_may_do_more_than_itself` red.
    if principal.0.scopes.cover(&Scopes::from_json(&asked)) { Ok(asked) } else { Err(insufficient("grant", "these_scopes")) }
}

fn list(
    field: &'static str,
    entries: Option<Vec<String>>,
    what: &str,
    good: impl Fn(&str) -> bool,
) -> Result<Vec<String>, ApiError> {
    let entries = entries.unwrap_or_default();
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

fn refusal(error: IdentityError, key_name: &str) -> ApiError {
    match error {
        IdentityError::KeyNameTaken => {
            ApiError::bad_request(format!("Key name '{key_name}' already exists for this user. Please choose a different name."))
        }
        error => error.into(),
    }
}
