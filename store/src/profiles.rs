//! What users say of themselves, and who of them is an administrator: those columns of `users`.

use crate::audit::{self, Actor};
use crate::schema::users;
use crate::users::RegisterError;
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use serde_json::{Map, Value, json};
use tollgate_domain::UserId;

/// A user's page.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = users)]
pub struct ProfileRow {
    pub username: String,
    pub email: String,
    pub auth_method: String,
    pub is_active: bool,
    pub subscription_status: String,
    pub trial_expires_at: Option<DateTime<Utc>>,
    pub name: Option<String>,
    /// JSON objects, the user's own.
    pub preferences: Value,
    pub settings: Value,
    pub registration_date: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// What to change; `None` leaves it as it is.
#[derive(Clone, Debug, Default, AsChangeset)]
#[diesel(table_name = users)]
pub struct ProfileChange {
    pub name: Option<String>,
    pub email: Option<String>,
    pub preferences: Option<Value>,
    pub settings: Option<Value>,
}

impl ProfileChange {
    /// Nothing to change?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.name.is_none() && self.email.is_none() && self.preferences.is_none() && self.settings.is_none()
    }

    /// What the audit row tells: which fields, and of the short ones from what to what.
    fn audit_details(&self, before: &ProfileRow, now: DateTime<Utc>) -> Value {
        let fields = [
            ("name", self.name.as_deref().map(|after| (json!(before.name), after.into()))),
            ("email", self.email.as_deref().map(|after| (json!(before.email), after.into()))),
            ("preferences", self.preferences.as_ref().map(|_| (Value::Null, Value::Null))),
            ("settings", self.settings.as_ref().map(|_| (Value::Null, Value::Null))),
        ];
        let (mut updated, mut old, mut new) = (Vec::new(), Map::new(), Map::new());
        for (field, values) in fields {
            let Some((before, after)) = values else { continue };
            updated.push(field);
            if after != Value::Null {
                old.insert(field.to_owned(), before);
                new.insert(field.to_owned(), after);
            }
        }
        json!({"updated_fields": updated, "old_values": old, "new_values": new, "update_timestamp": now})
    }
}

/// The user's page; `None` when there is no such user.
///
/// # Errors
/// As for every statement.
pub async fn find(store: &Store, user: UserId) -> Result<Option<ProfileRow>, StoreError> {
    let mut connection = store.get().await?;
    let row = users::table.find(user.0).select(ProfileRow::as_select());
    Ok(row.first(&mut connection).await.optional()?)
}

/// Changes the user's page, with an audit row, and returns it. `None` when there is no such user. Something must be to change.
///
/// # Errors
/// The e-mail address is another account's; else as for every statement.
pub async fn update(
    store: &Store,
    user: UserId,
    change: &ProfileChange,
    now: DateTime<Utc>,
) -> Result<Option<ProfileRow>, RegisterError> {
    let mut connection = store.get().await?;
    connection
        .transaction(async |connection| {
            let before = users::table.find(user.0).select(ProfileRow::as_select()).for_update();
            let before: Option<ProfileRow> = before.first(connection).await.optional()?;
            let Some(before) = before else { return Ok(None) };
            let after = diesel::update(users::table.find(user.0))
                .set((change, users::updated_at.eq(now)))
                .returning(ProfileRow::as_returning())
                .get_result(connection)
                .await?;
            audit::append(connection, user, None, "update_profile", change.audit_details(&before, now), now).await?;
            Ok(Some(after))
        })
        .await
}

/// Makes the user an administrator, or an ordinary user again, with an audit row. `None` when there is no such user, `Some(false)`
/// when it was so already.
///
/// # Errors
/// As for every statement.
pub async fn set_admin(
    store: &Store,
    by: Actor,
    user: UserId,
    is_admin: bool,
    now: DateTime<Utc>,
) -> Result<Option<bool>, StoreError> {
    let mut connection = store.get().await?;
    connection
        .transaction(async |connection| {
            let before = users::table.find(user.0).select(users::is_admin).for_update();
            let before: Option<bool> = before.first(connection).await.optional()?;
            if before.is_none_or(|before| before == is_admin) {
                return Ok(before.map(|_| false));
            }
            diesel::update(users::table.find(user.0))
                .set((users::is_admin.eq(is_admin), users::updated_at.eq(now)))
                .execute(connection)
                .await?;
            let action = if is_admin { "grant_admin" } else { "revoke_admin" };
            audit::append_by(connection, by, Some(user), None, action, json!({}), now).await?;
            Ok(Some(true))
        })
        .await
}
