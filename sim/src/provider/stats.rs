//! What the provider saw and did, for tests to hold against what the caller thinks it got.

use super::http::Request;
use super::log::{Exchange, Log, Outcome, RecordedRequest};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts since the start or the last reset. With nothing open, `started = finished + faulted + cancelled`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// HTTP requests to any path but `/sim/…`.
    pub requests: u64,
    /// Times the model list was asked for.
    pub model_lists: u64,
    /// Chat completions turned away: no or a bad key, or a request that makes no sense.
    pub rejected: u64,
    /// Chat completions accepted.
    pub started: u64,
    /// Answered in full.
    pub finished: u64,
    /// Ended by the behaviour without a whole answer.
    pub faulted: u64,
    /// The client went before the end.
    pub cancelled: u64,
    /// Under way now; a reset leaves it.
    pub open: u64,
    /// Prompt tokens of the accepted requests that were answered with a body of tokens, in whole or in part.
    pub prompt_tokens: u64,
    /// Completion tokens written to sockets, over all choices.
    pub completion_tokens: u64,
    /// Requests that came to where `redirect` points.
    pub redirects_followed: u64,
    /// Accepted chat completions by model.
    pub models: BTreeMap<String, u64>,
}

#[derive(Default)]
pub(super) struct Counters {
    pub requests: AtomicU64,
    pub model_lists: AtomicU64,
    pub redirects_followed: AtomicU64,
    rejected: AtomicU64,
    started: AtomicU64,
    finished: AtomicU64,
    faulted: AtomicU64,
    cancelled: AtomicU64,
    open: AtomicU64,
    prompt_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    numbers: AtomicU64,
    log: Mutex<Log>,
}

pub(super) fn bump(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Counters {
    /// Remembers a chat completion request, before it is known whether it makes sense.
    pub fn receive(&self, request: &Request) -> Meter<'_> {
        let exchange = Arc::new(Exchange::new(self.numbers.fetch_add(1, Relaxed) + 1, request));
        self.log().remember(Arc::clone(&exchange));
        Meter { counters: self, exchange, state: MeterState::Received }
    }

    pub fn snapshot(&self) -> Stats {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        Stats {
            requests: read(&self.requests),
            model_lists: read(&self.model_lists),
            rejected: read(&self.rejected),
            started: read(&self.started),
            finished: read(&self.finished),
            faulted: read(&self.faulted),
            cancelled: read(&self.cancelled),
            open: read(&self.open),
            prompt_tokens: read(&self.prompt_tokens),
            completion_tokens: read(&self.completion_tokens),
            redirects_followed: read(&self.redirects_followed),
            models: self.log().models.iter().map(|(model, count)| (model.clone(), *count)).collect(),
        }
    }

    /// The last requests, oldest first.
    pub fn last(&self, count: usize) -> Vec<RecordedRequest> {
        // The lock is not held while bodies are parsed.
        let exchanges = self.log().last(count);
        exchanges.iter().map(|exchange| exchange.recorded()).collect()
    }

    /// Back to nothing, but for what is open and the numbers of answers, which stay unique.
    pub fn reset(&self) {
        let counters = [
            &self.requests,
            &self.model_lists,
            &self.rejected,
            &self.started,
            &self.finished,
            &self.faulted,
            &self.cancelled,
            &self.prompt_tokens,
            &self.completion_tokens,
            &self.redirects_followed,
        ];
        for counter in counters {
            counter.store(0, Relaxed);
        }
        *self.log() = Log::default();
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MeterState {
    Received,
    Started,
    Ended,
}

/// Counts one chat completion. Dropped without an end, it was cancelled: its client went, or the provider stops.
pub(super) struct Meter<'c> {
    counters: &'c Counters,
    exchange: Arc<Exchange>,
    state: MeterState,
}

impl Meter<'_> {
    pub fn id(&self) -> String {
        self.exchange.id()
    }

    pub fn start(&mut self, model: &str) {
        self.state = MeterState::Started;
        bump(&self.counters.started);
        bump(&self.counters.open);
        self.counters.log().count_model(model);
    }

    /// The prompt has been taken by a model that answers.
    pub fn prompt(&self, tokens: u64) {
        self.counters.prompt_tokens.fetch_add(tokens, Relaxed);
    }

    /// Completion tokens have been written to the socket.
    pub fn sent(&self, tokens: u64) {
        if tokens > 0 {
            self.exchange.tokens_sent.fetch_add(tokens, Relaxed);
            self.counters.completion_tokens.fetch_add(tokens, Relaxed);
        }
    }

    pub fn reject(mut self) {
        self.close(Outcome::Rejected);
    }

    pub fn finish(mut self) {
        self.close(Outcome::Finished);
    }

    pub fn fault(mut self) {
        self.close(Outcome::Faulted);
    }

    fn close(&mut self, outcome: Outcome) {
        let counters = self.counters;
        bump(match outcome {
            Outcome::Rejected => &counters.rejected,
            Outcome::Finished => &counters.finished,
            Outcome::Faulted => &counters.faulted,
            Outcome::Open | Outcome::Cancelled => &counters.cancelled,
        });
        if self.state == MeterState::Started {
            counters.open.fetch_sub(1, Relaxed);
        }
        self.state = MeterState::Ended;
        // A meter is closed once, so the slot is free.
        let _ = self.exchange.outcome.set(outcome);
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        if self.state == MeterState::Started {
            self.close(Outcome::Cancelled);
        }
    }
}
