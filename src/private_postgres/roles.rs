//! The roles and the database of the private cluster, made on first use and put right at each start.

use tokio_postgres::{Client, Config, NoTls};

use super::connection::{Connection, SUPERUSER};
use super::{APP_ROLE, DATABASE, OWNER_ROLE, PrivatePostgresError};

/// Leaves nothing to others than the two roles; the application gets its tables from the migrations.
pub(super) async fn ensure(superuser: &Client, connection: &Connection) -> Result<(), PrivatePostgresError> {
    // The statements below hold passwords: the log is not for them, not even when they fail.
    superuser.batch_execute("SET log_min_error_statement = panic").await?;
    ensure_role(superuser, OWNER_ROLE, &connection.owner_password).await?;
    ensure_role(superuser, APP_ROLE, &connection.app_password).await?;
    let found = superuser.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&DATABASE]).await?;
    if found.is_none() {
        superuser.batch_execute(&format!("CREATE DATABASE {DATABASE} OWNER {OWNER_ROLE}")).await?;
    }
    superuser
        .batch_execute(&format!(
            "REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC; GRANT CONNECT ON DATABASE {DATABASE} TO {APP_ROLE}"
        ))
        .await?;
    own_the_public_schema(connection).await
}

async fn ensure_role(superuser: &Client, role: &str, password: &str) -> Result<(), PrivatePostgresError> {
    let found = superuser.query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&role]).await?;
    let verb = if found.is_some() { "ALTER" } else { "CREATE" };
    superuser.batch_execute(&format!("{verb} ROLE {role} LOGIN PASSWORD '{password}'")).await?;
    Ok(())
}

/// Before PostgreSQL 15 the schema `public` belongs to the superuser and everyone may create in it.
async fn own_the_public_schema(connection: &Connection) -> Result<(), PrivatePostgresError> {
    let config: Config = connection.url(SUPERUSER, &connection.superuser_password).parse()?;
    let (client, driver) = config.connect(NoTls).await?;
    let driver = tokio::spawn(driver);
    client
        .batch_execute(&format!(
            "ALTER SCHEMA public OWNER TO {OWNER_ROLE}; REVOKE CREATE ON SCHEMA public FROM PUBLIC;
             GRANT USAGE ON SCHEMA public TO {APP_ROLE}"
        ))
        .await?;
    drop(client);
    // The driver ends with its client; how is of no interest any more.
    let _ = driver.await;
    Ok(())
}
