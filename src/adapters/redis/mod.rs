//! Redis, where replicas decide on limits together: one script for an admission, one for what is given back.

use super::AdapterError;
use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{Client, RedisError, Script};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::time::Duration;
use tollgate_actors::limiter::{CounterName, SharedAsk, SharedCounters, SharedError, SharedVerdict};

/// A call waits no longer for an answer; then its replica decides by itself.
const ANSWER_LIMIT: Duration = Duration::from_millis(200);
const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// The counters in one Redis. Reconnects by itself.
pub struct RedisCounters {
    connection: ConnectionManager,
    scripts: Arc<Scripts>,
}

struct Scripts {
    admit: Script,
    take_back: Script,
}

impl RedisCounters {
    /// Connects with the first question, so a Redis that is away stops no start. To be called on the runtime that shall
    /// drive the connection.
    ///
    /// # Errors
    /// An address that is none.
    pub fn new(url: &SecretString) -> Result<Self, AdapterError> {
        let wrong = |error: RedisError| AdapterError::Setting { what: "REDIS_URL", reason: error.category().to_owned() };
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_response_timeout(Some(ANSWER_LIMIT))
            .set_connection_timeout(Some(CONNECT_LIMIT));
        let client = Client::open(url.expose_secret()).map_err(wrong)?;
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(wrong)?;
        let scripts =
            Scripts { admit: Script::new(include_str!("admit.lua")), take_back: Script::new(include_str!("take_back.lua")) };
        Ok(Self { connection, scripts: Arc::new(scripts) })
    }

    /// Connects, on this runtime, and says whether that worked.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn warm(&self) -> Result<(), SharedError> {
        let mut connection = self.connection.clone();
        let loading = self.scripts.admit.load_async(&mut connection);
        in_time(CONNECT_LIMIT, loading).await.map(drop)
    }
}

impl SharedCounters for RedisCounters {
    fn admit(&self, ask: SharedAsk) -> BoxFuture<'static, Result<SharedVerdict, SharedError>> {
        let (mut connection, scripts) = (self.connection.clone(), Arc::clone(&self.scripts));
        async move {
            let mut invocation = scripts.admit.prepare_invoke();
            invocation.key(ask.bucket).arg(ask.now_ms).arg(ask.burst);
            for cell in &ask.cells {
                invocation.key(cell.counter.to_string());
                invocation.arg(cell.amount).arg(cell.limit).arg(i64::from(cell.counts)).arg(cell.left_s).arg(cell.floor);
            }
            let (code, value): (i64, i64) = in_time(ANSWER_LIMIT, invocation.invoke_async(&mut connection)).await?;
            match code {
                0 => Ok(SharedVerdict::Admitted),
                1 => Ok(SharedVerdict::Burst { wait_ms: value }),
                _ => Ok(SharedVerdict::Full(usize::try_from(value).unwrap_or(usize::MAX))),
            }
        }
        .boxed()
    }

    fn take_back(&self, amounts: Vec<(CounterName, i64)>) -> BoxFuture<'static, Result<(), SharedError>> {
        let (mut connection, scripts) = (self.connection.clone(), Arc::clone(&self.scripts));
        async move {
            let mut invocation = scripts.take_back.prepare_invoke();
            for (counter, amount) in amounts {
                invocation.key(counter.to_string()).arg(amount);
            }
            in_time(ANSWER_LIMIT, invocation.invoke_async::<i64>(&mut connection)).await.map(drop)
        }
        .boxed()
    }
}

/// The client's own time-outs begin only when it is connected.
async fn in_time<T>(limit: Duration, asked: impl Future<Output = Result<T, RedisError>>) -> Result<T, SharedError> {
    match tokio::time::timeout(limit, asked).await {
        Ok(answer) => answer.map_err(|error| SharedError(error.to_string())),
        Err(_) => Err(SharedError(format!("no answer within {limit:?}"))),
    }
}
