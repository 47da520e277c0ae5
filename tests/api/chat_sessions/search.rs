//! `POST /v1/chat/search`.

use super::*;
use crate::support;

async fn find(app: &TestApp, user: &TestUser, query: &str) -> Vec<String> {
    let found = ok(&app.post_as(&user.key, "/v1/chat/search", json!({"query": query})).await);
    let titles: Vec<String> =
        found["data"].as_array().unwrap().iter().map(|session| session["title"].as_str().unwrap().to_owned()).collect();
    assert_eq!(found["count"], titles.len());
    titles
}

#[actix_web::test]
async fn what_is_found_is_listed_like_sessions() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "Walrus watching").await;
    session(&app, &user, "Something else").await;
    let mut found = ok(&app.post_as(&user.key, "/v1/chat/search?privy_user_id=x", json!({"query": "walrus", "limit": 5})).await);
    take_time(&app, &mut found["data"][0]["created_at"]);
    take_time(&app, &mut found["data"][0]["updated_at"]);
    let expected = json!({
        "success": true, "count": 1, "message": "Found 1 matching sessions",
        "data": [{"id": id, "user_id": user.id, "title": "Walrus watching", "model": "openai/gpt-4o-mini", "created_at": null,
            "updated_at": null, "is_active": true, "messages": []}],
    });
    assert_eq!(found, expected);
}

#[actix_web::test]
async fn words_are_found_in_titles_and_messages_in_any_case_by_their_beginnings_and_in_any_script() {
    let app = support::app().await;
    let (user, other) = (app.register_user().await, app.register_user().await);
    for (title, content) in [
        ("Oslo", "The ferry to Nesodden leaves at 7, costs 46 kroner; e-mail: a.b@example.org"),
        ("Straßenbahn", "ΟΔΥΣΣΕΎΣ и Москва, ÅRSTAD"),
        ("機械", "机器学习很有趣。日本語のテキスト ภาษาไทย"),
        ("Migration of PostgreSQL", "it's only 100% 'quoted' \\ & | ! : * (odd)"),
    ] {
        let id = session(&app, &user, title).await;
        say(&app, &user, id, json!({"role": "user", "content": content})).await;
    }
    let strange = session(&app, &other, "Oslo of another").await;
    say(&app, &other, strange, json!({"role": "user", "content": "ferry walrus"})).await;
    for (query, title) in [
        ("oslo", "Oslo"),
        ("FERRY nesod", "Oslo"),
        ("kron ferr", "Oslo"),
        ("46", "Oslo"),
        ("example.org", "Oslo"),
        ("strassenbahn", "Straßenbahn"),
        ("STRASSEN", "Straßenbahn"),
        ("οδυσσεύς", "Straßenbahn"),
        ("МОСКВ", "Straßenbahn"),
        ("årstad", "Straßenbahn"),
        ("学习", "機械"),
        ("习", "機械"),
        ("機", "機械"),
        ("テキスト", "機械"),
        ("ไทย", "機械"),
        ("migr", "Migration of PostgreSQL"),
        ("'quoted' & ! :* ((", "Migration of PostgreSQL"),
        ("it's", "Migration of PostgreSQL"),
    ] {
        assert_eq!(find(&app, &user, query).await, [title], "{query}");
    }
    // Words of the title and of a message, or of two messages, are not together; nothing begins in the middle of a word.
    for nothing in ["oslo ferry", "walrus", "grat", "学很", "", " ", "%", "!!!", "\0"] {
        assert_eq!(find(&app, &user, nothing).await, Vec::<String>::new(), "{nothing}");
    }
}

#[actix_web::test]
async fn a_new_title_is_found_and_the_old_one_is_not() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "walrus").await;
    put(&app, &user, &path_of(id), json!({"title": "penguin"})).await;
    assert_eq!(find(&app, &user, "penguin").await, ["penguin"]);
    // Mutant: `DO NOTHING` in `change` turns this red.
    assert_eq!(find(&app, &user, "walrus").await, Vec::<String>::new());
    put(&app, &user, &path_of(id), json!({"model": "m"})).await;
    assert_eq!(find(&app, &user, "penguin").await, ["penguin"]);
}

#[actix_web::test]
async fn the_last_changed_come_first_and_each_once() {
    let app = support::app().await;
    let user = app.register_user().await;
    let mut ids = Vec::new();
    for number in 0..25 {
        let id = session(&app, &user, &format!("walrus {number}")).await;
        say(&app, &user, id, json!({"role": "user", "content": "a walrus"})).await;
        ids.push(id);
    }
    say(&app, &user, ids[3], json!({"role": "user", "content": "more"})).await;
    let found = find(&app, &user, "walrus").await;
    assert_eq!((found.len(), found[0].as_str(), found[1].as_str()), (20, "walrus 3", "walrus 24"));
    let two = ok(&app.post_as(&user.key, "/v1/chat/search", json!({"query": "walrus", "limit": 2})).await);
    assert_eq!(two["count"], 2);
    for (body, param) in [
        (json!({}), "query"),
        (json!({"query": 7}), "query"),
        (json!({"query": "x".repeat(1_001)}), "query"),
        (json!({"query": "x", "limit": 0}), "limit"),
        (json!({"query": "x", "limit": 101}), "limit"),
    ] {
        let refused = app.post_as(&user.key, "/v1/chat/search", body).await;
        assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!(param)), "{refused:?}");
    }
}
