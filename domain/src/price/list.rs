//! A model's prices over sizes of prompts and times of day.

use super::{Nano, PriceLines, PricePerMillion, RareLines};
use crate::money::Nanos;
use crate::usage::TokenUsage;
use chrono::{DateTime, Timelike, Utc};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What one model costs: its lines, and the tiers that replace some of them (OpenRouter's `pricing.overrides`).
///
/// Serialised as its lines with `overrides` beside them, where there are any: a list of the time before tiers reads the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceList {
    #[serde(flatten)]
    pub base: PriceLines,
    /// Of those that apply to a call, later ones win, line by line.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub overrides: Arc<[PriceOverride]>,
}

/// Lines that hold under conditions. All conditions that are given must be met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceOverride {
    /// For prompts of more tokens than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_prompt_tokens: Option<i64>,
    /// For calls that begin within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<DayWindow>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PricePerMillion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion: Option<PricePerMillion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_read: Option<PricePerMillion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<PricePerMillion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<PricePerMillion>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Nano>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Nano>,
    #[serde(default, skip_serializing_if = "RareLines::is_empty")]
    pub rare: RareLines,
}

/// A part of every day, in minutes after midnight UTC: from `start` to before `end`, over midnight when `end` is the
/// earlier one, all day when both are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayWindow {
    pub start: u16,
    pub end: u16,
}

impl PriceList {
    /// The same price for a prompt's and a completion's token, at all times.
    #[must_use]
    pub fn flat(price: PricePerMillion) -> Self {
        PriceLines::flat(price).into()
    }

    /// The lines for a prompt of that size at that time.
    #[must_use]
    pub fn lines(&self, prompt_tokens: i64, at: DateTime<Utc>) -> PriceLines {
        let applying = self.overrides.iter().filter(|tier| tier.is_for(prompt_tokens) && tier.is_within(at));
        applying.fold(self.base, |lines, tier| tier.over(lines))
    }

    /// The cost of a call that began at that time.
    #[must_use]
    pub fn cost(&self, usage: &TokenUsage, at: DateTime<Utc>) -> Nanos {
        self.lines(usage.prompt, at).cost(usage)
    }

    /// The most that a call with at most these counts can cost, whenever it begins.
    #[must_use]
    pub fn worst_case(&self, prompt_tokens: i64, completion_tokens: i64, images: i64) -> Nanos {
        self.ceiling(prompt_tokens).worst_case(prompt_tokens, completion_tokens, images)
    }

    /// How many completion tokens `budget` still pays for, when the prompt's share is paid first. Never negative.
    #[must_use]
    pub fn affordable_completion(&self, budget: Nanos, prompt_tokens: i64, images: i64) -> i64 {
        self.ceiling(prompt_tokens).affordable_completion(budget, prompt_tokens, images)
    }

    /// Costs nothing, whatever is used and when.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.ceiling(i64::MAX).is_free()
    }

    /// Each class of tokens at its dearest line of all tiers that a prompt of at most that size can meet.
    fn ceiling(&self, prompt_tokens: i64) -> PriceLines {
        let meets = |tier: &&PriceOverride| tier.is_for(prompt_tokens);
        self.overrides.iter().filter(meets).fold(self.base.ceiling(), |ceiling, tier| tier.raise(ceiling))
    }
}

impl From<PriceLines> for PriceList {
    fn from(base: PriceLines) -> Self {
        Self { base, overrides: Arc::default() }
    }
}

impl PriceOverride {
    /// These lines with the tier's own in their places.
    #[must_use]
    pub fn over(&self, lines: PriceLines) -> PriceLines {
        PriceLines {
            prompt: self.prompt.unwrap_or(lines.prompt),
            completion: self.completion.unwrap_or(lines.completion),
            cache_read: self.cache_read.or(lines.cache_read),
            cache_write: self.cache_write.or(lines.cache_write),
            reasoning: self.reasoning.or(lines.reasoning),
            request: self.request.unwrap_or(lines.request),
            image: self.image.unwrap_or(lines.image),
            rare: self.rare.or(lines.rare),
        }
    }

    /// A ceiling that is no lower than any of the tier's lines.
    fn raise(&self, ceiling: PriceLines) -> PriceLines {
        let own = self.over(ceiling).ceiling();
        PriceLines {
            prompt: own.prompt.max(ceiling.prompt),
            completion: own.completion.max(ceiling.completion),
            request: own.request.max(ceiling.request),
            image: own.image.max(ceiling.image),
            ..ceiling
        }
    }

    fn is_for(&self, prompt_tokens: i64) -> bool {
        self.min_prompt_tokens.is_none_or(|least| prompt_tokens > least)
    }

    fn is_within(&self, at: DateTime<Utc>) -> bool {
        self.window.is_none_or(|window| window.contains(at))
    }
}

impl DayWindow {
    /// Reads two times of day as `HHMM` (`"0830"`, `"08:30"` or the number 830); `"2400"` is a day's end.
    #[must_use]
    pub fn parse(start: &str, end: &str) -> Option<Self> {
        Some(Self { start: minute_of_day(start)?, end: minute_of_day(end)? })
    }

    #[must_use]
    pub fn contains(self, at: DateTime<Utc>) -> bool {
        let minute = at.hour() * 60 + at.minute();
        let (start, end) = (u32::from(self.start), u32::from(self.end));
        if start < end { (start..end).contains(&minute) } else { minute >= start || minute < end }
    }
}

fn minute_of_day(text: &str) -> Option<u16> {
    let digits: String = text.trim().chars().filter(|letter| *letter != ':').collect();
    let number: u16 = digits.parse().ok().filter(|_| digits.len() <= 4)?;
    let (hour, minute) = (number / 100, number % 100);
    let whole = hour * 60 + minute;
    (minute < 60 && whole <= 24 * 60).then_some(whole % (24 * 60))
}

fn is_empty(overrides: &Arc<[PriceOverride]>) -> bool {
    overrides.is_empty()
}
