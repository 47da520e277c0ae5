//! `GET /user/credit-transactions`.

use crate::support::{self, ADMIN_KEY, TestApp, TestUser};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use tollgate_actors::ports::Clock;
use tollgate_domain::{AccountId, UserId};
use tollgate_store::ledger::{self, VerifyOptions};
use tollgate_store::users::DollarAccounts;
use tollgate_store::{Folded, transactions};

async fn page(app: &TestApp, user: &TestUser, query: &str) -> Value {
    let reply = app.get_as(&user.key, &format!("/user/credit-transactions{query}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

async fn add(app: &TestApp, user: &TestUser, credits: &Value) {
    let reply =
        app.post_as(ADMIN_KEY, "/admin/add_credits", json!({"user_id": user.id, "credits": credits, "reason": "thanks"})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// Calls as the ledger writes them: history rows only, the balances are not looked at here.
async fn calls(app: &TestApp, user: &TestUser, count: i32, cost: i64, debt: i64) {
    let admin = app.database.connect().await;
    let insert = "WITH account AS (SELECT id FROM accounts WHERE user_id = $1 AND kind = 'user' AND asset = 'usd'),
        held AS (INSERT INTO holds (id, account_id, asked, amount, state, slot, charged, debt, created_at, expires_at, closed_at)
            SELECT gen_random_uuid(), account.id, $3, $3, 1, 0, $3, $4, now(), now(), now() FROM account, generate_series(1, $2)
            RETURNING id)
        INSERT INTO usage_records (created_at, slot, batch, ordinal, hold_id, user_id, api_key_id, model, gateway, prompt_tokens,
            completion_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, cost, balance_after, latency_ms, estimated,
            streamed, finish_reason)
        SELECT now(), 0, 1000000, row_number() OVER (), id, $1, 1, 'openai/gpt-4', 'openrouter', 10, 20, 0, 0, 0, $3, 5000000000, 9, false,
            false, 'stop' FROM held";
    admin.execute(insert, &[&user.id, &count, &cost, &debt]).await.unwrap();
}

#[actix_web::test]
async fn a_new_user_sees_the_sign_up_credits() {
    let app = support::app().await;
    let user = app.register_user().await;
    let mut body = page(&app, &user, "").await;
    let row = &mut body["transactions"][0];
    assert!(row["id"].take().is_string() && row["created_at"].take().is_string());
    let expected = json!({
        "transactions": [{"id": null, "amount": 10.0, "transaction_type": "trial", "description": "Sign-up credits",
            "balance_before": 0.0, "balance_after": 10.0, "created_at": null, "payment_id": null, "metadata": {}}],
        "summary": {"total_transactions": 1, "total_credits_added": 10.0, "total_credits_used": 0.0,
            "by_type": {"trial": {"count": 1, "total_amount": 10.0}}},
        "total": 1, "limit": 50, "offset": 0, "has_more": false, "next_before": null,
    });
    assert_eq!(body, expected);
}

#[actix_web::test]
async fn calls_and_credits_stand_in_one_list_newest_first() {
    let app = support::app().await;
    let user = app.register_user().await;
    add(&app, &user, &json!(5)).await;
    calls(&app, &user, 3, 250_000_000, 0).await;
    let body = page(&app, &user, "").await;
    let types: Vec<_> =
        body["transactions"].as_array().unwrap().iter().map(|row| row["transaction_type"].as_str().unwrap()).collect();
    assert_eq!(types, ["api_usage", "api_usage", "api_usage", "admin_credit", "trial"]);
    let call = &body["transactions"][0];
    assert_eq!((&call["amount"], &call["balance_before"], &call["balance_after"]), (&json!(-0.25), &json!(5.25), &json!(5.0)));
    assert_eq!(call["description"], "API usage: openai/gpt-4");
    assert!(call["id"].as_str().unwrap().starts_with("gen-"));
    assert_eq!((&call["metadata"]["prompt_tokens"], &call["metadata"]["completion_tokens"]), (&json!(10), &json!(20)));
    assert_eq!(body["transactions"][3]["description"], "thanks");
    let summary = json!({"total_transactions": 5, "total_credits_added": 15.0, "total_credits_used": 0.75, "by_type": {
        "admin_credit": {"count": 1, "total_amount": 5.0}, "api_usage": {"count": 3, "total_amount": -0.75},
        "trial": {"count": 1, "total_amount": 10.0}}});
    assert_eq!(body["summary"], summary);
}

#[actix_web::test]
async fn what_a_call_left_owing_did_not_leave_the_balance() {
    let app = support::app().await;
    let user = app.register_user().await;
    calls(&app, &user, 1, 300_000_000, 100_000_000).await;
    let body = page(&app, &user, "?transaction_type=api_usage").await;
    let call = &body["transactions"][0];
    assert_eq!((&call["amount"], &call["metadata"]["cost"], &call["metadata"]["debt"]), (&json!(-0.2), &json!(0.3), &json!(0.1)));
    assert_eq!(body["summary"]["by_type"]["api_usage"]["total_amount"], -0.2);
}

#[actix_web::test]
async fn pages_cover_every_row_once() {
    let app = support::app().await;
    let (user, other) = (app.register_user().await, app.register_user().await);
    calls(&app, &user, 40, 1, 0).await;
    calls(&app, &other, 5, 1, 0).await;
    for _ in 0..4 {
        add(&app, &user, &json!(1)).await;
    }
    let mut seen = HashSet::new();
    for offset in (0..45).step_by(10) {
        let body = page(&app, &user, &format!("?limit=10&offset={offset}")).await;
        assert_eq!((&body["total"], &body["limit"], &body["offset"]), (&json!(45), &json!(10), &json!(offset)));
        let rows = body["transactions"].as_array().unwrap();
        assert_eq!(rows.len(), if offset == 40 { 5 } else { 10 });
        rows.iter().for_each(|row| assert!(seen.insert(row["id"].as_str().unwrap().to_owned()), "{row} came twice"));
    }
    assert_eq!(seen.len(), 45);
    assert_eq!(page(&app, &user, "?offset=45").await["transactions"], json!([]));
    let (mut followed, mut before) = (Vec::new(), String::new());
    loop {
        let body = page(&app, &user, &format!("?limit=7&before={before}")).await;
        followed.extend(body["transactions"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        // What comes meanwhile is at the top: the pages behind don't move.
        calls(&app, &user, 1, 1, 0).await;
        match body["next_before"].as_str() {
            Some(next) => before = next.to_owned(),
            None => break,
        }
    }
    // Mutant: a position without its ordinal misses the calls of one batch.
    assert_eq!((followed.len(), followed.iter().cloned().collect::<HashSet<_>>()), (45, seen));
    let credits = page(&app, &user, "?transaction_type=admin_credit&limit=3").await;
    assert_eq!((credits["transactions"].as_array().unwrap().len(), &credits["total"]), (3, &json!(4)));
    assert_eq!(page(&app, &user, "?transaction_type=refund").await["total"], 0);
}

#[actix_web::test]
async fn wrong_parameters_are_422() {
    let app = support::app().await;
    let user = app.register_user().await;
    for query in [
        "?limit=0",
        "?limit=1001",
        "?limit=x",
        "?offset=-1",
        "?offset=100001",
        "?transaction_type=gift",
        "?transaction_type=%00",
        "?before=1-2",
    ] {
        let reply = app.get_as(&user.key, &format!("/user/credit-transactions{query}")).await;
        assert_eq!(reply.status, 422, "{query}");
        assert_eq!(reply.json()["detail"][0]["loc"][0], "query", "{query}");
    }
}

/// What a full sum over history says, without anything that is kept.
const FULL_SUM: &str = "SELECT kind, sum(n)::bigint, sum(amount)::bigint FROM (
    SELECT CASE t.kind WHEN 'debt_repayment' THEN 'api_usage' ELSE t.kind END AS kind, 1 AS n,
        CASE WHEN t.credit_account = $2 THEN t.amount ELSE -t.amount END AS amount
    FROM transfers t WHERE t.kind <> 'api_usage' AND $2 IN (t.credit_account, t.debit_account)
    UNION ALL
    SELECT 'api_usage', 1, coalesce(h.debt, 0) - u.cost FROM usage_records u JOIN holds h ON h.id = u.hold_id
    WHERE u.user_id = $1 AND h.account_id = $2) rows GROUP BY kind ORDER BY kind";

async fn accounts(app: &TestApp, user: &TestUser) -> DollarAccounts {
    let client = app.database.connect().await;
    let of = async |kind: &str| {
        let query = "SELECT id FROM accounts WHERE user_id = $1 AND kind = $2 AND asset = 'usd'";
        AccountId(client.query_one(query, &[&user.id, &kind]).await.unwrap().get(0))
    };
    DollarAccounts { credits: of("user").await, debt: of("debt").await }
}

/// The totals as the door reads them, which must be the full sum.
async fn same_as_full_sum(app: &TestApp, user: &TestUser) -> Vec<(String, i64, i64)> {
    let account = accounts(app, user).await.credits;
    let rows = app.database.connect().await.query(FULL_SUM, &[&user.id, &account.0]).await.unwrap();
    let full: Vec<(String, i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let totals = transactions::totals(&app.services.store, UserId(user.id), account).await.unwrap();
    let totals: Vec<_> = totals.into_iter().map(|total| (total.kind, total.count, total.amount)).collect();
    assert_eq!(totals, full);
    totals
}

async fn fold_all(app: &TestApp) {
    while transactions::fold(&app.services.store, app.clock.now()).await.unwrap() == Folded::More {}
}

async fn folded(app: &TestApp) -> i64 {
    app.database.number("SELECT coalesce(sum(count), 0)::bigint FROM transaction_totals").await
}

async fn chat(app: &TestApp, user: &TestUser, tokens: usize) {
    let body = json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}], "max_tokens": tokens});
    assert_eq!(app.post_as(&user.key, "/v1/chat/completions", body).await.status, 200);
}

#[actix_web::test]
async fn the_totals_are_the_full_sum_while_calls_run_and_history_is_folded() {
    let app = support::app().await;
    let users = [app.register_user().await, app.register_user().await, app.register_user().await];
    let done = AtomicBool::new(false);
    let calling = async {
        for round in 0..12 {
            join_all(users.iter().map(|user| chat(&app, user, round % 5 + 1))).await;
            add(&app, &users[round % 3], &json!(0.25)).await;
        }
        done.store(true, Ordering::SeqCst);
    };
    // Two replicas, beside the server's own upkeep.
    let folding = async || {
        while !done.load(Ordering::SeqCst) {
            transactions::fold(&app.services.store, app.clock.now()).await.unwrap();
        }
    };
    let reading = async {
        let accounts = [accounts(&app, &users[0]).await, accounts(&app, &users[1]).await];
        let mut reads = 0;
        while !done.load(Ordering::SeqCst) {
            for (user, accounts) in users.iter().zip(accounts) {
                let sums = transactions::credits(&app.services.store, UserId(user.id), accounts).await.unwrap();
                // Mutants: `batch >=` for `batch >` in the totals counts the last folded link twice; a mark that is read
                // without its lock lets two folds count the same links.
                assert_eq!(sums.granted - sums.used, sums.posted, "{sums:?}");
                reads += 1;
            }
        }
        reads
    };
    let ((), (), (), reads) = futures_util::join!(calling, folding(), folding(), reading);
    assert!(reads > 20, "{reads}");
    for user in &users {
        let before = same_as_full_sum(&app, user).await;
        fold_all(&app).await;
        assert_eq!(same_as_full_sum(&app, user).await, before);
        assert_eq!(before.iter().find(|total| total.0 == "api_usage").unwrap().1, 12);
    }
    // 36 calls, 12 credits, 3 sign-ups.
    assert_eq!(folded(&app).await, 51);
    let report = ledger::verify(&app.services.store, VerifyOptions::default()).await.unwrap();
    assert!(report.is_clean(), "{report}");
    // And the proof would see a sum that is wrong.
    let superuser = app.database.connect().await;
    superuser.execute("UPDATE transaction_totals SET amount = amount + 1 WHERE kind = 'trial'", &[]).await.unwrap();
    let report = ledger::verify(&app.services.store, VerifyOptions::default()).await.unwrap();
    assert_eq!(report.problems.len(), 3, "{report}");
}

#[actix_web::test]
async fn history_is_folded_by_itself() {
    let app = support::app().await;
    let user = app.register_user().await;
    chat(&app, &user, 3).await;
    support::eventually("it is folded", async || (folded(&app).await == 2).then_some(())).await;
    same_as_full_sum(&app, &user).await;
}

#[actix_web::test]
async fn a_fold_that_is_cut_off_leaves_the_totals_as_they_were() {
    let app = support::app().await;
    let user = app.register_user().await;
    chat(&app, &user, 3).await;
    fold_all(&app).await;
    for _ in 0..5 {
        chat(&app, &user, 4).await;
    }
    let before = (same_as_full_sum(&app, &user).await, folded(&app).await);
    // The fold has locked its slot, and waits for the sums of this account; there it dies.
    let mut holder = app.database.connect().await;
    let locked = holder.transaction().await.unwrap();
    locked.execute("SELECT 1 FROM transaction_totals FOR UPDATE", &[]).await.unwrap();
    let holder_pid: i32 = locked.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let killing = async || {
        let admin = app.database.connect().await;
        let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND datname = current_database() AND $1 = ANY (pg_blocking_pids(pid))";
        support::eventually("the fold waits", async || {
            (admin.query_one(kill, &[&holder_pid]).await.unwrap().get::<_, i64>(0) > 0).then_some(())
        })
        .await;
    };
    let cut_off = async || futures_util::join!(transactions::fold(&app.services.store, app.clock.now()), killing()).0;
    let mut outcome = cut_off().await;
    if outcome.is_ok() {
        // The server's own had the slot, and was killed. It comes again in five seconds.
        outcome = cut_off().await;
    }
    assert!(outcome.is_err(), "{outcome:?}");
    locked.rollback().await.unwrap();
    assert_eq!((same_as_full_sum(&app, &user).await, folded(&app).await), before);
    fold_all(&app).await;
    assert_eq!(same_as_full_sum(&app, &user).await, before.0);
    assert_eq!(folded(&app).await, 7);
}
