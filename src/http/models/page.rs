//! A page of models as text around the catalogue's own.

use super::body::{Part, entries};
use super::query::{Choice, ModelsQuery, Slice};
use chrono::SecondsFormat;
use std::sync::Arc;
use tollgate_actors::catalog::{CatalogEntry, CatalogSnapshot, runs};

/// What the query leaves of a list. Without a gateway in the query it stands there twice, in seed 004's form.
pub(super) fn page(choice: Choice, query: &ModelsQuery, all: &[Arc<CatalogEntry>], snapshot: &CatalogSnapshot) -> Vec<Part> {
    let Slice { shown, total } = query.page().cut(query.kept(all));
    let returned = shown.len();
    let data = entries(&runs(shown));
    let mut parts = Vec::with_capacity(2 * data.len() + 3);
    if query.gateway.is_none() {
        parts.push(text(format!(r#"{{"status":"success","total_models":{total},"models":["#)));
        parts.extend(data.iter().cloned());
        parts.push(text(r#"],"data":["#.to_owned()));
    } else {
        parts.push(text(r#"{"data":["#.to_owned()));
    }
    parts.extend(data);
    let (offset, limit) = (query.page().offset(), or_null(query.page().limit()));
    let (gateway, note, timestamp) = (choice.name(), choice.note(), timestamp(choice, snapshot));
    parts.push(text(format!(
        r#"],"total":{total},"returned":{returned},"offset":{offset},"limit":{limit},"gateway":"{gateway}","note":"{note}","include_huggingface":false,"timestamp":"{timestamp}"}}"#
    )));
    parts
}

/// When the list was fetched.
pub(super) fn timestamp(choice: Choice, snapshot: &CatalogSnapshot) -> String {
    choice.fetched_at(snapshot).to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(super) fn or_null(number: Option<usize>) -> String {
    number.map_or_else(|| "null".to_owned(), |number| number.to_string())
}

fn text(text: String) -> Part {
    Part::Text(text.into())
}
