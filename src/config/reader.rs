//! Reads one setting and says in one line what is wrong with it.

use secrecy::SecretString;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// One wrong setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: got {got}, wants {wants}")]
pub struct ConfigError {
    pub name: String,
    got: Got,
    pub wants: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Got {
    Nothing,
    Text(String),
    /// Of a secret only the length is told.
    Secret(usize),
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Secret(length) => write!(f, "a secret of {length} characters"),
        }
    }
}

impl ConfigError {
    pub(super) fn missing(name: &str, wants: impl Into<String>) -> Self {
        Self { name: name.to_owned(), got: Got::Nothing, wants: wants.into() }
    }

    pub(super) fn wrong(name: &str, got: &str, wants: impl Into<String>) -> Self {
        Self { name: name.to_owned(), got: Got::Text(got.to_owned()), wants: wants.into() }
    }

    pub(super) fn wrong_secret(name: &str, secret: &str, wants: impl Into<String>) -> Self {
        Self { name: name.to_owned(), got: Got::Secret(secret.chars().count()), wants: wants.into() }
    }
}

/// The environment, or what a test puts in its place.
pub struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Reader<'a> {
    pub fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup }
    }

    /// The value without blanks around it; an empty one is none.
    pub fn text(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?;
        let trimmed = value.trim();
        (!trimmed.is_empty()).then(|| trimmed.to_owned())
    }

    pub fn secret(&self, name: &str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    /// The parsed value, or the default.
    pub fn parsed<T: FromStr>(&self, name: &str, default: T, wants: &str) -> Result<T, ConfigError> {
        match self.text(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| ConfigError::wrong(name, &text, wants)),
        }
    }

    /// A whole number within bounds.
    pub fn number<T>(&self, name: &str, default: T, range: RangeInclusive<T>) -> Result<T, ConfigError>
    where
        T: FromStr + PartialOrd + fmt::Display,
    {
        let wants = format!("a whole number from {} to {}", range.start(), range.end());
        let value = self.parsed(name, default, &wants)?;
        if range.contains(&value) { Ok(value) } else { Err(ConfigError::wrong(name, &value.to_string(), wants)) }
    }

    /// Seconds; fractions are allowed (`0.5`).
    pub fn seconds(&self, name: &str, default: u64, range: RangeInclusive<u64>) -> Result<Duration, ConfigError> {
        let Some(text) = self.text(name) else { return Ok(Duration::from_secs(default)) };
        let (low, high) = (Duration::from_secs(*range.start()), Duration::from_secs(*range.end()));
        let value = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        value
            .filter(|value| !value.is_zero() && (low..=high).contains(value))
            .ok_or_else(|| ConfigError::wrong(name, &text, format!("seconds, up to {}", range.end())))
    }

    /// A list, separated by commas.
    pub fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
    }

    /// An http or https address without a slash at its end.
    pub fn http_url(&self, name: &str) -> Result<Option<String>, ConfigError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let is_http = matches!(actix_web::http::Uri::from_str(&text), Ok(uri)
            if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty()));
        if is_http {
            Ok(Some(text.trim_end_matches('/').to_owned()))
        } else {
            Err(ConfigError::wrong(name, &without_password(&text), "an address such as https://example.com/v1"))
        }
    }
}

/// Addresses may hold a password before an `@`; it is no one's to read.
pub(super) fn without_password(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!("{}://…{}", url.get(..scheme).unwrap_or_default(), url.get(at..).unwrap_or_default())
        }
        (None, Some(at)) => format!("…{}", url.get(at..).unwrap_or_default()),
        _ => url.to_owned(),
    }
}
