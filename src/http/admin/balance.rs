//! `GET /admin/balance`: what all users have.

use crate::http::error::ApiError;
use crate::http::extract::Query;
use crate::http::paging::within;
use crate::http::principal::AdminPrincipal;
use crate::startup::Services;
use actix_web::{get, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tollgate_domain::Nanos;
use tollgate_store::administration::{self, UserBalance};
use tollgate_store::users;
use utoipa::{IntoParams, ToSchema};

/// Most installations have them all on one page.
const LIMIT_DEFAULT: i64 = 1_000;
const LIMIT_MAX: i64 = 10_000;

/// Which users
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BalancesQuery {
    /// 1 to 10000, default 1000.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<i64>,
    /// Users with a higher id only: `next_after` of the page before.
    after: Option<i64>,
}

/// What all users have
#[derive(Serialize, ToSchema)]
pub struct BalancesResponse {
    status: &'static str,
    /// Of all pages.
    total_users: i64,
    /// By id.
    users: Vec<UserBalanceRow>,
    /// Where the next page begins; `null` on the last one.
    #[schema(required)]
    next_after: Option<i64>,
}

/// What a user has. Dollars
#[derive(Serialize, ToSchema)]
pub struct UserBalanceRow {
    user_id: i64,
    username: String,
    email: String,
    /// The primary key, masked; `null` for a user without keys.
    #[schema(required)]
    api_key: Option<String>,
    /// All keys, masked.
    api_keys: Vec<String>,
    /// Settled.
    #[schema(value_type = f64)]
    credits: Nanos,
    /// Reserved by calls that run.
    #[schema(value_type = f64)]
    held: Nanos,
    /// Left owing.
    #[schema(value_type = f64)]
    debt: Nanos,
    is_active: bool,
    /// `active`, `trial`, `expired` or `cancelled`.
    subscription_status: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<UserBalance> for UserBalanceRow {
    fn from(user: UserBalance) -> Self {
        Self {
            user_id: user.id,
            username: user.username,
            email: user.email,
            api_key: user.keys.first().cloned(),
            api_keys: user.keys,
            credits: Nanos(user.posted),
            held: Nanos(user.held),
            debt: Nanos(user.owed),
            is_active: user.is_active,
            subscription_status: user.subscription_status,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// What all users have
#[utoipa::path(tag = "admin", security(("admin_key" = [])), params(BalancesQuery), responses(
    (status = 200, description = "A page of users", body = BalancesResponse),
    (status = 401, description = "No admin key"),
    (status = 403, description = "Not an administrator"),
    (status = 422, description = "A wrong parameter"),
))]
#[get("/admin/balance")]
pub async fn admin_balance(
    services: web::Data<Services>,
    _admin: AdminPrincipal,
    Query(query): Query<BalancesQuery>,
) -> Result<web::Json<BalancesResponse>, ApiError> {
    let limit = within("limit", query.limit, LIMIT_DEFAULT, 1..=LIMIT_MAX)?;
    // One row more than is shown tells whether there are more.
    let mut rows = administration::balances(&services.store, query.after.unwrap_or(0), limit + 1).await?;
    let has_more = i64::try_from(rows.len()).unwrap_or(i64::MAX) > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next_after = rows.last().filter(|_| has_more).map(|last| last.id);
    Ok(web::Json(BalancesResponse {
        status: "success",
        total_users: users::count(&services.store).await?,
        users: rows.into_iter().map(UserBalanceRow::from).collect(),
        next_after,
    }))
}
