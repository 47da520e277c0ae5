//! A hundred thousand messages: every door within 50 ms.

use super::*;
use crate::support;
use std::time::{Duration, Instant};
use tollgate_domain::{SessionId, UserId};
use tollgate_store::chat_sessions::{self, NewMessage, NewSession, Role, Writing};

const MESSAGES: usize = 100_000;
/// In one statement of the test's own.
const AT_ONCE: usize = 500;
const BAR: Duration = Duration::from_millis(50);

/// Twelve words, of which one is in every message, one in a tenth of them, one in a thousandth and one in this one only.
fn content(number: usize) -> String {
    format!(
        "everywhere tenth{} thousandth{} needle{number} we talk about the weather of day {}, mostly rain",
        number % 10,
        number % 1_000,
        number % 365
    )
}

/// Fills sessions with so many messages each; as a server that has run for long, with the planner's figures up to date.
async fn fill(app: &TestApp, user: &TestUser, sessions: usize) -> Vec<i64> {
    let (store, user) = (&app.services.store, UserId(user.id));
    let now = tollgate_actors::ports::Clock::now(&*app.clock);
    let mut ids = Vec::new();
    let began = Instant::now();
    for number in 0..sessions {
        let title = format!("session {number}");
        let made = chat_sessions::create(store, NewSession { user, title: &title, model: "m" }, now).await.unwrap();
        let per_session = MESSAGES / sessions;
        let contents: Vec<String> = (0..per_session).map(|message| content(number * per_session + message)).collect();
        for part in contents.chunks(AT_ONCE) {
            let messages: Vec<NewMessage<'_>> =
                part.iter().map(|content| NewMessage { role: Role::User, content, model: None, tokens: 1 }).collect();
            let writing = Writing { user, session: SessionId(made.id), now, at: None, turn: None };
            assert_eq!(chat_sessions::append(store, writing, &messages).await.unwrap().len(), messages.len());
        }
        ids.push(made.id);
    }
    app.database.connect().await.batch_execute("VACUUM (ANALYZE) chat_sessions, chat_messages, chat_search").await.unwrap();
    println!("{MESSAGES} messages in {sessions} sessions: {:?}", began.elapsed());
    ids
}

/// The promise is of an answer alone on the machine: medians, and nothing runs beside it.
async fn median(what: &str, mut ask: impl AsyncFnMut()) {
    let mut times = Vec::new();
    for _ in 0..9 {
        let began = Instant::now();
        ask().await;
        times.push(began.elapsed());
    }
    times.sort();
    println!("{what}: median {:?}, worst {:?}", times[4], times[8]);
    assert!(times[4] <= BAR, "{what}: {times:?}");
}

async fn assert_quick(app: &TestApp, user: &TestUser, sessions: &[i64]) {
    let last = sessions.last().expect("a session");
    let per_session = MESSAGES / sessions.len();
    let middle = get(app, user, &path_of(*last)).await["next_before"].as_str().unwrap_or_default().to_owned();
    for path in [
        SESSIONS.to_owned(),
        format!("{SESSIONS}?limit=100&offset={}", sessions.len().saturating_sub(100)),
        path_of(*last),
        format!("{}?limit=50", path_of(*last)),
        format!("{}?before={middle}", path_of(*last)),
        "/v1/chat/stats".to_owned(),
    ] {
        median(&path, async || drop(get(app, user, &path).await)).await;
    }
    for (query, found) in [
        ("needle77777", 1),
        ("thousandth500", 100.min(sessions.len())),
        ("tenth3 weather", 100.min(sessions.len())),
        ("everywhere", 100.min(sessions.len())),
        ("every talk wea", 100.min(sessions.len())),
        ("needle", 100.min(sessions.len())),
        ("nowhere", 0),
    ] {
        let body = json!({"query": query, "limit": 100});
        let ask = async || ok(&app.post_as(&user.key, "/v1/chat/search", body.clone()).await)["count"].clone();
        let count = ask().await;
        assert!(count == found || per_session < 10, "{query}: {count}");
        median(&format!("search {query:?}"), async || drop(ask().await)).await;
    }
    let stats = get(app, user, "/v1/chat/stats").await;
    assert_eq!((&stats["data"]["total_messages"], &stats["data"]["total_tokens"]), (&json!(MESSAGES), &json!(MESSAGES)));
}

#[actix_web::test]
async fn a_hundred_thousand_messages_in_a_thousand_sessions_are_answered_within_50_ms() {
    let app = support::app().await;
    let user = app.register_user().await;
    let sessions = fill(&app, &user, 1_000).await;
    assert_quick(&app, &user, &sessions).await;
    let message = format!("{}/messages", path_of(sessions[500]));
    let body = json!({"role": "user", "content": content(1)});
    median("a message", async || drop(ok(&app.post_as(&user.key, &message, body.clone()).await))).await;
}

#[actix_web::test]
async fn a_session_of_a_hundred_thousand_messages_is_answered_within_50_ms() {
    let app = support::app().await;
    let user = app.register_user().await;
    let sessions = fill(&app, &user, 1).await;
    assert_quick(&app, &user, &sessions).await;
    let path = format!("/v1/chat/completions?session_id={}", sessions[0]);
    let body = json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "and now?"}], "max_tokens": 3});
    median("a call with a long history", async || drop(ok(&app.post_as(&user.key, &path, body.clone()).await))).await;
}
