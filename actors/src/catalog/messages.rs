//! What can be asked of the catalogue, and what it answers.

use crate::ports::GatewayError;
use actix::Message;
use chrono::{DateTime, Utc};
use std::time::Duration;
use tollgate_domain::GatewayId;

/// Ask every gateway for its list now, or join those who are asking already.
#[derive(Debug, Message)]
#[rtype(result = "Vec<Refreshed>")]
pub struct RefreshModels;

/// What came of one gateway's refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refreshed {
    pub gateway: GatewayId,
    /// How many models came.
    pub outcome: Result<usize, CatalogError>,
}

/// How old and how large every list is.
#[derive(Debug, Message)]
#[rtype(result = "Vec<GatewayStatus>")]
pub struct FindStatus;

/// Wait until every gateway's list is there, or its first try is over.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct AwaitFirstLists;

/// One gateway's list, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayStatus {
    pub gateway: GatewayId,
    pub models: usize,
    /// Models charged at a price that is not their gateway's.
    pub unknown_prices: usize,
    /// `None` while there is no list.
    pub fetched_at: Option<DateTime<Utc>>,
    pub age: Option<Duration>,
    pub refreshing: bool,
    /// Failures since the last success.
    pub failures: u32,
    pub last_error: Option<String>,
    pub next_refresh_at: DateTime<Utc>,
}

/// Why a list could not be refreshed. The last good one is served on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    #[error("{gateway}: {error}")]
    Gateway { gateway: GatewayId, error: GatewayError },
    /// No list within the time that one may take.
    #[error("{0} sent no list in time")]
    Timeout(GatewayId),
    /// A list without a model is a gateway's mistake: it would switch every model off.
    #[error("{0} sent an empty list")]
    Empty(GatewayId),
    /// Its adapter panicked.
    #[error("the refresh of {0} was lost")]
    Lost(GatewayId),
}
