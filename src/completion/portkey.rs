//! Whom Portkey is to ask: a header of the request's, or of the model's.

use super::request::ChatRequest;

const PROVIDER: &str = "x-portkey-provider";
const VIRTUAL_KEY: &str = "x-portkey-virtual-key";

/// The headers of one call. A request that names nobody goes to the provider of the model's own id (`@openai/gpt-4o`).
pub(super) fn headers(request: &ChatRequest, upstream_id: &str) -> Vec<(&'static str, String)> {
    let asked = [(PROVIDER, &request.portkey_provider), (VIRTUAL_KEY, &request.portkey_virtual_key)];
    let asked: Vec<_> = asked.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect();
    if !asked.is_empty() {
        return asked;
    }
    let of_model = upstream_id.split_once('/').map(|(slug, _)| slug).filter(|slug| slug.starts_with('@'));
    of_model.map(|slug| (PROVIDER, slug.to_owned())).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &str, upstream_id: &str) -> Vec<(&'static str, String)> {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}]{fields}}}"#);
        headers(&ChatRequest::read(body.into()).expect("valid"), upstream_id)
    }

    #[test]
    fn the_request_says_whom_to_ask_and_else_the_models_own_id() {
        let own = |value: &str| vec![(PROVIDER, value.to_owned())];
        assert_eq!(of("", "@deepinfra/zai-org/GLM-4.5"), own("@deepinfra"));
        assert_eq!(of(r#","portkey_provider":"openai""#, "@deepinfra/zai-org/GLM-4.5"), own("openai"));
        // A virtual key stands for a provider, too: a second one would contradict it.
        assert_eq!(of(r#","portkey_virtual_key":"vk-1""#, "@deepinfra/m"), [(VIRTUAL_KEY, "vk-1".to_owned())]);
        assert_eq!(of("", "zai-org/GLM-4.5"), []);
    }
}
