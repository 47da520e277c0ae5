//! How answers come home. A batch's answers for one runtime travel as one bundle: to wake a task of another runtime costs a
//! system call, and one a bundle is enough. At home each answer wakes its task for nothing.

use super::command::{Closing, Command, Envelope, Outcome, Terms};
use super::handle::Desk;
use std::cell::RefCell;
use std::sync::Arc;
use tokio::runtime;
use tokio::sync::mpsc;

thread_local! {
    static HOME: RefCell<Option<Home>> = const { RefCell::new(None) };
}

/// A runtime that asks, and the way to its deliverer.
#[derive(Clone, Debug)]
pub struct Home {
    runtime: runtime::Id,
    bundles: mpsc::UnboundedSender<Vec<Answer>>,
}

impl Home {
    /// The runtime that this thread is in; `None` outside of one.
    pub fn here() -> Option<Self> {
        let runtime = runtime::Handle::try_current().ok()?;
        let is_here = |home: &&Self| home.runtime == runtime.id() && !home.bundles.is_closed();
        HOME.with_borrow_mut(|home| {
            if home.as_ref().filter(is_here).is_none() {
                // At most as much waits here as is open at once: see the ledger's places.
                let (bundles, arriving) = mpsc::unbounded_channel();
                runtime.spawn(deliver(arriving));
                *home = Some(Self { runtime: runtime.id(), bundles });
            }
            home.clone()
        })
    }
}

async fn deliver(mut arriving: mpsc::UnboundedReceiver<Vec<Answer>>) {
    while let Some(bundle) = arriving.recv().await {
        drop(bundle);
    }
}

/// An answer on its way. It is given when it is dropped, wherever that is: also with a runtime that ends.
#[derive(Debug)]
pub struct Answer {
    desk: Arc<Desk>,
    envelope: Option<(Envelope, Outcome)>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        let Some((Envelope { command, reply, place, .. }, outcome)) = self.envelope.take() else { return };
        let unheard = reply.send(outcome).err();
        // Granted, but the caller has left: no ticket will ever close it.
        if let (Command::Hold { terms, .. }, Some(Outcome::Held { granted })) = (command, unheard) {
            let terms = Terms { amount: granted, ..terms };
            drop(self.desk.send(Command::Close { terms, closing: Closing::Release }, place));
        }
    }
}

/// Sends a batch's answers home.
pub fn send_home(desk: &Arc<Desk>, answers: impl Iterator<Item = (Envelope, Outcome)>) {
    let mut bundles: Vec<(Home, Vec<Answer>)> = Vec::new();
    for (mut envelope, outcome) in answers {
        let home = envelope.home.take();
        let answer = Answer { desk: Arc::clone(desk), envelope: Some((envelope, outcome)) };
        let Some(home) = home else { continue };
        match bundles.iter_mut().find(|(known, _)| known.runtime == home.runtime) {
            Some((_, bundle)) => bundle.push(answer),
            None => bundles.push((home, vec![answer])),
        }
    }
    for (home, bundle) in bundles {
        // A runtime that has ended drops its bundle, and so does this.
        drop(home.bundles.send(bundle));
    }
}
