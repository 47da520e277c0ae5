//! What a link of the chain covers: what the trigger computes (`migrations/…_access/up.sql`) is computed here again, by other means.

use crate::hash_text::{parse_hash, write_hash};
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

pub(super) type Hash = [u8; 32];

/// The end of a chain: how many links it has, and the hash of the last. Written down outside the database, it betrays a chain that
/// was cut or made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditHead {
    pub sequence: i64,
    pub hash: Hash,
}

impl AuditHead {
    /// Before the first link.
    pub(super) const GENESIS: Self = Self { sequence: 0, hash: [0; 32] };
}

impl fmt::Display for AuditHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.sequence)?;
        write_hash(f, &self.hash)
    }
}

impl FromStr for AuditHead {
    type Err = &'static str;

    /// Reads `sequence hash`, the hash in hex.
    fn from_str(line: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a head is a line of sequence and hash";
        let mut words = line.split_whitespace();
        let sequence = words.next().and_then(|word| word.parse().ok()).ok_or(FORM)?;
        let hash = words.next().and_then(parse_hash).ok_or(FORM)?;
        if words.next().is_none() { Ok(Self { sequence, hash }) } else { Err(FORM) }
    }
}

/// What is in a link of an audit row, beside its details.
pub(super) struct Fields<'a> {
    pub id: i64,
    pub user_id: Option<i64>,
    pub api_key_id: Option<i64>,
    pub action: &'a str,
    pub actor: &'a str,
    pub timestamp: DateTime<Utc>,
}

/// The details as PostgreSQL writes them.
pub(super) fn hash_of_details(salt: Uuid, details: &str) -> Hash {
    Sha256::new().chain_update(salt.as_bytes()).chain_update(details).finalize().into()
}

/// The link behind `before`. No field can hold a bar, so no two rows are written alike.
pub(super) fn link(before: &AuditHead, row: &Fields<'_>, details_hash: &Hash) -> AuditHead {
    let sequence = before.sequence.saturating_add(1);
    let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
    let details_hash = details_hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let content = format!(
        "{sequence}|{}|{}|{}|{}|{}|{}|{details_hash}",
        row.id,
        number(row.user_id),
        number(row.api_key_id),
        row.action,
        row.actor,
        row.timestamp.timestamp_micros()
    );
    AuditHead { sequence, hash: Sha256::new().chain_update(before.hash).chain_update(content).finalize().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_and_another_line_is_refused() {
        let head = AuditHead { sequence: 7, hash: std::array::from_fn(|at| u8::try_from(at * 8).unwrap()) };
        assert_eq!(head.to_string().parse(), Ok(head));
        let hash = "0".repeat(64);
        for wrong in
            ["", "7", &format!("x {hash}"), &format!("7 {}", &hash[1..]), &format!("7 {hash} 8"), &format!("7 é{}", &hash[2..])]
        {
            assert!(wrong.parse::<AuditHead>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_field_is_in_the_link() {
        let row = || Fields {
            id: 1,
            user_id: Some(2),
            api_key_id: None,
            action: "create",
            actor: "owner",
            timestamp: DateTime::from_timestamp_micros(4).unwrap(),
        };
        let of = |row: Fields<'_>| link(&AuditHead::GENESIS, &row, &[0; 32]).hash;
        let others = [
            of(Fields { id: 3, ..row() }),
            of(Fields { user_id: None, api_key_id: Some(2), ..row() }),
            of(Fields { user_id: Some(3), ..row() }),
            of(Fields { action: "delete", ..row() }),
            of(Fields { actor: "operator", ..row() }),
            of(Fields { timestamp: DateTime::from_timestamp_micros(5).unwrap(), ..row() }),
            link(&AuditHead { sequence: 1, ..AuditHead::GENESIS }, &row(), &[0; 32]).hash,
            link(&AuditHead { hash: [1; 32], ..AuditHead::GENESIS }, &row(), &[0; 32]).hash,
            link(&AuditHead::GENESIS, &row(), &[1; 32]).hash,
        ];
        assert!(others.iter().all(|other| *other != of(row())));
    }
}
