//! How many registered from an address within the hour.

use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Addresses counted at a time. When more come within an hour, those that registered least are forgotten first.
const ADDRESSES_MAX: usize = 100_000;

const WINDOW_S: i64 = 3_600;

/// A count per address in fixed windows of one hour.
pub(super) struct Registrations {
    per_hour: u32,
    window: i64,
    counts: HashMap<IpAddr, u32>,
}

impl Registrations {
    pub(super) fn new(per_hour: u32) -> Self {
        Self { per_hour, window: 0, counts: HashMap::new() }
    }

    /// Counts a registration, or says how long the address has to wait. An IPv6 client owns its whole /64.
    pub(super) fn admit(&mut self, address: IpAddr, now: DateTime<Utc>) -> Result<(), Duration> {
        if self.per_hour == 0 {
            return Ok(());
        }
        let window = now.timestamp().div_euclid(WINDOW_S);
        if window != self.window {
            self.window = window;
            self.counts.clear();
        }
        if self.counts.len() >= ADDRESSES_MAX {
            self.counts.retain(|_, count| *count > 1);
        }
        if self.counts.len() >= ADDRESSES_MAX {
            self.counts.clear();
        }
        let count = self.counts.entry(network(address)).or_default();
        if *count >= self.per_hour {
            let left = WINDOW_S.saturating_sub(now.timestamp().rem_euclid(WINDOW_S));
            return Err(Duration::from_secs(u64::try_from(left).unwrap_or(1)));
        }
        *count = count.saturating_add(1);
        Ok(())
    }
}

fn network(address: IpAddr) -> IpAddr {
    const UPPER_64_BITS: u128 = u128::MAX << 64;
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & UPPER_64_BITS).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).expect("a time")
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_registers_so_often_an_hour_and_no_more() {
        let mut registrations = Registrations::new(2);
        let one = address("192.0.2.1");
        assert_eq!(registrations.admit(one, at(7_200)), Ok(()));
        assert_eq!(registrations.admit(one, at(7_201)), Ok(()));
        assert_eq!(registrations.admit(one, at(7_260)), Err(Duration::from_secs(3_540)));
        assert_eq!(registrations.admit(address("192.0.2.2"), at(7_260)), Ok(()), "others are not affected");
        assert_eq!(registrations.admit(address("::ffff:192.0.2.1"), at(7_260)), Err(Duration::from_secs(3_540)));
        assert_eq!(registrations.admit(one, at(10_800)), Ok(()), "a new hour");
    }

    #[test]
    fn an_ipv6_network_of_one_client_counts_as_one() {
        let mut registrations = Registrations::new(1);
        assert_eq!(registrations.admit(address("2001:db8::1"), at(0)), Ok(()));
        assert!(registrations.admit(address("2001:db8::2"), at(0)).is_err());
        assert_eq!(registrations.admit(address("2001:db8:0:1::1"), at(0)), Ok(()));
    }

    #[test]
    fn zero_is_no_limit() {
        let mut registrations = Registrations::new(0);
        assert!((0..1_000).all(|_| registrations.admit(address("192.0.2.1"), at(0)).is_ok()));
    }
}
