//! What lists are asked with: bounds of numbers, days, and places to go on from.

use super::error::{ApiError, FieldError};
use chrono::{DateTime, NaiveDate, Utc};
use serde_json::Value;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The number, or the default; 422 outside its range.
pub(super) fn within(name: &str, given: Option<i64>, default: i64, range: RangeInclusive<i64>) -> Result<i64, ApiError> {
    let value = given.unwrap_or(default);
    if range.contains(&value) {
        return Ok(value);
    }
    let msg = format!("Input should be from {} to {}", range.start(), range.end());
    Err(wrong_parameter(name, msg, value.into()))
}

/// 422 for a parameter of the query.
pub(super) fn wrong_parameter(name: &str, msg: impl Into<String>, input: Value) -> ApiError {
    let loc = vec!["query".into(), name.into()];
    ApiError::unprocessable(vec![FieldError { kind: "value_error".into(), loc, msg: msg.into(), input }])
}

/// A text to filter by, exactly as the database can have it; an empty one is none.
pub(super) fn filter(name: &str, given: Option<&str>) -> Result<Option<String>, ApiError> {
    match given.filter(|text| !text.is_empty()) {
        Some(text) if text.contains('\0') => Err(wrong_parameter(name, "Input should have no null characters", Value::Null)),
        text => Ok(text.map(str::to_owned)),
    }
}

/// `2025-01-31`, or 400; an empty text is none.
pub(super) fn day(name: &str, given: Option<&str>) -> Result<Option<NaiveDate>, ApiError> {
    let Some(text) = given.filter(|text| !text.is_empty()) else { return Ok(None) };
    // chrono also takes `2025-1-31` and signs.
    let is_plain = text.len() == 10 && text.starts_with(|first: char| first.is_ascii_digit());
    match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        Ok(day) if is_plain => Ok(Some(day)),
        _ => Err(ApiError::bad_request(format!("Invalid {name} format. Use YYYY-MM-DD.")).with_param(name)),
    }
}

/// A place in a list as text: numbers with dashes between, the time in microseconds first. Whole and opaque to clients.
pub(super) fn place<const N: usize>(at: DateTime<Utc>, numbers: [i64; N]) -> String {
    numbers.iter().fold(at.timestamp_micros().to_string(), |text, number| format!("{text}-{number}"))
}

/// Reads what [`place`] wrote, or 422.
pub(super) fn parse_place<const N: usize>(name: &str, text: &str) -> Result<(DateTime<Utc>, [i64; N]), ApiError> {
    let wrong = || wrong_parameter(name, "Input should be a place that an earlier page told", text.into());
    let mut parts = text.split('-').map(|part| i64::from_str(part).ok());
    let at = parts.next().flatten().and_then(DateTime::from_timestamp_micros).ok_or_else(wrong)?;
    let numbers: Vec<i64> = parts.collect::<Option<_>>().ok_or_else(wrong)?;
    Ok((at, numbers.try_into().map_err(|_| wrong())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_written_in_one_way() {
        assert_eq!(day("from", Some("2024-02-29")).unwrap(), NaiveDate::from_ymd_opt(2024, 2, 29));
        assert_eq!(day("from", Some("")).unwrap(), None);
        for wrong in [
            "2025-02-29",
            "2025-1-31",
            "2025-01-31T00:00:00Z",
            "+2025-01-3",
            "-025-01-31",
            "yesterday",
            "2025-01-3x",
            "20250131--",
        ] {
            assert_eq!(day("from", Some(wrong)).unwrap_err().status(), 400, "{wrong}");
        }
    }

    #[test]
    fn a_place_reads_back_and_another_text_is_refused() {
        let at = DateTime::from_timestamp_micros(1_763_800_000_123_456).unwrap();
        assert_eq!(parse_place("before", &place(at, [7, 42])).unwrap(), (at, [7, 42]));
        for wrong in ["", "x", "1", "1-2", "1-2-3-4", "1-2-x", "1--2-3", "9223372036854775807-1-1", "1-2-99999999999999999999"] {
            assert!(parse_place::<2>("before", wrong).is_err(), "{wrong}");
        }
    }
}
