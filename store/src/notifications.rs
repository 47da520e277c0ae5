//! What users want to be told of: the table `notification_preferences`. Who has no row has never chosen.

use crate::schema::notification_preferences;
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use tollgate_domain::UserId;

/// A user's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = notification_preferences)]
pub struct Preferences {
    pub email_notifications: bool,
    pub low_balance_alerts: bool,
    pub trial_expiry_alerts: bool,
    pub subscription_alerts: bool,
    pub usage_alerts: bool,
}

/// A choice, and when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = notification_preferences)]
pub struct StoredPreferences {
    #[diesel(embed)]
    pub preferences: Preferences,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A change of a choice; `None` leaves it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, AsChangeset)]
#[diesel(table_name = notification_preferences)]
pub struct PreferencesChange {
    pub email_notifications: Option<bool>,
    pub low_balance_alerts: Option<bool>,
    pub trial_expiry_alerts: Option<bool>,
    pub subscription_alerts: Option<bool>,
    pub usage_alerts: Option<bool>,
}

impl PreferencesChange {
    fn over(self, old: Preferences) -> Preferences {
        Preferences {
            email_notifications: self.email_notifications.unwrap_or(old.email_notifications),
            low_balance_alerts: self.low_balance_alerts.unwrap_or(old.low_balance_alerts),
            trial_expiry_alerts: self.trial_expiry_alerts.unwrap_or(old.trial_expiry_alerts),
            subscription_alerts: self.subscription_alerts.unwrap_or(old.subscription_alerts),
            usage_alerts: self.usage_alerts.unwrap_or(old.usage_alerts),
        }
    }
}

/// The user's choice.
///
/// # Errors
/// As for every statement.
pub async fn find(store: &Store, user: UserId) -> Result<Option<StoredPreferences>, StoreError> {
    let mut connection = store.get().await?;
    let row = notification_preferences::table.find(user.0).select(StoredPreferences::as_select()).first(&mut connection).await;
    Ok(row.optional()?)
}

/// Changes the user's choice, which is `default` until now when there is none. Two changes of different fields at once both hold.
///
/// # Errors
/// As for every statement.
pub async fn change(
    store: &Store,
    user: UserId,
    change: PreferencesChange,
    default: Preferences,
    now: DateTime<Utc>,
) -> Result<StoredPreferences, StoreError> {
    use notification_preferences as table;
    let mut connection = store.get().await?;
    let stored = diesel::insert_into(table::table)
        .values((table::user_id.eq(user.0), change.over(default), table::created_at.eq(now), table::updated_at.eq(now)))
        .on_conflict(table::user_id)
        .do_update()
        .set((change, table::updated_at.eq(now)))
        .returning(StoredPreferences::as_returning())
        .get_result(&mut connection)
        .await?;
    Ok(stored)
}
