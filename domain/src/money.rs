//! Money as integer nano-dollars. There is no floating point between a price list and a balance.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::fmt;

/// `-9223372036.854775808`, and room for `.0`.
const TEXT_MAX: usize = 24;
const NANOS_PER_USD: i64 = 1_000_000_000;

/// An amount of money in nano-dollars: 1 USD = 1,000,000,000. The ledger's `i64`.
///
/// In JSON it is a number of dollars with at most nine decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nanos(pub i64);

/// Why a text is no amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("not a decimal number")]
    NotDecimal,
    #[error("more than nine decimals")]
    TooPrecise,
    #[error("out of range")]
    OutOfRange,
}

impl Nanos {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(i64::MAX);

    /// Whole dollars; saturates at ±9.2 billion dollars.
    #[must_use]
    pub const fn from_whole_usd(usd: i64) -> Self {
        Self(usd.saturating_mul(NANOS_PER_USD))
    }

    /// Reads dollars as decimal text (`"10"`, `"0.000002"`, `"-1.5"`), exactly.
    ///
    /// # Errors
    /// Text that is no plain decimal, has more than nine decimals, or does not fit.
    pub fn parse_usd(text: &str) -> Result<Self, MoneyError> {
        parse_decimal(text, 9).map(Self)
    }

    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// The dollars as a JSON number. Exact to the nano-dollar up to nine million dollars (a double's 53 bits).
    #[must_use]
    pub fn to_usd_number(self) -> f64 {
        self.to_string().parse().unwrap_or(0.0)
    }
}

/// Reads a decimal as an integer scaled by 10^`scale`.
pub(crate) fn parse_decimal(text: &str, scale: u32) -> Result<i64, MoneyError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return Err(MoneyError::NotDecimal);
    }
    let fraction = fraction.trim_end_matches('0');
    let width = usize::try_from(scale).map_err(|_| MoneyError::OutOfRange)?;
    if fraction.len() > width {
        return Err(MoneyError::TooPrecise);
    }
    let scaled = format!("{whole}{fraction:0<width$}");
    let value: i64 = scaled.parse().map_err(|_| MoneyError::OutOfRange)?;
    Ok(if negative { -value } else { value })
}

impl Nanos {
    /// Every answer says what it cost: without the formatter's machinery.
    fn write_to(self, out: &mut impl fmt::Write) -> fmt::Result {
        let whole = (self.0 / NANOS_PER_USD).unsigned_abs();
        let fraction = (self.0 % NANOS_PER_USD).unsigned_abs();
        if self.0 < 0 {
            out.write_char('-')?;
        }
        out.write_str(itoa::Buffer::new().format(whole))?;
        if fraction == 0 {
            return Ok(());
        }
        // A one in front keeps the leading zeros.
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(NANOS_PER_USD.unsigned_abs() + fraction).trim_end_matches('0');
        out.write_char('.')?;
        out.write_str(digits.strip_prefix('1').unwrap_or_default())
    }
}

impl fmt::Display for Nanos {
    /// Dollars without trailing zeros: `9.999979`, `10`, `-0.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_to(f)
    }
}

impl Serialize for Nanos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Written out, as a double would be shown with an exponent (5.1e-6) that not every reader of money likes.
        let mut text = String::with_capacity(TEXT_MAX);
        self.write_to(&mut text).map_err(serde::ser::Error::custom)?;
        if !text.contains('.') {
            text.push_str(".0");
        }
        serde_json::from_str::<&RawValue>(&text).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

/// For fields that are stored rather than shown: the integer itself. `#[serde(with = "tollgate_domain::money::integer")]`.
pub mod integer {
    use super::Nanos;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(nanos: &Nanos, serializer: S) -> Result<S::Ok, S::Error> {
        nanos.0.serialize(serializer)
    }

    /// # Errors
    /// The deserializer's.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Nanos, D::Error> {
        i64::deserialize(deserializer).map(Nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dollars_are_read_exactly_or_refused() {
        assert_eq!(Nanos::parse_usd("10"), Ok(Nanos(10_000_000_000)));
        assert_eq!(Nanos::parse_usd("0.000000001"), Ok(Nanos(1)));
        assert_eq!(Nanos::parse_usd("-1.50"), Ok(Nanos(-1_500_000_000)));
        assert_eq!(Nanos::parse_usd("0.0000000001"), Err(MoneyError::TooPrecise));
        assert_eq!(Nanos::parse_usd("9999999999999"), Err(MoneyError::OutOfRange));
        for text in ["", ".", "-", "1e3", " 1", "NaN", "1.2.3", "+1"] {
            assert_eq!(Nanos::parse_usd(text), Err(MoneyError::NotDecimal), "{text:?}");
        }
    }

    #[test]
    fn json_shows_dollars_as_a_number() {
        let shown = serde_json::to_string(&Nanos(9_999_979_123)).expect("a number");
        assert_eq!(shown, "9.999979123");
        assert_eq!(serde_json::to_string(&Nanos(5_100)).expect("a number"), "0.0000051");
        assert_eq!(serde_json::to_value(Nanos(10_000_000_000)).expect("a number"), serde_json::json!(10.0));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_as_the_same_amount(nanos in any::<i64>().prop_filter("has a positive twin", |n| *n != i64::MIN)) {
            prop_assert_eq!(Nanos::parse_usd(&Nanos(nanos).to_string()), Ok(Nanos(nanos)));
        }

        #[test]
        fn json_is_exact_to_the_nano_below_nine_million_dollars(nanos in -9_000_000_000_000_000i64..9_000_000_000_000_000) {
            let shown = serde_json::to_string(&Nanos(nanos)).expect("a number");
            let number: f64 = shown.parse().expect("a number");
            prop_assert!((number * 1e9 - Nanos(nanos).to_usd_number() * 1e9).abs() < 1.0);
            prop_assert_eq!(Nanos(nanos).to_usd_number(), number);
        }
    }
}
