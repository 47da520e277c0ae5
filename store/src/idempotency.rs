//! Table `idempotency_keys`: a request that is repeated under one key has one effect for 24 hours.

use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::{OptionalExtension, QueryableByName};
use diesel::sql_query;
use diesel::sql_types::{BigInt, Binary, Bool, Double, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use std::time::Duration;
use tollgate_domain::{HoldId, UserId};
use uuid::Uuid;

/// A key is remembered this long.
const REMEMBERED: Duration = Duration::from_secs(24 * 3_600);
/// And kept this much longer, as replicas' clocks may differ; what is past its day is not believed meanwhile.
const MARGIN: Duration = Duration::from_secs(3_600);

/// A key, and what is asked under it.
#[derive(Clone, Debug)]
pub struct Claim {
    pub user: UserId,
    pub key: String,
    /// SHA-256 of the request.
    pub body_hash: [u8; 32],
    /// The call that this request would make.
    pub hold: HoldId,
    pub streamed: bool,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is ours: make the call, then [`finish`] or [`free`].
    Fresh,
    /// The first request is under way.
    Running,
    /// It was used for another request.
    OtherRequest,
    /// It was answered so.
    Answered { hold: HoldId, status: u16, content_type: String, body: Vec<u8> },
    /// It was a stream, or its answer was lost in a crash: charged, and not to be had again.
    Gone { hold: HoldId },
}

#[derive(QueryableByName)]
struct KeyRow {
    #[diesel(sql_type = Binary)]
    body_hash: Vec<u8>,
    #[diesel(sql_type = SqlUuid)]
    generation_id: Uuid,
    #[diesel(sql_type = Nullable<SmallInt>)]
    status: Option<i16>,
    #[diesel(sql_type = Nullable<Text>)]
    content_type: Option<String>,
    #[diesel(sql_type = Nullable<Binary>)]
    body: Option<Vec<u8>>,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
    /// Of the call's hold; none when it never came to one.
    #[diesel(sql_type = Nullable<SmallInt>)]
    hold_state: Option<i16>,
}

const HOLD_OPEN: i16 = 0;
const HOLD_SETTLED: i16 = 1;

/// Claims the key. A claim whose server crashed is free again after `patience`, unless its call was charged.
///
/// # Errors
/// As all of the store.
pub async fn claim(store: &Store, claim: &Claim, now: DateTime<Utc>, patience: Duration) -> Result<Claimed, StoreError> {
    let mut connection = store.get().await?;
    // A key that is freed between the two statements makes another round; that happens once, not for ever.
    for _ in 0..3 {
        if insert(&mut connection, claim, now).await? {
            return Ok(Claimed::Fresh);
        }
        let Some(row) = find(&mut connection, claim).await? else { continue };
        match read(row, claim, now, patience) {
            Known::Is(claimed) => return Ok(claimed),
            Known::Abandoned(generation) => delete(&mut connection, claim, generation).await?,
        }
    }
    Ok(Claimed::Running)
}

/// Stores the answer; without a body the key answers [`Claimed::Gone`] from now on.
///
/// # Errors
/// As all of the store.
pub async fn finish(store: &Store, claim: &Claim, status: u16, answer: Option<(&str, &[u8])>) -> Result<(), StoreError> {
    let mut connection = store.get().await?;
    sql_query(
        "UPDATE idempotency_keys SET status = $4, content_type = $5, body = $6
         WHERE user_id = $1 AND key = $2 AND generation_id = $3",
    )
    .bind::<BigInt, _>(claim.user.0)
    .bind::<Text, _>(&claim.key)
    .bind::<SqlUuid, _>(claim.hold.0)
    .bind::<SmallInt, _>(i16::try_from(status).unwrap_or(i16::MAX))
    .bind::<Nullable<Text>, _>(answer.map(|(content_type, _)| content_type))
    .bind::<Nullable<Binary>, _>(answer.map(|(_, body)| body))
    .execute(&mut connection)
    .await?;
    Ok(())
}

/// Gives the key back: nothing was charged, so a repetition may try again.
///
/// # Errors
/// As all of the store.
pub async fn free(store: &Store, claim: &Claim) -> Result<(), StoreError> {
    let mut connection = store.get().await?;
    delete(&mut connection, claim, claim.hold.0).await
}

enum Known {
    Is(Claimed),
    /// Its server crashed before the call was charged, or its day is over.
    Abandoned(Uuid),
}

fn read(row: KeyRow, claim: &Claim, now: DateTime<Utc>, patience: Duration) -> Known {
    let hold = HoldId(row.generation_id);
    let is_stale = row.created_at + patience <= now;
    // Mutant: without this line `the_same_request_again_has_the_same_answer_and_one_charge` is red.
    if row.created_at + REMEMBERED <= now {
        return Known::Abandoned(row.generation_id);
    }
    // Mutant: without this line the key of another request is answered with the first one's answer.
    if row.body_hash != claim.body_hash {
        return Known::Is(Claimed::OtherRequest);
    }
    Known::Is(match (row.status, row.body) {
        (Some(status), Some(body)) => Claimed::Answered {
            hold,
            status: u16::try_from(status).unwrap_or(500),
            content_type: row.content_type.unwrap_or_default(),
            body,
        },
        (Some(_), None) => Claimed::Gone { hold },
        (None, _) => match row.hold_state {
            Some(HOLD_SETTLED) if is_stale => Claimed::Gone { hold },
            Some(HOLD_OPEN) => Claimed::Running,
            _ if is_stale => return Known::Abandoned(row.generation_id),
            _ => Claimed::Running,
        },
    })
}

async fn insert(connection: &mut AsyncPgConnection, claim: &Claim, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let inserted = sql_query(
        "INSERT INTO idempotency_keys (user_id, key, body_hash, generation_id, streamed, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
    )
    .bind::<BigInt, _>(claim.user.0)
    .bind::<Text, _>(&claim.key)
    .bind::<Binary, _>(&claim.body_hash[..])
    .bind::<SqlUuid, _>(claim.hold.0)
    .bind::<Bool, _>(claim.streamed)
    .bind::<Timestamptz, _>(now)
    .execute(connection)
    .await?;
    Ok(inserted == 1)
}

async fn find(connection: &mut AsyncPgConnection, claim: &Claim) -> Result<Option<KeyRow>, StoreError> {
    let query = sql_query(
        "SELECT k.body_hash, k.generation_id, k.status, k.content_type, k.body, k.created_at, h.state AS hold_state
         FROM idempotency_keys k LEFT JOIN holds h ON h.id = k.generation_id
         WHERE k.user_id = $1 AND k.key = $2",
    );
    Ok(query.bind::<BigInt, _>(claim.user.0).bind::<Text, _>(&claim.key).get_result(connection).await.optional()?)
}

async fn delete(connection: &mut AsyncPgConnection, claim: &Claim, generation: Uuid) -> Result<(), StoreError> {
    sql_query("DELETE FROM idempotency_keys WHERE user_id = $1 AND key = $2 AND generation_id = $3")
        .bind::<BigInt, _>(claim.user.0)
        .bind::<Text, _>(&claim.key)
        .bind::<SqlUuid, _>(generation)
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets keys whose day was over at that time, up to `limit` of them. Answers how many.
///
/// # Errors
/// As all of the store.
pub async fn forget(store: &Store, now: DateTime<Utc>, limit: i64) -> Result<usize, StoreError> {
    let mut connection = store.get().await?;
    let delete = sql_query(
        "DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM idempotency_keys WHERE created_at < $1 - make_interval(secs => $2)
             ORDER BY created_at LIMIT $3 FOR UPDATE SKIP LOCKED))",
    )
    .bind::<Timestamptz, _>(now)
    .bind::<Double, _>((REMEMBERED + MARGIN).as_secs_f64())
    .bind::<BigInt, _>(limit);
    Ok(delete.execute(&mut connection).await?)
}
