//! A ledger in a process of its own, for the tests to kill: `ledger-worker DATABASE_URL DATA_DIR USER:CREDITS:DEBT…`.
//!
//! Many callers hold and settle, each with ids of its own. What is tried is written to stdout before it is asked for, what
//! is answered after the answer: `try ID USER`, `held ID`, `settled ID`. A settle costs what [`cost_of`] says of the id. An
//! answer that leaves the outcome open is asked for again under the same id. It ends when its stdin does.

use std::error::Error;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tollgate_actors::ledger::{
    self, Asset, BATCH_MAX, ConfirmedTicket, HoldRequest, Ledger, LedgerError, LedgerOptions, OPEN_HOLDS_MAX, UserAccounts,
};
use tollgate_actors::ports::SystemClock;
use tollgate_actors::runtime::{Arbiters, RestartPolicy, Supervision};
use tollgate_domain::{AccountId, HoldId, KeyId, Nanos, UserId};
use tollgate_ledger_tests::{HELD, cost_of, record};
use tollgate_store::{Store, StoreOptions};
use uuid::Uuid;

const CALLERS: usize = 64;
/// Before the same id is tried again.
const REST: Duration = Duration::from_millis(50);

#[actix_rt::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("no database")?;
    let data_dir = PathBuf::from(arguments.next().ok_or("no data folder")?);
    let users = arguments.map(|user| parse_user(&user)).collect::<Result<Vec<_>, _>>()?;
    let io = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let store = Store::new(StoreOptions::new(url), io.handle().clone())?;
    let arbiters = Arbiters::start()?;
    let supervision = Supervision { policy: RestartPolicy::default(), on_exhausted: Arc::new(|_| {}) };
    let clock = Arc::new(SystemClock);
    let options =
        LedgerOptions { store, clock, instance: "worker".to_owned(), data_dir, open_max: OPEN_HOLDS_MAX, batch_max: BATCH_MAX };
    let service = ledger::start(&arbiters.hot, &supervision, options)?;
    service.ready.await?;
    let stopped = Arc::new(AtomicBool::new(false));
    let callers = (0..CALLERS).map(|number| {
        let user = users.get(number % users.len()).copied();
        call_until_stopped(service.ledger.clone(), user, Arc::clone(&stopped))
    });
    let callers = callers.collect::<Vec<_>>();
    watch_stdin(Arc::clone(&stopped));
    for ended in futures_util::future::join_all(callers).await {
        ended?;
    }
    service.actor.drain(Duration::from_secs(10)).await?;
    say("drained")?;
    io.shutdown_background();
    Ok(())
}

fn parse_user(text: &str) -> Result<UserAccounts, Box<dyn Error>> {
    let mut numbers = text.split(':').map(str::parse::<i64>);
    let mut number = || numbers.next().ok_or("a user is USER:CREDITS:DEBT");
    let (user, credits, debt) = (number()??, number()??, number()??);
    Ok(UserAccounts { user: UserId(user), asset: Asset::Usd, credits: AccountId(credits), debt: AccountId(debt) })
}

/// The tests end it by closing its stdin.
fn watch_stdin(stopped: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        // However it ends, it has ended.
        let _ = std::io::stdin().read_to_end(&mut rest);
        stopped.store(true, Ordering::Relaxed);
    });
}

async fn call_until_stopped(ledger: Ledger, user: Option<UserAccounts>, stopped: Arc<AtomicBool>) -> std::io::Result<()> {
    let Some(accounts) = user else { return Ok(()) };
    while !stopped.load(Ordering::Relaxed) {
        let id = HoldId(Uuid::now_v7());
        say(&format!("try {} {}", id.0, accounts.user.0))?;
        let Some(ticket) = held(&ledger, id, accounts).await else { continue };
        say(&format!("held {}", id.0))?;
        settled(&ledger, ticket, accounts).await;
        say(&format!("settled {}", id.0))?;
    }
    Ok(())
}

/// Asks until the answer is certain. `None`: refused.
async fn held(ledger: &Ledger, id: HoldId, accounts: UserAccounts) -> Option<ConfirmedTicket> {
    loop {
        let (amount, lifetime) = (Nanos(HELD), Duration::from_secs(120));
        let request = HoldRequest { id, accounts, key: KeyId(1), budget: None, amount, least: amount, lifetime, patient: false };
        let asked = match ledger.hold(request) {
            Ok(ticket) => ticket.confirm().await,
            Err(error) => Err(error),
        };
        match asked {
            Ok(ticket) => return Some(ticket),
            Err(LedgerError::Unavailable | LedgerError::Overloaded) => tokio::time::sleep(REST).await,
            Err(_) => return None,
        }
    }
}

async fn settled(ledger: &Ledger, ticket: ConfirmedTicket, accounts: UserAccounts) {
    let id = ticket.hold_id();
    let mut ticket = Some(ticket);
    while let Some(open) = ticket {
        if open.settle(record(cost_of(id))).await.is_ok() {
            return;
        }
        tokio::time::sleep(REST).await;
        ticket = held(ledger, id, accounts).await;
    }
}

/// One write for a line: what was said before the process is killed is whole.
fn say(line: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("{line}\n").as_bytes())?;
    stdout.flush()
}
