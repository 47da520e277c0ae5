//! The hash chain over history: what the writer computes is what `verify` recomputes.
//!
//! A link covers every field of every transfer, usage record and operation of its batch, in order. Fields are length-prefixed or
//! of fixed width, so that no two batches share an encoding.

use super::rows::{Batch, ChainHead, OperationRow, Transfer, Usage};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

/// A batch and its place in the chain of its slot.
#[derive(Clone, Copy, Debug)]
pub struct Chained<'a> {
    pub batch: &'a Batch,
    pub slot: i32,
    pub at: DateTime<Utc>,
    pub before: ChainHead,
    /// Valid once the batch is committed; the same as before when there is no history in it.
    pub head: ChainHead,
}

impl<'a> Chained<'a> {
    /// Hashes the batch's history onto that head.
    #[must_use]
    pub fn onto(before: ChainHead, batch: &'a Batch, slot: i32, at: DateTime<Utc>) -> Self {
        let mut chained = Self { batch, slot, at, before, head: before };
        if batch.has_history() {
            let mut link = Link::new(slot, &before, at.timestamp_micros());
            for (ordinal, transfer) in (0..).zip(&batch.transfers) {
                link.transfer(ordinal, transfer);
            }
            for (ordinal, usage) in (0..).zip(&batch.usage) {
                link.usage(ordinal, usage);
            }
            batch.operations.iter().for_each(|operation| link.operation(operation));
            chained.head = link.finish(&before);
        }
        chained
    }
}

/// Hashes one batch onto the head.
#[derive(Debug)]
pub struct Link {
    hasher: Sha256,
}

impl Link {
    /// Starts the link of that slot's next batch, at that time (microseconds since 1970, as PostgreSQL keeps it).
    #[must_use]
    pub fn new(slot: i32, head: &ChainHead, created_at_us: i64) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(head.hash);
        hasher.update(slot.to_be_bytes());
        hasher.update(head.batch.saturating_add(1).to_be_bytes());
        hasher.update(created_at_us.to_be_bytes());
        Self { hasher }
    }

    pub fn transfer(&mut self, ordinal: i32, transfer: &Transfer) {
        self.hasher.update(b"T");
        self.hasher.update(ordinal.to_be_bytes());
        self.numbers([
            transfer.debit_account,
            transfer.credit_account,
            transfer.amount,
            transfer.user_id,
            transfer.balance_after,
        ]);
        self.hasher.update(transfer.reference.as_bytes());
        self.text(&transfer.kind);
        self.text(&transfer.description);
    }

    pub fn usage(&mut self, ordinal: i32, usage: &Usage) {
        self.hasher.update(b"U");
        self.hasher.update(ordinal.to_be_bytes());
        self.hasher.update(usage.hold_id.as_bytes());
        self.numbers([
            usage.user_id,
            usage.api_key_id,
            usage.prompt_tokens,
            usage.completion_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
            usage.cost,
            usage.balance_after,
            i64::from(usage.latency_ms),
            i64::from(usage.estimated),
            i64::from(usage.streamed),
        ]);
        self.text(&usage.model);
        self.text(&usage.gateway);
        self.text(&usage.finish_reason);
        // Records of earlier servers have neither.
        if !usage.provider.is_empty() || usage.session_id.is_some() {
            self.hasher.update(b"P");
            self.text(&usage.provider);
            self.hasher.update([u8::from(usage.session_id.is_some())]);
            self.numbers([usage.session_id.unwrap_or(0)]);
        }
    }

    /// Operations come in the order of their ids.
    pub fn operation(&mut self, operation: &OperationRow) {
        self.hasher.update(b"O");
        self.hasher.update(operation.id.as_bytes());
        self.text(&operation.kind);
        self.numbers([operation.credits_after, operation.held_after, operation.debt_after]);
        self.hasher.update(&operation.body_hash);
    }

    /// The new head.
    #[must_use]
    pub fn finish(self, head: &ChainHead) -> ChainHead {
        ChainHead { batch: head.batch.saturating_add(1), hash: self.hasher.finalize().into() }
    }

    fn numbers<const N: usize>(&mut self, numbers: [i64; N]) {
        for number in numbers {
            self.hasher.update(number.to_be_bytes());
        }
    }

    fn text(&mut self, text: &str) {
        self.hasher.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.hasher.update(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    /// The hash is SHA-256 of the fields as 64-bit numbers and length-prefixed texts, made by another program.
    #[test]
    fn a_record_of_an_earlier_server_hashes_as_it_did() {
        let usage = Usage {
            hold_id: uuid::Uuid::nil(),
            user_id: 7,
            api_key_id: 8,
            model: "m".to_owned(),
            gateway: "openrouter".into(),
            prompt_tokens: 3,
            completion_tokens: 5,
            cache_read_tokens: 0,
            cache_write_tokens: 0,
            reasoning_tokens: 0,
            cost: 60,
            balance_after: 940,
            latency_ms: 2,
            estimated: false,
            streamed: true,
            finish_reason: "stop".to_owned(),
            provider: "".into(),
            session_id: None,
        };
        let mut link = Link::new(1, &ChainHead::GENESIS, 0);
        link.usage(0, &usage);
        let hash = link.finish(&ChainHead::GENESIS).hash.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        assert_eq!(hash, "a4e7b88ddc4db349efb89fb0ee1243890e4be65f463a4b1ae6d8b7ba07240554");
    }
}
