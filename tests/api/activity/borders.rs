//! Days are UTC days, whatever the database's own time zone and the season.

use super::*;
use crate::support::{self, TestDatabase};
use std::time::Duration;

/// In a zone half a day ahead of UTC, and over the nights in which Europe and New York change their clocks.
#[actix_web::test]
async fn a_day_is_a_utc_day_and_the_last_one_is_included() {
    let database = TestDatabase::create().await;
    let name = database.name.clone();
    database.connect().await.batch_execute(&format!("ALTER DATABASE {name} SET timezone TO 'Pacific/Auckland'")).await.unwrap();
    let app = support::app_on(database, &[("ACTIVITY_RETENTION_DAYS", "36500")]).await;
    let user = app.register_user().await;
    let times = [
        "2025-03-29T23:59:59.999999Z",
        "2025-03-30T00:00:00Z",
        "2025-03-30T01:30:00Z",
        "2025-03-30T23:59:59.999999Z",
        "2025-03-31T00:00:00Z",
        "2025-11-02T05:30:00Z",
        "2025-11-02T06:30:00Z",
    ];
    let rows: Vec<_> = (1..).zip(times).map(|(tokens, time)| row(&user, at(time), "m", "Other", tokens)).collect();
    insert(&app, &rows).await;
    for (query, tokens, days) in [
        ("from=2025-03-30&to=2025-03-30", vec![4, 3, 2], vec![("2025-03-30", 9)]),
        ("from=2025-03-29&to=2025-03-29", vec![1], vec![("2025-03-29", 1)]),
        ("from=2025-03-29&to=2025-03-31", vec![5, 4, 3, 2, 1], vec![("2025-03-29", 1), ("2025-03-30", 9), ("2025-03-31", 5)]),
        ("from=2025-11-02&to=2025-11-02", vec![7, 6], vec![("2025-11-02", 13)]),
        ("from=2025-04-01&to=2025-11-01", vec![], vec![]),
        ("from=2025-03-31&to=2025-03-29", vec![], vec![]),
    ] {
        let log = ok(&app, &user, &format!("{LOG}?{query}")).await;
        let shown: Vec<_> = log["logs"].as_array().unwrap().iter().map(|row| row["tokens"].as_i64().unwrap()).collect();
        assert_eq!((shown.len(), &log["total"]), (tokens.len(), &json!(tokens.len())), "{query}");
        // Mutant: midnight before the last day for midnight after it.
        assert_eq!(shown, tokens, "{query}");
        let stats = ok(&app, &user, &format!("{STATS}?{query}")).await;
        let daily: Vec<_> = stats["daily_stats"]
            .as_array()
            .unwrap()
            .iter()
            .map(|day| (day["date"].as_str().unwrap(), day["tokens"].as_i64().unwrap()))
            .collect();
        assert_eq!(daily, days, "{query}");
    }
}

#[actix_web::test]
async fn over_midnight_calls_fall_on_two_days() {
    let app = support::app().await;
    let user = app.register_user().await;
    let tomorrow = (app.clock.now().date_naive() + chrono::Days::new(1)).and_time(chrono::NaiveTime::MIN).and_utc();
    // Two minutes before midnight: what the test itself takes is less.
    app.clock.advance((tomorrow - chrono::TimeDelta::minutes(2) - app.clock.now()).to_std().unwrap_or_default());
    call(&app, &user.key, "openai/gpt-4o-mini", 5, false).await;
    log_of(&app, &user, 2).await;
    app.clock.advance(Duration::from_secs(120));
    call(&app, &user.key, "openai/gpt-4o-mini", 9, false).await;
    log_of(&app, &user, 3).await;
    let stats = ok(&app, &user, STATS).await;
    let daily = stats["daily_stats"].as_array().unwrap();
    let dates: Vec<_> = daily.iter().map(|day| day["date"].as_str().unwrap().to_owned()).collect();
    let (first, second) = (tomorrow.date_naive() - chrono::Days::new(1), tomorrow.date_naive());
    assert_eq!(dates, [first.to_string(), second.to_string()]);
    assert_eq!(ok(&app, &user, &format!("{STATS}?days=1")).await["daily_stats"], json!([daily[1]]));
    let key = ok(&app, &user, "/v1/key").await;
    assert_eq!(key["data"]["usage_daily"], daily[1]["spend"]);
    assert_eq!(key["data"]["usage"], stats["total_spend"]);
    let monitor = ok(&app, &user, "/user/monitor").await;
    assert_eq!(
        (&monitor["usage_metrics"]["cost_today"], &monitor["usage_metrics"]["requests_today"]),
        (&daily[1]["spend"], &json!(1))
    );
}

#[actix_web::test]
async fn the_statistics_are_of_the_last_days_that_are_asked_for() {
    let app = support::app().await;
    let user = app.register_user().await;
    let rows: Vec<_> = (0..370).map(|day| row(&user, app.clock.now() - chrono::TimeDelta::days(day), "m", "Other", 1)).collect();
    insert(&app, &rows).await;
    for (query, requests) in [("", 30), ("?days=1", 1), ("?days=365", 365), ("?days=7", 7)] {
        assert_eq!(ok(&app, &user, &format!("{STATS}{query}")).await["total_requests"], requests, "{query}");
    }
    let ago = |days| (app.clock.now().date_naive() - chrono::Days::new(days)).to_string();
    let both = format!("{STATS}?days=1&from={}&to={}", ago(369), ago(360));
    assert_eq!(ok(&app, &user, &both).await["total_requests"], 10, "from and to win over days");
    assert_eq!(ok(&app, &user, &format!("{STATS}?from={}", ago(4))).await["total_requests"], 5);
    assert_eq!(ok(&app, &user, &format!("{STATS}?days=3&to={}", ago(4))).await["total_requests"], 3);
    let dates: Vec<_> =
        ok(&app, &user, STATS).await["daily_stats"].as_array().unwrap().iter().map(|day| day["date"].to_string()).collect();
    assert!(dates.is_sorted(), "{dates:?}");
}
