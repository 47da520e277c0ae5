//! `GET /user/activity/log?format=csv`.

use super::*;
use crate::support;
use std::collections::BTreeSet;

const HEAD: [&str; 11] =
    ["id", "timestamp", "action", "model", "provider", "tokens", "cost", "speed", "finish_reason", "app", "details"];

/// The rows of a document of RFC 4180, the header among them.
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut letters, mut quoted) = (text.chars().peekable(), false);
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => field.extend(letters.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\r' if !quoted => {
                assert_eq!(letters.next(), Some('\n'), "lines end with CRLF");
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            letter => field.push(letter),
        }
    }
    assert!(!quoted && field.is_empty() && record.is_empty(), "the document ends with its last line");
    records
}

async fn export(app: &TestApp, user: &TestUser, filter: &str) -> Vec<Vec<String>> {
    let reply = app.get_as(&user.key, &format!("{LOG}?format=csv{filter}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let mut records = records(reply.text());
    assert_eq!(records.remove(0), HEAD);
    records
}

#[actix_web::test]
async fn a_row_has_the_fields_of_the_log_in_one_line() {
    let app = support::app().await;
    let user = app.register_user().await;
    call(&app, &user.key, "openai/gpt-4o-mini", 5, false).await;
    let log = log_of(&app, &user, 2).await;
    let reply = app.get_as(&user.key, &format!("{LOG}?format=csv")).await;
    assert_eq!(reply.header("content-type"), "text/csv; charset=utf-8; header=present");
    let name = format!("attachment; filename=\"activity-{}.csv\"", app.clock.now().date_naive());
    assert_eq!((reply.header("content-disposition"), reply.header("cache-control")), (name.as_str(), "no-store"));
    assert_eq!(reply.header("content-length"), "", "it is streamed");
    let rows = export(&app, &user, "").await;
    assert_eq!(rows.len(), 2);
    for (row, shown) in rows.iter().zip(log["logs"].as_array().unwrap()) {
        for (field, name) in row.iter().zip(HEAD) {
            match name {
                "timestamp" => assert_eq!(at(field), at(shown[name].as_str().unwrap())),
                "details" => assert_eq!(serde_json::from_str::<Value>(field).unwrap(), shown[name]),
                "cost" | "speed" => assert_eq!(field.parse::<f64>().unwrap(), shown[name].as_f64().unwrap(), "{name}"),
                "id" | "tokens" => assert_eq!(*field, shown[name].to_string()),
                name => assert_eq!(field, shown[name].as_str().unwrap()),
            }
        }
    }
    let api = app.get_as(&user.key, &format!("/api{LOG}?format=csv")).await;
    assert_eq!(api.body, reply.body);
}

#[actix_web::test]
async fn every_row_is_exported_once_newest_first_whatever_the_filter() {
    let app = support::app().await;
    let (user, other) = (app.register_user().await, app.register_user().await);
    log_of(&app, &user, 1).await;
    let now = app.clock.now();
    // Over the borders of pages and days, with many rows of one moment.
    let many: Vec<_> = (0..4_321)
        .map(|n| {
            let (model, provider) =
                [("a", "Alpha"), ("b", "Beta"), ("rare", "Alpha")][usize::try_from(n % 700 / 350 + n % 1_000 / 999).unwrap()];
            row(&user, now - chrono::TimeDelta::days(n % 7) - chrono::TimeDelta::seconds(n / 900), model, provider, n)
        })
        .collect();
    insert(&app, &many).await;
    insert(&app, &[row(&other, now, "a", "Alpha", 1)]).await;
    move_into_the_books(&app).await;
    let client = app.database.connect().await;
    let three_days_ago = (now.date_naive() - chrono::Days::new(3)).to_string();
    for (filter, condition) in [
        (String::new(), "true".to_owned()),
        // A page that is asked for beside makes no difference.
        ("&limit=10&page=2".to_owned(), "true".to_owned()),
        ("&model=rare".to_owned(), "model = 'rare'".to_owned()),
        ("&provider=Alpha&model=a".to_owned(), "model = 'a'".to_owned()),
        ("&action=user_login".to_owned(), "action = 'user_login'".to_owned()),
        ("&action=chat_completion&provider=Beta".to_owned(), "provider = 'Beta'".to_owned()),
        (format!("&from={three_days_ago}"), format!("created_at >= date '{three_days_ago}'")),
        (format!("&to={three_days_ago}&model=b"), format!("model = 'b' AND created_at < date '{three_days_ago}' + 1")),
        ("&model=nobodys".to_owned(), "false".to_owned()),
    ] {
        let query = format!(
            "SELECT id::text AS shown FROM activity WHERE user_id = $1 AND {condition} ORDER BY created_at DESC, id DESC"
        );
        let expected: Vec<String> = client.query(&query, &[&user.id]).await.unwrap().iter().map(|row| row.get(0)).collect();
        let exported: Vec<String> = export(&app, &user, &filter).await.into_iter().map(|mut row| row.swap_remove(0)).collect();
        // Mutant: a walk that drops a day when its page is full loses the rest of it.
        assert_eq!(exported.len(), expected.len(), "{filter}");
        let differs = exported.iter().zip(&expected).position(|(exported, expected)| exported != expected);
        assert_eq!(differs, None, "{filter}");
    }
}

#[actix_web::test]
async fn what_a_user_has_written_is_no_formula() {
    let app = support::app().await;
    let user = app.register_user().await;
    log_of(&app, &user, 1).await;
    let details = json!({"finish_reason": "=HYPERLINK(\"http://attacker.example\",\"x\")", "app": "@SUM(1)"});
    let evil = ActivityRow { details: details.to_string(), ..row(&user, app.clock.now(), "=cmd|' /C calc'!A0", "+1", 1) };
    insert(&app, &[evil]).await;
    let row = export(&app, &user, "&action=chat_completion").await.remove(0);
    assert_eq!((row[3].as_str(), row[4].as_str()), ("'=cmd|' /C calc'!A0", "'+1"));
    assert_eq!((row[8].as_str(), row[9].as_str()), ("'=HYPERLINK(\"http://attacker.example\",\"x\")", "'@SUM(1)"));
    assert_eq!(serde_json::from_str::<Value>(&row[10]).unwrap(), details);
}

#[actix_web::test]
async fn an_export_goes_on_while_rows_come_in_and_has_every_row_that_was_there() {
    let app = support::app().await;
    let user = app.register_user().await;
    let now = app.clock.now();
    let many: Vec<_> = (0..20_000).map(|n| row(&user, now - chrono::TimeDelta::seconds(n * 60), "a", "Alpha", n)).collect();
    insert(&app, &many).await;
    log_of(&app, &user, 20_001).await;
    let mut response =
        app.request(reqwest::Method::GET, &format!("{LOG}?format=csv&model=a")).bearer_auth(&user.key).send().await.unwrap();
    let mut text = Vec::new();
    let mut chunks = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
        chunks += 1;
        if chunks < 20 {
            insert(
                &app,
                &[row(&user, app.clock.now(), "a", "Alpha", -1), row(&user, now - chrono::TimeDelta::days(5), "a", "Alpha", -1)],
            )
            .await;
        }
    }
    let exported = records(std::str::from_utf8(&text).unwrap());
    let ids: Vec<&String> = exported.iter().skip(1).map(|row| &row[0]).collect();
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "a row came twice");
    let there: BTreeSet<_> = exported.iter().skip(1).filter(|row| row[5] != "-1").map(|row| row[5].as_str()).collect();
    assert_eq!(there.len(), 20_000);
    assert!(chunks > 1);
}

#[actix_web::test]
async fn refusals_of_an_export_are_those_of_the_log() {
    let app = support::app().await;
    let user = app.register_user().await;
    for (query, status) in [("format=xml", 422), ("format=csv&from=x", 400), ("format=csv&model=%00", 422), ("format=CSV", 422)] {
        assert_eq!(app.get_as(&user.key, &format!("{LOG}?{query}")).await.status, status, "{query}");
    }
    assert_eq!(app.get(&format!("{LOG}?format=csv")).await.status, 401);
    app.database.refuse_connections().await;
    let away = app.get_as(&user.key, &format!("{LOG}?format=csv")).await;
    assert_eq!(away.status, 503);
    assert_ne!(away.header("retry-after"), "");
    app.database.accept_connections().await;
}
