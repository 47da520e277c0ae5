use super::fakes::{flat, model};
use crate::catalog::archive::{Packer, unpack};
use crate::catalog::{CatalogEntry, CatalogSnapshot, GatewayList, Run, runs};
use crate::ports::CatalogModel;
use serde_json::{Value, json};
use std::sync::Arc;
use tollgate_domain::{DayWindow, GatewayId, PriceLines, PriceList, PriceOverride, PricePerMillion, RareLines};

const DEFAULT: PricePerMillion = PricePerMillion(20_000_000_000);

fn list(gateway: GatewayId, models: Vec<CatalogModel>) -> GatewayList {
    GatewayList::new(gateway, "2026-11-22T06:00:00Z".parse().unwrap(), models, DEFAULT)
}

fn openrouter(models: &[(&str, Option<PriceLines>)]) -> GatewayList {
    list(GatewayId::OpenRouter, models.iter().map(|(id, prices)| model(GatewayId::OpenRouter, id, *prices)).collect())
}

fn snapshot(lists: &[GatewayList]) -> CatalogSnapshot {
    lists.iter().fold(CatalogSnapshot::default(), |snapshot, list| snapshot.with(list, DEFAULT))
}

/// The first gateway's model of that id, as the doors show it.
fn json_of(snapshot: &CatalogSnapshot, id: &str) -> Value {
    shown(snapshot, snapshot.find(id).unwrap())
}

fn shown(snapshot: &CatalogSnapshot, entry: &CatalogEntry) -> Value {
    serde_json::from_slice(&snapshot.text_of(entry)).unwrap()
}

fn with_prices(prices: PriceLines) -> Arc<CatalogEntry> {
    let snapshot = snapshot(&[openrouter(&[("a/b", Some(prices))])]);
    Arc::clone(snapshot.find("a/b").unwrap())
}

#[test]
fn a_model_is_found_by_its_exact_id() {
    let snapshot = snapshot(&[openrouter(&[("openai/gpt-4o", Some(flat(5))), ("a/b/c:free", Some(flat(0)))])]);
    assert_eq!(snapshot.find("openai/gpt-4o").unwrap().charged, flat(5).into());
    assert_eq!(&*snapshot.find("a/b/c:free").unwrap().id, "a/b/c:free");
    for unknown in ["", "openai", "OpenAI/gpt-4o", "openai/gpt-4o "] {
        assert!(snapshot.find(unknown).is_none(), "{unknown:?}");
    }
}

#[test]
fn a_price_of_zero_is_free_and_an_unknown_one_is_the_default() {
    let snapshot = snapshot(&[openrouter(&[("free", Some(flat(0))), ("unknown", None)])]);
    let [free, unknown] = ["free", "unknown"].map(|id| Arc::clone(snapshot.find(id).unwrap()));
    assert!(free.charged.is_free() && free.prices.is_some());
    // Mutant: charging PriceLines::default() for an unknown price gives it away, and this is red.
    assert_eq!((&unknown.prices, &unknown.charged), (&None, &PriceList::flat(DEFAULT)));
    assert_eq!(json_of(&snapshot, "free")["charged_pricing"]["prompt"], "0");
    assert_eq!(
        json_of(&snapshot, "unknown")["charged_pricing"],
        json!({"prompt": "0.00002", "completion": "0.00002", "request": "0", "image": "0"})
    );
}

#[test]
fn an_absurd_price_is_unknown_whichever_line_it_stands_in() {
    let dear = PricePerMillion(PricePerMillion::SANE_MAX.0 + 1);
    let lines = [
        PriceLines { prompt: PricePerMillion(-1), ..flat(1) },
        PriceLines { completion: dear, ..flat(1) },
        PriceLines { cache_read: Some(PricePerMillion(-1)), ..flat(1) },
        PriceLines { cache_write: Some(dear), ..flat(1) },
        PriceLines { reasoning: Some(dear), ..flat(1) },
        PriceLines { rare: RareLines { image_output: Some(dear), ..RareLines::NONE }, ..flat(1) },
        PriceLines { request: -1, ..flat(1) },
    ];
    for line in lines {
        let entry = with_prices(line);
        assert_eq!((&entry.prices, &entry.charged, entry.absurd_price), (&None, &PriceList::flat(DEFAULT), true), "{line:?}");
    }
    assert!(!with_prices(PriceLines::flat(PricePerMillion::SANE_MAX)).absurd_price);
}

#[test]
fn a_fee_beyond_all_experience_makes_the_price_unknown() {
    assert!(with_prices(PriceLines { image: 10_000_000_001, ..flat(1) }).absurd_price);
    assert!(!with_prices(PriceLines { image: 10_000_000_000, ..flat(1) }).absurd_price);
}

#[test]
fn what_is_charged_is_shown_line_by_line_beside_the_public_fields() {
    let prices = PriceLines {
        cache_read: Some(PricePerMillion(1_000_000_000)),
        reasoning: Some(PricePerMillion(3_000_000_000)),
        request: 5_000_000,
        rare: RareLines { audio: Some(PricePerMillion(4_000_000_000)), ..RareLines::NONE },
        ..flat(200)
    };
    let shown = json_of(&snapshot(&[openrouter(&[("a/b", Some(prices))])]), "a/b");
    assert_eq!((&shown["id"], &shown["provider_slug"]), (&json!("a/b"), &json!("a")));
    assert_eq!(
        shown["charged_pricing"],
        json!({
            "prompt": "0.000002", "completion": "0.000002", "request": "0.005", "image": "0",
            "internal_reasoning": "0.000003", "input_cache_read": "0.000001", "audio": "0.000004",
        })
    );
}

#[test]
fn the_first_gateway_in_order_is_tried_first_whoever_answered_first() {
    let glama = list(GatewayId::Glama, vec![model(GatewayId::Glama, "m", Some(flat(2)))]);
    let snapshot = snapshot(&[glama, openrouter(&[("m", Some(flat(1)))])]);
    let gateways: Vec<GatewayId> = snapshot.candidates("m").iter().map(|entry| entry.gateway).collect();
    assert_eq!(gateways, [GatewayId::OpenRouter, GatewayId::Glama]);
    assert_eq!(snapshot.find("m").unwrap().gateway, GatewayId::OpenRouter);
}

fn gateways(entries: &[Arc<CatalogEntry>]) -> Vec<GatewayId> {
    entries.iter().map(|entry| entry.gateway).collect()
}

#[test]
fn the_same_model_at_another_gateway_stands_behind_the_one_that_was_named() {
    let named = |gateway, id: &str, upstream_id: Option<&str>, slug: Option<&str>| {
        let mut model = model(gateway, id, Some(flat(1)));
        model.upstream_id = upstream_id.map(str::to_owned);
        model.public["canonical_slug"] = json!(slug);
        model
    };
    let snapshot = snapshot(&[
        list(GatewayId::OpenAi, vec![named(GatewayId::OpenAi, "openai/gpt-4o", Some("gpt-4o"), None)]),
        list(GatewayId::Portkey, vec![named(GatewayId::Portkey, "@openai/GPT-4o", None, None)]),
        list(GatewayId::Glama, vec![named(GatewayId::Glama, "glama/omni", None, Some("openai/gpt-4o"))]),
        openrouter(&[("openai/gpt-4o-mini", Some(flat(1)))]),
    ]);
    use GatewayId::{Glama, OpenAi, Portkey};
    for (name, expected) in [
        ("openai/gpt-4o", vec![OpenAi, Portkey, Glama]),
        ("gpt-4o", vec![OpenAi, Portkey, Glama]),
        ("glama/omni", vec![Glama, Portkey, OpenAi]),
        // No exact id: by the canonical slug, in another case, without the `@`.
        ("OpenAI/gpt-4o", vec![Portkey, Glama, OpenAi]),
        ("@openai/gpt-4o", vec![Portkey, Glama, OpenAi]),
        ("Glama/Omni", vec![Glama]),
        ("openai/gpt-4", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(gateways(snapshot.resolve(name)), expected, "{name:?}");
    }
}

#[test]
fn a_variant_is_no_stand_in_for_what_it_varies() {
    let variant = |gateway, id: &str| {
        let mut model = model(gateway, id, Some(flat(1)));
        model.public["canonical_slug"] = json!("meta/llama");
        model
    };
    let snapshot = snapshot(&[
        list(
            GatewayId::OpenRouter,
            vec![variant(GatewayId::OpenRouter, "meta/llama"), variant(GatewayId::OpenRouter, "meta/llama:free")],
        ),
        list(GatewayId::Glama, vec![variant(GatewayId::Glama, "meta/llama:free")]),
    ]);
    assert_eq!(gateways(snapshot.resolve("meta/llama")), [GatewayId::OpenRouter]);
    assert_eq!(gateways(snapshot.resolve("meta/llama:free")), [GatewayId::OpenRouter, GatewayId::Glama]);
    assert_eq!(gateways(snapshot.resolve("Meta/Llama:Free")), [GatewayId::OpenRouter, GatewayId::Glama]);
}

#[test]
fn a_model_that_a_new_list_lacks_is_gone_and_other_gateways_keep_theirs() {
    let glama = list(GatewayId::Glama, vec![model(GatewayId::Glama, "g", Some(flat(2)))]);
    let before = snapshot(&[openrouter(&[("old", Some(flat(1)))]), glama]);
    let after = before.with(&openrouter(&[("new", Some(flat(1)))]), DEFAULT);
    assert!(before.find("old").is_some(), "a snapshot never changes");
    assert!(after.find("old").is_none());
    assert!(after.find("new").is_some() && after.find("g").is_some());
    assert!(after.version() > before.version());
}

#[test]
fn a_model_without_a_price_is_charged_like_its_twin_at_openrouter() {
    let mut twin = model(GatewayId::OpenRouter, "zai/glm-4.5", Some(flat(7)));
    twin.public["canonical_slug"] = json!("zai/glm-4.5-0727");
    let reference = list(GatewayId::OpenRouter, vec![twin]);
    let unpriced = ["zai/glm-4.5", "@ZAI/GLM-4.5", "zai/glm-4.5:fast", "zai/glm-4.5-0727", "zai/other"];
    let portkey = list(GatewayId::Portkey, unpriced.iter().map(|id| model(GatewayId::Portkey, id, None)).collect());
    for lists in [vec![&reference, &portkey], vec![&portkey, &reference]] {
        let snapshot = lists.iter().fold(CatalogSnapshot::default(), |snapshot, list| snapshot.with(list, DEFAULT));
        let entries = &snapshot.list(GatewayId::Portkey).unwrap().entries;
        let charged: Vec<PriceLines> = entries.iter().map(|entry| entry.charged.base).collect();
        // Mutant: without recharging the other lists in `with`, the second order is red.
        assert_eq!(charged, [flat(7), flat(7), flat(7), flat(7), PriceLines::flat(DEFAULT)]);
        assert!(entries.iter().all(|entry| entry.prices.is_none()));
    }
}

#[test]
fn a_price_that_openrouter_no_longer_states_falls_back_to_the_default() {
    let portkey = list(GatewayId::Portkey, vec![model(GatewayId::Portkey, "m", None)]);
    let priced = snapshot(&[openrouter(&[("m", Some(flat(7)))]), portkey]);
    let charged = |snapshot: &CatalogSnapshot| snapshot.list(GatewayId::Portkey).unwrap().entries[0].charged.base;
    assert_eq!(charged(&priced), flat(7));
    assert_eq!(charged(&priced.with(&openrouter(&[("other", Some(flat(1)))]), DEFAULT)), PriceLines::flat(DEFAULT));
}

#[test]
fn portkeys_price_is_looked_for_by_id_then_without_at_and_suffix_then_by_slug() {
    let reference = |id: &str, slug: &str, cents: i64| {
        let mut twin = model(GatewayId::OpenRouter, id, Some(flat(cents)));
        twin.public["canonical_slug"] = json!(slug);
        twin
    };
    let portkey = |id: &str, own: &str| CatalogModel { upstream_id: Some(own.to_owned()), ..model(GatewayId::Portkey, id, None) };
    let models = vec![portkey("z/GLM", "@x/z/GLM"), portkey("gpt", "@openai/gpt:v2"), portkey("z/glm-0727", "@x/z/glm-0727")];
    // The first one's slug is the second one's id: ids count first.
    let openrouter =
        vec![reference("z/other", "z/glm", 9), reference("z/glm", "z/glm-0727", 7), reference("openai/gpt", "openai/gpt", 3)];
    let snapshot = snapshot(&[list(GatewayId::Portkey, models), list(GatewayId::OpenRouter, openrouter)]);
    let charged: Vec<PriceLines> =
        snapshot.list(GatewayId::Portkey).unwrap().entries.iter().map(|entry| entry.charged.base).collect();
    assert_eq!(charged, [flat(7), flat(3), flat(7)]);
}

#[test]
fn a_model_that_is_renamed_here_is_found_by_both_names() {
    let own = "@nebius/meta-llama/llama";
    let renamed = CatalogModel { upstream_id: Some(own.to_owned()), ..model(GatewayId::Portkey, "meta-llama/llama", None) };
    let snapshot = snapshot(&[list(GatewayId::Portkey, vec![renamed])]);
    for id in [own, "meta-llama/llama"] {
        assert_eq!(&*snapshot.find(id).unwrap().upstream_id, own, "{id}");
    }
}

#[test]
fn at_portkey_openrouters_pricing_is_shown_as_long_as_openrouter_has_the_model() {
    let mut twin = model(GatewayId::OpenRouter, "m", Some(flat(7)));
    twin.public["pricing"] = json!({"prompt": "0.00000007", "completion": "0.00000007", "image": null});
    let others = [GatewayId::Portkey, GatewayId::Featherless].map(|gateway| {
        let mut unpriced = model(gateway, "m", None);
        if gateway == GatewayId::Featherless {
            unpriced.public["pricing"] = json!({"prompt": null});
        }
        list(gateway, vec![unpriced])
    });
    let pricing =
        |snapshot: &CatalogSnapshot, gateway| shown(snapshot, &snapshot.list(gateway).unwrap().entries[0])["pricing"].clone();
    let without = snapshot(&others);
    let nothing = json!({
        "prompt": null, "completion": null, "request": null, "image": null, "web_search": null, "internal_reasoning": null,
    });
    assert_eq!(pricing(&without, GatewayId::Portkey), nothing);
    let with = without.with(&list(GatewayId::OpenRouter, vec![twin.clone()]), DEFAULT);
    assert_eq!(pricing(&with, GatewayId::Portkey), twin.public["pricing"]);
    // Mutant: showing it at every gateway turns this red.
    assert_eq!(pricing(&with, GatewayId::Featherless), json!({"prompt": null}));
    let gone = with.with(&openrouter(&[("other", Some(flat(1)))]), DEFAULT);
    assert_eq!(pricing(&gone, GatewayId::Portkey), nothing);
}

#[test]
fn tiers_are_shown_with_what_is_charged() {
    let long = PriceOverride {
        min_prompt_tokens: Some(200_000),
        prompt: Some(PricePerMillion(2_500_000_000)),
        cache_read: Some(PricePerMillion(625_000_000)),
        ..PriceOverride::default()
    };
    let night = PriceOverride {
        window: DayWindow::parse("1630", "0030"),
        completion: Some(PricePerMillion(500_000_000)),
        request: Some(1_000),
        ..PriceOverride::default()
    };
    let mut tiered = model(GatewayId::OpenRouter, "m", None);
    tiered.prices = Some(PriceList { base: flat(100), overrides: [long, night].into() });
    let snapshot = snapshot(&[list(GatewayId::OpenRouter, vec![tiered])]);
    assert_eq!(
        json_of(&snapshot, "m")["charged_pricing"],
        json!({
            "prompt": "0.000001", "completion": "0.000001", "request": "0", "image": "0",
            "overrides": [
                {"min_prompt_tokens": 200_000, "prompt": "0.0000025", "input_cache_read": "0.000000625"},
                {"utc_start": "1630", "utc_end": "0030", "completion": "0.0000005", "request": "0.000001"},
            ],
        })
    );
}

#[test]
fn an_absurd_tier_makes_the_whole_price_unknown() {
    for absurd in [
        PriceOverride { completion: Some(PricePerMillion(-1)), ..PriceOverride::default() },
        PriceOverride { min_prompt_tokens: Some(9), prompt: Some(PricePerMillion(i64::MAX)), ..PriceOverride::default() },
        PriceOverride { image: Some(-1), ..PriceOverride::default() },
    ] {
        let mut tiered = model(GatewayId::OpenRouter, "m", None);
        tiered.prices = Some(PriceList { base: flat(1), overrides: [absurd].into() });
        let snapshot = snapshot(&[list(GatewayId::OpenRouter, vec![tiered])]);
        let entry = snapshot.find("m").unwrap();
        // Mutant: checking the base alone turns this red.
        assert!(entry.absurd_price && entry.charged == PriceList::flat(DEFAULT), "{absurd:?}");
    }
}

#[test]
fn a_model_saved_before_there_were_tiers_and_own_ids_is_read() {
    let old = json!({
        "id": "a/b", "gateway": "openrouter", "context_length": 8_192, "max_completion_tokens": null, "public": {"id": "a/b"},
        "prices": {
            "prompt": 5, "completion": 7, "cache_read": 1, "cache_write": null, "reasoning": null, "request": 0, "image": 0,
        },
    });
    let read: CatalogModel = serde_json::from_value(old.clone()).unwrap();
    let lines = PriceLines {
        prompt: PricePerMillion(5),
        completion: PricePerMillion(7),
        cache_read: Some(PricePerMillion(1)),
        ..PriceLines::default()
    };
    assert_eq!((&read.prices, &read.upstream_id), (&Some(lines.into()), &None));
    assert_eq!(serde_json::to_value(&read).unwrap(), old);
}

#[test]
fn the_merged_list_has_each_model_once() {
    let mut twin = model(GatewayId::Glama, "glama-name", Some(flat(2)));
    twin.public["canonical_slug"] = json!("A/B");
    let glama = list(GatewayId::Glama, vec![twin, model(GatewayId::Glama, "only/here", Some(flat(2)))]);
    let snapshot = snapshot(&[glama, openrouter(&[("a/b", Some(flat(1)))])]);
    let ids: Vec<&str> = snapshot.merged().iter().map(|entry| &*entry.id).collect();
    assert_eq!(ids, ["a/b", "only/here"]);
}

#[test]
fn a_free_variant_is_a_model_of_its_own_and_no_price_for_others() {
    let variant = |gateway, id: &str, prices| {
        let mut variant = model(gateway, id, prices);
        variant.public["canonical_slug"] = json!("a/b-0727");
        variant
    };
    let free = variant(GatewayId::OpenRouter, "a/b:free", Some(flat(0)));
    let paid = variant(GatewayId::OpenRouter, "a/b", Some(flat(7)));
    let portkey = list(GatewayId::Portkey, vec![variant(GatewayId::Portkey, "p/b", None)]);
    let snapshot = snapshot(&[list(GatewayId::OpenRouter, vec![free, paid]), portkey]);
    let merged: Vec<&str> = snapshot.merged().iter().map(|entry| &*entry.id).collect();
    assert_eq!(merged, ["a/b:free", "a/b"]);
    // Mutant: taking slugs of variants, too, gives the model away.
    assert_eq!(snapshot.find("p/b").unwrap().charged, flat(7).into());
}

#[test]
fn a_list_holds_an_id_once_and_only_its_own_gateways_models() {
    let models = vec![
        model(GatewayId::OpenRouter, "m", Some(flat(1))),
        model(GatewayId::OpenRouter, "m", Some(flat(2))),
        model(GatewayId::Glama, "g", Some(flat(1))),
        model(GatewayId::OpenRouter, "", Some(flat(1))),
    ];
    let list = list(GatewayId::OpenRouter, models);
    assert_eq!(list.entries.len(), 1);
    assert_eq!(list.entries[0].charged, flat(1).into());
}

#[test]
fn a_public_entry_that_is_no_object_still_makes_json() {
    let mut odd = model(GatewayId::OpenRouter, "m", None);
    for public in [Value::Null, json!([1]), json!({})] {
        odd.public = public;
        let snapshot = snapshot(&[list(GatewayId::OpenRouter, vec![odd.clone()])]);
        assert_eq!(json_of(&snapshot, "m")["charged_pricing"]["prompt"], "0.00002");
    }
}

#[test]
fn a_list_is_one_text_that_begins_with_openais_fields() {
    let mut dated = model(GatewayId::OpenRouter, "b/\"dated\"", Some(flat(1)));
    dated.public["created"] = json!(7);
    dated.public["object"] = json!("the gateway's own");
    let models = vec![model(GatewayId::OpenRouter, "lonely", Some(flat(1))), dated];
    let snapshot = snapshot(&[list(GatewayId::OpenRouter, models)]);
    let text = snapshot.list(GatewayId::OpenRouter).unwrap().text();
    let begin =
        r#"{"id":"lonely","object":"model","created":null,"owned_by":"openrouter","provider_slug":null,"charged_pricing":{"#;
    let whole = text.slice(0..2);
    assert!(whole.starts_with(begin.as_bytes()), "{whole:?}");
    assert_eq!([&text.slice(0..1)[..], b",", &text.slice(1..2)].concat(), whole);
    assert_eq!(json_of(&snapshot, "b/\"dated\"")["object"], "model");
    let (before, after) = text.around_null_created(0).unwrap();
    assert_eq!([&before[..], b"null", &after].concat(), text.slice(0..1));
    assert!(text.around_null_created(1).is_none());
    for nothing in [2..3, 1..1, 0..3] {
        assert!(text.slice(nothing.clone()).is_empty(), "{nothing:?}");
    }
}

#[test]
fn neighbours_are_one_run_and_a_gap_or_another_gateway_ends_it() {
    let glama = list(GatewayId::Glama, vec![model(GatewayId::Glama, "g", None)]);
    let snapshot = snapshot(&[openrouter(&[("a", None), ("b", None), ("c", None)]), glama]);
    let run = |gateway, places| Run { gateway, places };
    let whole = [run(GatewayId::OpenRouter, 0..3), run(GatewayId::Glama, 0..1)];
    assert_eq!(runs(snapshot.merged().iter().map(|entry| &**entry)), whole);
    let odd = snapshot.merged().iter().filter(|entry| &*entry.id != "b").map(|entry| &**entry);
    assert_eq!(runs(odd), [run(GatewayId::OpenRouter, 0..1), run(GatewayId::OpenRouter, 2..3), run(GatewayId::Glama, 0..1)]);
    assert_eq!(runs([]), []);
}

#[test]
fn a_list_that_is_charged_as_before_keeps_its_text_and_its_tag() {
    let portkey = list(GatewayId::Portkey, vec![model(GatewayId::Portkey, "m", None)]);
    let before = snapshot(&[openrouter(&[("m", Some(flat(7)))]), portkey]);
    let text = |snapshot: &CatalogSnapshot| snapshot.list(GatewayId::Portkey).unwrap().text().slice(0..1);
    let tag = |snapshot: &CatalogSnapshot| snapshot.list(GatewayId::Portkey).unwrap().text().tag();
    let same = before.with(&openrouter(&[("m", Some(flat(7))), ("new", None)]), DEFAULT);
    assert_eq!((text(&same).as_ptr(), tag(&same)), (text(&before).as_ptr(), tag(&before)));
    let dearer = before.with(&openrouter(&[("m", Some(flat(100)))]), DEFAULT);
    // Mutant: a text that is kept although the price has changed is red.
    assert_eq!(json_of(&dearer, "m")["charged_pricing"]["prompt"], "0.000001");
    assert_ne!(tag(&dearer), tag(&before));
    assert!(String::from_utf8_lossy(&text(&dearer)).contains(r#""prompt":"0.000001""#));
}

#[test]
fn a_list_that_follows_another_is_what_it_would_be_alone_and_shares_what_is_as_before() {
    let fetched_at = "2026-11-22T06:05:00Z".parse().unwrap();
    let models = |prices: &[(&str, Option<i64>)]| -> Vec<CatalogModel> {
        prices.iter().map(|(id, cents)| model(GatewayId::OpenRouter, id, cents.map(flat))).collect()
    };
    let first = [("a", Some(1)), ("b", None), ("c", Some(3))];
    let last = snapshot(&[list(GatewayId::OpenRouter, models(&first))]);
    let last = last.list(GatewayId::OpenRouter).unwrap();
    let nexts: [&[(&str, Option<i64>)]; 9] = [
        &first,
        &[("a", Some(2)), ("b", None), ("c", Some(3))],
        &[("a", Some(1)), ("b", Some(2)), ("c", Some(3))],
        &[("a", Some(1)), ("b", None), ("c", Some(4))],
        &[("a", Some(1)), ("b", None)],
        &[("a", Some(1)), ("b", None), ("c", Some(3)), ("d", None)],
        &[("b", None), ("a", Some(1)), ("c", Some(3))],
        &[("b", None)],
        &[],
    ];
    for next in nexts {
        let alone = GatewayList::new(GatewayId::OpenRouter, fetched_at, models(next), DEFAULT);
        let followed = last.followed_by(fetched_at, models(next), DEFAULT);
        let places = 0..u32::try_from(next.len()).unwrap();
        let (text, alone_text) = (followed.text(), alone.text());
        assert_eq!(text.slice(places.clone()), alone_text.slice(places), "{next:?}");
        assert_eq!((text.tag(), text.len()), (alone_text.tag(), next.len()), "{next:?}");
        assert_eq!((&followed.entries, followed.fetched_at), (&alone.entries, fetched_at), "{next:?}");
        let shared = followed.entries.iter().zip(&last.entries).take_while(|(new, old)| Arc::ptr_eq(new, old)).count();
        let as_before = next.iter().zip(&first).take_while(|(new, old)| new == old).count();
        assert_eq!(shared, as_before, "{next:?}");
    }
    let mut longer = models(&first);
    longer[1].context_length += 1;
    let followed = last.followed_by(fetched_at, longer.clone(), DEFAULT);
    // Mutant: an entry that is kept because its text is as before is red.
    assert_eq!(followed.entries, list(GatewayId::OpenRouter, longer).entries, "what no text shows");
    // Mutant: a text that is written again takes 20 MB more at each refresh of a long list.
    let again = last.followed_by(fetched_at, models(&first), DEFAULT);
    assert_eq!(again.text().slice(0..3).as_ptr(), last.text().slice(0..3).as_ptr());
}

/// A gateway may send millions of entries that are no models.
// Mutant, red: room for as many as are announced, as the first version made.
#[test]
fn no_room_is_made_for_models_that_are_only_announced() {
    struct Announced(std::vec::IntoIter<CatalogModel>);
    impl Iterator for Announced {
        type Item = CatalogModel;

        fn next(&mut self) -> Option<CatalogModel> {
            self.0.next()
        }

        fn size_hint(&self) -> (usize, Option<usize>) {
            (0, Some(usize::MAX))
        }
    }
    let models = Announced(vec![model(GatewayId::Glama, "only", None)].into_iter());
    let list = GatewayList::new(GatewayId::Glama, "2026-11-22T06:00:00Z".parse().unwrap(), models, DEFAULT);
    assert_eq!(list.text().len(), 1);
}

#[test]
fn a_packed_list_is_the_list_again_and_a_broken_one_is_an_error() {
    let mut odd = model(GatewayId::Glama, "odd", None);
    odd.public["description"] = json!("line\nbreak, NUL \u{0}, \u{1F980}");
    let models = [odd, model(GatewayId::Glama, "plain", Some(flat(2)))];
    let mut packer = Packer::new();
    models.iter().for_each(|model| packer.add(model));
    let packed = packer.finish().unwrap();
    assert_eq!(unpack(&packed).collect::<Result<Vec<_>, _>>().unwrap(), models);
    for broken in [&packed[..packed.len() / 2], b"no list", b""] {
        assert!(unpack(broken).any(|model| model.is_err()), "{broken:?}");
    }
}
