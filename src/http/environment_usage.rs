//! `GET /user/environment-usage`: the keys' use by environment.

use super::error::ApiError;
use super::principal::scopes::Usage;
use super::principal::{May, Read};
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use tollgate_domain::Nanos;
use tollgate_store::activity::{self, KeySum};
use utoipa::ToSchema;

/// The keys' use by environment
#[derive(Serialize, ToSchema)]
pub struct EnvironmentUsageResponse {
    status: &'static str,
    user_id: i64,
    /// By environment tag.
    environment_usage: BTreeMap<String, EnvironmentUsage>,
    timestamp: DateTime<Utc>,
}

/// The keys of one environment
#[derive(Default, Serialize, ToSchema)]
pub struct EnvironmentUsage {
    /// Calls with these keys.
    total_requests: i64,
    /// The caps of those keys that have one.
    total_max_requests: i64,
    key_count: i64,
    total_tokens: i64,
    /// Dollars.
    #[schema(value_type = f64)]
    total_cost: Nanos,
}

/// The keys' use by environment
#[utoipa::path(tag = "user", responses(
    (status = 200, description = "The use", body = EnvironmentUsageResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read usage"),
    (status = 503, description = "The database is away"),
))]
#[get("/user/environment-usage")]
pub async fn environment_usage(
    services: web::Data<Services>,
    caller: May<Read, Usage>,
) -> Result<web::Json<EnvironmentUsageResponse>, ApiError> {
    let user = caller.0.user;
    let keys = services.actors.identity.list_keys(user).await?;
    let sums = activity::key_sums(&services.store, user).await?;
    let sums: HashMap<i64, KeySum> = sums.into_iter().map(|sum| (sum.api_key_id, sum)).collect();
    let mut environment_usage = BTreeMap::<String, EnvironmentUsage>::new();
    for key in keys {
        let usage = environment_usage.entry(key.environment_tag).or_default();
        usage.key_count += 1;
        usage.total_max_requests = usage.total_max_requests.saturating_add(key.max_requests.unwrap_or(0));
        if let Some(sum) = sums.get(&key.id) {
            usage.total_requests += sum.requests;
            usage.total_tokens += sum.prompt_tokens.saturating_add(sum.completion_tokens);
            usage.total_cost = usage.total_cost.saturating_add(Nanos(sum.cost));
        }
    }
    Ok(web::Json(EnvironmentUsageResponse {
        status: "success",
        user_id: user.0,
        environment_usage,
        timestamp: services.clock.now(),
    }))
}
