//! `GET` and `PUT /user/notifications/preferences`: what a user wants to be told of.

use super::error::ApiError;
use super::extract::Body;
use super::principal::scopes::Notifications;
use super::principal::{May, Read, Write};
use crate::startup::Services;
use actix_web::{get, put, web};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tollgate_store::notifications::{self, Preferences, PreferencesChange, StoredPreferences};
use utoipa::ToSchema;

/// Of who has never chosen.
const DEFAULT: Preferences = Preferences {
    email_notifications: true,
    low_balance_alerts: true,
    trial_expiry_alerts: true,
    subscription_alerts: true,
    usage_alerts: true,
};

/// What a user wants to be told of
#[derive(Serialize, ToSchema)]
pub struct NotificationPreferences {
    user_id: i64,
    /// Off: no letters at all, whatever the others say.
    email_notifications: bool,
    low_balance_alerts: bool,
    trial_expiry_alerts: bool,
    subscription_alerts: bool,
    usage_alerts: bool,
    /// Null: never chosen.
    created_at: Option<DateTime<Utc>>,
    updated_at: Option<DateTime<Utc>>,
}

/// What is to change; what is absent stays
#[derive(Deserialize, ToSchema)]
pub struct UpdateNotificationPreferences {
    email_notifications: Option<bool>,
    low_balance_alerts: Option<bool>,
    trial_expiry_alerts: Option<bool>,
    subscription_alerts: Option<bool>,
    usage_alerts: Option<bool>,
}

/// The notification preferences
#[utoipa::path(tag = "user", responses(
    (status = 200, description = "The preferences", body = NotificationPreferences),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not read notifications"),
))]
#[get("/user/notifications/preferences")]
pub async fn notification_preferences(
    services: web::Data<Services>,
    caller: May<Read, Notifications>,
) -> Result<web::Json<NotificationPreferences>, ApiError> {
    let user = caller.0.user;
    let stored = notifications::find(&services.store, user).await?;
    Ok(web::Json(NotificationPreferences::of(user.0, stored)))
}

/// Change the notification preferences
#[utoipa::path(tag = "user", request_body = UpdateNotificationPreferences, responses(
    (status = 200, description = "The preferences, changed", body = NotificationPreferences),
    (status = 400, description = "Nothing to change"),
    (status = 401, description = "No valid key"),
    (status = 403, description = "The key may not change notifications"),
    (status = 422, description = "A wrong shape"),
))]
#[put("/user/notifications/preferences")]
pub async fn update_notification_preferences(
    services: web::Data<Services>,
    caller: May<Write, Notifications>,
    Body(update): Body<UpdateNotificationPreferences>,
) -> Result<web::Json<NotificationPreferences>, ApiError> {
    let user = caller.0.user;
    let change = PreferencesChange::from(update);
    if change == PreferencesChange::default() {
        return Err(ApiError::bad_request("At least one preference must be provided"));
    }
    let stored = notifications::change(&services.store, user, change, DEFAULT, services.clock.now()).await?;
    Ok(web::Json(NotificationPreferences::of(user.0, Some(stored))))
}

impl From<UpdateNotificationPreferences> for PreferencesChange {
    fn from(update: UpdateNotificationPreferences) -> Self {
        Self {
            email_notifications: update.email_notifications,
            low_balance_alerts: update.low_balance_alerts,
            trial_expiry_alerts: update.trial_expiry_alerts,
            subscription_alerts: update.subscription_alerts,
            usage_alerts: update.usage_alerts,
        }
    }
}

impl NotificationPreferences {
    fn of(user_id: i64, stored: Option<StoredPreferences>) -> Self {
        let chosen = stored.map_or(DEFAULT, |stored| stored.preferences);
        Self {
            user_id,
            email_notifications: chosen.email_notifications,
            low_balance_alerts: chosen.low_balance_alerts,
            trial_expiry_alerts: chosen.trial_expiry_alerts,
            subscription_alerts: chosen.subscription_alerts,
            usage_alerts: chosen.usage_alerts,
            created_at: stored.map(|stored| stored.created_at),
            updated_at: stored.map(|stored| stored.updated_at),
        }
    }
}
