//! The activity page: `GET /user/activity/log` and `/stats`, and the same under `/api` (`contract.md` A.7).

mod csv;
mod log;
mod logins;
mod row;
mod stats;
mod walk;

pub use log::{activity_log, api_activity_log};
pub(super) use logins::note_login;
pub use stats::{activity_stats, api_activity_stats};
