//! Where the last good lists outlive the process.

use crate::ports::CatalogModel;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::io::{self, BufReader};
use tollgate_domain::GatewayId;
use tollgate_store::catalog::{StoredList, find_list, save_list};
use tollgate_store::{Store, StoreError};

/// Keeps one list per gateway. The catalogue works without it; what fails here is only logged.
pub trait CatalogArchive: Send + Sync {
    fn load(&self, gateway: GatewayId) -> BoxFuture<'_, Result<Option<StoredList>, StoreError>>;

    fn save(&self, gateway: GatewayId, list: StoredList) -> BoxFuture<'_, Result<(), StoreError>>;
}

impl CatalogArchive for Store {
    fn load(&self, gateway: GatewayId) -> BoxFuture<'_, Result<Option<StoredList>, StoreError>> {
        find_list(self, gateway).boxed()
    }

    fn save(&self, gateway: GatewayId, list: StoredList) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { save_list(self, gateway, &list).await }.boxed()
    }
}

/// Packs a list model by model, as JSON under gzip: as text it would take the room of all that the catalogue keeps of it, and that
/// again in each buffer on its way.
pub(super) struct Packer {
    out: GzEncoder<Vec<u8>>,
    wrong: Option<io::Error>,
}

impl Packer {
    pub fn new() -> Self {
        Self { out: GzEncoder::new(Vec::new(), Compression::fast()), wrong: None }
    }

    pub fn add(&mut self, model: &CatalogModel) {
        if let Err(error) = serde_json::to_writer(&mut self.out, model) {
            self.wrong = Some(error.into());
        }
    }

    /// # Errors
    /// A model that can't be written.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        self.wrong.map_or_else(|| self.out.finish(), Err)
    }
}

/// The models of a packed list, one after the other.
pub(super) fn unpack(packed: &[u8]) -> impl Iterator<Item = serde_json::Result<CatalogModel>> {
    serde_json::Deserializer::from_reader(BufReader::new(GzDecoder::new(packed))).into_iter()
}
