//! Amounts of dollars in JSON bodies.

use serde_json::Number;
use tollgate_domain::{MoneyError, Nanos};

/// An amount that was sent as a JSON number, exactly: a double shows its shortest decimal, never an exponent.
///
/// # Errors
/// More than nine decimals, or too much.
pub fn parse(number: &Number) -> Result<Nanos, MoneyError> {
    match (number.is_f64(), number.as_f64()) {
        (true, Some(dollars)) => Nanos::parse_usd(&dollars.to_string()),
        _ => Nanos::parse_usd(&number.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> Result<Nanos, MoneyError> {
        parse(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn integers_and_decimals_are_read_exactly() {
        let cases = [
            ("10", 10_000_000_000),
            ("0.1", 100_000_000),
            ("1e-9", 1),
            ("0.000000001", 1),
            ("2.5e1", 25_000_000_000),
            ("-3", -3_000_000_000),
        ];
        for (json, nanos) in cases {
            assert_eq!(of(json), Ok(Nanos(nanos)), "{json}");
        }
        assert_eq!(of("0.0000000001"), Err(MoneyError::TooPrecise));
        assert!(of("1e300").is_err());
        assert!(of("18446744073709551615").is_err());
    }
}
