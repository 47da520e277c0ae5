//! The four tiers, and who is on which: the tables `plans` and `user_plans`; and what users have used of theirs.

use crate::audit::{self, Actor};
use crate::schema::{plans, user_plans, users};
use crate::{Store, StoreError};
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Date, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use serde_json::{Value, json};
use tollgate_domain::{PlanId, UserId};

/// A tier.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = plans)]
pub struct PlanRow {
    pub id: i64,
    pub plan_type: String,
    pub name: String,
    pub description: String,
    pub daily_request_limit: i64,
    pub monthly_request_limit: i64,
    pub daily_token_limit: i64,
    pub monthly_token_limit: i64,
    pub price_per_month_nanos: i64,
    pub yearly_price_nanos: Option<i64>,
    pub price_per_million_nanos: Option<i64>,
    pub is_pay_as_you_go: bool,
    pub max_concurrent_requests: i64,
    /// A list of strings.
    pub features: Value,
    pub is_active: bool,
}

/// Who is on which plan, and until when.
#[derive(Clone, Copy, Debug, Queryable, Selectable)]
#[diesel(table_name = user_plans)]
pub struct UserPlanRow {
    pub id: i64,
    pub user_id: i64,
    pub plan_id: i64,
    pub start_date: DateTime<Utc>,
    /// `None`: without end.
    pub end_date: Option<DateTime<Utc>>,
}

/// Why a plan could not be assigned.
#[derive(Debug, thiserror::Error)]
pub enum AssignError {
    #[error("plan {} not found", .0)]
    UnknownPlan(PlanId),
    #[error("user {} not found", .0)]
    UnknownUser(UserId),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<diesel::result::Error> for AssignError {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The active tiers, in their order.
///
/// # Errors
/// As for every statement.
pub async fn list(store: &Store) -> Result<Vec<PlanRow>, StoreError> {
    let mut connection = store.get().await?;
    let active = plans::table.filter(plans::is_active).order(plans::sort_order);
    Ok(active.select(PlanRow::as_select()).load(&mut connection).await?)
}

/// One active tier.
///
/// # Errors
/// As for every statement.
pub async fn find(store: &Store, plan: PlanId) -> Result<Option<PlanRow>, StoreError> {
    let mut connection = store.get().await?;
    Ok(active(&mut connection, plan).await?)
}

/// The user's plan, whether or not it has ended.
///
/// # Errors
/// As for every statement.
pub async fn of_user(store: &Store, user: UserId) -> Result<Option<(UserPlanRow, PlanRow)>, StoreError> {
    let mut connection = store.get().await?;
    let row = user_plans::table
        .inner_join(plans::table)
        .filter(user_plans::user_id.eq(user.0).and(user_plans::is_active))
        .select((UserPlanRow::as_select(), PlanRow::as_select()))
        .first(&mut connection)
        .await
        .optional()?;
    Ok(row)
}

/// A user's plan at some moment.
#[derive(Clone, Debug)]
pub enum PlanState {
    Active(UserPlanRow, Box<PlanRow>),
    /// The last plan's time is over, and no other was assigned.
    Expired {
        ended_at: DateTime<Utc>,
    },
    None,
}

/// The user's plan now. One whose time is over is ended: its row is inactive from then on, and the user's
/// `subscription_status` is `expired`.
///
/// # Errors
/// As for every statement.
pub async fn current(store: &Store, user: UserId, now: DateTime<Utc>) -> Result<PlanState, StoreError> {
    let mut connection = store.get().await?;
    let latest: Option<(UserPlanRow, bool, PlanRow)> = latest(&mut connection, user).await?;
    let Some((row, is_active, plan)) = latest else { return Ok(PlanState::None) };
    match row.end_date.filter(|end| *end <= now) {
        Some(ended_at) => {
            if is_active {
                expire(&mut connection, user, now).await?;
            }
            Ok(PlanState::Expired { ended_at })
        }
        None if is_active => Ok(PlanState::Active(row, Box::new(plan))),
        None => Ok(PlanState::None),
    }
}

/// The plan that was assigned last is the active one, if one is.
async fn latest(connection: &mut AsyncPgConnection, user: UserId) -> QueryResult<Option<(UserPlanRow, bool, PlanRow)>> {
    user_plans::table
        .inner_join(plans::table)
        .filter(user_plans::user_id.eq(user.0))
        .order(user_plans::id.desc())
        .select((UserPlanRow::as_select(), user_plans::is_active, PlanRow::as_select()))
        .first(connection)
        .await
        .optional()
}

/// Ends the plan whose time is over; one that was assigned meanwhile stays.
async fn expire(connection: &mut AsyncPgConnection, user: UserId, now: DateTime<Utc>) -> Result<(), diesel::result::Error> {
    connection
        .transaction(async |connection| {
            // The user's row first, as everywhere.
            users::table.find(user.0).select(users::id).for_update().first::<i64>(connection).await.optional()?;
            let over = user_plans::user_id.eq(user.0).and(user_plans::is_active).and(user_plans::end_date.le(now));
            let ended =
                diesel::update(user_plans::table.filter(over)).set(user_plans::is_active.eq(false)).execute(connection).await?;
            if ended > 0 {
                diesel::update(users::table.find(user.0))
                    .set((users::subscription_status.eq("expired"), users::updated_at.eq(now)))
                    .execute(connection)
                    .await?;
            }
            Ok(())
        })
        .await
}

/// What a user has used of a day and of a month. Calls that were settled count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, QueryableByName)]
pub struct PlanUsage {
    #[diesel(sql_type = BigInt)]
    pub daily_requests: i64,
    #[diesel(sql_type = BigInt)]
    pub daily_tokens: i64,
    #[diesel(sql_type = BigInt)]
    pub monthly_requests: i64,
    #[diesel(sql_type = BigInt)]
    pub monthly_tokens: i64,
}

/// What the user has used of a UTC day that is not over, and of its month.
///
/// Today's calls are counted where they are charged, those of the days before are summed already: at most a day is read
/// call by call.
///
/// # Errors
/// As for every statement.
pub async fn usage(store: &Store, user: UserId, today: NaiveDate) -> Result<PlanUsage, StoreError> {
    let mut connection = store.get().await?;
    let sums = diesel::sql_query(
        "SELECT today.requests AS daily_requests, today.tokens AS daily_tokens,
            today.requests + before.requests AS monthly_requests, today.tokens + before.tokens AS monthly_tokens
        FROM (SELECT count(*) AS requests, coalesce(sum(prompt_tokens + completion_tokens), 0)::bigint AS tokens
                FROM usage_records WHERE user_id = $1 AND created_at >= $2) AS today,
            (SELECT coalesce(sum(requests), 0)::bigint AS requests,
                coalesce(sum(prompt_tokens + completion_tokens), 0)::bigint AS tokens
                FROM activity_day_sums WHERE user_id = $1 AND day >= $3 AND day < $4) AS before",
    );
    let sums = sums.bind::<BigInt, _>(user.0).bind::<Timestamptz, _>(today.and_time(NaiveTime::MIN).and_utc());
    let sums = sums.bind::<Date, _>(today.with_day(1).unwrap_or(today)).bind::<Date, _>(today);
    Ok(sums.get_result(&mut connection).await?)
}

/// Puts the user on a plan from `now` to `end`, in place of the one before, and ends the trial; with an audit row.
///
/// # Errors
/// No such active plan, no such user; else as for every statement.
pub async fn assign(
    store: &Store,
    by: Actor,
    user: UserId,
    plan: PlanId,
    now: DateTime<Utc>,
    end: DateTime<Utc>,
) -> Result<PlanRow, AssignError> {
    let mut connection = store.get().await?;
    connection
        .transaction(async |connection| {
            let found = active(connection, plan).await?.ok_or(AssignError::UnknownPlan(plan))?;
            // Takes the user's row first, so that two assignments at once end up as one after the other.
            let user_found = diesel::update(users::table.find(user.0))
                .set((
                    users::subscription_status.eq("active"),
                    users::trial_expires_at.eq(None::<DateTime<Utc>>),
                    users::updated_at.eq(now),
                ))
                .execute(connection)
                .await?;
            if user_found == 0 {
                return Err(AssignError::UnknownUser(user));
            }
            diesel::update(user_plans::table.filter(user_plans::user_id.eq(user.0).and(user_plans::is_active)))
                .set(user_plans::is_active.eq(false))
                .execute(connection)
                .await?;
            start(connection, user, plan, now, Some(end)).await?;
            let details = json!({"plan_id": plan, "plan_name": found.name, "start_date": now, "end_date": end});
            audit::append_by(connection, by, Some(user), None, "assign_plan", details, now).await?;
            Ok(found)
        })
        .await
}

/// Puts a new user on the Free plan, without end.
pub(crate) async fn start_free(
    connection: &mut AsyncPgConnection,
    user: UserId,
    now: DateTime<Utc>,
) -> Result<(), diesel::result::Error> {
    let free: i64 = plans::table.filter(plans::plan_type.eq("free")).select(plans::id).first(connection).await?;
    start(connection, user, PlanId(free), now, None).await
}

async fn active(connection: &mut AsyncPgConnection, plan: PlanId) -> QueryResult<Option<PlanRow>> {
    let found = plans::table.filter(plans::id.eq(plan.0).and(plans::is_active));
    found.select(PlanRow::as_select()).first(connection).await.optional()
}

async fn start(
    connection: &mut AsyncPgConnection,
    user: UserId,
    plan: PlanId,
    now: DateTime<Utc>,
    end: Option<DateTime<Utc>>,
) -> Result<(), diesel::result::Error> {
    diesel::insert_into(user_plans::table)
        .values((
            user_plans::user_id.eq(user.0),
            user_plans::plan_id.eq(plan.0),
            user_plans::start_date.eq(now),
            user_plans::end_date.eq(end),
            user_plans::created_at.eq(now),
        ))
        .execute(connection)
        .await?;
    Ok(())
}
