//! From what was received to what is charged: the fault table in one function.

use super::estimate::Quote;
use super::facts::{Facts, better};
use super::request::Prompt;
use super::route::Offer;
use chrono::{DateTime, Utc};
use tollgate_domain::{Nanos, RareTokens, TokenUsage, UsageReading};

/// Bytes for one token where nobody counted (decision 7).
const BYTES_PER_TOKEN: usize = 4;
/// Where a model's context length is unknown: no context is longer.
const CONTEXT_LENGTH_MAX: i64 = 100_000_000;

/// What came of an answer, as far as it came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Received {
    pub reading: Option<UsageReading>,
    /// How many usages came.
    pub readings: u32,
    pub content_bytes: usize,
    /// Choices that have a finish reason.
    pub finished: usize,
    pub finish_reason: Option<String>,
    pub ending: Ending,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    #[default]
    Whole,
    /// By a fault of the provider.
    Broken,
    /// The client left.
    Abandoned,
}

impl Received {
    /// Adds a chunk, or a whole answer.
    pub fn note(&mut self, facts: &Facts<'_>) {
        self.reading = better(self.reading, facts.reading);
        self.readings += facts.readings;
        self.content_bytes += facts.choices.content_bytes;
        self.finished += facts.choices.finished;
        if let Some(reason) = &facts.choices.finish_reason {
            self.finish_reason = Some(reason.as_ref().to_owned());
        }
    }

    fn is_empty(&self, usage: &TokenUsage) -> bool {
        let finished = self.finish_reason.as_deref().is_some_and(|reason| reason != "error");
        usage.completion == 0 && self.content_bytes == 0 && (!finished || self.ending != Ending::Whole)
    }
}

/// What the charge is reckoned from.
#[derive(Clone, Debug)]
pub struct Basis {
    pub offer: Offer,
    /// When the call began: what prices by the time of day are reckoned from.
    pub at: DateTime<Utc>,
    pub quote: Quote,
    pub granted: Nanos,
    pub prompt: Prompt,
    /// `n`.
    pub choices: i64,
    /// What it writes to a cache is to be kept for an hour: no usage says so.
    pub hour_cache: bool,
}

/// What is charged.
#[derive(Clone, Debug, PartialEq)]
pub struct Charge {
    pub usage: TokenUsage,
    pub cost: Nanos,
    /// The tokens were counted here.
    pub estimated: bool,
    /// The usage was negative or absurd, and was clamped.
    pub absurd: bool,
}

/// What the answer costs; `None` when it was empty and costs nothing.
#[must_use]
pub fn charge(received: &Received, basis: &Basis) -> Option<Charge> {
    let counted = Counted::of(received, basis);
    if received.is_empty(&counted.usage) {
        return None;
    }
    let cache_write_1h = if basis.hour_cache { counted.usage.cache_write } else { 0 };
    let rare = RareTokens { cache_write_1h, ..counted.usage.rare };
    let usage = TokenUsage { images: basis.prompt.images, rare, ..counted.usage };
    let cost = basis.offer.prices.cost(&usage, basis.at);
    // Honest usage above the hold is charged in full (decision 6); a made-up one never exceeds it.
    let cost = if counted.absurd { cost.min(basis.granted) } else { cost };
    Some(Charge { usage, cost, estimated: counted.estimated, absurd: counted.absurd })
}

/// The tokens, and how far they can be trusted.
struct Counted {
    usage: TokenUsage,
    estimated: bool,
    absurd: bool,
}

impl Counted {
    fn of(received: &Received, basis: &Basis) -> Self {
        let tokens = |bytes: usize| i64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(i64::MAX);
        let local = tokens(received.content_bytes);
        match received.reading {
            None => {
                let prompt = tokens(basis.prompt.bytes);
                Self { usage: TokenUsage { prompt, completion: local, ..TokenUsage::default() }, estimated: true, absurd: false }
            }
            Some(reading) if reading.absurd || is_beyond_context(&reading.usage, basis) => {
                Self { usage: clamped(reading.usage, basis), estimated: false, absurd: true }
            }
            // A usage that came before the end may not count all that came.
            Some(reading) if received.ending != Ending::Whole && reading.usage.completion < local => {
                Self { usage: TokenUsage { completion: local, ..reading.usage }, estimated: true, absurd: false }
            }
            Some(reading) => Self { usage: reading.usage, estimated: false, absurd: false },
        }
    }
}

fn is_beyond_context(usage: &TokenUsage, basis: &Basis) -> bool {
    let context = match basis.offer.context_length {
        0 => CONTEXT_LENGTH_MAX,
        known => known,
    };
    usage.prompt > context || usage.completion > context.saturating_mul(basis.choices)
}

/// No count above what was held for.
fn clamped(usage: TokenUsage, basis: &Basis) -> TokenUsage {
    let prompt = usage.prompt.min(basis.quote.prompt_tokens);
    let completion = usage.completion.min(basis.quote.completion_tokens.saturating_mul(basis.choices));
    TokenUsage { prompt, completion, ..usage }.with_parts_cut()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tollgate_domain::{DayWindow, GatewayId, PriceLines, PriceList, PriceOverride, PricePerMillion};

    /// One nano-dollar a prompt token, two a completion token; held for 50 and 100 of them.
    fn basis() -> Basis {
        let prices = PriceLines { prompt: PricePerMillion(1_000_000), ..PriceLines::flat(PricePerMillion(2_000_000)) };
        Basis {
            offer: Offer {
                gateway: GatewayId::OpenRouter,
                name: None,
                upstream_id: "m".into(),
                prices: prices.into(),
                context_length: 1_000,
                max_completion_tokens: None,
            },
            at: DateTime::UNIX_EPOCH,
            quote: Quote { amount: Nanos(250), least: Nanos(250), prompt_tokens: 50, completion_tokens: 100 },
            granted: Nanos(250),
            prompt: Prompt { bytes: 100, images: 0, image_bytes: 0, unseen: 0 },
            choices: 1,
            hour_cache: false,
        }
    }

    fn received(usage: serde_json::Value, content_bytes: usize) -> Received {
        let reading = UsageReading::from_openai(&usage.to_string());
        let readings = u32::from(reading.is_some());
        Received { reading, readings, content_bytes, finished: 1, finish_reason: Some("stop".to_owned()), ending: Ending::Whole }
    }

    fn usage(prompt: i64, completion: i64) -> serde_json::Value {
        json!({"prompt_tokens": prompt, "completion_tokens": completion})
    }

    /// (cost, estimated, absurd).
    fn decided(received: &Received) -> Option<(i64, bool, bool)> {
        charge(received, &basis()).map(|charge| (charge.cost.0, charge.estimated, charge.absurd))
    }

    /// One line of its own in each test; the rest of [`basis`]'s prices stays.
    fn cost_of(change: fn(&mut PriceList), usage: serde_json::Value) -> i64 {
        let mut basis = Basis { at: "2026-11-22T17:00:00Z".parse().expect("a time"), ..basis() };
        basis.prompt.images = 2;
        change(&mut basis.offer.prices);
        charge(&received(usage, 80), &basis).expect("it was answered").cost.0
    }

    #[test]
    fn every_class_of_tokens_and_every_fee_is_charged_at_its_own_line() {
        let usage = || {
            json!({
                "prompt_tokens": 100, "completion_tokens": 50,
                "prompt_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 20, "audio_tokens": 30},
                "completion_tokens_details": {"reasoning_tokens": 10, "audio_tokens": 15, "image_tokens": 5},
            })
        };
        assert_eq!(cost_of(|_| {}, usage()), 100 + 50 * 2);
        assert_eq!(cost_of(|list| list.base.cache_read = Some(PricePerMillion(0)), usage()), 60 + 100);
        assert_eq!(cost_of(|list| list.base.cache_write = Some(PricePerMillion(3_000_000)), usage()), 80 + 20 * 3 + 100);
        assert_eq!(cost_of(|list| list.base.reasoning = Some(PricePerMillion(5_000_000)), usage()), 100 + 40 * 2 + 10 * 5);
        assert_eq!(cost_of(|list| list.base.rare.audio = Some(PricePerMillion(6_000_000)), usage()), 70 + 30 * 6 + 100);
        assert_eq!(
            cost_of(|list| list.base.rare.audio_output = Some(PricePerMillion(7_000_000)), usage()),
            100 + 35 * 2 + 15 * 7
        );
        assert_eq!(cost_of(|list| list.base.rare.image_output = Some(PricePerMillion(8_000_000)), usage()), 100 + 45 * 2 + 5 * 8);
        assert_eq!(cost_of(|list| list.base.request = 7, usage()), 200 + 7);
        assert_eq!(cost_of(|list| list.base.image = 11, usage()), 200 + 22);
    }

    #[test]
    fn a_cache_for_an_hour_is_charged_at_its_line_only_where_it_was_asked_for() {
        let cost = |hour_cache| {
            let mut basis = Basis { hour_cache, ..basis() };
            basis.offer.prices.base.cache_write = Some(PricePerMillion(3_000_000));
            basis.offer.prices.base.rare.cache_write_1h = Some(PricePerMillion(4_000_000));
            let usage = json!({"prompt_tokens": 100, "prompt_tokens_details": {"cache_write_tokens": 20}});
            charge(&received(usage, 80), &basis).expect("it was answered").cost.0
        };
        assert_eq!(cost(false), 80 + 20 * 3);
        assert_eq!(cost(true), 80 + 20 * 4);
    }

    #[test]
    fn tiers_are_charged_by_the_prompts_size_and_the_time_at_which_the_call_began() {
        let tier = |min_prompt_tokens, window: Option<(&str, &str)>| PriceOverride {
            min_prompt_tokens,
            window: window.and_then(|(start, end)| DayWindow::parse(start, end)),
            prompt: Some(PricePerMillion(10_000_000)),
            ..PriceOverride::default()
        };
        let cost = |tier: PriceOverride| {
            let mut basis = Basis { at: "2026-11-22T17:00:00Z".parse().expect("a time"), ..basis() };
            basis.offer.prices.overrides = [tier].into();
            charge(&received(usage(100, 50), 80), &basis).expect("it was answered").cost.0
        };
        assert_eq!(cost(tier(Some(99), None)), 1_000 + 100);
        assert_eq!(cost(tier(Some(100), None)), 100 + 100);
        assert_eq!(cost(tier(None, Some(("1700", "1701")))), 1_000 + 100);
        assert_eq!(cost(tier(None, Some(("1701", "1700")))), 100 + 100);
    }

    #[test]
    fn honest_usage_is_charged_also_above_the_hold() {
        assert_eq!(decided(&received(usage(10, 20), 80)), Some((50, false, false)));
        // Mutant: clamping every usage to the hold turns this red.
        assert_eq!(decided(&received(usage(10, 500), 80)), Some((1_010, false, false)));
    }

    #[test]
    fn without_usage_bytes_are_counted_both_ways() {
        assert_eq!(decided(&received(json!(null), 81)), Some((25 + 2 * 21, true, false)));
    }

    #[test]
    fn negative_usage_is_nothing_and_absurd_usage_is_at_most_the_hold() {
        assert_eq!(decided(&received(usage(-5, -7), 80)), Some((0, false, true)));
        assert_eq!(decided(&received(usage(1_000_000_000_000_000, 1_000_000_000_000_000), 80)), Some((250, false, true)));
        // Mutant: without the context's bound these are charged in full.
        assert_eq!(decided(&received(usage(1_001, 1), 80)), Some((52, false, true)));
        assert_eq!(decided(&received(usage(1, 1_001), 80)), Some((201, false, true)));
    }

    #[test]
    fn an_empty_answer_costs_nothing_unless_the_model_says_that_it_is_done() {
        let empty = |reason: Option<&str>| Received { finish_reason: reason.map(str::to_owned), ..received(usage(10, 0), 0) };
        assert_eq!(decided(&empty(None)), None);
        assert_eq!(decided(&empty(Some("error"))), None);
        assert_eq!(decided(&empty(Some("stop"))), Some((10, false, false)));
        assert_eq!(decided(&Received { ending: Ending::Broken, ..empty(Some("stop")) }), None);
        assert_eq!(decided(&Received { finish_reason: None, ..received(json!(null), 0) }), None);
    }

    #[test]
    fn of_a_cut_answer_what_arrived_is_charged() {
        for ending in [Ending::Broken, Ending::Abandoned] {
            let cut = |usage, bytes| Received { ending, finish_reason: None, finished: 0, ..received(usage, bytes) };
            assert_eq!(decided(&cut(json!(null), 40)), Some((25 + 20, true, false)));
            assert_eq!(decided(&cut(usage(10, 3), 40)), Some((10 + 20, true, false)));
            assert_eq!(decided(&cut(usage(10, 12), 40)), Some((10 + 24, false, false)));
            assert_eq!(decided(&cut(json!(null), 0)), None);
        }
    }
}
