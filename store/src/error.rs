//! What can go wrong between Tollgate and PostgreSQL, sorted by what a caller can do about it.

use diesel::result::{ConnectionError, DatabaseErrorKind, Error as DieselError};

/// An error of the database, sorted by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Nothing is known to have happened: the database is away or busy. Try again.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// A constraint refused the row. Its name tells which rule was broken.
    #[error("constraint {constraint} refused the row")]
    Constraint { constraint: String },
    /// A statement of ours is wrong, or a row is not as the code believes. A defect.
    #[error(transparent)]
    Query(DieselError),
}

impl StoreError {
    /// True when that constraint refused the row.
    #[must_use]
    pub fn is_constraint(&self, name: &str) -> bool {
        matches!(self, Self::Constraint { constraint } if constraint == name)
    }
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        match error {
            DieselError::DatabaseError(kind, info) => match (kind, info.constraint_name()) {
                (
                    DatabaseErrorKind::UniqueViolation
                    | DatabaseErrorKind::CheckViolation
                    | DatabaseErrorKind::ForeignKeyViolation,
                    Some(constraint),
                ) => Self::Constraint { constraint: constraint.to_owned() },
                // A standby after a fail-over, or two who waited for each other: the next try may be luckier.
                (DatabaseErrorKind::ReadOnlyTransaction | DatabaseErrorKind::SerializationFailure, _) => {
                    Self::Unavailable(info.message().to_owned())
                }
                // `UnableToSendCommand` is what a connection says whose server went away in the middle.
                (DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand, _) => {
                    Self::Unavailable(info.message().to_owned())
                }
                _ if is_shutdown(info.message()) => Self::Unavailable(info.message().to_owned()),
                _ => Self::Query(DieselError::DatabaseError(kind, info)),
            },
            DieselError::BrokenTransactionManager => Self::Unavailable("the connection was lost in a transaction".to_owned()),
            other => Self::Query(other),
        }
    }
}

impl From<ConnectionError> for StoreError {
    fn from(error: ConnectionError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<diesel_async::pooled_connection::deadpool::PoolError> for StoreError {
    fn from(error: diesel_async::pooled_connection::deadpool::PoolError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// The words of a PostgreSQL that stops or starts (SQLSTATE class 57P), has no room, or ends a deadlock; diesel does not
/// hand the SQLSTATE on.
fn is_shutdown(message: &str) -> bool {
    const WORDS: [&str; 8] = [
        "terminating connection",
        "the database system is",
        "connection closed",
        "canceling statement due to",
        "too many clients",
        "connection slots are reserved",
        "deadlock detected",
        "No space left on device",
    ];
    WORDS.iter().any(|words| message.contains(words))
}
