//! What a call may cost at most (decision 5): the size of its hold, and what is done when the balance affords less.

use super::request::ChatRequest;
use super::route::Offer;
use tollgate_domain::Nanos;

/// Bytes of JSON for one token, at least: no tokenizer makes more tokens of a text than this.
const BYTES_PER_TOKEN: usize = 2;
/// Completion tokens that are held for when neither the request nor the model bounds them.
const COMPLETION_TOKENS_MAX: i64 = 16_384;
/// With fewer an answer is of no use: then it is better to refuse.
const COMPLETION_TOKENS_LEAST: i64 = 256;
/// Tokens of one image, whatever its bytes: providers scale large ones down, and charge tiles for small ones.
const IMAGE_TOKENS: std::ops::RangeInclusive<i64> = 1_024..=8_192;

/// What the limits reckon with when the request does not bound its answer (decision 19).
const COMPLETION_TOKENS_USUAL: i64 = 256;
/// Bytes for one token where nobody counted (decision 7).
const BYTES_PER_TOKEN_USUAL: usize = 4;

/// A model whose context nobody knows has at least this one.
const CONTEXT_UNKNOWN: i64 = 8_192;
/// Room that a chat session's history leaves for an answer that the request does not bound.
const ANSWER_TOKENS: i64 = 2_048;

/// The tokens that a request is admitted with: likely ones, not the worst case, as limits are corrected by the real ones.
#[must_use]
pub fn rate_tokens(request: &ChatRequest) -> i64 {
    let prompt = i64::try_from(request.prompt.bytes.div_ceil(BYTES_PER_TOKEN_USUAL)).unwrap_or(i64::MAX);
    let media = request.prompt.images.saturating_add(request.prompt.unseen).saturating_mul(*IMAGE_TOKENS.start());
    let completion = request.max_tokens.unwrap_or(COMPLETION_TOKENS_USUAL).saturating_mul(request.choices);
    prompt.saturating_add(media).saturating_add(completion)
}

/// The worst case of a request, over all who may serve it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The hold.
    pub amount: Nanos,
    /// What of it must be there.
    pub least: Nanos,
    pub prompt_tokens: i64,
    /// For each choice.
    pub completion_tokens: i64,
}

impl Quote {
    #[must_use]
    pub fn of(request: &ChatRequest, offers: &[Offer]) -> Self {
        let mut quote = Self { amount: Nanos::ZERO, least: Nanos::ZERO, prompt_tokens: 0, completion_tokens: 0 };
        for offer in offers {
            let prompt = prompt_tokens(request, offer);
            let completion = completion_tokens(request, offer);
            let cost = |completion: i64| {
                offer.prices.worst_case(prompt, completion.saturating_mul(request.choices), request.prompt.images)
            };
            quote.amount = quote.amount.max(cost(completion));
            quote.least = quote.least.max(cost(completion.min(COMPLETION_TOKENS_LEAST)));
            quote.prompt_tokens = quote.prompt_tokens.max(prompt);
            quote.completion_tokens = quote.completion_tokens.max(completion);
        }
        quote
    }

    /// The completion tokens for each choice that make the call fit what was granted; `None` when all of it was.
    #[must_use]
    pub fn limit(&self, request: &ChatRequest, offers: &[Offer], granted: Nanos) -> Option<i64> {
        if granted >= self.amount {
            return None;
        }
        let affordable = |offer: &Offer| {
            let prompt = prompt_tokens(request, offer);
            offer.prices.affordable_completion(granted, prompt, request.prompt.images) / request.choices.max(1)
        };
        let tokens = offers.iter().map(affordable).min()?.max(self.completion_tokens.min(COMPLETION_TOKENS_LEAST));
        (tokens < self.completion_tokens).then_some(tokens)
    }
}

/// Bytes of JSON that may stand before the request's messages, so that with them and the answer it still fits every offer's
/// context, however badly it is tokenised.
#[must_use]
pub fn history_room_bytes(request: &ChatRequest, offers: &[Offer]) -> usize {
    let room = |offer: &Offer| {
        let context = if offer.context_length > 0 { offer.context_length } else { CONTEXT_UNKNOWN };
        let answer = request.max_tokens.unwrap_or(ANSWER_TOKENS).min(context / 2);
        context.saturating_sub(seen_tokens(request, offer)).saturating_sub(answer)
    };
    let tokens = offers.iter().map(room).min().unwrap_or(0);
    usize::try_from(tokens).unwrap_or(0).saturating_mul(BYTES_PER_TOKEN)
}

/// A file or film that is pointed to may fill the model's context, and nothing but that bounds it.
fn prompt_tokens(request: &ChatRequest, offer: &Offer) -> i64 {
    let seen = seen_tokens(request, offer);
    match (request.prompt.unseen, offer.context_length) {
        (0, _) => seen,
        (_, 0) => seen.saturating_add(CONTEXT_UNKNOWN),
        (_, context) => context,
    }
}

/// Never more than the model's context: usage above it is absurd (decision 6).
fn seen_tokens(request: &ChatRequest, offer: &Offer) -> i64 {
    let of_bytes = |bytes: usize| i64::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(i64::MAX);
    let images = request.prompt.images;
    let of_images = of_bytes(request.prompt.image_bytes)
        .clamp(IMAGE_TOKENS.start().saturating_mul(images), IMAGE_TOKENS.end().saturating_mul(images));
    within_context(of_bytes(request.prompt.bytes).saturating_add(of_images), offer)
}

fn completion_tokens(request: &ChatRequest, offer: &Offer) -> i64 {
    let of_model = offer.max_completion_tokens.unwrap_or(COMPLETION_TOKENS_MAX).min(COMPLETION_TOKENS_MAX);
    within_context(request.max_tokens.unwrap_or(of_model), offer)
}

fn within_context(tokens: i64, offer: &Offer) -> i64 {
    if offer.context_length > 0 { tokens.min(offer.context_length) } else { tokens }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::completion::settle::{self, Basis, Ending, Received};
    use bytes::Bytes;
    use chrono::{DateTime, TimeDelta};
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tollgate_domain::{DayWindow, GatewayId, PriceLines, PriceList, PriceOverride, PricePerMillion, RareLines, UsageReading};

    fn request(fields: &str) -> ChatRequest {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"0123456789"}}]{fields}}}"#);
        ChatRequest::read(Bytes::from(body)).expect("valid")
    }

    /// One micro-dollar for a prompt's token, two for a completion's.
    fn offer() -> Offer {
        let prices = PriceLines { prompt: PricePerMillion(1_000_000_000), ..PriceLines::flat(PricePerMillion(2_000_000_000)) };
        Offer {
            gateway: GatewayId::OpenRouter,
            name: None,
            upstream_id: "m".into(),
            prices: prices.into(),
            context_length: 0,
            max_completion_tokens: None,
        }
    }

    /// Half the bytes of `[{"role":"user","content":"0123456789"}]`.
    const PROMPT: i64 = 20;

    fn amount(fields: &str, offer: Offer) -> i64 {
        Quote::of(&request(fields), &[offer]).amount.0
    }

    #[test]
    fn the_hold_is_half_the_prompts_bytes_and_the_asked_completion_for_each_choice() {
        assert_eq!(amount(r#","max_tokens":100"#, offer()), PROMPT * 1_000 + 100 * 2_000);
        assert_eq!(amount(r#","max_tokens":100,"max_completion_tokens":300,"n":4"#, offer()), PROMPT * 1_000 + 1_200 * 2_000);
    }

    #[test]
    fn without_a_limit_the_models_own_counts_up_to_16384() {
        assert_eq!(amount("", offer()), PROMPT * 1_000 + 16_384 * 2_000);
        assert_eq!(amount("", Offer { max_completion_tokens: Some(4_096), ..offer() }), PROMPT * 1_000 + 4_096 * 2_000);
        assert_eq!(amount("", Offer { max_completion_tokens: Some(65_536), ..offer() }), PROMPT * 1_000 + 16_384 * 2_000);
        assert_eq!(
            amount(r#","max_tokens":1000000"#, Offer { context_length: 8_192, ..offer() }),
            PROMPT * 1_000 + 8_192 * 2_000
        );
    }

    #[test]
    fn the_dearest_line_and_the_dearest_offer_are_held() {
        let reasoning = PriceList::from(PriceLines { reasoning: Some(PricePerMillion(9_000_000_000)), ..offer().prices.base });
        assert_eq!(amount(r#","max_tokens":100"#, Offer { prices: reasoning.clone(), ..offer() }), PROMPT * 1_000 + 100 * 9_000);
        let quote = Quote::of(&request(r#","max_tokens":100"#), &[offer(), Offer { prices: reasoning, ..offer() }]);
        assert_eq!(quote.amount.0, PROMPT * 1_000 + 100 * 9_000);
    }

    #[test]
    fn an_image_counts_as_an_image_and_not_as_its_bytes() {
        let image = |bytes: usize| {
            let body = format!(
                r#"{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"data:,{}"}}}}]}}]}}"#,
                "A".repeat(bytes)
            );
            Quote::of(&ChatRequest::read(body.into()).expect("valid"), &[offer()]).prompt_tokens
        };
        assert_eq!(image(10) - image(100), 0);
        assert_eq!(image(1 << 20) - image(10), 8_192 - 1_024);
    }

    #[test]
    fn what_is_pointed_to_is_held_for_as_a_whole_context() {
        let quote = |url: &str, context_length: i64| {
            let part = format!(r#"{{"type":"video_url","video_url":{{"url":"{url}"}}}}"#);
            let body = format!(r#"{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":[{part}]}}]}}"#);
            let request = ChatRequest::read(body.into()).expect("valid");
            let offers = [Offer { context_length, ..offer() }];
            (Quote::of(&request, &offers).prompt_tokens, history_room_bytes(&request, &offers), rate_tokens(&request))
        };
        let (here, elsewhere) = (quote("data:video/mp4", 100_000), quote("https://x/a.mp4", 100_000));
        // Mutant: holding for the URL's bytes alone turns this red.
        assert_eq!((here.0 < 100, elsewhere.0), (true, 100_000));
        assert_eq!(quote("https://x/a.mp4", 0).0, quote("data:video/mp4/", 0).0 + 8_192);
        // What is likely goes on being reckoned with where nothing is held for it.
        assert!(elsewhere.1 > 150_000, "a session keeps its history");
        assert_eq!(elsewhere.2 - here.2, 1_024);
    }

    #[test]
    fn a_free_model_is_held_for_with_nothing_and_never_lowered() {
        let free = [Offer { prices: PriceList::flat(PricePerMillion(0)), ..offer() }];
        let quote = Quote::of(&request(""), &free);
        assert_eq!((quote.amount, quote.least), (Nanos::ZERO, Nanos::ZERO));
        assert_eq!(quote.limit(&request(""), &free, Nanos::ZERO), None);
    }

    #[test]
    fn what_is_granted_lowers_the_limit_but_not_below_256() {
        let (request, offers) = (request(r#","max_tokens":1000"#), [offer()]);
        let quote = Quote::of(&request, &offers);
        assert_eq!(quote.least.0, PROMPT * 1_000 + 256 * 2_000);
        let limit = |granted: i64| quote.limit(&request, &offers, Nanos(granted));
        assert_eq!(limit(quote.amount.0), None);
        assert_eq!(limit(PROMPT * 1_000 + 700 * 2_000), Some(700));
        assert_eq!(limit(quote.least.0), Some(256));
    }

    fn any_prices() -> impl Strategy<Value = PriceList> {
        let line = || (0..20_000_000_000i64).prop_map(PricePerMillion);
        let maybe = || proptest::option::of(line());
        let rare = || {
            [maybe(), maybe(), maybe(), maybe()].prop_map(|[audio, audio_output, image_output, cache_write_1h]| RareLines {
                audio,
                audio_output,
                image_output,
                cache_write_1h,
            })
        };
        let lines = (line(), line(), maybe(), maybe(), maybe(), 0..1_000_000i64, 0..1_000_000i64, rare()).prop_map(
            |(prompt, completion, cache_read, cache_write, reasoning, request, image, rare)| PriceLines {
                prompt,
                completion,
                cache_read,
                cache_write,
                reasoning,
                request,
                image,
                rare,
            },
        );
        let window = proptest::option::of((0..1_440u16, 0..1_440u16).prop_map(|(start, end)| DayWindow { start, end }));
        let tier = (proptest::option::of(0..40i64), window, maybe(), maybe(), maybe(), maybe(), rare()).prop_map(
            |(min_prompt_tokens, window, prompt, completion, cache_write, reasoning, rare)| PriceOverride {
                min_prompt_tokens,
                window,
                prompt,
                completion,
                cache_write,
                reasoning,
                rare,
                ..PriceOverride::default()
            },
        );
        (lines, proptest::collection::vec(tier, 0..4)).prop_map(|(base, tiers)| PriceList { base, overrides: tiers.into() })
    }

    /// What is settled for that usage at that minute of the day.
    fn settled(request: &ChatRequest, offer: Offer, quote: Quote, usage: &Value, minute: i64) -> Nanos {
        let received = Received {
            reading: UsageReading::from_openai(&usage.to_string()),
            readings: 1,
            content_bytes: 1,
            finished: 1,
            finish_reason: Some("stop".to_owned()),
            ending: Ending::Whole,
        };
        let at = DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
        let (prompt, choices) = (request.prompt, request.choices);
        let basis = Basis { offer, at, quote, granted: quote.amount, prompt, choices, hour_cache: minute % 2 == 0 };
        settle::charge(&received, &basis).expect("it was answered").cost
    }

    proptest! {
        /// Mutant: a hold at the base's lines alone turns this red.
        #[test]
        fn no_honest_usage_within_the_hold_costs_more_than_the_hold(
            prices in any_prices(), asked in 1..2_000i64, choices in 1..4i64, minute in 0..1_440i64,
            parts in [0.0..=1.0f64, 0.0..=1.0, 0.0..=1.0, 0.0..=1.0, 0.0..=1.0]
        ) {
            let request = request(&format!(r#","max_tokens":{asked},"n":{choices}"#));
            let offer = Offer { prices, ..offer() };
            let quote = Quote::of(&request, std::slice::from_ref(&offer));
            #[expect(clippy::as_conversions, reason = "a random share of a random count")]
            let share = |whole: i64, part: f64| (whole as f64 * part) as i64;
            let (prompt, completion) = (share(quote.prompt_tokens, parts[0]), share(quote.completion_tokens * choices, parts[1]));
            let cached = share(prompt, parts[2]);
            let usage = json!({
                "prompt_tokens": prompt, "completion_tokens": completion,
                "prompt_tokens_details": {
                    "cached_tokens": cached, "cache_write_tokens": share(prompt - cached, parts[3]),
                    "audio_tokens": share(prompt, parts[4]),
                },
                "completion_tokens_details": {
                    "reasoning_tokens": share(completion, parts[4]), "audio_tokens": share(completion, parts[3]),
                    "image_tokens": share(completion, parts[2]),
                },
            });
            prop_assert!(settled(&request, offer, quote, &usage, minute) <= quote.amount);
        }

        #[test]
        fn a_call_with_the_lowered_limit_fits_what_was_granted(
            asked in 1..20_000i64, choices in 1..9i64, share in 0.0..1.0f64, price in 0..20_000_000_000i64
        ) {
            let request = request(&format!(r#","max_tokens":{asked},"n":{choices}"#));
            let offers = [Offer { prices: PriceList::flat(PricePerMillion(price)), ..offer() }];
            let quote = Quote::of(&request, &offers);
            #[expect(clippy::as_conversions, reason = "a random share of a random amount")]
            let granted = Nanos(quote.least.0 + ((quote.amount.0 - quote.least.0) as f64 * share) as i64);
            let tokens = quote.limit(&request, &offers, granted).unwrap_or(asked);
            prop_assert!(tokens >= asked.min(256) && tokens <= asked);
            // Rounding to a whole nano-dollar may cost one.
            prop_assert!(offers[0].prices.worst_case(quote.prompt_tokens, tokens * choices, 0).0 <= granted.0 + 1);
        }
    }
}
