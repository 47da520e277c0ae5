//! Short texts in requests: what the database can't keep is refused before it.

use super::error::{ApiError, FieldError};
use serde_json::Value;

/// As long as the columns are.
pub const CHARS_MAX: usize = 255;

/// The trimmed text of a field, from 1 to 255 characters without control characters.
///
/// # Errors
/// The field, in FastAPI's form.
pub fn short(field: &str, text: &str) -> Result<String, Box<FieldError>> {
    let trimmed = text.trim();
    let (kind, msg) = match trimmed.chars().count() {
        0 => ("string_too_short", "String should have at least 1 character"),
        1..=CHARS_MAX if trimmed.chars().any(char::is_control) => ("value_error", "String should have no control characters"),
        1..=CHARS_MAX => return Ok(trimmed.to_owned()),
        _ => ("string_too_long", "String should have at most 255 characters"),
    };
    let input = if trimmed.len() > CHARS_MAX { Value::Null } else { text.into() };
    Err(Box::new(FieldError { kind: kind.into(), ..FieldError::of_body(field, msg, input) }))
}

/// The results of several fields: all, or 422 with every field that is wrong.
///
/// # Errors
/// 422.
pub fn all<const N: usize>(fields: [Result<String, Box<FieldError>>; N]) -> Result<[String; N], ApiError> {
    let (good, bad): (Vec<_>, Vec<_>) = fields.into_iter().partition(Result::is_ok);
    let good: Vec<String> = good.into_iter().flatten().collect();
    good.try_into().map_err(|_| ApiError::unprocessable(bad.into_iter().filter_map(Result::err).map(|field| *field).collect()))
}

/// An e-mail address: something before one `@`, a domain with a dot behind. Whether it exists only a letter could tell.
///
/// # Errors
/// The field, in FastAPI's form.
pub fn email(field: &str, text: &str) -> Result<String, Box<FieldError>> {
    const LOCAL_CHARS_MAX: usize = 64;
    let address = short(field, text)?;
    let parts = address.rsplit_once('@');
    let good = parts.is_some_and(|(local, domain)| {
        let local_fits =
            (1..=LOCAL_CHARS_MAX).contains(&local.len()) && !local.contains([' ', '@', '<', '>', '(', ')', ',', ';', ':', '"']);
        let dots_fit = |part: &str| !part.starts_with('.') && !part.ends_with('.') && !part.contains("..");
        let label_fits = |label: &str| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        };
        local_fits && dots_fit(local) && domain.contains('.') && domain.split('.').all(label_fits)
    });
    if good { Ok(address) } else { Err(Box::new(FieldError::of_body(field, "value is not a valid email address", text.into()))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for good in ["a@b.co", "first.last+tag@sub.example.org", "ü@exämple.org", " padded@example.org "] {
            assert!(email("email", good).is_ok(), "{good}");
        }
        let bad = [
            "",
            "a",
            "@b.co",
            "a@",
            "a@b",
            "a@.b.co",
            "a@b..co",
            "a b@c.de",
            "a@@b.co",
            "a@b.co\n.x",
            "a.@b.co",
            "a@-b.co",
            "<a@b.co>",
        ];
        for bad in bad {
            assert!(email("email", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_text_is_trimmed_and_bounded() {
        assert_eq!(short("f", " a ").unwrap(), "a");
        assert_eq!(short("f", " ").unwrap_err().kind, "string_too_short");
        assert_eq!(short("f", &"x".repeat(256)).unwrap_err().kind, "string_too_long");
        assert!(short("f", &"ü".repeat(255)).is_ok());
        assert!(short("f", "a\0b").is_err());
    }
}
