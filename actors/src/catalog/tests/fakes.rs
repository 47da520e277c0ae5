//! A gateway, an archive and a clock that do as they are told.

use crate::catalog::CatalogArchive;
use crate::ledger::CallPermit;
use crate::ports::{CatalogModel, Clock, GatewayError, ModelGateway, ModelList, UpstreamAnswer, UpstreamCall};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Semaphore;
use tollgate_domain::{GatewayId, PriceLines, PricePerMillion};
use tollgate_store::StoreError;
use tollgate_store::catalog::StoredList;

pub fn model(gateway: GatewayId, id: &str, prices: Option<PriceLines>) -> CatalogModel {
    CatalogModel {
        id: id.to_owned(),
        gateway,
        upstream_id: None,
        prices: prices.map(Into::into),
        context_length: 8_192,
        max_completion_tokens: None,
        public: json!({"id": id, "provider_slug": id.split_once('/').map(|(slug, _)| slug)}),
    }
}

/// Cents for a million tokens.
pub fn flat(cents: i64) -> PriceLines {
    PriceLines::flat(PricePerMillion(cents * 10_000_000))
}

#[derive(Clone)]
pub enum Listing {
    Models(Vec<CatalogModel>),
    Fails(GatewayError),
    Hangs,
    Panics,
}

pub struct FakeGateway {
    id: GatewayId,
    listing: Mutex<Listing>,
    pub asked: AtomicUsize,
    /// Each answer takes one.
    pub answers: Semaphore,
}

impl FakeGateway {
    pub fn new(id: GatewayId, listing: Listing) -> Self {
        Self { id, listing: Mutex::new(listing), asked: AtomicUsize::new(0), answers: Semaphore::new(Semaphore::MAX_PERMITS) }
    }

    pub fn turn(&self, listing: Listing) {
        *self.listing.lock().unwrap() = listing;
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl ModelGateway for FakeGateway {
    fn id(&self) -> GatewayId {
        self.id
    }

    fn list_models(&self) -> BoxFuture<'_, Result<ModelList, GatewayError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        async {
            self.answers.acquire().await.unwrap().forget();
            let listing = self.listing.lock().unwrap().clone();
            match listing {
                Listing::Models(models) => {
                    let list: ModelList = Box::new(models.into_iter());
                    Ok(list)
                }
                Listing::Fails(error) => Err(error),
                Listing::Hangs => pending().await,
                Listing::Panics => panic!("a gateway's adapter panicked on request"),
            }
        }
        .boxed()
    }

    fn complete<'a>(&'a self, _: &'a CallPermit, _: UpstreamCall) -> BoxFuture<'a, Result<UpstreamAnswer, GatewayError>> {
        async { Err(GatewayError::Connection("only its list is asked for".to_owned())) }.boxed()
    }
}

#[derive(Default)]
pub struct FakeArchive {
    pub lists: Mutex<HashMap<GatewayId, StoredList>>,
    pub away: AtomicBool,
}

impl FakeArchive {
    fn check(&self) -> Result<(), StoreError> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(StoreError::Unavailable("away on request".to_owned())),
            false => Ok(()),
        }
    }
}

impl CatalogArchive for FakeArchive {
    fn load(&self, gateway: GatewayId) -> BoxFuture<'_, Result<Option<StoredList>, StoreError>> {
        async move { self.check().map(|()| self.lists.lock().unwrap().get(&gateway).cloned()) }.boxed()
    }

    fn save(&self, gateway: GatewayId, list: StoredList) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.check().map(|()| drop(self.lists.lock().unwrap().insert(gateway, list))) }.boxed()
    }
}

pub struct TurnedClock(Mutex<DateTime<Utc>>);

impl TurnedClock {
    pub fn new() -> Self {
        Self(Mutex::new("2026-11-22T06:00:00Z".parse().unwrap()))
    }

    pub fn advance(&self, seconds: i64) {
        *self.0.lock().unwrap() += TimeDelta::seconds(seconds);
    }
}

impl Clock for TurnedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}
