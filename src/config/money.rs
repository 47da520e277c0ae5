//! What is given and what is charged.

use super::{ConfigError, Reader};
use std::time::Duration;
use tollgate_domain::{Nanos, PricePerMillion};

/// `SIGNUP_CREDITS_USD`, `SIGNUP_TOKENS`, `DEFAULT_PRICE_PER_TOKEN`, `HOLD_SECONDS`.
#[derive(Clone, Debug)]
pub struct MoneySettings {
    /// `SIGNUP_CREDITS_USD`, 10: granted to a new user once.
    pub signup_credits: Nanos,
    /// `SIGNUP_TOKENS`, 10,000: a new user's allowance at the token doors.
    pub signup_tokens: i64,
    /// `DEFAULT_PRICE_PER_TOKEN`, 0.00002 USD: for models whose price is unknown (decision 4).
    pub default_price: PricePerMillion,
    /// `HOLD_SECONDS`, 120: how long a hold lives unless its call extends it (decision 12).
    pub hold_lifetime: Duration,
}

impl MoneySettings {
    pub(super) fn read(env: &Reader<'_>) -> Result<Self, ConfigError> {
        let price = env.text("DEFAULT_PRICE_PER_TOKEN").unwrap_or_else(|| "0.00002".to_owned());
        let default_price = PricePerMillion::parse_usd_per_token(&price).ok().filter(|price| !price.is_absurd());
        Ok(Self {
            signup_credits: credits(env, "SIGNUP_CREDITS_USD", "10")?,
            signup_tokens: env.number("SIGNUP_TOKENS", 10_000, 0..=1_000_000_000_000)?,
            default_price: default_price.ok_or_else(|| {
                ConfigError::wrong("DEFAULT_PRICE_PER_TOKEN", &price, "US dollars per token such as 0.00002, not negative")
            })?,
            hold_lifetime: env.seconds("HOLD_SECONDS", 120, 1..=3_600)?,
        })
    }
}

fn credits(env: &Reader<'_>, name: &str, default: &str) -> Result<Nanos, ConfigError> {
    let text = env.text(name).unwrap_or_else(|| default.to_owned());
    let amount = Nanos::parse_usd(&text).ok();
    let sane = amount.filter(|amount| !amount.is_negative() && *amount <= Nanos::from_whole_usd(1_000_000));
    sane.ok_or_else(|| ConfigError::wrong(name, &text, "US dollars such as 10 or 0.5, from 0 to 1000000"))
}
