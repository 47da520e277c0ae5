//! `tollgate admin`: users, keys and grants straight in the database, beside a running server or without one: the way back
//! when a key is lost (decision 34).

use super::demo::demo_secrets;
use super::environment::{Database, block_on, start_log, variable};
use super::say;
use crate::config::{Reader, Settings};
use crate::io::IoRuntime;
use crate::startup::open_store;
use anyhow::{Context, bail};
use secrecy::ExposeSecret;
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tollgate_actors::identity::keys::Environment;
use tollgate_actors::identity::{Actor, AddCredits, CreateKey, Identity, Register, SetAdmin};
use tollgate_actors::ports::{Clock, SystemClock};
use tollgate_actors::runtime::{Arbiters, RestartPolicy, Supervision};
use tollgate_actors::{Actors, ActorsDeps};
use tollgate_domain::{KeyId, Nanos, OperationId, UserId};
use tollgate_store::Store;
use tollgate_store::operator::find_user;
use uuid::Uuid;

/// For each actor, and for their threads, to end.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

#[derive(clap::Subcommand)]
pub(super) enum AdminCommand {
    /// Makes a user and prints the API key
    CreateUser {
        username: String,
        email: String,
        /// US dollars granted; at most SIGNUP_CREDITS_USD, which is the default
        #[arg(long, value_parser = dollars)]
        credits: Option<Nanos>,
    },
    /// Makes a further key of a user and prints it
    CreateKey {
        /// Id, username or e-mail address
        user: String,
        name: String,
        /// live, test, staging or development
        #[arg(long, default_value = "live", value_parser = environment)]
        environment: Environment,
        /// Days until it expires; never when absent
        #[arg(long)]
        days: Option<i64>,
    },
    /// Gives a user US dollars
    Grant {
        /// Id, username or e-mail address
        user: String,
        #[arg(value_parser = dollars)]
        usd: Nanos,
        #[arg(long, default_value = "Granted by the operator")]
        reason: String,
        /// Run again with the same id, it has one effect
        #[arg(long)]
        id: Option<Uuid>,
    },
    /// Deletes a key; every replica refuses it within a second
    RevokeKey {
        /// Id, username or e-mail address
        user: String,
        key_id: i64,
    },
    /// Makes a user an administrator: their keys open the admin doors
    Promote {
        /// Id, username or e-mail address
        user: String,
    },
    /// Makes an administrator an ordinary user again; every replica knows it within a second
    Demote {
        /// Id, username or e-mail address
        user: String,
    },
    /// Lists a user's keys
    ListKeys {
        /// Id, username or e-mail address
        user: String,
    },
}

fn dollars(text: &str) -> Result<Nanos, String> {
    let amount = Nanos::parse_usd(text).map_err(|error| error.to_string())?;
    if amount.is_negative() { Err("negative".to_owned()) } else { Ok(amount) }
}

fn environment(tag: &str) -> Result<Environment, String> {
    Environment::parse(tag).ok_or_else(|| "live, test, staging or development".to_owned())
}

pub(super) fn run(command: AdminCommand) -> anyhow::Result<ExitCode> {
    start_log(true)?;
    block_on(async {
        let mut settings = read_settings()?;
        let data_dir = settings.server.data_dir.clone();
        let database = Database::visit(&mut settings.database, &data_dir).await?;
        let outcome = with_actors(&settings, command).await;
        database.close().await;
        outcome.map(|()| ExitCode::SUCCESS)
    })
}

/// The server's own settings; beside a demo, its secrets.
fn read_settings() -> anyhow::Result<Settings> {
    let data_dir = Reader::new(&variable).text("DATA_DIR").unwrap_or_else(|| ".data".to_owned());
    let demo = demo_secrets(&PathBuf::from(data_dir))?.unwrap_or_default();
    let secret_of_demo = |name: &str| demo.get(name)?.as_str().map(str::to_owned);
    let lookup = |name: &str| variable(name).filter(|text| !text.trim().is_empty()).or_else(|| secret_of_demo(name));
    Ok(Settings::from_env(lookup)?)
}

/// Starts the actors without gateways, runs the command, and ends them in order.
async fn with_actors(settings: &Settings, command: AdminCommand) -> anyhow::Result<()> {
    let io = IoRuntime::start("io")?;
    let store = open_store(settings, &io, Actor::CommandLine).await?;
    let arbiters = Arbiters::start()?;
    let supervision = Supervision { policy: RestartPolicy::default(), on_exhausted: Arc::new(|_| {}) };
    let mut options = settings.actors_options(format!("admin/{}", Uuid::now_v7()))?;
    // The server's folder is locked by the server; two of these commands wait for each other's end instead.
    options.data_dir = settings.server.data_dir.join("admin");
    std::fs::create_dir_all(&options.data_dir).context("DATA_DIR")?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let deps = ActorsDeps {
        store: store.clone(),
        ledger_io: io.handle().clone(),
        clock,
        gateways: Vec::new(),
        shared_counters: None,
        privy_keys: None,
        rng: rand::make_rng(),
    };
    let actors = Actors::start(&arbiters, &supervision, deps, options).await.context("DATA_DIR")?;
    let outcome = carry_out(&actors.identity, &store, command).await;
    actors.drain(DRAIN_LIMIT).await;
    drop(actors);
    arbiters.stop(DRAIN_LIMIT).await;
    store.close();
    io.stop(DRAIN_LIMIT).await;
    outcome
}

async fn carry_out(identity: &Identity, store: &Store, command: AdminCommand) -> anyhow::Result<()> {
    match command {
        AdminCommand::CreateUser { username, email, credits } => create_user(identity, username, email, credits).await,
        AdminCommand::CreateKey { user, name, environment, days } => {
            let user = who(store, &user).await?;
            create_key(identity, user, name, environment, days).await
        }
        AdminCommand::Grant { user, usd, reason, id } => {
            let user = who(store, &user).await?;
            let id = OperationId(id.unwrap_or_else(Uuid::now_v7));
            let balance = identity.add_credits(AddCredits { id, by: Actor::CommandLine, user, amount: usd, reason }).await?;
            say(format_args!("Operation {}: user {user} has {} dollars", id.0, balance.credits));
            Ok(())
        }
        AdminCommand::RevokeKey { user, key_id } => {
            let user = who(store, &user).await?;
            let key = identity.delete_key(user, KeyId(key_id)).await?;
            say(format_args!("Revoked {} ({}) of user {user}", key.masked, key.key_name));
            Ok(())
        }
        AdminCommand::Promote { user } => set_admin(identity, who(store, &user).await?, true).await,
        AdminCommand::Demote { user } => set_admin(identity, who(store, &user).await?, false).await,
        AdminCommand::ListKeys { user } => {
            let user = who(store, &user).await?;
            list_keys(identity, user).await
        }
    }
}

async fn who(store: &Store, user: &str) -> anyhow::Result<UserId> {
    match find_user(store, user).await? {
        Some(id) => Ok(id),
        None => bail!("there is no user {user:?}"),
    }
}

async fn create_user(identity: &Identity, username: String, email: String, credits: Option<Nanos>) -> anyhow::Result<()> {
    let register = Register {
        username,
        email,
        auth_method: "email".to_owned(),
        environment: Environment::Live,
        key_name: "Primary".to_owned(),
        credits,
        address: None,
    };
    let registered = identity.register(register).await?;
    say(format_args!("User {} with {} dollars. The API key, shown this once:", registered.user, registered.credits));
    say(registered.api_key.expose_secret());
    Ok(())
}

async fn create_key(
    identity: &Identity,
    user: UserId,
    key_name: String,
    environment: Environment,
    expiration_days: Option<i64>,
) -> anyhow::Result<()> {
    let create = CreateKey {
        user,
        key_name,
        environment,
        scope_permissions: json!({"read": ["*"], "write": ["*"], "admin": ["*"]}),
        expiration_days,
        max_requests: None,
        ip_allowlist: Vec::new(),
        domain_referrers: Vec::new(),
        models: Vec::new(),
        budget: None,
    };
    let created = identity.create_key(create).await?;
    say(format_args!("Key {} of user {user}, shown this once:", created.row.id));
    say(created.api_key.expose_secret());
    Ok(())
}

async fn set_admin(identity: &Identity, user: UserId, is_admin: bool) -> anyhow::Result<()> {
    let is_new = identity.set_admin(SetAdmin { by: Actor::CommandLine, user, is_admin }).await?;
    let state = if is_admin { "an administrator" } else { "no administrator" };
    say(format_args!("User {user} is {state}{}", if is_new { " now" } else { " already" }));
    Ok(())
}

async fn list_keys(identity: &Identity, user: UserId) -> anyhow::Result<()> {
    for key in identity.list_keys(user).await? {
        let state = if key.is_active { "active" } else { "inactive" };
        let expires = key.expiration_date.map_or_else(|| "never expires".to_owned(), |at| format!("expires {}", at.to_rfc3339()));
        say(format_args!(
            "{}\t{}\t{}\t{}\t{state}\t{expires}\t{} requests",
            key.id, key.masked, key.environment_tag, key.key_name, key.requests_used
        ));
    }
    Ok(())
}
