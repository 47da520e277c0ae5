//! Migrations, embedded in the binary and run under an advisory lock.

use anyhow::{Context, anyhow};
use diesel_async::{AsyncConnection, AsyncMigrationHarness, AsyncPgConnection, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../migrations");

/// Any number that no one else locks; several servers may start at once.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_lock(7402385192837461)";

/// Which way to migrate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Run what is pending.
    Up,
    /// Undo everything. Drops all data.
    DownToNothing,
}

/// Migrates the database of `owner_url`. Returns the names of the migrations that ran.
///
/// Must be called on a multi-thread tokio runtime: diesel's harness blocks in place.
///
/// # Errors
/// The database can't be reached, another migration holds the tables for too long, or a migration fails.
pub async fn migrate(owner_url: &str, direction: Direction) -> anyhow::Result<Vec<String>> {
    let mut connection = AsyncPgConnection::establish(owner_url).await.context("can't reach the database to migrate it")?;
    connection.batch_execute(MIGRATION_LOCK).await?;
    // A migration that waits for a table makes everyone behind it wait too.
    connection.batch_execute("SET lock_timeout = '10s'").await?;
    let mut harness = AsyncMigrationHarness::new(connection);
    tokio::task::block_in_place(|| {
        let ran = match direction {
            Direction::Up => harness.run_pending_migrations(MIGRATIONS),
            Direction::DownToNothing => harness.revert_all_migrations(MIGRATIONS),
        };
        ran.map(|versions| versions.iter().map(ToString::to_string).collect())
            .map_err(|error| anyhow!("a migration failed: {error}"))
    })
}
