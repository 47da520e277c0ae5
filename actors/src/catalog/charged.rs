//! `charged_pricing`: what a call costs, as the doors show it.

use std::fmt::{Display, Write};
use tollgate_domain::{DayWindow, Nanos, PriceLines, PriceList, PriceOverride, PricePerMillion, RareLines};

/// Appends the list as a JSON object of decimal strings: dollars per token, `request` and `image` per piece; tiers under
/// `overrides`, in OpenRouter's form.
pub(super) fn write(prices: &PriceList, out: &mut String) {
    let PriceLines { prompt, completion, cache_read, cache_write, reasoning, request, image, rare } = prices.base;
    let mut object = Object::begin(out);
    object.text("prompt", prompt.to_usd_per_token());
    object.text("completion", completion.to_usd_per_token());
    object.text("request", Nanos(request));
    object.text("image", Nanos(image));
    object.own_lines([reasoning, cache_read, cache_write], rare);
    if !prices.overrides.is_empty() {
        object.name("overrides").push('[');
        for (place, tier) in prices.overrides.iter().enumerate() {
            object.out.push_str(if place == 0 { "" } else { "," });
            write_tier(tier, object.out);
        }
        object.out.push(']');
    }
    object.end();
}

fn write_tier(tier: &PriceOverride, out: &mut String) {
    let mut object = Object::begin(out);
    if let Some(count) = tier.min_prompt_tokens {
        object.name("min_prompt_tokens").push_str(&count.to_string());
    }
    if let Some(DayWindow { start, end }) = tier.window {
        let time = |minute: u16| format!("{:02}{:02}", minute / 60, minute % 60);
        object.text("utc_start", time(start));
        object.text("utc_end", time(end));
    }
    let tokens = [("prompt", tier.prompt), ("completion", tier.completion)];
    for (name, price) in tokens.into_iter().filter_map(|(name, price)| Some((name, price?))) {
        object.text(name, price.to_usd_per_token());
    }
    for (name, fee) in [("request", tier.request), ("image", tier.image)].into_iter().filter_map(|(name, fee)| Some((name, fee?)))
    {
        object.text(name, Nanos(fee));
    }
    object.own_lines([tier.reasoning, tier.cache_read, tier.cache_write], tier.rare);
    object.end();
}

/// A JSON object of texts that need no escapes.
struct Object<'a> {
    out: &'a mut String,
    is_empty: bool,
}

impl<'a> Object<'a> {
    fn begin(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, is_empty: true }
    }

    fn name(&mut self, name: &str) -> &mut String {
        let comma = if std::mem::take(&mut self.is_empty) { "" } else { "," };
        // Writing to a String can't fail.
        let _ = write!(self.out, r#"{comma}"{name}":"#);
        self.out
    }

    fn text(&mut self, name: &str, value: impl Display) {
        let _ = write!(self.name(name), r#""{value}""#);
    }

    /// The lines of tokens that may have a price of their own.
    fn own_lines(&mut self, [reasoning, cache_read, cache_write]: [Option<PricePerMillion>; 3], rare: RareLines) {
        let own = [
            ("internal_reasoning", reasoning),
            ("input_cache_read", cache_read),
            ("input_cache_write", cache_write),
            ("input_cache_write_1h", rare.cache_write_1h),
            ("audio", rare.audio),
            ("audio_output", rare.audio_output),
            ("image_output", rare.image_output),
        ];
        for (name, price) in own.into_iter().filter_map(|(name, price)| Some((name, price?))) {
            self.text(name, price.to_usd_per_token());
        }
    }

    fn end(self) {
        self.out.push('}');
    }
}
