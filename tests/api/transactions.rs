//! `GET /user/credit-transactions`.

use crate::support::{self, ADMIN_KEY, TestApp, TestUser};
use serde_json::{Value, json};
use std::collections::HashSet;

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
        "total": 1, "limit": 50, "offset": 0,
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
    let credits = page(&app, &user, "?transaction_type=admin_credit&limit=3").await;
    assert_eq!((credits["transactions"].as_array().unwrap().len(), &credits["total"]), (3, &json!(4)));
    assert_eq!(page(&app, &user, "?transaction_type=refund").await["total"], 0);
}

#[actix_web::test]
async fn wrong_parameters_are_422() {
    let app = support::app().await;
    let user = app.register_user().await;
    for query in
        ["?limit=0", "?limit=1001", "?limit=x", "?offset=-1", "?offset=100001", "?transaction_type=gift", "?transaction_type=%00"]
    {
        let reply = app.get_as(&user.key, &format!("/user/credit-transactions{query}")).await;
        assert_eq!(reply.status, 422, "{query}");
        assert_eq!(reply.json()["detail"][0]["loc"][0], "query", "{query}");
    }
}
