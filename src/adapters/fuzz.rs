//! Promise P5 for what catalogues call a price.

use super::price_text::{decimal, per_piece_nanos, per_token};
use serde_json::Value;
use tollgate_domain::PricePerMillion;
use tollgate_fuzz::Fuzz;

#[test]
fn fuzz_a_price_is_the_number_that_stands_there() {
    const PRICES: [&str; 8] =
        ["0.0000025", "2.5e-6", "0", "-1", "1e-15", "0.000000000000001999", "9223.372036854775807", " 1.5 "];
    let words = [".", "-", "+", "e", "E-", "e-7", "0", "000000000000000", "inf", "NaN", "$", "1/3", "٣", "_"];
    Fuzz::new("prices").corpus(PRICES).words(words).run(|text, dice| {
        let Ok(text) = std::str::from_utf8(text) else { return };
        let as_number = serde_json::from_str::<Value>(text).ok().filter(Value::is_number);
        let price = match as_number {
            Some(number) if dice.below(2) == 0 => number,
            _ => Value::from(text),
        };
        let Some(PricePerMillion(femtos)) = per_token(&price) else { return };
        let shown: f64 = decimal(&price).expect("a decimal").parse().expect("a number");
        let meant: f64 = text.trim().parse().expect("what is read as a price is a number");
        #[expect(clippy::as_conversions, reason = "compared as floats")]
        let read = femtos as f64 / 1e15;
        // What is finer than a femto-dollar is cut off.
        let slack = meant.abs() * 1e-9 + 1.1e-15;
        assert!((read - meant).abs() <= slack && (shown - meant).abs() <= slack, "{text:?} is read as {read}");
        assert_eq!(
            PricePerMillion::parse_usd_per_token(&PricePerMillion(femtos).to_usd_per_token()),
            Ok(PricePerMillion(femtos))
        );
        let nanos = per_piece_nanos(&price).expect("the same number");
        assert!(i128::from(nanos) * 1_000_000 >= i128::from(femtos), "rounded down");
    });
}
