//! Pages of the log.

use super::*;
use crate::support;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// `count` calls of three models over five days, one a minute apart at most.
fn rows(app: &TestApp, user: &TestUser, count: i64) -> Vec<ActivityRow> {
    let now = app.clock.now();
    (0..count)
        .map(|n| {
            let (model, provider) = [("a", "Alpha"), ("b", "Beta"), ("c", "Alpha")][usize::try_from(n * n % 3).unwrap()];
            row(user, now - chrono::TimeDelta::days(n % 5) - chrono::TimeDelta::seconds(n / 7), model, provider, n)
        })
        .collect()
}

fn ids(page: &Value) -> Vec<i64> {
    page["logs"].as_array().unwrap().iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

/// All pages by number, and all by `before`.
async fn both_ways(app: &TestApp, user: &TestUser, filter: &str, limit: i64) -> (Vec<i64>, Vec<i64>) {
    let (mut numbered, mut followed, mut page) = (Vec::new(), Vec::new(), 1);
    loop {
        let body = ok(app, user, &format!("{LOG}?limit={limit}&page={page}{filter}")).await;
        assert_eq!((&body["page"], &body["limit"]), (&json!(page), &json!(limit)));
        numbered.extend(ids(&body));
        assert_eq!(body["has_more"], numbered.len() < usize::try_from(body["total"].as_i64().unwrap()).unwrap());
        if body["has_more"] == false {
            break;
        }
        page += 1;
    }
    let mut before = String::new();
    loop {
        let body = ok(app, user, &format!("{LOG}?limit={limit}&before={before}{filter}")).await;
        followed.extend(ids(&body));
        match body["next_before"].as_str() {
            Some(next) => before = next.to_owned(),
            None => return (numbered, followed),
        }
    }
}

#[actix_web::test]
async fn pages_cover_every_row_once_newest_first_whatever_the_filter() {
    let app = support::app().await;
    let (user, other) = (app.register_user().await, app.register_user().await);
    log_of(&app, &user, 1).await;
    insert(&app, &rows(&app, &user, 200)).await;
    insert(&app, &rows(&app, &other, 20)).await;
    move_into_the_books(&app).await;
    let client = app.database.connect().await;
    let three_days_ago = (app.clock.now().date_naive() - chrono::Days::new(3)).to_string();
    for (filter, condition) in [
        (String::new(), "true".to_owned()),
        ("&model=b".to_owned(), "model = 'b'".to_owned()),
        ("&provider=Alpha".to_owned(), "provider = 'Alpha'".to_owned()),
        ("&provider=Alpha&model=c".to_owned(), "model = 'c'".to_owned()),
        ("&provider=Beta&model=c".to_owned(), "false".to_owned()),
        (format!("&to={three_days_ago}&model=a"), format!("model = 'a' AND created_at < date '{three_days_ago}' + 1")),
    ] {
        let query = format!("SELECT id FROM activity WHERE user_id = $1 AND {condition} ORDER BY created_at DESC, id DESC");
        let expected: Vec<i64> = client.query(&query, &[&user.id]).await.unwrap().iter().map(|row| row.get(0)).collect();
        for limit in [7, 50, 201] {
            let (numbered, followed) = both_ways(&app, &user, &filter, limit).await;
            assert_eq!(numbered, expected, "{filter} by {limit}");
            // Mutant: `created_at <` without the id misses rows of one time.
            assert_eq!(followed, expected, "{filter} by {limit}");
        }
        let total = ok(&app, &user, &format!("{LOG}?limit=1{filter}")).await["total"].clone();
        assert_eq!(total, expected.len());
    }
    let page_wins = ok(&app, &user, &format!("{LOG}?limit=5&page=3&offset=100")).await;
    assert_eq!(
        (&page_wins["offset"], ids(&page_wins)),
        (&json!(10), ids(&ok(&app, &user, &format!("{LOG}?limit=5&offset=10")).await))
    );
    assert_eq!(ok(&app, &user, LOG).await["logs"].as_array().unwrap().len(), 10, "ten are the default");
    assert_eq!(ok(&app, &user, &format!("{LOG}?offset=100000")).await["logs"], json!([]));
}

#[actix_web::test]
async fn while_rows_come_in_following_the_pages_misses_none_and_doubles_none() {
    let app = support::app().await;
    let user = app.register_user().await;
    insert(&app, &rows(&app, &user, 300)).await;
    move_into_the_books(&app).await;
    let there: BTreeSet<i64> = ids(&log_of(&app, &user, 301).await).into_iter().collect();
    let (mut seen, mut before) = (Vec::new(), String::new());
    loop {
        let body = ok(&app, &user, &format!("{LOG}?limit=20&before={before}")).await;
        seen.extend(ids(&body));
        // New calls, and late ones out of a journal: at the top, and in the middle of what is read.
        insert(&app, &rows(&app, &user, 15)).await;
        insert(&app, &[row(&user, app.clock.now(), "new", "Other", 1)]).await;
        match body["next_before"].as_str() {
            Some(next) => before = next.to_owned(),
            None => break,
        }
    }
    let distinct: BTreeSet<i64> = seen.iter().copied().collect();
    assert_eq!(distinct.len(), seen.len(), "a row came twice");
    assert!(there.is_subset(&distinct), "a row was missed");
}

/// The promise is of an answer alone on the machine: medians, and nothing runs beside it.
#[actix_web::test]
async fn a_user_of_a_hundred_thousand_rows_is_answered_within_50_ms() {
    let app = support::app().await;
    let user = app.register_user().await;
    let now = app.clock.now();
    let many: Vec<_> = (0..100_000)
        .map(|n| row(&user, now - chrono::TimeDelta::seconds(n * 300), &format!("model-{}", n % 20), "Other", 1))
        .collect();
    let began = Instant::now();
    insert(&app, &many).await;
    println!("100,000 rows in {:?}", began.elapsed());
    let last = format!("{LOG}?limit=100&offset=99000");
    for path in [
        LOG,
        "/user/activity/log?limit=100",
        "/user/activity/log?model=model-7&page=50",
        &last,
        "/user/activity/stats?days=365",
        STATS,
    ] {
        let mut times = Vec::new();
        for _ in 0..9 {
            let began = Instant::now();
            ok(&app, &user, path).await;
            times.push(began.elapsed());
        }
        times.sort();
        println!("{path}: median {:?}, worst {:?}", times[4], times[8]);
        assert!(times[4] <= Duration::from_millis(50), "{path}: {times:?}");
    }
    assert_eq!(ok(&app, &user, "/user/activity/stats?days=365").await["total_requests"], 100_000);
    assert_eq!(ok(&app, &user, LOG).await["total"], 100_001);
}
