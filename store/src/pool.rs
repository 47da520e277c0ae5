//! The connection pool.

use crate::StoreError;
use crate::audit::Actor;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use std::time::Duration;
use tokio::runtime::Handle;

/// A connection out of the pool; it goes back when dropped.
pub type Connection = Object<AsyncPgConnection>;

/// How to reach the database.
#[derive(Clone)]
pub struct StoreOptions {
    pub database_url: String,
    pub connections_max: usize,
    /// How long a caller waits for a free connection, or for a new one to open.
    pub wait: Duration,
    /// PostgreSQL ends a statement that runs longer.
    pub statement_timeout: Duration,
    /// Who does, in the audit rows, what is done over these connections without a word on who.
    pub acts_as: Actor,
}

impl StoreOptions {
    /// Sixteen connections, two seconds of patience: a request that waits longer is better answered 503.
    #[must_use]
    pub const fn new(database_url: String) -> Self {
        Self {
            database_url,
            connections_max: 16,
            wait: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(30),
            acts_as: Actor::Owner,
        }
    }

    /// Compiling a statement takes longer than any page may: no `jit`.
    fn session_settings(&self) -> String {
        format!(
            "SET application_name = 'tollgate'; SET jit = off; SET statement_timeout = {}; SET idle_in_transaction_session_timeout = 30000;
             SET tollgate.actor = '{}'",
            self.statement_timeout.as_millis(),
            self.acts_as
        )
    }
}

/// The database, for everyone but the ledger's writer, which has a connection of its own.
#[derive(Clone)]
pub struct Store {
    pool: Pool<AsyncPgConnection>,
    io: Handle,
    options: StoreOptions,
}

impl Store {
    /// Makes the pool; connections open on first use. They are opened on `io`, because a connection is driven by the
    /// runtime that opened it and the actors' arbiters have better things to do.
    ///
    /// # Errors
    /// None that depend on the database: only a pool that can't be built.
    pub fn new(options: StoreOptions, io: Handle) -> Result<Self, StoreError> {
        let runtime = io.clone();
        let settings = options.session_settings();
        let mut config = ManagerConfig::default();
        config.recycling_method = RecyclingMethod::Fast;
        config.custom_setup = Box::new(move |url| {
            let opening = runtime.spawn(open(url.to_owned(), settings.clone()));
            async move { opening.await.unwrap_or_else(|stopped| Err(runtime_gone(&stopped))) }.boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config(options.database_url.clone(), config);
        let pool = Pool::builder(manager)
            .max_size(options.connections_max)
            .wait_timeout(Some(options.wait))
            .create_timeout(Some(options.wait))
            .recycle_timeout(Some(options.wait))
            .runtime(deadpool_runtime())
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { pool, io, options })
    }

    /// A connection out of the pool.
    ///
    /// # Errors
    /// `Unavailable` when none is free or can be opened in time.
    pub async fn get(&self) -> Result<Connection, StoreError> {
        Ok(self.pool.get().await?)
    }

    /// A connection of one's own, outside the pool: for the ledger's writer and for LISTEN.
    ///
    /// # Errors
    /// `Unavailable` when the database can't be reached in time.
    pub async fn dedicated(&self) -> Result<AsyncPgConnection, StoreError> {
        let opening = self.io.spawn(open(self.options.database_url.clone(), self.options.session_settings()));
        match tokio::time::timeout(self.options.wait, opening).await {
            Ok(Ok(connection)) => Ok(connection?),
            Ok(Err(stopped)) => Err(runtime_gone(&stopped).into()),
            Err(_) => Err(StoreError::Unavailable("no connection in time".to_owned())),
        }
    }

    /// The same pool; what runs on [`io`](Self::io), and [`dedicated`](Self::dedicated) connections, from now on on that one.
    #[must_use]
    pub fn driven_by(&self, io: Handle) -> Self {
        Self { io, ..self.clone() }
    }

    /// The runtime that drives the connections.
    #[must_use]
    pub const fn io(&self) -> &Handle {
        &self.io
    }

    /// Connections (in use, open) now.
    #[must_use]
    pub fn usage(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size.saturating_sub(status.available), status.size)
    }

    /// Closes the pool: the last step of a shutdown.
    pub fn close(&self) {
        self.pool.close();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("usage", &self.usage()).finish_non_exhaustive()
    }
}

async fn open(url: String, settings: String) -> diesel::ConnectionResult<AsyncPgConnection> {
    let mut connection = AsyncPgConnection::establish(&url).await?;
    connection.batch_execute(&settings).await.map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

fn runtime_gone(stopped: &tokio::task::JoinError) -> diesel::ConnectionError {
    diesel::ConnectionError::BadConnection(format!("the I/O runtime has stopped: {stopped}"))
}

const fn deadpool_runtime() -> deadpool::Runtime {
    deadpool::Runtime::Tokio1
}
