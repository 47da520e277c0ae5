//! Promise A5: who gets in where. No key, a key that is none, a revoked one, one without the scope, another user's, a user's at
//! the operator's doors.

use super::table::{Door, Needs, doors};
use super::*;
use crate::support::{self, ADMIN_KEY, eventually};
use std::collections::BTreeSet;

/// Doors answer with everything that they can see.
const SETTINGS: [(&str, &str); 1] = [("METRICS", "admin")];

fn key_doors() -> impl Iterator<Item = Door> {
    doors().into_iter().filter(|door| matches!(door.needs, Needs::Key(..)))
}

fn admin_doors() -> impl Iterator<Item = Door> {
    doors().into_iter().filter(|door| door.needs == Needs::Admin)
}

fn nobody() -> Visitor {
    let user = TestUser { id: 1, key: String::new(), username: "nobody".to_owned() };
    Visitor { user, key_id: 1, session_id: 1, generation: "gen-0".to_owned() }
}

#[actix_web::test]
async fn every_route_has_its_row_and_every_row_its_route() {
    let app = support::app().await;
    let document = app.get("/openapi.json").await.json();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "put", "patch", "delete"].into_iter().filter(|method| item.get(*method).is_some()) {
            let operation = &item[method];
            // Which needs the description tells: none, an admin key, else an API key.
            let security = operation.get("security").map(Value::to_string).unwrap_or_default();
            let needs = match security.as_str() {
                "[]" | "[{}]" => "nobody",
                admin if admin.contains("admin_key") => "admin",
                _ => "key",
            };
            described.insert(format!("{} {path} {needs}", method.to_uppercase()));
        }
    }
    let listed = doors().into_iter().map(|door| {
        let needs = match door.needs {
            Needs::Nobody => "nobody",
            Needs::Key(..) => "key",
            Needs::Admin => "admin",
        };
        format!("{} {} {needs}", door.method, door.path)
    });
    // Mutant: leaving a row of the table out turns this red.
    assert_eq!(listed.collect::<BTreeSet<_>>(), described);
}

#[actix_web::test]
async fn without_a_key_or_with_one_that_is_none_nobody_gets_in() {
    let app = support::app_with(&SETTINGS).await;
    for door in key_doors().chain(admin_doors()) {
        let request = || request(&app, &door, &nobody());
        let without = Reply::of(request()).await;
        assert_eq!(text_of(&door, &without, 401), "Not authenticated", "{door:?}");
        assert_eq!(without.header("www-authenticate"), "Bearer", "{door:?}");
        let expected = if door.needs == Needs::Admin { "Invalid admin API key" } else { "Invalid API key" };
        for wrong in ["wrong", &ADMIN_KEY[1..], "gw_live_"] {
            let text = text_of(&door, &Reply::of(request().bearer_auth(wrong)).await, 401);
            assert!(text == expected || (wrong.starts_with("gw_") && text == "Invalid API key"), "{door:?}: {text}");
        }
        let twice = request().header("x-api-key", ADMIN_KEY).header("x-api-key", "wrong");
        assert_eq!(Reply::of(twice).await.status, 401, "{door:?}");
    }
}

#[actix_web::test]
async fn the_admin_key_opens_the_admin_doors_only() {
    let app = support::app_with(&SETTINGS).await;
    for door in key_doors() {
        let reply = Reply::of(request(&app, &door, &nobody()).bearer_auth(ADMIN_KEY)).await;
        assert_eq!(text_of(&door, &reply, 401), "Invalid API key");
    }
    for door in admin_doors() {
        let about = visitor(&app, &door).await;
        let reply = Reply::of(request(&app, &door, &about).bearer_auth(ADMIN_KEY)).await;
        assert_eq!(reply.status, 200, "{door:?}: {reply:?}");
    }
}

#[actix_web::test]
async fn a_key_that_was_revoked_switched_off_or_has_expired_opens_nothing() {
    let app = support::app_with(&SETTINGS).await;
    let user = app.register_user().await;
    let (deleted, id) = spare_key(&app, &user, json!({})).await;
    assert_eq!(app.delete_as(&user.key, &format!("/user/api-keys/{id}"), json!({})).await.status, 200);
    let (inactive, id) = spare_key(&app, &user, json!({})).await;
    app.database.connect().await.execute("UPDATE api_keys SET is_active = false WHERE id = $1", &[&id]).await.unwrap();
    let (expired, _) = spare_key(&app, &user, json!({"expiration_days": 1})).await;
    app.clock.advance(std::time::Duration::from_secs(86_400));
    eventually("the key is off", async || (app.get_as(&inactive, "/user/balance").await.status == 401).then_some(())).await;
    let refused = [(deleted, "Invalid API key"), (inactive, "API key is inactive"), (expired, "API key has expired")];
    for door in key_doors().chain(admin_doors()) {
        for (key, text) in &refused {
            let reply = Reply::of(request(&app, &door, &nobody()).bearer_auth(key)).await;
            assert_eq!(text_of(&door, &reply, 401), *text, "{door:?}");
        }
    }
}

#[actix_web::test]
async fn a_key_without_the_scope_is_refused_at_every_door() {
    let app = support::app_with(&SETTINGS).await;
    let user = app.register_user().await;
    let (nothing, _) = spare_key(&app, &user, json!({"scope_permissions": {"read": ["nothing"], "write": ["nothing"]}})).await;
    for door in key_doors() {
        let Needs::Key(verb, resource) = door.needs else { continue };
        // The other verb on the same resource does not help.
        let other = if verb == "read" { "write" } else { "read" };
        let (crosswise, _) = spare_key(&app, &user, json!({"scope_permissions": {other: [resource]}})).await;
        let expected = format!("Insufficient permissions to {verb} {}", resource.replace('_', " "));
        for key in [&nothing, &crosswise] {
            let reply = Reply::of(request(&app, &door, &nobody()).bearer_auth(key)).await;
            assert_eq!(text_of(&door, &reply, 403), expected, "{door:?}");
        }
    }
}

#[actix_web::test]
async fn a_key_with_that_one_scope_is_let_in_and_so_is_one_without_any_restriction() {
    let app = support::app_with(&SETTINGS).await;
    for door in key_doors() {
        let Needs::Key(verb, resource) = door.needs else { continue };
        for scopes in [json!({verb: [resource]}), json!({verb: ["*"]}), json!({})] {
            let about = visitor(&app, &door).await;
            let (key, _) = spare_key(&app, &about.user, json!({"scope_permissions": scopes})).await;
            let reply = Reply::of(request(&app, &door, &about).bearer_auth(&key)).await;
            assert_eq!(reply.status, 200, "{door:?} with {scopes}: {reply:?}");
        }
    }
}

#[actix_web::test]
async fn a_part_of_a_resource_is_covered_by_the_contracts_word_for_the_whole() {
    let app = support::app_with(&SETTINGS).await;
    let user = app.register_user().await;
    let (words, _) = spare_key(
        &app,
        &user,
        json!({"scope_permissions": {"read": ["models", "usage", "profile"], "write": ["chat", "completions", "profile_update"]}}),
    )
    .await;
    for door in ["/user/activity/log", "/user/plan", "/trial/status", "/user/limit", "/user/balance", "/user/profile"] {
        assert_eq!(app.get_as(&words, door).await.status, 200, "{door}");
    }
    for door in ["/user/api-keys", "/user/api-keys/audit-logs"] {
        assert_eq!(app.get_as(&words, door).await.status, 403, "{door}");
    }
    assert_eq!(app.post_as(&words, "/v1/chat/completions", table::chat()).await.status, 200);
    assert_eq!(app.delete_as(&words, "/user/account", json!({"confirmation": "DELETE_ACCOUNT"})).await.status, 403);
}

#[actix_web::test]
async fn what_is_anothers_is_not_there() {
    let app = support::app_with(&SETTINGS).await;
    for door in key_doors() {
        let (owner, stranger) = (visitor(&app, &door).await, visitor(&app, &door).await);
        let profile = json!({"name": "Canary Name", "preferences": {"canary": "Canary Preference"}});
        let put = app.request(Method::PUT, "/user/profile").bearer_auth(&owner.user.key).json(&profile);
        assert_eq!(Reply::of(put).await.status, 200);
        session(&app, &owner.user).await;
        let (_, canary_key) = spare_key(&app, &owner.user, json!({"key_name": "Canary Key"})).await;
        let reply = Reply::of(request(&app, &door, &owner).bearer_auth(&stranger.user.key)).await;
        let names_an_object = door.path.contains('{') || door.query.contains('{');
        if names_an_object {
            text_of(&door, &reply, 404);
        } else {
            assert_eq!(reply.status, 200, "{door:?}: {reply:?}");
        }
        for canary in ["Canary", owner.user.username.as_str(), &owner.user.key[..14]] {
            assert!(!reply.text().contains(canary), "{door:?} shows {canary}: {}", reply.text());
        }
        // And nothing of it was changed.
        let keys = app.get_as(&owner.user.key, "/user/api-keys").await.json();
        let ids: Vec<_> = keys["keys"].as_array().unwrap().iter().map(|key| key["id"].as_i64().unwrap()).collect();
        let spare = (owner.key_id != 0).then_some(owner.key_id);
        assert!(ids.contains(&canary_key) && spare.is_none_or(|id| ids.contains(&id)), "{door:?}");
        let sessions = app.get_as(&owner.user.key, "/v1/chat/stats").await.json();
        assert!(sessions["data"]["total_messages"].as_i64().unwrap() >= 1, "{door:?}: {sessions}");
        let limits = app.get_as(&owner.user.key, "/user/rate-limits").await.json();
        let unchanged = |config: &Value| config["rate_limit_config"]["requests_per_minute"] == 1_000_000_000;
        assert!(limits["rate_limit_configs"].as_array().unwrap().iter().all(unchanged), "{door:?}");
    }
}

#[actix_web::test]
async fn the_operators_doors_are_for_administrators() {
    let app = support::app_with(&SETTINGS).await;
    let (user, boss) = (app.register_user().await, app.register_user().await);
    app.database.connect().await.execute("UPDATE users SET is_admin = true WHERE id = $1", &[&boss.id]).await.unwrap();
    let (narrow, _) = spare_key(&app, &boss, json!({"scope_permissions": {"read": ["*"], "write": ["*"]}})).await;
    eventually("the administrator", async || (app.get_as(&boss.key, "/admin/cache-status").await.status == 200).then_some(()))
        .await;
    for door in admin_doors() {
        let about = visitor(&app, &door).await;
        for key in [&user.key, &narrow] {
            let reply = Reply::of(request(&app, &door, &about).bearer_auth(key)).await;
            assert_eq!(text_of(&door, &reply, 403), "Administrator privileges required", "{door:?}");
        }
        let reply = Reply::of(request(&app, &door, &about).bearer_auth(&boss.key)).await;
        assert_eq!(reply.status, 200, "{door:?}: {reply:?}");
    }
}

#[actix_web::test]
async fn doors_for_everybody_ask_for_nothing() {
    let app = support::app_with(&SETTINGS).await;
    for door in doors().into_iter().filter(|door| door.needs == Needs::Nobody && !door.path.contains('{')) {
        for key in [None, Some("wrong"), Some("gw_live_nobody")] {
            let request = request(&app, &door, &Visitor { user: app.register_user().await, ..nobody() });
            let reply = Reply::of(key.into_iter().fold(request, |request, key| request.bearer_auth(key))).await;
            // A sign-in that this server does not offer is 501 to everybody.
            let is_off = door.path == "/auth" && reply.status == 501;
            assert!(matches!(reply.status, 200 | 308) || is_off, "{door:?}: {reply:?}");
        }
    }
}
