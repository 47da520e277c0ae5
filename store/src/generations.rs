//! One call, by its id: the usage record behind `GET /v1/generation`.

use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use tollgate_domain::{HoldId, UserId};

/// A charged call. `cost` in nano-dollars, `latency_ms` from the request to the settle.
#[derive(Clone, Debug, QueryableByName)]
pub struct Generation {
    #[diesel(sql_type = Timestamptz)]
    pub created_at: DateTime<Utc>,
    #[diesel(sql_type = Text)]
    pub model: String,
    #[diesel(sql_type = Text)]
    pub gateway: String,
    #[diesel(sql_type = BigInt)]
    pub prompt_tokens: i64,
    #[diesel(sql_type = BigInt)]
    pub completion_tokens: i64,
    #[diesel(sql_type = BigInt)]
    pub cache_read_tokens: i64,
    #[diesel(sql_type = BigInt)]
    pub reasoning_tokens: i64,
    #[diesel(sql_type = BigInt)]
    pub cost: i64,
    #[diesel(sql_type = Integer)]
    pub latency_ms: i32,
    #[diesel(sql_type = Bool)]
    pub streamed: bool,
    #[diesel(sql_type = Text)]
    pub finish_reason: String,
}

/// The user's call with that hold; `None` for another's, an unknown one, and one that was not charged.
///
/// Needs no index of its own: a hold is closed by the batch that writes its usage record, so both have one time, and with it the
/// user's records are found.
///
/// # Errors
/// As for every statement.
pub async fn find(store: &Store, user: UserId, hold: HoldId) -> Result<Option<Generation>, StoreError> {
    let mut connection = store.get().await?;
    let query = diesel::sql_query(
        "SELECT u.created_at, u.model, u.gateway, u.prompt_tokens, u.completion_tokens, u.cache_read_tokens, u.reasoning_tokens,
             u.cost, u.latency_ms, u.streamed, u.finish_reason
         FROM holds h JOIN usage_records u ON u.user_id = $1 AND u.created_at = h.closed_at AND u.hold_id = h.id
         WHERE h.id = $2",
    );
    Ok(query.bind::<BigInt, _>(user.0).bind::<SqlUuid, _>(hold.0).get_result(&mut connection).await.optional()?)
}
