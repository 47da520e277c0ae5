//! Table `catalog_snapshots`: the last good list of every gateway, so that a restart with the provider away still serves.

use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::{OptionalExtension, QueryableByName};
use diesel::sql_query;
use diesel::sql_types::{Binary, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use tollgate_domain::GatewayId;

/// A saved list.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub struct StoredList {
    #[diesel(sql_type = Timestamptz)]
    pub fetched_at: DateTime<Utc>,
    /// The models, as the catalogue packs them.
    #[diesel(sql_type = Binary)]
    pub packed: Vec<u8>,
}

/// The saved list of a gateway.
///
/// # Errors
/// As all of the store.
pub async fn find_list(store: &Store, gateway: GatewayId) -> Result<Option<StoredList>, StoreError> {
    let mut connection = store.get().await?;
    let query = sql_query("SELECT fetched_at, packed FROM catalog_snapshots WHERE gateway = $1");
    Ok(query.bind::<Text, _>(gateway.as_str()).get_result(&mut connection).await.optional()?)
}

/// Saves a gateway's list, unless another replica has saved a newer one.
///
/// # Errors
/// As all of the store.
pub async fn save_list(store: &Store, gateway: GatewayId, list: &StoredList) -> Result<(), StoreError> {
    let mut connection = store.get().await?;
    sql_query(
        "INSERT INTO catalog_snapshots (gateway, fetched_at, packed) VALUES ($1, $2, $3)
         ON CONFLICT (gateway) DO UPDATE SET fetched_at = EXCLUDED.fetched_at, packed = EXCLUDED.packed
         WHERE catalog_snapshots.fetched_at <= EXCLUDED.fetched_at",
    )
    .bind::<Text, _>(gateway.as_str())
    .bind::<Timestamptz, _>(list.fetched_at)
    .bind::<Binary, _>(&list.packed)
    .execute(&mut connection)
    .await?;
    Ok(())
}
