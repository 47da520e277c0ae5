//! `POST /admin/refresh-models` and `GET /admin/cache-status`.

use crate::http::error::ApiError;
use crate::http::models::no_list;
use crate::http::principal::AdminPrincipal;
use crate::startup::Services;
use actix_web::http::StatusCode;
use actix_web::{get, post, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use std::time::Duration;
use tollgate_actors::catalog::{CATALOG_TTL, CatalogError, GatewayStatus, Refreshed};
use tollgate_store::audit;
use utoipa::ToSchema;

/// What came of a refresh
#[derive(Serialize, ToSchema)]
pub struct RefreshResponse {
    #[schema(example = "success")]
    status: &'static str,
    message: String,
    /// Models that are served now, over all gateways.
    total_models: usize,
    gateways: Vec<GatewayRefresh>,
    timestamp: DateTime<Utc>,
}

/// What came of one gateway's refresh
#[derive(Serialize, ToSchema)]
pub struct GatewayRefresh {
    #[schema(example = "openrouter")]
    gateway: &'static str,
    refreshed: bool,
    /// Models that are served now: of the last good list, when there is no new one.
    models: usize,
    #[schema(required)]
    error: Option<String>,
}

/// How the lists of models are
#[derive(Serialize, ToSchema)]
pub struct CacheStatusResponse {
    #[schema(example = "success")]
    status: &'static str,
    cache_info: CacheInfo,
    gateways: Vec<GatewayCache>,
    timestamp: DateTime<Utc>,
}

/// All lists together
#[derive(Serialize, ToSchema)]
pub struct CacheInfo {
    has_data: bool,
    /// Of the oldest list.
    #[schema(required)]
    cache_age_seconds: Option<f64>,
    /// How old a list gets before it is asked for anew.
    #[schema(example = 300)]
    ttl_seconds: u64,
    /// Every gateway has a list, and none is older than that.
    is_valid: bool,
    /// Over all gateways, each model once.
    total_cached_models: usize,
}

/// One gateway's list
#[derive(Serialize, ToSchema)]
pub struct GatewayCache {
    #[schema(example = "openrouter")]
    gateway: &'static str,
    models: usize,
    /// Models charged at a price that is not their gateway's.
    unknown_prices: usize,
    #[schema(required)]
    fetched_at: Option<DateTime<Utc>>,
    #[schema(required)]
    cache_age_seconds: Option<f64>,
    refreshing: bool,
    /// Since the last list that came.
    failures: u32,
    #[schema(required)]
    last_error: Option<String>,
    next_refresh_at: DateTime<Utc>,
}

/// Ask every gateway for its list now
///
/// Those who ask while gateways are being asked join them. A gateway that fails keeps its last good list, and is named.
#[utoipa::path(tag = "admin", security(("admin_key" = [])), responses(
    (status = 200, description = "At least one gateway has answered", body = RefreshResponse),
    (status = 401, description = "No admin key"),
    (status = 403, description = "Not an administrator"),
    (status = 500, description = "No gateway has answered; the last good lists are served on"),
    (status = 503, description = "No gateway is on"),
))]
#[post("/admin/refresh-models")]
pub async fn refresh_models(
    services: web::Data<Services>,
    admin: AdminPrincipal,
) -> Result<web::Json<RefreshResponse>, ApiError> {
    audit::record(&services.store, admin.actor(), None, "refresh_models", json!({}), services.clock.now()).await?;
    let answers = services.actors.catalog.refresh().await?;
    if answers.is_empty() {
        return Err(no_list());
    }
    let failures: Vec<&CatalogError> = answers.iter().filter_map(|answer| answer.outcome.as_ref().err()).collect();
    tracing::info!(admin = %admin.actor(), gateways = answers.len(), failures = failures.len(), "models refreshed");
    if let (Some(failure), true) = (failures.first(), failures.len() == answers.len()) {
        let error = ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "Failed to refresh models");
        return Err(error.with_cause(*failure));
    }
    let snapshot = services.actors.catalog.snapshot();
    let gateway = |answer: &Refreshed| GatewayRefresh {
        gateway: answer.gateway.as_str(),
        refreshed: answer.outcome.is_ok(),
        models: snapshot.list(answer.gateway).map_or(0, |list| list.entries.len()),
        error: answer.outcome.as_ref().err().map(ToString::to_string),
    };
    let message = if failures.is_empty() { "Model cache refreshed successfully" } else { "Model cache refreshed in part" };
    Ok(web::Json(RefreshResponse {
        status: "success",
        message: message.to_owned(),
        total_models: snapshot.merged().len(),
        gateways: answers.iter().map(gateway).collect(),
        timestamp: services.clock.now(),
    }))
}

/// How old and how large the lists of models are
#[utoipa::path(tag = "admin", security(("admin_key" = [])), responses(
    (status = 200, description = "The lists", body = CacheStatusResponse),
    (status = 401, description = "No admin key"),
    (status = 403, description = "Not an administrator"),
))]
#[get("/admin/cache-status")]
pub async fn cache_status(services: web::Data<Services>, _: AdminPrincipal) -> Result<web::Json<CacheStatusResponse>, ApiError> {
    let gateways = services.actors.catalog.status().await?;
    let snapshot = services.actors.catalog.snapshot();
    let ages = || gateways.iter().filter_map(|gateway| gateway.age);
    let is_fresh = |gateway: &GatewayStatus| gateway.age.is_some_and(|age| age <= CATALOG_TTL);
    let cache_info = CacheInfo {
        has_data: !snapshot.merged().is_empty(),
        cache_age_seconds: ages().max().map(|age| age.as_secs_f64()),
        ttl_seconds: CATALOG_TTL.as_secs(),
        is_valid: !gateways.is_empty() && gateways.iter().all(is_fresh),
        total_cached_models: snapshot.merged().len(),
    };
    let timestamp = services.clock.now();
    let gateways = gateways.into_iter().map(GatewayCache::from).collect();
    Ok(web::Json(CacheStatusResponse { status: "success", cache_info, gateways, timestamp }))
}

impl From<GatewayStatus> for GatewayCache {
    fn from(status: GatewayStatus) -> Self {
        Self {
            gateway: status.gateway.as_str(),
            models: status.models,
            unknown_prices: status.unknown_prices,
            fetched_at: status.fetched_at,
            cache_age_seconds: status.age.as_ref().map(Duration::as_secs_f64),
            refreshing: status.refreshing,
            failures: status.failures,
            last_error: status.last_error,
            next_refresh_at: status.next_refresh_at,
        }
    }
}
