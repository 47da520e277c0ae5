//! `GET /metrics`: Prometheus' text format. The recorder is the process's; several servers in one process share it.

use super::error::ApiError;
use super::principal::AdminPrincipal;
use crate::startup::Services;
use actix_web::{FromRequest, HttpRequest, HttpResponse, get, web};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::OnceLock;
use std::time::Duration;

/// From a cached answer to a long stream.
const SECONDS: [f64; 14] = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Samples wait in memory until they are folded into buckets.
const FOLD_EVERY: Duration = Duration::from_secs(5);

/// The process's recorder; installed at the first call.
pub fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let buckets = Matcher::Suffix("_seconds".to_owned());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(buckets, &SECONDS);
        let recorder = builder.unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder();
        let handle = recorder.handle();
        if ::metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another metrics recorder is installed: /metrics stays empty");
        }
        handle
    })
}

/// Folds samples into buckets for as long as its runtime lives.
pub async fn fold_forever() {
    let mut ticks = tokio::time::interval(FOLD_EVERY);
    loop {
        ticks.tick().await;
        recorder().run_upkeep();
    }
}

/// Counts, gauges and histograms of this process
///
/// For administrators, unless the setting `METRICS` is `public`.
#[utoipa::path(tag = "house", security(("admin_key" = [])), responses(
    (status = 200, description = "Prometheus' text format", body = String, content_type = "text/plain"),
    (status = 401, description = "No admin key"),
    (status = 403, description = "Not an administrator"),
))]
#[get("/metrics")]
pub async fn metrics(services: web::Data<Services>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    if !services.settings.telemetry.metrics_are_public {
        AdminPrincipal::extract(&request).await?;
    }
    let (in_use, open) = services.store.usage();
    ::metrics::gauge!("tollgate_database_connections", "state" => "in_use").set(count(in_use));
    ::metrics::gauge!("tollgate_database_connections", "state" => "open").set(count(open));
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(recorder().render()))
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}
