//! `GET /user/api-keys/usage`.

use super::list::percentage;
use crate::http::error::ApiError;
use crate::http::principal::scopes::ApiKeys;
use crate::http::principal::{May, Read};
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::HashMap;
use tollgate_domain::Nanos;
use tollgate_store::activity::{self, KeyDay, KeySum};
use tollgate_store::api_keys::KeyRow;
use utoipa::ToSchema;

/// What the user's keys were used for
#[derive(Serialize, ToSchema)]
pub struct ApiKeysUsageResponse {
    user_id: i64,
    total_keys: usize,
    /// Newest first.
    keys: Vec<ApiKeyUsage>,
    audit_logging: AuditLogging,
    phase4_integration: bool,
}

/// A key's use: of its request cap, in all, and of this UTC day. Dollars
#[derive(Serialize, ToSchema)]
pub struct ApiKeyUsage {
    key_id: i64,
    /// Masked.
    api_key: String,
    key_name: String,
    is_active: bool,
    is_primary: bool,
    requests_used: i64,
    max_requests: Option<i64>,
    requests_remaining: Option<i64>,
    /// At most 100.
    usage_percentage: Option<f64>,
    environment_tag: String,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
    total_requests: i64,
    total_tokens: i64,
    #[schema(value_type = f64)]
    total_cost: Nanos,
    requests_today: i64,
    tokens_today: i64,
    #[schema(value_type = f64)]
    cost_today: Nanos,
    last_request_time: Option<DateTime<Utc>>,
}

/// What is watched
#[derive(Serialize, ToSchema)]
pub struct AuditLogging {
    enabled: bool,
    last_audit_check: DateTime<Utc>,
    security_events_tracked: bool,
    access_patterns_monitored: bool,
}

/// The keys' use
#[utoipa::path(tag = "api keys", responses(
    (status = 200, description = "The use", body = ApiKeysUsageResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read keys"),
    (status = 503, description = "The database is away"),
))]
#[get("/user/api-keys/usage")]
pub async fn api_keys_usage(
    services: web::Data<Services>,
    caller: May<Read, ApiKeys>,
) -> Result<web::Json<ApiKeysUsageResponse>, ApiError> {
    let (user, now) = (caller.0.user, services.clock.now());
    let rows = services.actors.identity.list_keys(user).await?;
    let totals = activity::key_sums(&services.store, user).await?;
    let today = activity::key_days(&services.store, user, now.date_naive()).await?;
    let totals: HashMap<i64, KeySum> = totals.into_iter().map(|sum| (sum.api_key_id, sum)).collect();
    let today: HashMap<i64, KeyDay> = today.into_iter().map(|sum| (sum.api_key_id, sum)).collect();
    let keys: Vec<_> = rows.into_iter().map(|row| ApiKeyUsage::of(totals.get(&row.id), today.get(&row.id), row)).collect();
    Ok(web::Json(ApiKeysUsageResponse {
        user_id: user.0,
        total_keys: keys.len(),
        keys,
        audit_logging: AuditLogging {
            enabled: true,
            last_audit_check: now,
            security_events_tracked: true,
            access_patterns_monitored: true,
        },
        phase4_integration: true,
    }))
}

impl ApiKeyUsage {
    fn of(total: Option<&KeySum>, today: Option<&KeyDay>, row: KeyRow) -> Self {
        Self {
            key_id: row.id,
            api_key: row.masked,
            key_name: row.key_name,
            is_active: row.is_active,
            is_primary: row.is_primary,
            requests_used: row.requests_used,
            max_requests: row.max_requests,
            requests_remaining: row.max_requests.map(|most| most.saturating_sub(row.requests_used).max(0)),
            usage_percentage: row.max_requests.map(|most| percentage(row.requests_used, most)),
            environment_tag: row.environment_tag,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            total_requests: total.map_or(0, |sum| sum.requests),
            total_tokens: total.map_or(0, |sum| sum.prompt_tokens.saturating_add(sum.completion_tokens)),
            total_cost: Nanos(total.map_or(0, |sum| sum.cost)),
            requests_today: today.map_or(0, |sum| sum.requests),
            tokens_today: today.map_or(0, |sum| sum.tokens),
            cost_today: Nanos(today.map_or(0, |sum| sum.cost)),
            last_request_time: total.map(|sum| sum.last_request_at),
        }
    }
}
