//! Prices in integers, and the one place where a cost is rounded.

mod list;

#[cfg(test)]
mod tests;

pub use list::{DayWindow, PriceList, PriceOverride};

use crate::money::{MoneyError, Nanos, parse_decimal};
use crate::usage::{RareTokens, TokenUsage};
use serde::{Deserialize, Serialize};

const TOKENS_PER_UNIT: i128 = 1_000_000;

/// Nano-dollars for a million tokens: a price of $0.000003 a token is 3,000,000,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PricePerMillion(pub i64);

impl PricePerMillion {
    /// The dearest price a catalogue may bring in, one cent a token: above it a unit was mixed up.
    pub const SANE_MAX: Self = Self(10_000_000_000_000);
    /// The cheapest one that is not free, a hundredth of a cent for a million tokens: below it, too.
    pub const SANE_MIN: Self = Self(100_000);

    /// Reads a price in dollars per single token, as catalogues write it (`"0.0000025"`). Finer than a
    /// femto-dollar a token is cut off.
    ///
    /// # Errors
    /// Text that is no plain decimal, or beyond `i64`. A sign is read: whether a negative price is a price is the
    /// catalogue's to say.
    pub fn parse_usd_per_token(text: &str) -> Result<Self, MoneyError> {
        parse_shortened(text, 15).map(Self)
    }

    /// Reads a price in dollars per million tokens (`"0.104"`). Finer than a nano-dollar is cut off.
    ///
    /// # Errors
    /// As [`Self::parse_usd_per_token`].
    pub fn parse_usd_per_million(text: &str) -> Result<Self, MoneyError> {
        parse_shortened(text, 9).map(Self)
    }

    /// The price in dollars per single token, as decimal text.
    #[must_use]
    pub fn to_usd_per_token(self) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let scale = 1_000_000_000_000_000;
        let whole = (self.0 / scale).unsigned_abs();
        let fraction = (self.0 % scale).unsigned_abs();
        if fraction == 0 {
            return format!("{sign}{whole}");
        }
        let digits = format!("{fraction:015}");
        format!("{sign}{whole}.{}", digits.trim_end_matches('0'))
    }

    /// Neither free nor between [`Self::SANE_MIN`] and [`Self::SANE_MAX`]: no price, but a mistake.
    #[must_use]
    pub const fn is_absurd(self) -> bool {
        self.0 != 0 && (self.0 < Self::SANE_MIN.0 || self.0 > Self::SANE_MAX.0)
    }
}

/// Decimal text without the digits that are too fine.
fn parse_shortened(text: &str, scale: u32) -> Result<i64, MoneyError> {
    let digits_max = usize::try_from(scale).unwrap_or(usize::MAX);
    let is_finer = |fraction: &str| fraction.len() > digits_max && fraction.bytes().all(|byte| byte.is_ascii_digit());
    let point = text.find('.').filter(|point| text.get(point + 1..).is_some_and(is_finer));
    let shortened = point.and_then(|point| text.get(..point + 1 + digits_max));
    parse_decimal(shortened.unwrap_or(text), scale)
}

/// What one model costs. A class of tokens without a line of its own costs what its whole does (cached as prompt,
/// reasoning as completion).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceLines {
    pub prompt: PricePerMillion,
    pub completion: PricePerMillion,
    pub cache_read: Option<PricePerMillion>,
    pub cache_write: Option<PricePerMillion>,
    pub reasoning: Option<PricePerMillion>,
    /// Per request, in nano-dollars.
    pub request: Nano,
    /// Per image in the prompt, in nano-dollars.
    pub image: Nano,
    #[serde(default, skip_serializing_if = "RareLines::is_empty")]
    pub rare: RareLines,
}

/// The lines of [`RareTokens`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RareLines {
    pub audio: Option<PricePerMillion>,
    pub audio_output: Option<PricePerMillion>,
    pub image_output: Option<PricePerMillion>,
    pub cache_write_1h: Option<PricePerMillion>,
}

impl RareLines {
    pub const NONE: Self = Self { audio: None, audio_output: None, image_output: None, cache_write_1h: None };

    /// These lines, and the other's where there is none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            audio: self.audio.or(other.audio),
            audio_output: self.audio_output.or(other.audio_output),
            image_output: self.image_output.or(other.image_output),
            cache_write_1h: self.cache_write_1h.or(other.cache_write_1h),
        }
    }

    fn is_empty(&self) -> bool {
        *self == Self::NONE
    }
}

/// A flat fee in nano-dollars, stored as an integer in a price list.
pub type Nano = i64;

impl PriceLines {
    /// The same price for a prompt's and a completion's token.
    #[must_use]
    pub const fn flat(price: PricePerMillion) -> Self {
        Self {
            prompt: price,
            completion: price,
            cache_read: None,
            cache_write: None,
            reasoning: None,
            request: 0,
            image: 0,
            rare: RareLines::NONE,
        }
    }

    /// The cost of a call. Every line is summed exactly; the sum is rounded once, half up, to a whole nano-dollar.
    #[must_use]
    pub fn cost(&self, usage: &TokenUsage) -> Nanos {
        let RareTokens { audio, audio_output, image_output, cache_write_1h } = usage.rare;
        let without = |whole: i64, parts: [i64; 3]| parts.into_iter().fold(whole, i64::saturating_sub);
        let cache_write = self.cache_write.unwrap_or(self.prompt);
        let lines = [
            (without(usage.prompt, [usage.cache_read, usage.cache_write, audio]), self.prompt),
            (usage.cache_read, self.cache_read.unwrap_or(self.prompt)),
            (usage.cache_write.saturating_sub(cache_write_1h), cache_write),
            (cache_write_1h, self.rare.cache_write_1h.unwrap_or(cache_write)),
            (audio, self.rare.audio.unwrap_or(self.prompt)),
            (without(usage.completion, [usage.reasoning, audio_output, image_output]), self.completion),
            (usage.reasoning, self.reasoning.unwrap_or(self.completion)),
            (audio_output, self.rare.audio_output.unwrap_or(self.completion)),
            (image_output, self.rare.image_output.unwrap_or(self.completion)),
        ];
        let tokens: i128 = lines.iter().map(|(count, price)| i128::from(*count) * i128::from(price.0)).sum();
        let flat = i128::from(self.request) + i128::from(self.image) * i128::from(usage.images);
        round_half_up(tokens).saturating_add(flat).try_into().map_or(Nanos::MAX, Nanos)
    }

    /// Each class of tokens at its dearest line: no usage costs more than it does here.
    #[must_use]
    pub fn ceiling(self) -> Self {
        let dearest = |base: PricePerMillion, others: &[Option<PricePerMillion>]| {
            others.iter().copied().flatten().fold(base, PricePerMillion::max)
        };
        let RareLines { audio, audio_output, image_output, cache_write_1h } = self.rare;
        Self {
            prompt: dearest(self.prompt, &[self.cache_read, self.cache_write, cache_write_1h, audio]),
            completion: dearest(self.completion, &[self.reasoning, audio_output, image_output]),
            cache_read: None,
            cache_write: None,
            reasoning: None,
            rare: RareLines::NONE,
            ..self
        }
    }

    /// The most that a call with at most these counts can cost: each class at its dearest line.
    #[must_use]
    pub fn worst_case(&self, prompt_tokens: i64, completion_tokens: i64, images: i64) -> Nanos {
        let usage = TokenUsage { prompt: prompt_tokens, completion: completion_tokens, images, ..TokenUsage::default() };
        self.ceiling().cost(&usage)
    }

    /// How many completion tokens `budget` still pays for, when the prompt's share is paid first. Never negative.
    #[must_use]
    pub fn affordable_completion(&self, budget: Nanos, prompt_tokens: i64, images: i64) -> i64 {
        let left = budget.saturating_sub(self.worst_case(prompt_tokens, 0, images));
        let price = self.ceiling().completion;
        if left.is_negative() {
            return 0;
        }
        if price.0 <= 0 {
            return i64::MAX;
        }
        let tokens = i128::from(left.0) * TOKENS_PER_UNIT / i128::from(price.0);
        i64::try_from(tokens).unwrap_or(i64::MAX)
    }

    /// Costs nothing, whatever is used.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.worst_case(1_000_000, 1_000_000, 1_000_000) == Nanos::ZERO
    }
}

/// The one rounding rule: nano-dollars × tokens per million, half up.
const fn round_half_up(scaled: i128) -> i128 {
    (scaled + TOKENS_PER_UNIT / 2).div_euclid(TOKENS_PER_UNIT)
}
