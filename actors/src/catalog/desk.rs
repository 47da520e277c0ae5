//! One gateway's refresh, from the question to the published snapshot. It runs on the I/O runtime and, where it computes,
//! on that runtime's blocking pool: a list of 20,000 models must not hold up the actors' thread.

use super::archive::{CatalogArchive, Packer, unpack};
use super::messages::CatalogError;
use super::snapshot::{CatalogSnapshot, GatewayList};
use crate::ports::{Clock, ModelGateway};
use arc_swap::ArcSwap;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tollgate_domain::{GatewayId, PricePerMillion};
use tollgate_store::catalog::StoredList;

/// What refreshes share: the way to each gateway, the archive, and the published snapshot.
pub(super) struct Desk {
    pub gateways: Vec<Arc<dyn ModelGateway>>,
    pub archive: Arc<dyn CatalogArchive>,
    pub clock: Arc<dyn Clock>,
    pub published: Arc<ArcSwap<CatalogSnapshot>>,
    pub default_price: PricePerMillion,
    pub list_timeout: Duration,
}

impl Desk {
    /// Publishes the archived list, when the process has none yet.
    pub async fn restore(self: &Arc<Self>, gateway: GatewayId) {
        if self.published.load().list(gateway).is_some() {
            return;
        }
        let stored = match self.archive.load(gateway).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return,
            Err(error) => return tracing::warn!(%gateway, %error, "the saved catalogue could not be loaded"),
        };
        let desk = Arc::clone(self);
        let restored = tokio::task::spawn_blocking(move || {
            let list = saved_list(gateway, &stored, desk.default_price)?;
            drop(stored);
            Ok::<_, serde_json::Error>(desk.publish(&list))
        });
        match restored.await {
            Ok(Ok(models)) => tracing::info!(%gateway, models, "serving the saved catalogue"),
            Ok(Err(error)) => tracing::warn!(%gateway, %error, "the saved catalogue is in another form"),
            Err(lost) => tracing::error!(%gateway, error = %lost, "the saved catalogue was lost"),
        }
    }

    /// Asks the gateway, publishes its list and saves it. Answers how many models came.
    pub async fn refresh(self: &Arc<Self>, gateway: &Arc<dyn ModelGateway>) -> Result<usize, CatalogError> {
        let id = gateway.id();
        let listed = tokio::time::timeout(self.list_timeout, gateway.list_models()).await;
        let models = listed.map_err(|_| CatalogError::Timeout(id))?;
        let models = models.map_err(|error| CatalogError::Gateway { gateway: id, error })?;
        let fetched_at = self.clock.now();
        let desk = Arc::clone(self);
        let published = tokio::task::spawn_blocking(move || {
            let mut packer = Packer::new();
            let models = models.inspect(|model| packer.add(model));
            let last = desk.published.load().list(id).cloned();
            let list = match last {
                Some(last) => last.followed_by(fetched_at, models, desk.default_price),
                None => GatewayList::new(id, fetched_at, models, desk.default_price),
            };
            // Mutant: without this line `an_empty_list_switches_nothing_off` is red.
            if list.entries.is_empty() {
                return Err(CatalogError::Empty(id));
            }
            Ok((desk.publish(&list), packer.finish().map_err(|error| error.to_string())))
        });
        let (count, packed) = published.await.map_err(|_| CatalogError::Lost(id))??;
        let saving =
            async { self.archive.save(id, StoredList { fetched_at, packed: packed? }).await.map_err(|error| error.to_string()) };
        if let Err(error) = saving.await {
            tracing::warn!(gateway = %id, %error, "the catalogue could not be saved");
        }
        Ok(count)
    }

    /// Puts the list into the published snapshot. Two gateways that answer at once lose nothing of each other's.
    fn publish(&self, list: &GatewayList) -> usize {
        self.report_prices(list);
        self.published.rcu(|snapshot| Arc::new(snapshot.with(list, self.default_price)));
        list.entries.len()
    }

    /// Counts prices that are not known, and warns of each absurd one when it first turns up.
    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a gauge is a float, a list is short")]
    fn report_prices(&self, list: &GatewayList) {
        let gateway = list.gateway;
        let snapshot = self.published.load();
        let before = snapshot.list(gateway).into_iter().flat_map(|list| &list.entries);
        let known: HashSet<&str> = before.filter(|entry| entry.absurd_price).map(|entry| &*entry.id).collect();
        let absurd: Vec<&str> = list.entries.iter().filter(|entry| entry.absurd_price).map(|entry| &*entry.id).collect();
        for model in absurd.iter().filter(|id| !known.contains(**id)) {
            tracing::warn!(%gateway, model, "absurd price: the model is charged at the default price");
        }
        let gauge = |name: &'static str, count: usize| metrics::gauge!(name, "gateway" => gateway.as_str()).set(count as f64);
        gauge("tollgate_catalog_models", list.entries.len());
        gauge("tollgate_catalog_unknown_prices", list.unknown_prices());
        gauge("tollgate_catalog_absurd_prices", absurd.len());
    }
}

/// A saved list as it was, or an error when one of its models is in another form.
fn saved_list(gateway: GatewayId, stored: &StoredList, default: PricePerMillion) -> serde_json::Result<GatewayList> {
    let mut wrong = None;
    let models = unpack(&stored.packed).map_while(|model| model.map_err(|error| wrong = Some(error)).ok());
    let list = GatewayList::new(gateway, stored.fetched_at, models, default);
    wrong.map_or(Ok(list), Err)
}
