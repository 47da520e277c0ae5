//! The proof that the books balance, and that history is as it was written (decision 13).

use super::chain::Link;
use super::rows::{ChainHead, OperationRow, Transfer, Usage};
use crate::hash_text::{parse_hash, write_hash};
use crate::schema::{ledger_batches, operations, transfers, usage_records};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// Links recomputed at a time: bounds the memory of a proof over any length of history.
const LINKS_AT_ONCE: i64 = 2_000;

/// A head of a chain that was written down outside the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    pub slot: i32,
    pub head: ChainHead,
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.slot, self.head.batch)?;
        write_hash(f, &self.head.hash)
    }
}

impl std::str::FromStr for Anchor {
    type Err = &'static str;

    /// Reads `slot batch hash`, the hash in hex.
    fn from_str(line: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "an anchor is a line of slot, batch and hash";
        let mut words = line.split_whitespace();
        let mut word = || words.next().ok_or(FORM);
        let (slot, batch, hash) = (word()?, word()?, word().and_then(|hex| parse_hash(hex).ok_or(FORM))?);
        let (slot, batch) = (slot.parse().map_err(|_| FORM)?, batch.parse().map_err(|_| FORM)?);
        Ok(Self { slot, head: ChainHead { batch, hash } })
    }
}

/// What a proof is held against.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    pub anchors: Vec<Anchor>,
}

/// What a proof found.
#[derive(Clone, Debug, Default)]
pub struct VerifyReport {
    pub accounts: i64,
    pub transfers: i64,
    pub usage_records: i64,
    pub settled_holds: i64,
    pub open_holds: i64,
    pub links: i64,
    /// The head of each slot's chain: what an anchor is made of.
    pub heads: Vec<Anchor>,
    /// One line for each thing that is not as it must be; empty when the ledger is clean.
    pub problems: Vec<String>,
}

impl VerifyReport {
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} accounts, {} transfers, {} usage records, {} settled holds, {} open holds, {} links in {} chains",
            self.accounts,
            self.transfers,
            self.usage_records,
            self.settled_holds,
            self.open_holds,
            self.links,
            self.heads.len()
        )?;
        for problem in &self.problems {
            writeln!(f, "PROBLEM: {problem}")?;
        }
        f.write_str(if self.is_clean() { "the ledger is clean" } else { "the ledger is NOT clean" })
    }
}

/// The laws of the books, each a query that lists what breaks it.
const LAWS: [&str; 12] = [
    "SELECT format('account %s has %s, its transfers say %s', a.id, a.posted, coalesce(t.sum, 0)) AS line
     FROM accounts a LEFT JOIN (
         SELECT account, sum(amount) AS sum FROM (
             SELECT credit_account AS account, amount FROM transfers
             UNION ALL SELECT debit_account, -amount FROM transfers) m GROUP BY account) t ON t.account = a.id
     WHERE coalesce(t.sum, 0) <> CASE a.kind WHEN 'budget' THEN 0 ELSE a.posted END",
    // No money moves in or out of a budget: its holds say what is left of it.
    "SELECT format('the budget on account %s has %s left, its limit and its holds say %s', coalesce(a.id, b.account_id),
         coalesce(a.posted::text, 'nothing'), coalesce((b.limit_nanos - coalesce(h.sum, 0))::text, 'nothing')) AS line
     FROM (SELECT id, posted FROM accounts WHERE kind = 'budget') a
     FULL JOIN key_budgets b ON b.account_id = a.id
     LEFT JOIN (SELECT budget_account_id, sum(charged) AS sum FROM holds
         WHERE state = 1 AND budget_account_id IS NOT NULL GROUP BY budget_account_id) h ON h.budget_account_id = a.id
     WHERE a.posted IS DISTINCT FROM b.limit_nanos - coalesce(h.sum, 0)",
    "SELECT format('hold %s of key %s was charged to a budget of key %s', h.id, u.api_key_id, coalesce(b.api_key_id::text, 'none'))
         AS line
     FROM holds h JOIN usage_records u ON u.hold_id = h.id LEFT JOIN key_budgets b ON b.account_id = h.budget_account_id
     LEFT JOIN accounts a ON a.id = h.budget_account_id
     WHERE h.budget_account_id IS NOT NULL
         AND (b.api_key_id IS DISTINCT FROM u.api_key_id OR a.user_id IS DISTINCT FROM u.user_id)",
    "SELECT format('transfer %s of %s names an account that is not there', t.reference, t.created_at) AS line
     FROM transfers t LEFT JOIN accounts d ON d.id = t.debit_account LEFT JOIN accounts c ON c.id = t.credit_account
     WHERE d.id IS NULL OR c.id IS NULL",
    "SELECT format('transfer %s is of user %s and moves the account of another', t.reference, t.user_id) AS line
     FROM transfers t JOIN accounts a ON a.id IN (t.debit_account, t.credit_account) WHERE a.user_id <> t.user_id",
    "SELECT format('account %s holds %s, its open holds say %s', a.id, a.held, coalesce(h.sum, 0)) AS line
     FROM accounts a LEFT JOIN (
         SELECT account_id, sum(amount) AS sum FROM (
             SELECT account_id, amount FROM holds WHERE state = 0
             UNION ALL SELECT budget_account_id, amount FROM holds WHERE state = 0 AND budget_account_id IS NOT NULL) o
         GROUP BY account_id) h ON h.account_id = a.id
     WHERE a.held <> coalesce(h.sum, 0)",
    "SELECT format('open hold %s is on an account that is not there', h.id) AS line
     FROM holds h LEFT JOIN accounts a ON a.id = h.account_id LEFT JOIN accounts b ON b.id = h.budget_account_id
     WHERE h.state = 0 AND (a.id IS NULL OR (h.budget_account_id IS NOT NULL AND b.id IS NULL))",
    "SELECT format('hold %s was settled for %s, its %s usage records say %s', coalesce(h.id, u.hold_id),
         coalesce(h.charged::text, 'nothing'), coalesce(u.count, 0), coalesce(u.cost::text, 'nothing')) AS line
     FROM (SELECT id, charged FROM holds WHERE state = 1) h
     FULL JOIN (SELECT hold_id, count(*) AS count, sum(cost) AS cost FROM usage_records GROUP BY hold_id) u ON u.hold_id = h.id
     WHERE h.id IS NULL OR u.hold_id IS NULL OR u.count <> 1 OR u.cost <> h.charged",
    "SELECT format('settled hold %s owes %s on account %s, its transfers say otherwise', h.id, h.debt, h.account_id) AS line
     FROM holds h LEFT JOIN (
         SELECT reference, sum(amount) FILTER (WHERE kind = 'debt') AS debt,
             max(debit_account) FILTER (WHERE kind = 'api_usage') AS account
         FROM transfers WHERE kind IN ('api_usage', 'debt') GROUP BY reference) t ON t.reference = h.id
     WHERE h.state = 1 AND (coalesce(h.debt, 0) <> coalesce(t.debt, 0) OR h.account_id <> t.account)",
    "SELECT format('usage %s cost %s, its transfers say %s', coalesce(u.hold_id, t.reference), coalesce(u.cost, 0),
         coalesce(t.sum, 0)) AS line
     FROM usage_records u
     FULL JOIN (SELECT reference, sum(amount) AS sum FROM transfers WHERE kind IN ('api_usage', 'debt') GROUP BY reference) t
         ON t.reference = u.hold_id
     WHERE coalesce(u.cost, 0) <> coalesce(t.sum, 0)",
    "SELECT format('operation %s has %s transfers', coalesce(o.id, t.reference), coalesce(t.count, 0)) AS line
     FROM operations o
     FULL JOIN (SELECT reference, count(*) AS count FROM transfers WHERE kind NOT IN ('api_usage', 'debt', 'debt_repayment')
         GROUP BY reference) t ON t.reference = o.id
     WHERE o.id IS NULL OR t.reference IS NULL OR t.count <> 1",
    "SELECT format('the totals of account %s say %s %s rows of %s, its history %s of %s', coalesce(s.account_id, m.account_id),
         coalesce(s.count, 0), coalesce(s.kind, m.kind), coalesce(s.amount, 0), coalesce(m.count, 0), coalesce(m.amount, 0)) AS line
     FROM transaction_totals s
     FULL JOIN (SELECT account_id, kind, count(*) AS count, sum(amount) AS amount
         FROM account_movements JOIN transaction_folds f USING (slot) WHERE account_movements.batch <= f.batch
         GROUP BY account_id, kind) m ON m.account_id = s.account_id AND m.kind = s.kind
     WHERE s.count IS DISTINCT FROM m.count OR s.amount IS DISTINCT FROM m.amount",
];

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Counts {
    #[diesel(sql_type = BigInt)]
    accounts: i64,
    #[diesel(sql_type = BigInt)]
    transfers: i64,
    #[diesel(sql_type = BigInt)]
    usage_records: i64,
    #[diesel(sql_type = BigInt)]
    settled_holds: i64,
    #[diesel(sql_type = BigInt)]
    open_holds: i64,
}

/// Proves the books on one snapshot of the database, while others write.
///
/// # Errors
/// Only the database's: what is wrong with the books is in the report.
pub async fn verify(store: &Store, options: VerifyOptions) -> Result<VerifyReport, StoreError> {
    let mut connection = store.dedicated().await?;
    // A proof over all of history takes longer than a request may.
    diesel::sql_query("SET statement_timeout = 0").execute(&mut connection).await?;
    // Whole tables are compared. The planner may not know yet how large they have grown, and would go through one for each row
    // of the other: hours instead of seconds after the first busy minutes of a new database.
    diesel::sql_query("SET enable_nestloop = off").execute(&mut connection).await?;
    // Where one is all there is, it is reckoned so dear that the query is compiled: for longer than it runs.
    diesel::sql_query("SET jit = off").execute(&mut connection).await?;
    connection.build_transaction().read_only().repeatable_read().run(async |connection| prove(connection, &options).await).await
}

async fn prove(connection: &mut AsyncPgConnection, options: &VerifyOptions) -> Result<VerifyReport, StoreError> {
    let counts: Counts = diesel::sql_query(
        "SELECT (SELECT count(*) FROM accounts) AS accounts, (SELECT count(*) FROM transfers) AS transfers,
             (SELECT count(*) FROM usage_records) AS usage_records,
             (SELECT count(*) FROM holds WHERE state = 1) AS settled_holds,
             (SELECT count(*) FROM holds WHERE state = 0) AS open_holds",
    )
    .get_result(connection)
    .await?;
    let mut report = VerifyReport {
        accounts: counts.accounts,
        transfers: counts.transfers,
        usage_records: counts.usage_records,
        settled_holds: counts.settled_holds,
        open_holds: counts.open_holds,
        ..VerifyReport::default()
    };
    for law in LAWS {
        let broken: Vec<Line> = diesel::sql_query(format!("{law} LIMIT 20")).load(connection).await?;
        report.problems.extend(broken.into_iter().map(|line| line.line));
    }
    let chained = prove_chains(connection, &mut report).await?;
    let (in_chains, history) = (chained, counts.transfers + counts.usage_records);
    if in_chains != history {
        report.problems.push(format!("{history} rows of history, {in_chains} of them in a chain"));
    }
    prove_anchors(connection, &mut report, &options.anchors).await?;
    Ok(report)
}

/// Recomputes every link. Returns how many rows of history the links cover.
async fn prove_chains(connection: &mut AsyncPgConnection, report: &mut VerifyReport) -> Result<i64, StoreError> {
    let slots: Vec<i32> =
        ledger_batches::table.select(ledger_batches::slot).distinct().order(ledger_batches::slot).load(connection).await?;
    let mut covered = 0;
    for slot in slots {
        let mut head = ChainHead::GENESIS;
        loop {
            let links = read_links(connection, slot, head.batch).await?;
            let Some(last) = links.last().map(|link| link.batch) else { break };
            let mut rows = read_rows(connection, slot, head.batch, last).await?;
            for link in links {
                covered += rows.prove(&link, slot, &mut head, &mut report.problems);
                report.links += 1;
            }
        }
        report.heads.push(Anchor { slot, head });
    }
    Ok(covered)
}

async fn prove_anchors(
    connection: &mut AsyncPgConnection,
    report: &mut VerifyReport,
    anchors: &[Anchor],
) -> Result<(), StoreError> {
    for anchor in anchors.iter().filter(|anchor| anchor.head.batch > 0) {
        let found: Option<Vec<u8>> = ledger_batches::table
            .find((anchor.slot, anchor.head.batch))
            .select(ledger_batches::hash)
            .first(connection)
            .await
            .optional()?;
        match found {
            Some(hash) if hash == anchor.head.hash => {}
            Some(_) => report.problems.push(format!("anchor {anchor}: this link was rewritten")),
            None => report.problems.push(format!("anchor {anchor}: the chain was cut before this link")),
        }
    }
    Ok(())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = ledger_batches)]
struct StoredLink {
    batch: i64,
    previous_hash: Vec<u8>,
    hash: Vec<u8>,
    transfers: i32,
    usage_records: i32,
    created_at: DateTime<Utc>,
}

async fn read_links(connection: &mut AsyncPgConnection, slot: i32, after: i64) -> Result<Vec<StoredLink>, StoreError> {
    let links = ledger_batches::table
        .filter(ledger_batches::slot.eq(slot).and(ledger_batches::batch.gt(after)))
        .order(ledger_batches::batch)
        .limit(LINKS_AT_ONCE)
        .select(StoredLink::as_select());
    Ok(links.load(connection).await?)
}

/// The rows of a run of links, by link.
struct Rows {
    transfers: HashMap<i64, Vec<(i32, DateTime<Utc>, Transfer)>>,
    usage: HashMap<i64, Vec<(i32, DateTime<Utc>, Usage)>>,
    operations: HashMap<i64, Vec<(DateTime<Utc>, OperationRow)>>,
}

impl Rows {
    /// Proves one link and moves the head onto it. Returns the rows that it covers.
    fn prove(&mut self, stored: &StoredLink, slot: i32, head: &mut ChainHead, problems: &mut Vec<String>) -> i64 {
        let transfers = self.transfers.remove(&stored.batch).unwrap_or_default();
        let usage = self.usage.remove(&stored.batch).unwrap_or_default();
        let operations = self.operations.remove(&stored.batch).unwrap_or_default();
        let mut link = Link::new(slot, head, stored.created_at.timestamp_micros());
        transfers.iter().for_each(|(ordinal, _, transfer)| link.transfer(*ordinal, transfer));
        usage.iter().for_each(|(ordinal, _, usage)| link.usage(*ordinal, usage));
        operations.iter().for_each(|(_, operation)| link.operation(operation));
        let at_its_time = transfers.iter().map(|row| row.1).chain(usage.iter().map(|row| row.1));
        let at_its_time = at_its_time.chain(operations.iter().map(|row| row.0)).all(|at| at == stored.created_at);
        let found = (i64::try_from(transfers.len()), i64::try_from(usage.len()));
        let counted = found == (Ok(i64::from(stored.transfers)), Ok(i64::from(stored.usage_records)));
        let next = link.finish(head);
        let linked = stored.previous_hash == head.hash && stored.batch == next.batch && stored.hash == next.hash;
        if !(linked && counted && at_its_time) {
            problems.push(format!("link {} of slot {slot} does not match its rows", stored.batch));
        }
        // Go on from what is stored, so that one change is one problem and not all links after it.
        *head = ChainHead { batch: stored.batch, hash: stored.hash.clone().try_into().unwrap_or_default() };
        i64::from(stored.transfers) + i64::from(stored.usage_records)
    }
}

async fn read_rows(connection: &mut AsyncPgConnection, slot: i32, after: i64, last: i64) -> Result<Rows, StoreError> {
    let transfers = transfers::table
        .filter(transfers::slot.eq(slot).and(transfers::batch.gt(after)).and(transfers::batch.le(last)))
        .order((transfers::batch, transfers::ordinal))
        .load::<StoredTransfer>(connection)
        .await?;
    let usage = usage_records::table
        .filter(usage_records::slot.eq(slot).and(usage_records::batch.gt(after)).and(usage_records::batch.le(last)))
        .order((usage_records::batch, usage_records::ordinal))
        .load::<StoredUsage>(connection)
        .await?;
    let operations = operations::table
        .filter(operations::slot.eq(slot).and(operations::batch.gt(after)).and(operations::batch.le(last)))
        .order((operations::batch, operations::id))
        .select((operations::batch, operations::created_at, OperationRow::as_select()))
        .load::<(i64, DateTime<Utc>, OperationRow)>(connection)
        .await?;
    Ok(Rows {
        transfers: by_link(transfers.into_iter().map(StoredTransfer::into_parts)),
        usage: by_link(usage.into_iter().map(StoredUsage::into_parts)),
        operations: by_link(operations.into_iter().map(|(batch, at, row)| (batch, (at, row)))),
    })
}

fn by_link<T>(rows: impl Iterator<Item = (i64, T)>) -> HashMap<i64, Vec<T>> {
    let mut links: HashMap<i64, Vec<T>> = HashMap::new();
    for (batch, row) in rows {
        links.entry(batch).or_default().push(row);
    }
    links
}

#[derive(Queryable)]
struct StoredTransfer {
    created_at: DateTime<Utc>,
    _slot: i32,
    batch: i64,
    ordinal: i32,
    kind: String,
    debit_account: i64,
    credit_account: i64,
    amount: i64,
    reference: uuid::Uuid,
    user_id: i64,
    balance_after: i64,
    description: String,
}

impl StoredTransfer {
    fn into_parts(self) -> (i64, (i32, DateTime<Utc>, Transfer)) {
        let transfer = Transfer {
            kind: Cow::Owned(self.kind),
            debit_account: self.debit_account,
            credit_account: self.credit_account,
            amount: self.amount,
            reference: self.reference,
            user_id: self.user_id,
            balance_after: self.balance_after,
            description: self.description,
        };
        (self.batch, (self.ordinal, self.created_at, transfer))
    }
}

#[derive(Queryable)]
struct StoredUsage {
    created_at: DateTime<Utc>,
    _slot: i32,
    batch: i64,
    ordinal: i32,
    hold_id: uuid::Uuid,
    user_id: i64,
    api_key_id: i64,
    model: String,
    gateway: String,
    prompt_tokens: i64,
    completion_tokens: i64,
    cache_read_tokens: i64,
    cache_write_tokens: i64,
    reasoning_tokens: i64,
    cost: i64,
    balance_after: i64,
    latency_ms: i32,
    estimated: bool,
    streamed: bool,
    finish_reason: String,
    provider: String,
    session_id: Option<i64>,
}

impl StoredUsage {
    fn into_parts(self) -> (i64, (i32, DateTime<Utc>, Usage)) {
        let usage = Usage {
            hold_id: self.hold_id,
            user_id: self.user_id,
            api_key_id: self.api_key_id,
            model: self.model,
            gateway: Cow::Owned(self.gateway),
            prompt_tokens: self.prompt_tokens,
            completion_tokens: self.completion_tokens,
            cache_read_tokens: self.cache_read_tokens,
            cache_write_tokens: self.cache_write_tokens,
            reasoning_tokens: self.reasoning_tokens,
            cost: self.cost,
            balance_after: self.balance_after,
            latency_ms: self.latency_ms,
            estimated: self.estimated,
            streamed: self.streamed,
            finish_reason: self.finish_reason,
            provider: Cow::Owned(self.provider),
            session_id: self.session_id,
        };
        (self.batch, (self.ordinal, self.created_at, usage))
    }
}
