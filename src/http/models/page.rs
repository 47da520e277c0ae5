//! Answers as text: entries are JSON already, so that a list is a matter of joining.

use super::query::{Choice, ModelsQuery};
use super::shelf::Rendered;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fmt::Write;
use std::sync::Arc;
use tollgate_actors::catalog::{CatalogEntry, CatalogSnapshot};

/// The whole list of a choice. `twice`: also as `models`, in seed 004's form.
pub(super) fn whole(choice: Choice, twice: bool, entries: &[Arc<CatalogEntry>], snapshot: &CatalogSnapshot) -> Rendered {
    let data = joined(entries.iter().map(|entry| &**entry), CatalogEntry::write_json);
    let body =
        page(choice, twice, &data, &ModelsQuery::default(), Counts { total: entries.len(), returned: entries.len() }, snapshot);
    Rendered::new(body, &data)
}

/// What is left of a list after the query's filter and paging.
pub(super) fn part(
    choice: Choice,
    twice: bool,
    entries: &[Arc<CatalogEntry>],
    query: &ModelsQuery,
    snapshot: &CatalogSnapshot,
) -> String {
    let kept: Vec<&CatalogEntry> = entries.iter().map(|entry| &**entry).filter(|entry| query.keeps(entry)).collect();
    let count = |number: Option<u32>| number.and_then(|number| usize::try_from(number).ok());
    let (offset, limit) = (count(query.offset).unwrap_or(0), count(query.limit).unwrap_or(usize::MAX));
    let shown: Vec<&CatalogEntry> = kept.iter().copied().skip(offset).take(limit).collect();
    let counts = Counts { total: kept.len(), returned: shown.len() };
    page(choice, twice, &joined(shown.into_iter(), CatalogEntry::write_json), query, counts, snapshot)
}

struct Counts {
    /// After the filter, before paging.
    total: usize,
    returned: usize,
}

fn page(choice: Choice, twice: bool, data: &str, query: &ModelsQuery, counts: Counts, snapshot: &CatalogSnapshot) -> String {
    let Counts { total, returned } = counts;
    let mut body = String::with_capacity(2 * data.len() + 512);
    body.push('{');
    // Writing to a String can't fail.
    if twice {
        let _ = write!(body, r#""status":"success","total_models":{total},"models":{data},"#);
    }
    let limit = query.limit.map_or_else(|| "null".to_owned(), |limit| limit.to_string());
    let (offset, gateway, note) = (query.offset.unwrap_or(0), choice.name(), choice.note());
    let timestamp = fetched_at(choice, snapshot).to_rfc3339_opts(SecondsFormat::Millis, true);
    let _ = write!(
        body,
        r#""data":{data},"total":{total},"returned":{returned},"offset":{offset},"limit":{limit},"gateway":"{gateway}","note":"{note}","include_huggingface":false,"timestamp":"{timestamp}"}}"#
    );
    body
}

/// When the newest list of the choice was fetched.
fn fetched_at(choice: Choice, snapshot: &CatalogSnapshot) -> DateTime<Utc> {
    let chosen = snapshot.lists().filter(|list| choice == Choice::All || choice == Choice::One(list.gateway));
    chosen.map(|list| list.fetched_at).max().unwrap_or_default()
}

/// `GET /v1/models`: each id once, at the gateway that is tried first.
pub(super) fn openai_list(snapshot: &CatalogSnapshot) -> Rendered {
    let all = snapshot.lists().flat_map(|list| &list.entries);
    let first = all.filter(|entry| snapshot.find(&entry.id).is_some_and(|first| Arc::ptr_eq(first, entry)));
    let data = joined(first.map(|entry| &**entry), write_openai);
    Rendered::new(format!(r#"{{"object":"list","data":{data}}}"#), &data)
}

/// The public fields that OpenAI's form shows beside its own.
#[derive(Default, Deserialize)]
struct Beside<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    pricing: Option<&'a RawValue>,
}

/// Appends the entry as OpenAI's `model` object. `created` is 0 and `owned_by` the gateway where nobody knows.
pub(super) fn write_openai(entry: &CatalogEntry, out: &mut String) {
    let mut public = String::new();
    entry.write_json(&mut public);
    let beside: Beside<'_> = serde_json::from_str(&public).unwrap_or_default();
    let shown = |field: Option<&RawValue>| field.map_or("null", RawValue::get).to_owned();
    let owner = entry.provider_slug.as_deref().unwrap_or(entry.gateway.as_str());
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let limit = entry.max_completion_tokens.map_or_else(|| "null".to_owned(), |tokens| tokens.to_string());
    let _ = write!(
        out,
        r#"{{"id":{},"object":"model","created":{},"owned_by":{},"name":{},"context_length":{},"max_completion_tokens":{limit},"pricing":{},"charged_pricing":"#,
        quoted(&entry.id),
        entry.created.unwrap_or(0),
        quoted(owner),
        shown(beside.name),
        entry.context_length,
        shown(beside.pricing),
    );
    entry.write_charged_pricing(out);
    out.push('}');
}

fn joined<'a>(entries: impl Iterator<Item = &'a CatalogEntry>, write: impl Fn(&CatalogEntry, &mut String)) -> String {
    let mut list = String::from("[");
    for entry in entries {
        if list.len() > 1 {
            list.push(',');
        }
        write(entry, &mut list);
    }
    list.push(']');
    list
}
