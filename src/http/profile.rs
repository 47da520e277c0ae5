//! `GET /user/profile` and `PUT /user/profile`: what users say of themselves.

use super::error::{ApiError, FieldError};
use super::extract::Body;
use super::principal::scopes::Profile;
use super::principal::{May, Read, Write, of_ledger};
use super::text;
use crate::startup::Services;
use actix_web::{get, put, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tollgate_actors::identity::{Caller, UpdateProfile};
use tollgate_domain::Nanos;
use tollgate_store::profiles::{ProfileChange, ProfileRow};
use utoipa::ToSchema;

/// Of preferences and of settings, as JSON.
const OBJECT_BYTES_MAX: usize = 16 << 10;

/// A user's profile
#[derive(Serialize, ToSchema)]
pub struct UserProfileResponse {
    user_id: i64,
    /// Masked: the key that asks.
    api_key: String,
    /// Dollars: the balance.
    #[schema(value_type = f64)]
    credits: Nanos,
    username: String,
    email: String,
    /// `email`, `wallet`, `google` or `github`.
    auth_method: String,
    /// `active`, `trial`, `expired` or `cancelled`.
    subscription_status: String,
    #[schema(required)]
    trial_expires_at: Option<DateTime<Utc>>,
    is_active: bool,
    registration_date: DateTime<Utc>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    #[schema(required)]
    name: Option<String>,
    /// The user's own; the server only keeps them.
    #[schema(value_type = Object)]
    preferences: Value,
    #[schema(value_type = Object)]
    settings: Value,
}

/// What to change: at least one of them; an absent or null one stays as it is
#[derive(Deserialize, ToSchema)]
pub struct UserProfileUpdate {
    #[schema(min_length = 1, max_length = 255)]
    name: Option<String>,
    #[schema(format = "email", max_length = 255)]
    email: Option<String>,
    /// In place of the preferences before; at most 16 KiB.
    #[schema(value_type = Option<Object>)]
    preferences: Option<Map<String, Value>>,
    /// In place of the settings before; at most 16 KiB.
    #[schema(value_type = Option<Object>)]
    settings: Option<Map<String, Value>>,
}

/// The profile
#[utoipa::path(tag = "user", responses(
    (status = 200, description = "The profile", body = UserProfileResponse),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read the profile"),
    (status = 503, description = "The database is away"),
))]
#[get("/user/profile")]
pub async fn user_profile(
    services: web::Data<Services>,
    caller: May<Read, Profile>,
) -> Result<web::Json<UserProfileResponse>, ApiError> {
    let profile = services.actors.identity.profile(caller.0.user).await?;
    answer(&services, &caller.0, profile).await
}

/// Change the profile
#[utoipa::path(tag = "user", request_body = UserProfileUpdate, responses(
    (status = 200, description = "The profile as it is now", body = UserProfileResponse),
    (status = 400, description = "Nothing to change, or the address has an account"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not write the profile"),
    (status = 422, description = "A wrong shape"),
    (status = 503, description = "The database is away"),
))]
#[put("/user/profile")]
pub async fn update_profile(
    services: web::Data<Services>,
    caller: May<Write, Profile>,
    Body(body): Body<UserProfileUpdate>,
) -> Result<web::Json<UserProfileResponse>, ApiError> {
    let change = checked(body)?;
    let profile = services.actors.identity.update_profile(UpdateProfile { user: caller.0.user, change }).await?;
    answer(&services, &caller.0, profile).await
}

fn checked(body: UserProfileUpdate) -> Result<ProfileChange, ApiError> {
    let name = body.name.map(|name| text::short("name", &name)).transpose();
    let email = body.email.map(|email| text::email("email", &email)).transpose();
    let preferences = body.preferences.map(|object| bounded("preferences", object)).transpose();
    let settings = body.settings.map(|object| bounded("settings", object)).transpose();
    match (name, email, preferences, settings) {
        (Ok(name), Ok(email), Ok(preferences), Ok(settings)) => {
            let change = ProfileChange { name, email, preferences, settings };
            if change.is_empty() {
                return Err(ApiError::bad_request("At least one profile field must be provided"));
            }
            Ok(change)
        }
        (name, email, preferences, settings) => {
            let wrong = [name.err(), email.err(), preferences.err(), settings.err()];
            Err(ApiError::unprocessable(wrong.into_iter().flatten().map(|field| *field).collect()))
        }
    }
}

/// What `jsonb` keeps: no null characters, and no more than a few pages.
fn bounded(field: &str, object: Map<String, Value>) -> Result<Value, Box<FieldError>> {
    let object = Value::Object(object);
    let text = object.to_string();
    let wrong = |msg: &str| Err(Box::new(FieldError::of_body(field, msg, Value::Null)));
    if text.len() > OBJECT_BYTES_MAX {
        return wrong("Object should have at most 16 KiB");
    }
    if has_null_character(&object) {
        return wrong("Strings should have no null characters");
    }
    Ok(object)
}

fn has_null_character(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_null_character),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_null_character(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

async fn answer(services: &Services, caller: &Caller, row: ProfileRow) -> Result<web::Json<UserProfileResponse>, ApiError> {
    let balance = services.actors.ledger.balance(caller.accounts).await.map_err(of_ledger)?;
    Ok(web::Json(UserProfileResponse {
        user_id: caller.user.0,
        api_key: caller.masked_key.clone(),
        credits: balance.credits,
        username: row.username,
        email: row.email,
        auth_method: row.auth_method,
        subscription_status: row.subscription_status,
        trial_expires_at: row.trial_expires_at,
        is_active: row.is_active,
        registration_date: row.registration_date,
        created_at: row.created_at,
        updated_at: row.updated_at,
        name: row.name,
        preferences: row.preferences,
        settings: row.settings,
    }))
}
