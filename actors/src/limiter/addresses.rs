//! Requests per client address and minute, at every door, with a key or without. In memory of this replica only: a flood is
//! stopped where it arrives, and addresses are nobody's to store.

use super::usage::Left;
use super::window::WindowKind;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

const SHARDS: u8 = 16;
/// Addresses counted in a minute by one of the shards, 100,000 by all; more go uncounted. Some 5 MiB.
const SHARD_MAX: usize = 100_000 / 16;

pub(super) struct Addresses {
    per_minute: i64,
    shards: Box<[Mutex<Shard>]>,
}

/// The counts of one minute.
#[derive(Default)]
struct Shard {
    minute_s: i64,
    counts: HashMap<u128, i64>,
}

/// An address' minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressLeft {
    pub left: Left,
    /// False: this request is one too many, and was not counted.
    pub is_admitted: bool,
}

impl Addresses {
    /// 0: without a limit.
    pub fn new(per_minute: i64) -> Self {
        Self { per_minute, shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    /// Counts a request; `None` when addresses are not limited.
    pub fn admit(&self, address: IpAddr, now_s: i64) -> Option<AddressLeft> {
        let client = client(address);
        let mut shard = self.shard(client, now_s)?;
        let is_full = shard.counts.len() >= SHARD_MAX;
        let used = match shard.counts.get_mut(&client) {
            Some(used) => used,
            None if is_full => return None,
            None => shard.counts.entry(client).or_insert(0),
        };
        let is_admitted = *used < self.per_minute;
        *used += i64::from(is_admitted);
        Some(AddressLeft { left: self.left(*used, now_s), is_admitted })
    }

    /// What is left, without counting; `None` when addresses are not limited.
    pub fn look(&self, address: IpAddr, now_s: i64) -> Option<Left> {
        let client = client(address);
        let used = self.shard(client, now_s)?.counts.get(&client).copied().unwrap_or(0);
        Some(self.left(used, now_s))
    }

    /// Where an address is counted, in the minute of now.
    fn shard(&self, client: u128, now_s: i64) -> Option<MutexGuard<'_, Shard>> {
        if self.per_minute == 0 {
            return None;
        }
        let (start_s, end_s) = WindowKind::Minute.around(now_s);
        let index = usize::try_from((client ^ (client >> 64)) % u128::from(SHARDS)).ok()?;
        let mut shard = lock(self.shards.get(index)?);
        // Whoever read the clock a moment before counts in the new minute; a clock that was set back begins anew.
        if start_s > shard.minute_s || end_s < shard.minute_s {
            shard.minute_s = start_s;
            // A flood's memory is given back.
            shard.counts = HashMap::new();
        }
        Some(shard)
    }

    fn left(&self, used: i64, now_s: i64) -> Left {
        let (_, reset_s) = WindowKind::Minute.around(now_s);
        Left { limit: self.per_minute, remaining: self.per_minute.saturating_sub(used), reset_s }
    }
}

/// Who has an IPv6 address has 2^64 of them.
fn client(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits() >> 64 << 64,
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}
