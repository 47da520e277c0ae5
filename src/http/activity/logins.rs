//! Sign-ins in the log.

use crate::startup::Services;
use serde_json::Value;
use tollgate_actors::activity::{ActivityRow, USER_LOGIN};
use tollgate_domain::UserId;

/// Notes that a user has come in. The log is not worth the sign-in: a row that it does not take is left out.
pub(in crate::http) fn note_login(services: &Services, user: UserId, details: &Value) {
    let row = ActivityRow::event(user, USER_LOGIN, details.to_string(), services.clock.now());
    if services.actors.activity.record(row).is_err() {
        tracing::warn!(%user, "a sign-in is not in the activity log");
    }
}
