//! What the operator's command line asks and no door does.

use crate::schema::users;
use crate::{Store, StoreError};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use tollgate_domain::UserId;

/// The user of that id, username or e-mail address, in this order.
///
/// # Errors
/// `Unavailable` when the database is away.
pub async fn find_user(store: &Store, who: &str) -> Result<Option<UserId>, StoreError> {
    let mut connection = store.get().await?;
    let all = users::table.select(users::id);
    if let Ok(id) = who.parse::<i64>() {
        let found: Option<i64> = all.filter(users::id.eq(id)).first(&mut connection).await.optional()?;
        if found.is_some() {
            return Ok(found.map(UserId));
        }
    }
    let named: Option<i64> = all.filter(users::username.eq(who)).first(&mut connection).await.optional()?;
    if named.is_some() {
        return Ok(named.map(UserId));
    }
    // Addresses are unique without regard to case, and so is their index.
    let address =
        diesel::dsl::sql::<diesel::sql_types::Bool>("lower(email) = lower(").bind::<diesel::sql_types::Text, _>(who).sql(")");
    let found: Option<i64> = all.filter(address).first(&mut connection).await.optional()?;
    Ok(found.map(UserId))
}
