//! Portkey, Featherless, AIML API, A4F, OpenAI: lists that say nothing of prices.

use super::*;

/// Out of Portkey's real list.
fn portkey_list() -> Value {
    let entry = |provider: &str, slug: &str| json!({"id": format!("@{provider}/{slug}"), "slug": slug, "canonical_slug": slug, "object": "model"});
    let data = [
        entry("deepinfra", "zai-org/GLM-4.5-Air"),
        entry("deepinfra", "meta-llama/Llama-3.3-70B-Instruct"),
        entry("nebius", "meta-llama/Llama-3.3-70B-Instruct"),
        entry("xai", "grok-code-fast-1"),
    ];
    json!({"object": "list", "total": 4, "data": data})
}

#[test]
fn portkeys_slug_is_the_id_and_its_own_id_goes_upstream() {
    let models = read(GatewayId::Portkey, &portkey_list());
    let glm = &models[0];
    assert_eq!((glm.id.as_str(), glm.upstream_id.as_deref()), ("zai-org/GLM-4.5-Air", Some("@deepinfra/zai-org/GLM-4.5-Air")));
    let mut golden = golden(
        GatewayId::Portkey,
        json!({
            "id": "zai-org/GLM-4.5-Air", "slug": "zai-org/GLM-4.5-Air", "canonical_slug": "zai-org/GLM-4.5-Air",
            "name": "Glm 4.5 Air", "provider_slug": "deepinfra",
            "description": "Portkey catalog entry for zai-org/GLM-4.5-Air. Priced as the same model at OpenRouter, where it has one.",
        }),
    );
    // The catalogue shows it: it knows OpenRouter's list.
    golden.as_object_mut().unwrap().remove("pricing");
    assert_eq!(glm.public, golden);
    let grok = &models[3];
    assert_eq!((&grok.public["name"], &grok.public["provider_slug"]), (&json!("Grok Code Fast 1"), &json!("xai")));
}

#[test]
fn of_two_providers_with_one_slug_the_second_is_called_by_its_own_id() {
    let models = read(GatewayId::Portkey, &portkey_list());
    let ids: Vec<&str> = models.iter().map(|model| model.id.as_str()).collect();
    // Mutant: without `again` the second one is a model that nobody can call.
    assert_eq!(ids[1..3], ["meta-llama/Llama-3.3-70B-Instruct", "@nebius/meta-llama/Llama-3.3-70B-Instruct"]);
    let second = &models[2];
    assert_eq!((second.upstream_id.as_deref(), &second.public["id"]), (Some(ids[2]), &json!(ids[2])));
    assert_eq!(second.public["provider_slug"], "nebius");
}

#[test]
fn featherless_names_the_whole_id_and_says_how_long_a_prompt_may_be() {
    let entry = json!({
        "id": "vicgalle/Roleplay-Llama-3-8B", "name": "vicgalle/Roleplay-Llama-3-8B", "model_class": "llama3-8b-8k", "created": 1_714_000_000,
        "context_length": 8_192, "max_completion_tokens": 4_096, "is_gated": false, "available_on_current_plan": true,
    });
    let model = one(GatewayId::Featherless, entry.clone());
    assert_eq!((model.context_length, model.max_completion_tokens, model.prices), (8_192, Some(4_096), None));
    let id = "vicgalle/Roleplay-Llama-3-8B";
    let golden = golden(
        GatewayId::Featherless,
        json!({
            "id": id, "slug": id, "canonical_slug": id, "name": "Vicgalle/Roleplay Llama 3 8B", "created": 1_714_000_000,
            "context_length": 8_192, "provider_slug": "vicgalle",
            "description": "Featherless catalog entry for vicgalle/Roleplay-Llama-3-8B. Pricing not available.",
        }),
    );
    assert_eq!(model.public, golden);
    let mut dearer = entry;
    dearer["available_on_current_plan"] = json!(false);
    assert_eq!(read(GatewayId::Featherless, &json!([dearer])), []);
}

#[test]
fn of_aimls_list_only_the_models_that_talk_are_kept() {
    let list = json!([
        {
            "id": "o3-mini", "type": "chat-completion",
            "info": {
                "name": "o3 mini", "developer": "Open AI", "description": "Reasons.", "contextLength": 200_000, "maxTokens": 100_000,
                "url": "https://aimlapi.com/models/openai-o3-mini-api",
            },
            "features": ["openai/chat-completion"], "endpoints": ["/v1/chat/completions", "/v1/responses"],
        },
        {"id": "flux/kontext-max/text-to-image", "type": "image", "info": {"name": "Flux"}, "features": []},
        {"id": "veo2/image-to-video", "type": "video", "info": {}, "features": []},
    ]);
    let models = read(GatewayId::Aiml, &list);
    assert_eq!(models.len(), 1);
    assert_eq!((models[0].context_length, models[0].max_completion_tokens), (200_000, Some(100_000)));
    let golden = golden(
        GatewayId::Aiml,
        json!({
            "id": "o3-mini", "slug": "o3-mini", "canonical_slug": "o3-mini", "name": "o3 mini", "description": "Reasons.",
            "context_length": 200_000, "provider_slug": "aiml",
        }),
    );
    assert_eq!(models[0].public, golden);
}

#[test]
fn a4fs_ids_keep_their_provider() {
    let list = json!({"data": [
        {"id": "provider-3/gpt-4o-mini", "type": "chat/completion", "features": ["function_calling"]},
        {"id": "provider-2/flux-schnell", "type": "images/generations", "features": []},
    ]});
    let models = read(GatewayId::A4f, &list);
    assert_eq!(models.len(), 1);
    let golden = golden(
        GatewayId::A4f,
        json!({
            "id": "provider-3/gpt-4o-mini", "slug": "provider-3/gpt-4o-mini", "canonical_slug": "provider-3/gpt-4o-mini",
            "name": "Gpt 4O Mini", "description": "A4F catalog entry for provider-3/gpt-4o-mini.", "provider_slug": "provider-3",
        }),
    );
    assert_eq!((&models[0].public, &models[0].upstream_id), (&golden, &None));
}

#[test]
fn openais_own_models_have_the_slug_that_they_have_elsewhere_and_those_that_do_not_talk_are_left_out() {
    let entry = |id: &str| json!({"id": id, "object": "model", "created": 1_715_367_049, "owned_by": "system"});
    let others =
        ["dall-e-3", "text-embedding-3-small", "tts-1-hd", "whisper-1", "omni-moderation-latest", "gpt-4o-realtime-preview"];
    let all: Vec<Value> = others.iter().copied().chain(["gpt-4o", "o4-mini"]).map(entry).collect();
    let models = read(GatewayId::OpenAi, &json!({"object": "list", "data": all}));
    assert_eq!(models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["gpt-4o", "o4-mini"]);
    let golden = golden(
        GatewayId::OpenAi,
        json!({
            "id": "gpt-4o", "slug": "gpt-4o", "canonical_slug": "openai/gpt-4o", "name": "Gpt 4O", "created": 1_715_367_049,
            "description": "OpenAI catalog entry for gpt-4o.", "provider_slug": "openai",
            "provider_site_url": "https://openai.com",
            "model_logo_url": "https://www.google.com/s2/favicons?domain=openai.com&sz=128",
        }),
    );
    assert_eq!(models[0].public, golden);
}
