//! Prices as catalogues write them: decimal text or a number, dollars per token or per piece.

use serde_json::Value;
use tollgate_domain::PricePerMillion;

/// Plain decimal text: `"2.5e-6"` and `0.0000025` both become `"0.0000025"`. `None` for what is no number.
pub(super) fn decimal(price: &Value) -> Option<String> {
    let text = match price {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'-');
    if plain(&text) {
        return PricePerMillion::parse_usd_per_token(&text).is_ok().then_some(text);
    }
    let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
    let digits = format!("{number:.15}");
    Some(digits.trim_end_matches('0').trim_end_matches('.').to_owned())
}

/// Dollars per token.
pub(super) fn per_token(price: &Value) -> Option<PricePerMillion> {
    PricePerMillion::parse_usd_per_token(&decimal(price)?).ok()
}

/// Dollars per million tokens.
pub(super) fn per_million(price: &Value) -> Option<PricePerMillion> {
    PricePerMillion::parse_usd_per_million(&decimal(price)?).ok()
}

/// Dollars per piece, as nano-dollars; what is finer is rounded up.
pub(super) fn per_piece_nanos(price: &Value) -> Option<i64> {
    /// A femto-dollar's millions in a nano-dollar.
    const FEMTOS: i64 = 1_000_000;
    let femtos = per_token(price)?.0;
    Some(femtos.div_euclid(FEMTOS) + i64::from(femtos.rem_euclid(FEMTOS) != 0))
}
