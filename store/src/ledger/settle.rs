//! The binds of a settle that is a batch of its own.

use super::batch::{column, number};
use super::chain::Chained;
use crate::statement::statement;
use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

statement! {
    /// The statement with its values.
    SettleWrite of include_str!("settle.sql");
    slot: i32 => Integer,
    number: i64 => BigInt,
    at: DateTime<Utc> => Timestamptz,

    account_id: Vec<i64> => Array<BigInt>,
    account_posted: Vec<i64> => Array<BigInt>,
    account_held: Vec<i64> => Array<BigInt>,
    account_posted_delta: Vec<i64> => Array<BigInt>,
    account_held_delta: Vec<i64> => Array<BigInt>,

    closed_to: i16 => SmallInt,
    closed_charged: Option<i64> => Nullable<BigInt>,
    closed_debt: Option<i64> => Nullable<BigInt>,
    closed_id: Uuid => SqlUuid,
    closed_amount: i64 => BigInt,
    closed_from: i16 => SmallInt,

    transfer_kind: &'a str => Text,
    transfer_debit: i64 => BigInt,
    transfer_credit: i64 => BigInt,
    transfer_amount: i64 => BigInt,
    transfer_reference: Uuid => SqlUuid,
    transfer_user: i64 => BigInt,
    transfer_balance_after: i64 => BigInt,
    transfer_description: &'a str => Text,

    usage_hold: Uuid => SqlUuid,
    usage_user: i64 => BigInt,
    usage_key: i64 => BigInt,
    usage_model: &'a str => Text,
    usage_gateway: &'a str => Text,
    usage_prompt: i64 => BigInt,
    usage_completion: i64 => BigInt,
    usage_cache_read: i64 => BigInt,
    usage_cache_write: i64 => BigInt,
    usage_reasoning: i64 => BigInt,
    usage_cost: i64 => BigInt,
    usage_balance_after: i64 => BigInt,
    usage_latency_ms: i32 => Integer,
    usage_estimated: bool => Bool,
    usage_streamed: bool => Bool,
    usage_finish_reason: &'a str => Text,
    usage_provider: &'a str => Text,
    usage_session: Option<i64> => Nullable<BigInt>,

    chain_previous: Vec<u8> => Binary,
    chain_hash: Vec<u8> => Binary,

    locked_due: i64 => BigInt,
}

/// The statement of a batch that closes one hold, moves money once and says for what; `None` for any other.
#[must_use]
pub fn settle_alone<'a>(chained: &Chained<'a>) -> Option<SettleWrite<'a>> {
    let Chained { batch, slot, at, before, head } = *chained;
    let ([hold], [transfer], [usage]) = (batch.closed.as_slice(), batch.transfers.as_slice(), batch.usage.as_slice()) else {
        return None;
    };
    if !batch.opened.is_empty() || !batch.operations.is_empty() {
        return None;
    }
    let accounts = &batch.accounts;
    Some(SettleWrite {
        slot,
        number: head.batch,
        at,
        account_id: column(accounts, |change| change.before.id),
        account_posted: column(accounts, |change| change.before.posted),
        account_held: column(accounts, |change| change.before.held),
        account_posted_delta: column(accounts, |change| change.posted_delta),
        account_held_delta: column(accounts, |change| change.held_delta),
        closed_to: hold.to.code(),
        closed_charged: hold.charged,
        closed_debt: hold.debt,
        closed_id: hold.id,
        closed_amount: hold.amount,
        closed_from: hold.from.code(),
        transfer_kind: &transfer.kind,
        transfer_debit: transfer.debit_account,
        transfer_credit: transfer.credit_account,
        transfer_amount: transfer.amount,
        transfer_reference: transfer.reference,
        transfer_user: transfer.user_id,
        transfer_balance_after: transfer.balance_after,
        transfer_description: &transfer.description,
        usage_hold: usage.hold_id,
        usage_user: usage.user_id,
        usage_key: usage.api_key_id,
        usage_model: &usage.model,
        usage_gateway: &usage.gateway,
        usage_prompt: usage.prompt_tokens,
        usage_completion: usage.completion_tokens,
        usage_cache_read: usage.cache_read_tokens,
        usage_cache_write: usage.cache_write_tokens,
        usage_reasoning: usage.reasoning_tokens,
        usage_cost: usage.cost,
        usage_balance_after: usage.balance_after,
        usage_latency_ms: usage.latency_ms,
        usage_estimated: usage.estimated,
        usage_streamed: usage.streamed,
        usage_finish_reason: &usage.finish_reason,
        usage_provider: &usage.provider,
        usage_session: usage.session_id,
        chain_previous: before.hash.to_vec(),
        chain_hash: head.hash.to_vec(),
        locked_due: i64::from(number(accounts.len())),
        lifetime: std::marker::PhantomData,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    /// The columns that a statement fills, by table.
    fn inserted(statement: &str) -> BTreeMap<&str, Vec<&str>> {
        let inserts = statement.split("INSERT INTO ").skip(1);
        let parts = inserts.filter_map(|insert| insert.split_once(')')?.0.split_once(" ("));
        parts.map(|(table, columns)| (table, columns.split(',').map(str::trim).collect())).collect()
    }

    /// How a statement locks, compares and changes the accounts.
    fn accounts(statement: &str) -> Option<&str> {
        let (_, from_locked) = statement.split_once("locked AS MATERIALIZED")?;
        Some(from_locked.split_once("<> (0, 0)")?.0)
    }

    // Mutants, each red: without `finish_reason` in one of them; without the comparison of `held`.
    #[test]
    fn a_settle_alone_changes_accounts_and_fills_columns_as_it_does_in_a_batch() {
        let (batch, alone) = (include_str!("batch.sql"), include_str!("settle.sql"));
        assert!(accounts(alone).is_some_and(|part| part.contains("FOR UPDATE")));
        assert_eq!(accounts(alone), accounts(batch));
        let (batch, alone) = (inserted(batch), inserted(alone));
        assert_eq!(alone.keys().copied().collect::<Vec<_>>(), ["ledger_batches", "transfers", "usage_records"]);
        for (table, columns) in alone {
            assert_eq!(batch.get(table), Some(&columns), "{table}");
        }
    }
}
