//! The proof that the audit rows are as they were written, all of them, in their order.

use super::DELETE_ACCOUNT;
use super::chain::{AuditHead, Fields, Hash, hash_of_details, link};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bytea, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use uuid::Uuid;

/// Links computed at a time: bounds the memory of a proof over any length of history.
const LINKS_AT_ONCE: i64 = 2_000;
/// Rows outside the chain that are named.
const STRAYS_MAX: i64 = 20;

/// What a proof found.
#[derive(Clone, Debug, Default)]
pub struct AuditReport {
    pub links: i64,
    /// Rows whose details went with their account.
    pub erased: i64,
    /// The end of the chain: what is worth writing down elsewhere.
    pub head: Option<AuditHead>,
    /// One line for each thing that is not as it must be; empty when nothing was tampered with.
    pub problems: Vec<String>,
}

impl AuditReport {
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}

impl fmt::Display for AuditReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} rows in the chain, {} of them erased with their accounts", self.links, self.erased)?;
        if let Some(head) = &self.head {
            writeln!(f, "head {head}")?;
        }
        for problem in &self.problems {
            writeln!(f, "PROBLEM: {problem}")?;
        }
        f.write_str(if self.is_clean() { "the audit trail is whole" } else { "the audit trail is NOT whole" })
    }
}

/// Computes the chain again, on one snapshot of the database while others write, and holds it against heads that were written down
/// elsewhere: only they betray a chain whose end was cut off, or that was made anew as a whole.
///
/// # Errors
/// Only the database's: what is wrong with the trail is in the report.
pub async fn verify(store: &Store, heads: &[AuditHead]) -> Result<AuditReport, StoreError> {
    let mut connection = store.dedicated().await?;
    diesel::sql_query("SET statement_timeout = 0").execute(&mut connection).await?;
    connection.build_transaction().read_only().repeatable_read().run(async |connection| prove(connection, heads).await).await
}

async fn prove(connection: &mut AsyncPgConnection, heads: &[AuditHead]) -> Result<AuditReport, StoreError> {
    let mut proof = Proof::new(heads);
    loop {
        let links = read_links(connection, proof.head.sequence).await?;
        if links.is_empty() {
            break;
        }
        links.iter().for_each(|link| proof.look_at(link));
    }
    proof.strays(&read_strays(connection).await?);
    let survivors = survivors(connection, &proof.erased_users()).await?;
    Ok(proof.report(&survivors))
}

/// What a proof knows so far.
struct Proof<'a> {
    head: AuditHead,
    heads: &'a [AuditHead],
    heads_met: BTreeSet<i64>,
    /// Rows without details, by the user they were about.
    erased: BTreeMap<Option<i64>, Vec<i64>>,
    /// Users whose accounts were deleted, as the chain tells.
    deleted: BTreeSet<i64>,
    report: AuditReport,
}

impl<'a> Proof<'a> {
    fn new(heads: &'a [AuditHead]) -> Self {
        Self {
            head: AuditHead::GENESIS,
            heads,
            heads_met: BTreeSet::new(),
            erased: BTreeMap::new(),
            deleted: BTreeSet::new(),
            report: AuditReport::default(),
        }
    }

    /// Proves one link and moves on to it. Goes on from what is stored, so that one change is not a problem of all links after it.
    fn look_at(&mut self, stored: &StoredLink) {
        let (sequence, expected) = (stored.sequence, self.head.sequence.saturating_add(1));
        if sequence != expected {
            self.problem(format!("links {expected} to {} are missing", sequence.saturating_sub(1)));
        }
        let hash = stored.hash.as_slice().try_into().unwrap_or_default();
        match stored.row() {
            None => self.problem(format!("row {} of link {sequence} was removed", stored.log_id)),
            Some(row) => self.look_at_row(stored, &row, &hash),
        }
        self.report.links += 1;
        self.head = AuditHead { sequence, hash };
        self.hold_against_heads();
    }

    fn look_at_row(&mut self, stored: &StoredLink, row: &Row<'_>, hash: &Hash) {
        let details_hash: Hash = stored.details_hash.as_slice().try_into().unwrap_or_default();
        let next = link(&AuditHead { sequence: stored.sequence.saturating_sub(1), ..self.head }, &row.fields, &details_hash);
        let id = row.fields.id;
        // Mutant: comparing the hash with itself leaves changed rows unfound: `every_tampering_is_found` is red.
        if next.hash != *hash {
            self.problem(format!("row {id} does not match link {}", stored.sequence));
        }
        match row.salt {
            Some(salt) if hash_of_details(salt, row.details) == details_hash => {}
            Some(_) => self.problem(format!("the details of row {id} were changed")),
            None if row.details == "{}" => self.erased.entry(row.fields.user_id).or_default().push(id),
            None => self.problem(format!("the details of row {id} have no salt")),
        }
        if row.fields.action == DELETE_ACCOUNT {
            self.deleted.extend(row.fields.user_id);
        }
    }

    fn hold_against_heads(&mut self) {
        for written in self.heads.iter().filter(|written| written.sequence == self.head.sequence) {
            self.heads_met.insert(written.sequence);
            if written.hash != self.head.hash {
                self.report.problems.push(format!("head {written}: this link was rewritten"));
            }
        }
    }

    fn strays(&mut self, rows: &[i64]) {
        for id in rows {
            self.problem(format!("row {id} stands outside the chain"));
        }
    }

    fn erased_users(&self) -> Vec<i64> {
        self.erased.keys().flatten().copied().collect()
    }

    /// `survivors`: users with erased rows who are still there.
    fn report(mut self, survivors: &[i64]) -> AuditReport {
        for written in self.heads {
            if written.sequence > 0 && !self.heads_met.contains(&written.sequence) {
                self.report.problems.push(format!("head {written}: the chain was cut before this link"));
            }
        }
        for (user, rows) in std::mem::take(&mut self.erased) {
            self.report.erased += i64::try_from(rows.len()).unwrap_or(i64::MAX);
            let is_gone = user.is_some_and(|user| self.deleted.contains(&user) && !survivors.contains(&user));
            // Mutant: taking every erasure for lawful turns `…a_false_erasure_does_not` red.
            if !is_gone {
                self.problem(format!("the details of rows {rows:?} were erased, but their account was not deleted"));
            }
        }
        self.report.head = (self.head != AuditHead::GENESIS).then_some(self.head);
        self.report
    }

    fn problem(&mut self, line: String) {
        self.report.problems.push(line);
    }
}

/// A link, and its row as far as it is there.
#[derive(QueryableByName)]
struct StoredLink {
    #[diesel(sql_type = BigInt)]
    sequence: i64,
    #[diesel(sql_type = BigInt)]
    log_id: i64,
    #[diesel(sql_type = Bytea)]
    details_hash: Vec<u8>,
    #[diesel(sql_type = Bytea)]
    hash: Vec<u8>,
    #[diesel(sql_type = Nullable<BigInt>)]
    user_id: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    api_key_id: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    action: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    actor: Option<String>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    timestamp: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Text>)]
    details: Option<String>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    salt: Option<Uuid>,
}

struct Row<'a> {
    fields: Fields<'a>,
    details: &'a str,
    salt: Option<Uuid>,
}

impl StoredLink {
    fn row(&self) -> Option<Row<'_>> {
        let fields = Fields {
            id: self.log_id,
            user_id: self.user_id,
            api_key_id: self.api_key_id,
            action: self.action.as_deref()?,
            actor: self.actor.as_deref()?,
            timestamp: self.timestamp?,
        };
        Some(Row { fields, details: self.details.as_deref()?, salt: self.salt })
    }
}

async fn read_links(connection: &mut AsyncPgConnection, after: i64) -> Result<Vec<StoredLink>, StoreError> {
    let links = diesel::sql_query(
        "SELECT k.sequence, k.log_id, k.details_hash, k.hash, l.user_id, l.api_key_id, l.action, l.actor, l.timestamp,
             l.details::text AS details, l.salt
         FROM audit_links k LEFT JOIN api_key_audit_logs l ON l.id = k.log_id
         WHERE k.sequence > $1 ORDER BY k.sequence LIMIT $2",
    );
    Ok(links.bind::<BigInt, _>(after).bind::<BigInt, _>(LINKS_AT_ONCE).load(connection).await?)
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

/// Rows that no link has: a trigger was switched off when they came.
async fn read_strays(connection: &mut AsyncPgConnection) -> Result<Vec<i64>, StoreError> {
    let strays = diesel::sql_query(
        "SELECT l.id FROM api_key_audit_logs l WHERE NOT EXISTS (SELECT FROM audit_links k WHERE k.log_id = l.id)
         ORDER BY l.id LIMIT $1",
    );
    let strays: Vec<Id> = strays.bind::<BigInt, _>(STRAYS_MAX).load(connection).await?;
    Ok(strays.into_iter().map(|row| row.id).collect())
}

async fn survivors(connection: &mut AsyncPgConnection, users: &[i64]) -> Result<Vec<i64>, StoreError> {
    let found = diesel::sql_query("SELECT id FROM users WHERE id = ANY($1)").bind::<Array<BigInt>, _>(users);
    let found: Vec<Id> = found.load(connection).await?;
    Ok(found.into_iter().map(|row| row.id).collect())
}
