//! Token counts of one model call, read from whatever an upstream sends.

mod counts;

use counts::{Count, Counts};
use serde::{Deserialize, Serialize};

/// What a call used. `prompt` includes the cached and cache-written tokens, `completion` the reasoning ones, as in
/// OpenAI's `usage` object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    pub prompt: i64,
    pub completion: i64,
    pub cache_read: i64,
    pub cache_write: i64,
    pub reasoning: i64,
    /// Images in the prompt, where a price list has a line for them.
    pub images: i64,
    #[serde(default)]
    pub rare: RareTokens,
}

/// Parts that few calls have. Sounds and images are those that neither a cache nor reasoning counts already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RareTokens {
    /// Of the prompt.
    pub audio: i64,
    /// Of the completion, as the next.
    pub audio_output: i64,
    pub image_output: i64,
    /// Of what is written to a cache, those that it keeps for an hour.
    pub cache_write_1h: i64,
}

impl TokenUsage {
    /// No part is greater than what the parts before it leave of its whole: no token is charged twice.
    #[must_use]
    pub fn with_parts_cut(self) -> Self {
        let cache_read = self.cache_read.min(self.prompt);
        let cache_write = self.cache_write.min(self.prompt.saturating_sub(cache_read));
        let reasoning = self.reasoning.min(self.completion);
        let shown = self.completion.saturating_sub(reasoning);
        let audio_output = self.rare.audio_output.min(shown);
        let rare = RareTokens {
            audio: self.rare.audio.min(self.prompt.saturating_sub(cache_read).saturating_sub(cache_write)),
            audio_output,
            image_output: self.rare.image_output.min(shown.saturating_sub(audio_output)),
            cache_write_1h: self.rare.cache_write_1h.min(cache_write),
        };
        Self { cache_read, cache_write, reasoning, rare, ..self }
    }

    #[must_use]
    pub const fn total(&self) -> i64 {
        self.prompt.saturating_add(self.completion)
    }
}

/// A usage object as it came, and whether it can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageReading {
    pub usage: TokenUsage,
    /// A count was negative, no whole number or beyond a quadrillion: it was clamped to a sane one.
    pub absurd: bool,
}

impl UsageReading {
    /// Reads OpenAI's `usage` object, in one pass without a tree. `None` when there are no counts in it at all.
    ///
    /// Sources: OpenAI's `CompletionUsage` schema; OpenRouter's `cache_write_tokens` beside `cached_tokens`.
    #[must_use]
    pub fn from_openai(json: &str) -> Option<Self> {
        let counts: Counts = serde_json::from_str(json).ok()?;
        if counts.prompt.is_none() && counts.completion.is_none() {
            return None;
        }
        let mut absurd = false;
        let mut tokens = |count: Option<Count>| {
            let count = count.unwrap_or_default();
            absurd |= count.absurd;
            count.tokens
        };
        let (prompt, completion) = (tokens(counts.prompt), tokens(counts.completion));
        let (of_prompt, of_completion) = (counts.prompt_parts, counts.completion_parts);
        let usage = TokenUsage {
            prompt,
            completion,
            cache_read: tokens(of_prompt.cache_read),
            cache_write: tokens(of_prompt.cache_write),
            reasoning: tokens(of_completion.reasoning),
            images: 0,
            rare: RareTokens {
                audio: tokens(of_prompt.audio),
                audio_output: tokens(of_completion.audio),
                image_output: tokens(of_completion.image),
                cache_write_1h: 0,
            },
        };
        // An upstream whose parts exceed their whole would be charged twice for the same tokens. Sounds may be cached.
        let parts_fit = usage.cache_read.saturating_add(usage.cache_write) <= prompt && usage.reasoning <= completion;
        let usage = usage.with_parts_cut();
        Some(Self { usage, absurd: absurd || !parts_fit })
    }
}

#[cfg(test)]
mod tests {
    use super::counts::TOKENS_MAX;
    use super::*;
    use serde_json::{Value, json};

    fn read(usage: &Value) -> Option<UsageReading> {
        UsageReading::from_openai(&usage.to_string())
    }

    #[test]
    fn openais_usage_is_read_with_its_details() {
        let reading = read(&json!({
            "prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10, "audio_tokens": 7},
            "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 8, "image_tokens": 4},
        }))
        .expect("counts");
        let rare = RareTokens { audio: 7, audio_output: 8, image_output: 4, cache_write_1h: 0 };
        let expected = TokenUsage { prompt: 100, completion: 20, cache_read: 60, cache_write: 10, reasoning: 5, images: 0, rare };
        assert_eq!(reading, UsageReading { usage: expected, absurd: false });
        assert_eq!(reading.usage.total(), 120);
    }

    #[test]
    fn a_usage_without_counts_is_no_usage() {
        for usage in [json!(null), json!({}), json!("12"), json!([1]), json!({"total_tokens": 3})] {
            assert_eq!(read(&usage), None, "{usage}");
        }
    }

    #[test]
    fn negative_fractional_and_huge_counts_are_clamped_and_called_absurd() {
        for (sent, expected) in [(json!(-5), 0), (json!(1.5), TOKENS_MAX), (json!(1e300), TOKENS_MAX), (json!("7"), 0)] {
            let reading = read(&json!({"prompt_tokens": sent, "completion_tokens": 1})).expect("counts");
            assert!(reading.absurd, "{sent}");
            assert_eq!(reading.usage.prompt, expected, "{sent}");
        }
    }

    #[test]
    fn details_that_are_no_object_hold_no_parts_and_what_is_no_count_is_absurd() {
        for details in [json!(null), json!([1, [2]]), json!(7), json!(-7), json!(1.5), json!("x"), json!(true)] {
            let usage = json!({"prompt_tokens": 3, "prompt_tokens_details": details, "completion_tokens_details": details});
            let expected = TokenUsage { prompt: 3, ..TokenUsage::default() };
            assert_eq!(read(&usage), Some(UsageReading { usage: expected, absurd: false }), "{details}");
        }
        for count in [json!([1]), json!({"a": 1}), json!(true)] {
            assert!(read(&json!({"prompt_tokens": count})).expect("counts").absurd, "{count}");
        }
        assert_eq!(read(&json!({"prompt_tokens": null})).expect("counts").usage.prompt, 0);
    }

    #[test]
    fn parts_never_exceed_their_whole() {
        let reading = read(&json!({
            "prompt_tokens": 10, "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 9},
        }))
        .expect("counts");
        assert!(reading.absurd);
        assert_eq!((reading.usage.cache_read, reading.usage.cache_write, reading.usage.reasoning), (8, 2, 1));
    }

    #[test]
    fn sounds_and_images_are_what_caches_and_reasoning_leave() {
        let reading = read(&json!({
            "prompt_tokens": 10, "completion_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 6, "audio_tokens": 9},
            "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 5, "image_tokens": 5},
        }))
        .expect("counts");
        // Mutant: parts that are not cut turn this red.
        let rare = RareTokens { audio: 4, audio_output: 5, image_output: 2, cache_write_1h: 0 };
        assert_eq!((reading.usage.rare, reading.absurd), (rare, false));
    }
}
