//! Where the last good lists outlive the process.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;
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

/// PostgreSQL's text knows no NUL; one in a description must not cost the whole list.
pub(super) fn strip_nul(value: &mut Value) {
    match value {
        Value::String(text) => text.retain(|letter| letter != '\0'),
        Value::Array(items) => items.iter_mut().for_each(strip_nul),
        Value::Object(fields) => {
            fields.retain(|name, _| !name.contains('\0'));
            fields.values_mut().for_each(strip_nul);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
