//! What the health page asks.

use crate::schema::users;
use crate::{Store, StoreError};
use diesel::QueryDsl;
use diesel_async::RunQueryDsl;

/// How many users there are; that it answers at all is half the information.
///
/// # Errors
/// `Unavailable` when the database is away.
pub async fn user_count(store: &Store) -> Result<i64, StoreError> {
    let mut connection = store.get().await?;
    Ok(users::table.count().get_result(&mut connection).await?)
}
