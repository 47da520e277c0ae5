//! The log as a spreadsheet: all rows of the filter, newest first, streamed. What is held in memory is one page.
//!
//! The form is RFC 4180's. A spreadsheet would run a text that begins like a formula; such a text gets an apostrophe in front.

use super::row::LogRow;
use super::walk;
use crate::http::error::ApiError;
use crate::startup::Services;
use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use bytes::Bytes;
use futures_util::stream;
use std::collections::VecDeque;
use std::fmt::Write;
use tollgate_store::activity::{self, DayCount, LogEntry, LogFilter, LogPosition};
use tollgate_store::{Store, StoreError};

/// Rows of one query: some 300 KiB of text.
const PAGE_ROWS: usize = 1_000;
const HEAD: &str = "id,timestamp,action,model,provider,tokens,cost,speed,finish_reason,app,details\r\n";

/// Streams the filter's rows. The database is asked before the head is sent, so that one that is away is a 503; one that goes
/// away later breaks the connection off, which no client takes for the end.
pub(super) async fn export(services: &Services, filter: LogFilter) -> Result<HttpResponse, ApiError> {
    let days = activity::days(&services.store, &filter).await?;
    let name = format!("activity-{}.csv", services.clock.now().date_naive());
    let mut walk = Walk { store: services.store.clone(), filter, days: days.into(), position: None };
    let mut first = String::from(HEAD);
    let goes_on = walk.write_page(&mut first).await?;
    let first = stream::iter([Ok(Bytes::from(first))]);
    let rest = stream::try_unfold(goes_on.then_some(walk), |walk| async move {
        let Some(mut walk) = walk else { return Ok(None) };
        let mut text = String::new();
        let goes_on = walk.write_page(&mut text).await?;
        Ok::<_, StoreError>(Some((Bytes::from(text), goes_on.then_some(walk))))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8; header=present")
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(stream::StreamExt::chain(first, rest)))
}

/// Where an export stands: what the days have that are not finished, and the last row that was written.
struct Walk {
    store: Store,
    filter: LogFilter,
    days: VecDeque<DayCount>,
    position: Option<LogPosition>,
}

impl Walk {
    /// Writes the next page; false when it was the last.
    async fn write_page(&mut self, out: &mut String) -> Result<bool, StoreError> {
        let limit = i64::try_from(PAGE_ROWS).unwrap_or(i64::MAX);
        let days = match self.position {
            Some(position) => walk::following(self.days.make_contiguous(), position, limit),
            None => walk::numbered(self.days.make_contiguous(), 0, limit).0,
        };
        let Some(oldest) = days.last().map(|count| count.day) else { return Ok(false) };
        let rows = activity::page(&self.store, &self.filter, &days, self.position, 0, limit).await?;
        let is_full = rows.len() >= PAGE_ROWS;
        self.position = rows.last().map(LogEntry::position).or(self.position);
        // Days that are finished; all that were asked for, when they had less than a page.
        let done = |count: &DayCount| {
            let reached = self.position.map_or(count.day, |position| position.at.date_naive());
            count.day > reached || !is_full && count.day >= oldest
        };
        while self.days.front().is_some_and(done) {
            self.days.pop_front();
        }
        for row in rows {
            write_row(out, &LogRow::of(self.filter.user, row));
        }
        Ok(!self.days.is_empty())
    }
}

fn write_row(out: &mut String, row: &LogRow) {
    // Writing to a String can't fail.
    let _ = write!(out, "{},{},", row.id, row.timestamp.to_rfc3339_opts(chrono::SecondsFormat::Micros, true));
    for text in [&row.action, &row.model, &row.provider] {
        write_text(out, text);
        out.push(',');
    }
    let _ = write!(out, "{},{},{},", row.tokens, row.cost, row.speed);
    for text in [row.finish_reason.as_str(), &row.app] {
        write_text(out, text);
        out.push(',');
    }
    write_text(out, row.details.get());
    out.push_str("\r\n");
}

/// A text field: quoted where it must be, and never a formula.
fn write_text(out: &mut String, text: &str) {
    // The full-width twins are formulas, too, to spreadsheets of East Asia.
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let guard = if is_formula { "'" } else { "" };
    if is_formula || text.contains(['"', ',', '\r', '\n']) {
        let _ = write!(out, "\"{guard}{}\"", text.replace('"', "\"\""));
    } else {
        out.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = String::new();
        write_text(&mut out, text);
        out
    }

    #[test]
    fn a_text_is_quoted_where_it_must_be_and_is_never_a_formula() {
        for (text, field) in [
            ("openai/gpt-4o", "openai/gpt-4o"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\r\nlines", "\"two\r\nlines\""),
            ("=1+1", "\"'=1+1\""),
            ("+1", "\"'+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("＝1", "\"'＝1\""),
            // Mutant: a guard that is written in front of the quote lets the formula run.
            ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            ("a=1", "a=1"),
        ] {
            assert_eq!(written(text), field, "{text:?}");
        }
    }
}
