//! The table: one row for each route, as `/openapi.json` spells it. A new door adds its row here.
//!
//! `{key_id}` and `{session_id}` in a path are the caller's, `{generation}` in a query is a call of theirs, `{user_id}` in a body they themselves:
//! the walk asks for a stranger's, too.

use serde_json::{Value, json};

/// What a caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    Nobody,
    /// A key that may do this verb to this resource.
    Key(&'static str, &'static str),
    /// The admin key, or an administrator's.
    Admin,
}

/// How a refusal is provoked that only this door gives.
#[derive(Clone, Debug)]
pub enum How {
    Body(Value),
    Query(&'static str),
    Path(&'static str),
    /// By a user who has spent everything.
    Poor,
    /// Shown by tests of its own, which that file has.
    Elsewhere(&'static str),
}

/// A row.
#[derive(Clone, Debug)]
pub struct Door {
    pub method: &'static str,
    pub path: &'static str,
    pub needs: Needs,
    /// With these it answers 200.
    pub query: &'static str,
    pub body: Option<Value>,
    pub refusals: Vec<(u16, How)>,
    /// Once it is known who calls, it needs no database.
    pub from_memory: bool,
}

impl Door {
    fn new(route: &'static str, needs: Needs) -> Self {
        let (method, path) = route.split_once(' ').unwrap();
        Self { method, path, needs, query: "", body: None, refusals: Vec::new(), from_memory: false }
    }

    fn body(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    fn or(mut self, status: u16, how: How) -> Self {
        self.refusals.push((status, how));
        self
    }

    fn in_memory(self) -> Self {
        Self { from_memory: true, ..self }
    }
}

fn open(route: &'static str) -> Door {
    Door::new(route, Needs::Nobody)
}

fn key(route: &'static str, verb: &'static str, resource: &'static str) -> Door {
    Door::new(route, Needs::Key(verb, resource))
}

fn admin(route: &'static str) -> Door {
    Door::new(route, Needs::Admin)
}

/// A model call that is served.
pub fn chat() -> Value {
    json!({"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 5})
}

/// A sign-in; the tests of this folder run without Privy.
fn privy() -> Value {
    json!({"user": {"id": "did:privy:1", "created_at": 1, "linked_accounts": []}, "token": "none"})
}

fn six() -> Value {
    json!({"requests_per_minute": 5, "requests_per_hour": 6, "requests_per_day": 7, "tokens_per_minute": 8, "tokens_per_hour": 9,
        "tokens_per_day": 10})
}

/// A body with one field changed.
fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

pub fn doors() -> Vec<Door> {
    [house(), catalogue(), users(), sessions(), usage(), limits(), operator()].concat()
}

fn house() -> Vec<Door> {
    vec![
        open("GET /").in_memory(),
        open("GET /health").in_memory(),
        open("GET /ready").or(503, How::Elsewhere("house.rs")).in_memory(),
        open("GET /openapi.json").in_memory(),
        open("GET /docs").in_memory(),
        open("GET /docs/{file}").or(404, How::Path("/docs/nothing.html")).in_memory(),
        admin("GET /metrics").in_memory(),
    ]
}

fn catalogue() -> Vec<Door> {
    let moon = || How::Query("gateway=moon");
    vec![
        open("GET /models").or(400, moon()).or(422, How::Query("limit=x")).in_memory(),
        open("GET /catalog/models").or(400, moon()).or(422, How::Query("limit=x")).in_memory(),
        open("GET /models/providers").or(400, moon()).in_memory(),
        open("GET /catalog/provider").or(400, moon()).or(422, How::Query("limit=x")).in_memory(),
        open("GET /model/{provider}/{model}").or(400, moon()).or(404, How::Path("/model/nobody/nothing")).in_memory(),
        open("GET /developer/{name}/models")
            .or(400, moon())
            .or(404, How::Path("/developer/nobody/models"))
            .or(422, How::Query("limit=x"))
            .in_memory(),
        open("GET /v1/models").in_memory(),
        open("GET /v1/models/count").in_memory(),
        open("GET /v1/models/{model}").or(404, How::Path("/v1/models/nobody/nothing")).in_memory(),
        open("GET /v1/models/{model}/endpoints").or(404, How::Path("/v1/models/nobody/nothing/endpoints")).in_memory(),
    ]
}

fn users() -> Vec<Door> {
    let new_user = json!({"username": "{username}-2", "email": "{username}-2@example.com"});
    vec![
        open("POST /auth/register").body(new_user.clone()).or(400, How::Body(with(new_user, "environment_tag", json!("moon")))),
        open("POST /auth")
            .body(privy())
            .or(401, How::Elsewhere("sign_in/forgeries.rs"))
            .or(403, How::Elsewhere("sign_in/accounts.rs"))
            .or(501, How::Body(privy())),
        key("POST /user/api-keys", "write", "api_keys")
            .body(json!({"key_name": "one more", "scope_permissions": {"write": ["api_keys"]}}))
            .or(400, How::Body(json!({"key_name": "one more", "environment_tag": "moon"}))),
        key("GET /user/api-keys", "read", "api_keys"),
        key("DELETE /user/api-keys/{key_id}", "write", "api_keys")
            .body(json!({"confirmation": "DELETE_KEY"}))
            .or(400, How::Body(json!({"confirmation": "perhaps"})))
            .or(404, How::Path("/user/api-keys/999999")),
        key("PUT /user/api-keys/{key_id}", "write", "api_keys")
            .body(json!({"key_name": "renamed"}))
            .or(400, How::Body(json!({"action": "turn"})))
            .or(404, How::Path("/user/api-keys/999999")),
        key("GET /user/api-keys/audit-logs", "read", "api_keys")
            .or(400, How::Query("start_date=yesterday"))
            .or(422, How::Query("limit=0")),
        key("GET /user/profile", "read", "profile"),
        key("PUT /user/profile", "write", "profile")
            .body(json!({"name": "Ada"}))
            .or(400, How::Body(json!({})))
            .or(422, How::Body(json!({"email": "nowhere"}))),
        key("DELETE /user/account", "write", "account")
            .body(json!({"confirmation": "DELETE_ACCOUNT"}))
            .or(400, How::Body(json!({"confirmation": "DELETE"}))),
        key("GET /user/notifications/preferences", "read", "notifications"),
        key("PUT /user/notifications/preferences", "write", "notifications")
            .body(json!({"usage_alerts": false}))
            .or(400, How::Body(json!({}))),
        key("GET /user/balance", "read", "usage"),
        open("GET /plans"),
        open("GET /plans/{plan_id}").or(404, How::Path("/plans/999")).or(422, How::Path("/plans/gold")),
        key("GET /user/plan", "read", "plans").or(404, How::Elsewhere("plans.rs")),
        key("GET /user/plan/usage", "read", "plans"),
        key("GET /user/plan/entitlements", "read", "plans"),
        key("GET /trial/status", "read", "plans"),
        open("GET /subscription/plans"),
    ]
}

fn sessions() -> Vec<Door> {
    let (long, unknown) = (|| How::Body(json!({"title": "x".repeat(256)})), || How::Path("/v1/chat/sessions/999999"));
    let message = json!({"role": "user", "content": "hello"});
    vec![
        key("POST /v1/chat/sessions", "write", "sessions").body(json!({"title": "one"})).or(400, long()),
        key("GET /v1/chat/sessions", "read", "sessions").or(400, How::Query("limit=0")),
        key("GET /v1/chat/sessions/{session_id}", "read", "sessions").or(400, How::Query("limit=0")).or(404, unknown()),
        key("PUT /v1/chat/sessions/{session_id}", "write", "sessions")
            .body(json!({"title": "two"}))
            .or(400, long())
            .or(404, unknown()),
        key("DELETE /v1/chat/sessions/{session_id}", "write", "sessions").or(404, unknown()),
        key("POST /v1/chat/sessions/{session_id}/messages", "write", "sessions")
            .body(message.clone())
            .or(400, How::Body(with(message, "role", json!("nobody"))))
            .or(404, How::Path("/v1/chat/sessions/999999/messages")),
        key("POST /v1/chat/search", "read", "sessions")
            .body(json!({"query": "hello"}))
            .or(400, How::Body(json!({"query": "hello", "limit": 0}))),
        key("GET /v1/chat/stats", "read", "sessions"),
    ]
}

fn usage() -> Vec<Door> {
    let log = |route| key(route, "read", "activity").or(400, How::Query("from=yesterday"));
    vec![
        log("GET /user/activity/log").or(422, How::Query("limit=0")),
        log("GET /api/user/activity/log"),
        log("GET /user/activity/stats").or(422, How::Query("days=0")),
        log("GET /api/user/activity/stats"),
        key("GET /v1/generation", "read", "usage")
            .query("id={generation}")
            .or(400, How::Query("name=x"))
            .or(404, How::Query("id=gen-00000000000000000000000000000000")),
        key("GET /v1/key", "read", "usage"),
        key("GET /v1/credits", "read", "usage"),
        key("GET /user/monitor", "read", "usage"),
        key("GET /user/environment-usage", "read", "usage"),
        key("GET /user/api-keys/usage", "read", "api_keys"),
        key("GET /user/credit-transactions", "read", "usage").or(422, How::Query("limit=0")),
        key("POST /v1/chat/completions", "write", "completions")
            .body(chat())
            .or(400, How::Body(with(chat(), "messages", json!("hello"))))
            .or(402, How::Poor)
            .or(404, How::Body(with(chat(), "model", json!("nobody/nothing"))))
            .or(409, How::Elsewhere("chat/idempotency.rs"))
            .or(422, How::Elsewhere("chat/idempotency.rs"))
            .or(502, How::Elsewhere("chat/upstream_faults.rs"))
            .or(504, How::Elsewhere("chat/upstream_faults.rs")),
    ]
}

fn limits() -> Vec<Door> {
    vec![
        key("GET /user/limit", "read", "limits").in_memory(),
        key("GET /user/rate-limits", "read", "limits"),
        key("GET /user/rate-limits/usage/{key_id}", "read", "limits")
            .or(404, How::Path("/user/rate-limits/usage/999999"))
            .or(422, How::Query("time_window=year")),
        key("PUT /user/rate-limits/{key_id}", "write", "limits")
            .body(six())
            .or(400, How::Body(with(six(), "tokens_per_day", json!(-1))))
            .or(404, How::Path("/user/rate-limits/999999")),
        key("POST /user/rate-limits/bulk-update", "write", "limits")
            .body(six())
            .or(400, How::Body(with(six(), "key_ids", json!([]))))
            .or(404, How::Body(with(six(), "key_ids", json!([999_999])))),
    ]
}

fn operator() -> Vec<Door> {
    let credits = || json!({"user_id": "{user_id}", "credits": 1});
    let limits = || json!({"user_id": "{user_id}", "rate_limits": {}});
    let plan = || json!({"user_id": "{user_id}", "plan_id": 1});
    vec![
        admin("POST /admin/add_credits")
            .body(credits())
            .or(400, How::Body(with(credits(), "credits", json!(0))))
            .or(404, How::Body(with(credits(), "user_id", json!(999_999))))
            .or(409, How::Elsewhere("admin.rs")),
        admin("POST /admin/limit")
            .body(limits())
            .or(400, How::Body(with(limits(), "rate_limits", json!({"tokens_per_day": -1}))))
            .or(404, How::Body(with(limits(), "user_id", json!(999_999)))),
        admin("POST /admin/assign-plan")
            .body(plan())
            .or(400, How::Body(with(plan(), "plan_id", json!(999))))
            .or(404, How::Body(with(plan(), "user_id", json!(999_999)))),
        admin("POST /admin/refresh-models").or(500, How::Elsewhere("catalogue_cache.rs")),
        admin("GET /admin/cache-status").in_memory(),
        admin("GET /admin/balance").or(422, How::Query("limit=0")),
        admin("GET /admin/monitor"),
        admin("GET /admin/trial/analytics"),
        admin("GET /admin/rate-limits/system"),
        admin("GET /admin/rate-limits/alerts")
            .or(400, How::Query("limit=0"))
            .or(404, How::Query("api_key=gw_live_nobody"))
            .or(422, How::Query("limit=x")),
    ]
}
