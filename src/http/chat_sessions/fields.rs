//! The fields of sessions and messages, as they come.

use crate::http::error::{ApiError, FieldError};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use serde_json::Value;

/// As long as the columns are.
const TITLE_CHARS_MAX: usize = 255;
const MODEL_CHARS_MAX: usize = 100;
/// Nothing was said to a model before: an earlier time is a mistake.
const EARLIEST_UNIX_SECONDS: i64 = 946_684_800;
/// A client's clock may be ahead, or tell its local time as if it were UTC; then it is now. Further ahead it is a mistake.
const AHEAD_MAX: TimeDelta = TimeDelta::days(1);

/// What is wrong with a field of the body.
pub fn wrong(field: &str, msg: impl Into<String>) -> ApiError {
    ApiError::unprocessable(vec![FieldError::of_body(field, msg, Value::Null)])
}

/// A title; nothing, or only space, is none. Clients cut titles out of messages: what breaks a line becomes a space.
pub fn title(given: Option<&str>) -> Result<Option<String>, ApiError> {
    line("title", given, TITLE_CHARS_MAX)
}

/// A model's name; an empty one is none.
pub fn model(given: Option<&str>) -> Result<Option<String>, ApiError> {
    line("model", given, MODEL_CHARS_MAX)
}

fn line(field: &str, given: Option<&str>, chars_max: usize) -> Result<Option<String>, ApiError> {
    let line = given.unwrap_or_default().replace(char::is_control, " ");
    let line = line.trim();
    match line.chars().count() {
        0 => Ok(None),
        count if count <= chars_max => Ok(Some(line.to_owned())),
        _ => Err(wrong(field, format!("String should have at most {chars_max} characters"))),
    }
}

/// When a message was said: ISO 8601, without a zone UTC. Not later than now.
pub fn said_at(given: Option<&str>, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, ApiError> {
    let Some(text) = given.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    let naive = |format| NaiveDateTime::parse_from_str(text, format).map(|time| time.and_utc());
    let parsed = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let parsed = parsed.or_else(|_| naive("%Y-%m-%dT%H:%M:%S%.f")).or_else(|_| naive("%Y-%m-%d %H:%M:%S%.f"));
    let at = parsed.map_err(|_| wrong("created_at", "Input should be a time in ISO 8601"))?;
    if at.timestamp() < EARLIEST_UNIX_SECONDS || at > now + AHEAD_MAX {
        return Err(wrong("created_at", "Input should be a time of this century, and not in the future"));
    }
    Ok(Some(at.min(now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap();

    #[test]
    fn a_title_is_one_line_of_at_most_255_characters() {
        assert_eq!(title(Some(" a\r\nb\0 ")).unwrap().as_deref(), Some("a  b"));
        assert_eq!(title(Some(" \n")).unwrap(), None);
        assert_eq!(title(None).unwrap(), None);
        assert!(title(Some(&"ü".repeat(255))).is_ok());
        assert_eq!(title(Some(&"ü".repeat(256))).unwrap_err().status(), 422);
        assert_eq!(model(Some(&"m".repeat(101))).unwrap_err().status(), 422);
    }

    #[test]
    fn a_time_is_read_in_every_spelling_of_iso_8601_and_bounded() {
        let read = |text: &str| said_at(Some(text), NOW).unwrap().unwrap().to_rfc3339();
        for same in ["2025-01-09T12:34:56Z", "2025-01-09T12:34:56.000Z", "2025-01-09T13:34:56+01:00", "2025-01-09T12:34:56"] {
            assert_eq!(read(same), "2025-01-09T12:34:56+00:00", "{same}");
        }
        assert_eq!(read("2025-01-09 12:34:56.5"), "2025-01-09T12:34:56.500+00:00");
        assert_eq!(said_at(Some(&(NOW + TimeDelta::hours(14)).to_rfc3339()), NOW).unwrap(), Some(NOW));
        assert_eq!(said_at(Some(" "), NOW).unwrap(), None);
        for wrong in ["yesterday", "1999-12-31T23:59:59Z", "2025-02-30T00:00:00Z", "9999-01-01T00:00:00Z", "1736425296"] {
            assert_eq!(said_at(Some(wrong), NOW).unwrap_err().status(), 422, "{wrong}");
        }
    }
}
