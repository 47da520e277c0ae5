//! Starts everything for a black-box test: the real [`Application`] on a free port, with a database, a stand-in provider and a
//! turned clock of its own.
//!
//! ```ignore
//! #[actix_web::test]
//! async fn a_new_user_can_call() {
//!     let app = support::app().await;
//!     let user = app.register_user().await;
//!     let reply = app.get_as(&user.key, "/user/balance").await;
//!     assert_eq!(reply.status, 200);
//! }
//! ```

pub mod binary;
pub mod books;
mod clock;
mod folder;
pub mod kill;
pub mod money;
pub mod privy;
pub mod redis;
mod reply;

pub use clock::TurnedClock;
pub use folder::TestFolder;
pub use reply::Reply;
pub use tollgate_test_database::TestDatabase;

use actix_web::web;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tollgate::config::Settings;
use tollgate::shutdown::Drained;
use tollgate::startup::{Application, Deps, Services};
use tollgate_sim::provider::{Provider, ProviderOptions};

/// The admin key of every test server.
pub const ADMIN_KEY: &str = "admin-key-of-the-tests-0123456789";
/// The pepper of every test server.
pub const PEPPER: &str = "v1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A running server and what it runs with. Dropped, its database and folder go.
pub struct TestApp {
    pub address: SocketAddr,
    pub client: reqwest::Client,
    /// The model provider behind the `openrouter` gateway.
    pub sim: Provider,
    pub clock: Arc<TurnedClock>,
    pub database: TestDatabase,
    _folder: TestFolder,
    /// The inside, for faults that no door offers.
    pub services: web::Data<Services>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<anyhow::Result<Drained>>,
}

/// A user that was registered through the door.
#[derive(Clone, Debug)]
pub struct TestUser {
    pub id: i64,
    pub key: String,
    pub username: String,
}

/// A server with the settings of tests.
pub async fn app() -> TestApp {
    app_with(&[]).await
}

/// A server with further settings, which win.
pub async fn app_with(settings: &[(&str, &str)]) -> TestApp {
    let database = TestDatabase::create().await;
    app_on(database, settings).await
}

/// A server on a database that is there already: a restart, for one.
pub async fn app_on(database: TestDatabase, settings: &[(&str, &str)]) -> TestApp {
    tollgate::install_crypto();
    let sim = Provider::start(ProviderOptions::default()).await.expect("the stand-in provider starts");
    let folder = TestFolder::create();
    let mut env = environment(&database, &folder, &sim.base_url());
    env.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let settings = Settings::from_env(|name| env.get(name).cloned()).expect("the tests' settings are right");
    let clock = Arc::new(TurnedClock::default());
    let application = Application::build(settings, Deps { clock: clock.clone() }).await.expect("the server starts");
    let address = application.address();
    let services = application.services().clone();
    let (stop, stopped) = oneshot::channel();
    let running = actix_web::rt::spawn(application.run_until_stopped(async {
        let _ = stopped.await;
    }));
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    TestApp { address, client, sim, clock, database, _folder: folder, services, stop: Some(stop), running }
}

/// What a test server's environment holds; no limit that a test would run into by accident.
pub fn environment(database: &TestDatabase, folder: &TestFolder, provider_url: &str) -> HashMap<String, String> {
    [
        ("BIND_ADDR", "127.0.0.1:0"),
        ("HTTP_WORKERS", "1"),
        ("DATABASE_URL", database.app_url.as_str()),
        ("DATABASE_ADMIN_URL", database.owner_url.as_str()),
        ("DATABASE_CONNECTIONS", "4"),
        ("DATA_DIR", folder.path.to_str().unwrap()),
        ("ADMIN_API_KEY", ADMIN_KEY),
        ("KEY_PEPPER", PEPPER),
        ("OPENROUTER_API_KEY", "sim-key"),
        ("OPENROUTER_BASE_URL", provider_url),
        ("REGISTER_PER_HOUR", "0"),
        ("RATE_LIMIT_REQUESTS_PER_MINUTE", "1000000000"),
        ("RATE_LIMIT_REQUESTS_PER_HOUR", "1000000000"),
        ("RATE_LIMIT_REQUESTS_PER_DAY", "1000000000"),
        ("RATE_LIMIT_TOKENS_PER_MINUTE", "1000000000000"),
        ("RATE_LIMIT_TOKENS_PER_HOUR", "1000000000000"),
        ("RATE_LIMIT_TOKENS_PER_DAY", "1000000000000"),
        ("RATE_LIMIT_BURST", "1000000000"),
        ("RATE_LIMIT_CONCURRENCY", "1000000"),
        ("RATE_LIMIT_ADDRESS_PER_MINUTE", "1000000000"),
        ("PLAN_LIMITS", "off"),
        ("TRIAL_TOKENS", "1000000000"),
        ("TRIAL_REQUESTS", "1000000000"),
        ("DRAIN_TIMEOUT", "10"),
        ("LOG_FORMAT", "text"),
        ("METRICS", "public"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

impl TestApp {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A request to be completed by the test.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub async fn get(&self, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Reply {
        Reply::of(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn get_as(&self, key: &str, path: &str) -> Reply {
        Reply::of(self.request(Method::GET, path).bearer_auth(key)).await
    }

    pub async fn post_as(&self, key: &str, path: &str, body: Value) -> Reply {
        Reply::of(self.request(Method::POST, path).bearer_auth(key).json(&body)).await
    }

    pub async fn delete_as(&self, key: &str, path: &str, body: Value) -> Reply {
        Reply::of(self.request(Method::DELETE, path).bearer_auth(key).json(&body)).await
    }

    /// Registers a user of a name that no other has.
    pub async fn register_user(&self) -> TestUser {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let username = format!("user{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let email = format!("{username}@example.com");
        let reply = self.post("/auth/register", json!({"username": username, "email": email})).await;
        assert_eq!(reply.status, 200, "registration: {reply:?}");
        let body = reply.json();
        let key = body["api_key"].as_str().expect("an API key").to_owned();
        TestUser { id: body["user_id"].as_i64().expect("a user's id"), key, username }
    }

    /// Stops the server as SIGTERM does, and hands back its database.
    pub async fn stop(mut self) -> (Drained, TestDatabase) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let drained = self.running.await.expect("the server does not panic").expect("the server ends well");
        (drained, self.database)
    }
}

/// An address that was free a moment ago: for the few tests that must know it before the server does.
pub fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Waits until the condition holds; panics after ten seconds.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(tokio::time::Instant::now() < deadline, "not within ten seconds: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// `CHAOS=long`: the sizes that are promised; else a tenth of them, which is what a push is tested with.
pub fn is_long() -> bool {
    std::env::var("CHAOS").is_ok_and(|size| size == "long")
}
