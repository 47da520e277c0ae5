//! The makers of models, by the slug that begins their models' ids: where they live on the web.

/// Slug and domain, sorted by slug.
const DOMAINS: [(&str, &str); 30] = [
    ("01-ai", "01.ai"),
    ("ai21", "ai21.com"),
    ("aion-labs", "aionlabs.ai"),
    ("alibaba", "alibabacloud.com"),
    ("allenai", "allenai.org"),
    ("amazon", "aws.amazon.com"),
    ("anthropic", "anthropic.com"),
    ("arcee-ai", "arcee.ai"),
    ("baidu", "baidu.com"),
    ("bytedance", "bytedance.com"),
    ("cohere", "cohere.com"),
    ("deepseek", "deepseek.com"),
    ("google", "google.com"),
    ("ibm-granite", "ibm.com"),
    ("inception", "inceptionlabs.ai"),
    ("inflection", "inflection.ai"),
    ("liquid", "liquid.ai"),
    ("meta-llama", "llama.com"),
    ("microsoft", "microsoft.com"),
    ("minimax", "minimax.io"),
    ("mistralai", "mistral.ai"),
    ("moonshotai", "moonshot.ai"),
    ("nousresearch", "nousresearch.com"),
    ("nvidia", "nvidia.com"),
    ("openai", "openai.com"),
    ("openrouter", "openrouter.ai"),
    ("perplexity", "perplexity.ai"),
    ("qwen", "qwen.ai"),
    ("x-ai", "x.ai"),
    ("z-ai", "z.ai"),
];

/// A maker's page.
pub(super) fn site_url(slug: &str) -> Option<String> {
    domain(slug).map(|domain| format!("https://{domain}"))
}

/// A maker's logo, 128 pixels wide, from a favicon service.
pub(super) fn logo_url(slug: &str) -> Option<String> {
    domain(slug).map(|domain| format!("https://www.google.com/s2/favicons?domain={domain}&sz=128"))
}

fn domain(slug: &str) -> Option<&'static str> {
    let place = DOMAINS.binary_search_by_key(&slug, |(slug, _)| slug).ok()?;
    DOMAINS.get(place).map(|(_, domain)| *domain)
}

#[cfg(test)]
#[test]
fn the_makers_are_sorted_so_that_each_is_found() {
    assert!(DOMAINS.is_sorted_by_key(|(slug, _)| *slug));
    assert_eq!(site_url("mistralai").as_deref(), Some("https://mistral.ai"));
    assert_eq!(logo_url("nobody"), None);
}
