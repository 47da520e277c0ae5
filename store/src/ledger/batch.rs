//! The batch statement's binds.

use super::chain::Chained;
use crate::statement::statement;
use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

statement! {
    /// The statement with its columns.
    BatchWrite of include_str!("batch.sql");
    slot: i32 => Integer,
    number: i64 => BigInt,
    at: DateTime<Utc> => Timestamptz,

    account_id: Vec<i64> => Array<BigInt>,
    account_posted: Vec<i64> => Array<BigInt>,
    account_held: Vec<i64> => Array<BigInt>,
    account_posted_delta: Vec<i64> => Array<BigInt>,
    account_held_delta: Vec<i64> => Array<BigInt>,

    opened_id: Vec<Uuid> => Array<SqlUuid>,
    opened_account: Vec<i64> => Array<BigInt>,
    opened_budget: Vec<Option<i64>> => Array<Nullable<BigInt>>,
    opened_asked: Vec<i64> => Array<BigInt>,
    opened_amount: Vec<i64> => Array<BigInt>,
    opened_state: Vec<i16> => Array<SmallInt>,
    opened_charged: Vec<Option<i64>> => Array<Nullable<BigInt>>,
    opened_debt: Vec<Option<i64>> => Array<Nullable<BigInt>>,
    opened_expires_at: Vec<DateTime<Utc>> => Array<Timestamptz>,

    closed_id: Vec<Uuid> => Array<SqlUuid>,
    closed_amount: Vec<i64> => Array<BigInt>,
    closed_from: Vec<i16> => Array<SmallInt>,
    closed_to: Vec<i16> => Array<SmallInt>,
    closed_charged: Vec<Option<i64>> => Array<Nullable<BigInt>>,
    closed_debt: Vec<Option<i64>> => Array<Nullable<BigInt>>,

    operation_id: Vec<Uuid> => Array<SqlUuid>,
    operation_kind: Vec<&'a str> => Array<Text>,
    operation_hash: Vec<&'a [u8]> => Array<Binary>,
    operation_credits: Vec<i64> => Array<BigInt>,
    operation_held: Vec<i64> => Array<BigInt>,
    operation_debt: Vec<i64> => Array<BigInt>,

    transfer_ordinal: Vec<i32> => Array<Integer>,
    transfer_kind: Vec<&'a str> => Array<Text>,
    transfer_debit: Vec<i64> => Array<BigInt>,
    transfer_credit: Vec<i64> => Array<BigInt>,
    transfer_amount: Vec<i64> => Array<BigInt>,
    transfer_reference: Vec<Uuid> => Array<SqlUuid>,
    transfer_user: Vec<i64> => Array<BigInt>,
    transfer_balance_after: Vec<i64> => Array<BigInt>,
    transfer_description: Vec<&'a str> => Array<Text>,

    usage_ordinal: Vec<i32> => Array<Integer>,
    usage_hold: Vec<Uuid> => Array<SqlUuid>,
    usage_user: Vec<i64> => Array<BigInt>,
    usage_key: Vec<i64> => Array<BigInt>,
    usage_model: Vec<&'a str> => Array<Text>,
    usage_gateway: Vec<&'a str> => Array<Text>,
    usage_prompt: Vec<i64> => Array<BigInt>,
    usage_completion: Vec<i64> => Array<BigInt>,
    usage_cache_read: Vec<i64> => Array<BigInt>,
    usage_cache_write: Vec<i64> => Array<BigInt>,
    usage_reasoning: Vec<i64> => Array<BigInt>,
    usage_cost: Vec<i64> => Array<BigInt>,
    usage_balance_after: Vec<i64> => Array<BigInt>,
    usage_latency_ms: Vec<i32> => Array<Integer>,
    usage_estimated: Vec<bool> => Array<Bool>,
    usage_streamed: Vec<bool> => Array<Bool>,
    usage_finish_reason: Vec<&'a str> => Array<Text>,
    usage_provider: Vec<&'a str> => Array<Text>,
    usage_session: Vec<Option<i64>> => Array<Nullable<BigInt>>,

    chain_previous: Vec<Vec<u8>> => Array<Binary>,
    chain_hash: Vec<Vec<u8>> => Array<Binary>,
    chain_transfers: Vec<i32> => Array<Integer>,
    chain_usage: Vec<i32> => Array<Integer>,

    locked_due: i64 => BigInt,
    closed_due: i64 => BigInt,
}

/// Lays the batch out as columns.
#[must_use]
pub fn lay_out<'a>(chained: &Chained<'a>) -> BatchWrite<'a> {
    let Chained { batch, slot, at, before, head } = *chained;
    let links = usize::from(batch.has_history());
    let accounts = &batch.accounts;
    let (opened, closed, operations) = (&batch.opened, &batch.closed, &batch.operations);
    let (transfers, usage) = (&batch.transfers, &batch.usage);
    BatchWrite {
        slot,
        number: head.batch,
        at,
        account_id: column(accounts, |change| change.before.id),
        account_posted: column(accounts, |change| change.before.posted),
        account_held: column(accounts, |change| change.before.held),
        account_posted_delta: column(accounts, |change| change.posted_delta),
        account_held_delta: column(accounts, |change| change.held_delta),
        opened_id: column(opened, |hold| hold.id),
        opened_account: column(opened, |hold| hold.account_id),
        opened_budget: column(opened, |hold| hold.budget_account_id),
        opened_asked: column(opened, |hold| hold.asked),
        opened_amount: column(opened, |hold| hold.amount),
        opened_state: column(opened, |hold| hold.state.code()),
        opened_charged: column(opened, |hold| hold.charged),
        opened_debt: column(opened, |hold| hold.debt),
        opened_expires_at: column(opened, |hold| hold.expires_at),
        closed_id: column(closed, |hold| hold.id),
        closed_amount: column(closed, |hold| hold.amount),
        closed_from: column(closed, |hold| hold.from.code()),
        closed_to: column(closed, |hold| hold.to.code()),
        closed_charged: column(closed, |hold| hold.charged),
        closed_debt: column(closed, |hold| hold.debt),
        operation_id: column(operations, |operation| operation.id),
        operation_kind: column(operations, |operation| operation.kind.as_str()),
        operation_hash: column(operations, |operation| operation.body_hash.as_slice()),
        operation_credits: column(operations, |operation| operation.credits_after),
        operation_held: column(operations, |operation| operation.held_after),
        operation_debt: column(operations, |operation| operation.debt_after),
        transfer_ordinal: ordinals(transfers.len()),
        transfer_kind: column(transfers, |transfer| transfer.kind.as_ref()),
        transfer_debit: column(transfers, |transfer| transfer.debit_account),
        transfer_credit: column(transfers, |transfer| transfer.credit_account),
        transfer_amount: column(transfers, |transfer| transfer.amount),
        transfer_reference: column(transfers, |transfer| transfer.reference),
        transfer_user: column(transfers, |transfer| transfer.user_id),
        transfer_balance_after: column(transfers, |transfer| transfer.balance_after),
        transfer_description: column(transfers, |transfer| transfer.description.as_str()),
        usage_ordinal: ordinals(usage.len()),
        usage_hold: column(usage, |record| record.hold_id),
        usage_user: column(usage, |record| record.user_id),
        usage_key: column(usage, |record| record.api_key_id),
        usage_model: column(usage, |record| record.model.as_str()),
        usage_gateway: column(usage, |record| record.gateway.as_ref()),
        usage_prompt: column(usage, |record| record.prompt_tokens),
        usage_completion: column(usage, |record| record.completion_tokens),
        usage_cache_read: column(usage, |record| record.cache_read_tokens),
        usage_cache_write: column(usage, |record| record.cache_write_tokens),
        usage_reasoning: column(usage, |record| record.reasoning_tokens),
        usage_cost: column(usage, |record| record.cost),
        usage_balance_after: column(usage, |record| record.balance_after),
        usage_latency_ms: column(usage, |record| record.latency_ms),
        usage_estimated: column(usage, |record| record.estimated),
        usage_streamed: column(usage, |record| record.streamed),
        usage_finish_reason: column(usage, |record| record.finish_reason.as_str()),
        usage_provider: column(usage, |record| record.provider.as_ref()),
        usage_session: column(usage, |record| record.session_id),
        chain_previous: vec![before.hash.to_vec(); links],
        chain_hash: vec![head.hash.to_vec(); links],
        chain_transfers: vec![number(transfers.len()); links],
        chain_usage: vec![number(usage.len()); links],
        locked_due: i64::from(number(accounts.len())),
        closed_due: i64::from(number(closed.len())),
        lifetime: std::marker::PhantomData,
    }
}

pub(super) fn column<'a, R, T>(rows: &'a [R], field: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(field).collect()
}

fn ordinals(count: usize) -> Vec<i32> {
    (0..number(count)).collect()
}

/// Batches are bounded far below `i32::MAX`.
pub(super) fn number(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}
