//! `GET /health` for people and dashboards, `GET /ready` for load balancers (decision 23).

use super::error::ApiError;
use crate::startup::Services;
use actix_web::{HttpResponse, get, web};
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tollgate_actors::catalog::GatewayStatus;
use tollgate_domain::GatewayId;
use tollgate_store::health::user_count;

/// A look at the database and the gateways serves everyone who asks in this time.
const FRESH: Duration = Duration::from_secs(2);
/// A database that takes longer is not healthy.
const PATIENCE: Duration = Duration::from_secs(2);

/// The last look.
#[derive(Default)]
pub struct HealthBoard(Mutex<Option<(Instant, Look)>>);

#[derive(Clone)]
struct Look {
    /// `None`: the database did not answer.
    user_count: Option<i64>,
    openrouter: GatewayState,
    best: GatewayState,
}

/// What is known of a gateway, from bad to good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum GatewayState {
    /// It has no key.
    Unavailable,
    /// Its last list failed and there is none from before.
    Error,
    /// It has not answered yet.
    Unknown,
    /// Its models are known.
    Connected,
}

/// How the server is
#[derive(Serialize, utoipa::ToSchema)]
struct Health {
    /// `healthy` or `unhealthy`.
    status: &'static str,
    app: &'static str,
    /// `connected` or `disconnected`.
    database: &'static str,
    /// The best state of all gateways.
    gatewayz: GatewayState,
    openrouter: GatewayState,
    /// May be seconds old.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_count: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

/// How the server is; always 200
#[utoipa::path(tag = "house", security(()), responses((status = 200, description = "Healthy or not", body = Health)))]
#[get("/health")]
pub async fn health(services: web::Data<Services>) -> HttpResponse {
    let Look { user_count, openrouter, best } = look(&services).await;
    let healthy = user_count.is_some();
    HttpResponse::Ok().json(Health {
        status: if healthy { "healthy" } else { "unhealthy" },
        app: "tollgate",
        database: if healthy { "connected" } else { "disconnected" },
        gatewayz: best,
        openrouter,
        user_count,
        timestamp: healthy.then(|| services.clock.now()),
        error: (!healthy).then_some("The database does not answer"),
    })
}

/// Whether this replica wants requests
#[utoipa::path(
    tag = "house",
    security(()),
    responses((status = 200, description = "Send requests", body = Object), (status = 503, description = "Send them elsewhere")),
)]
#[get("/ready")]
pub async fn ready(services: web::Data<Services>) -> Result<HttpResponse, ApiError> {
    if !services.readiness.is_ready() {
        return Err(ApiError::unavailable(Duration::from_secs(1)).with_message("The server is stopping"));
    }
    match look(&services).await.user_count {
        Some(_) => Ok(HttpResponse::Ok().json(serde_json::json!({"status": "ready"}))),
        None => Err(ApiError::unavailable(Duration::from_secs(1)).with_message("The database does not answer")),
    }
}

/// One look at a time: the others wait for it.
async fn look(services: &Services) -> Look {
    let mut last = services.health.0.lock().await;
    if let Some((at, look)) = &*last
        && at.elapsed() < FRESH
    {
        return look.clone();
    }
    let counted = tokio::time::timeout(PATIENCE, user_count(&services.store)).await;
    let gateways = services.actors.catalog.status().await.unwrap_or_default();
    let state = |id| gateways.iter().find(|status| status.gateway == id).map_or(GatewayState::Unavailable, state_of);
    let best = gateways.iter().map(state_of).max().unwrap_or(GatewayState::Unavailable);
    let look = Look { user_count: counted.ok().and_then(Result::ok), openrouter: state(GatewayId::OpenRouter), best };
    *last = Some((Instant::now(), look.clone()));
    look
}

const fn state_of(status: &GatewayStatus) -> GatewayState {
    match (status.fetched_at, status.failures) {
        (Some(_), _) => GatewayState::Connected,
        (None, 0) => GatewayState::Unknown,
        (None, _) => GatewayState::Error,
    }
}
