//! `GET /v1/chat/sessions`.

use super::*;
use crate::support;

fn titles(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|session| session["title"].as_str().unwrap()).collect()
}

#[actix_web::test]
async fn the_list_has_the_users_sessions_the_last_changed_first_without_messages() {
    let app = support::app().await;
    let (user, other) = (app.register_user().await, app.register_user().await);
    let first = session(&app, &user, "first").await;
    session(&app, &user, "second").await;
    let third = session(&app, &user, "third").await;
    session(&app, &other, "another's").await;
    assert_eq!(titles(&get(&app, &user, SESSIONS).await), ["third", "second", "first"]);
    // Mutant: leaving `updated_at` out of `append.sql` turns this red.
    say(&app, &user, first, json!({"role": "user", "content": "hello"})).await;
    put(&app, &user, &path_of(third), json!({"model": "x"})).await;
    let mut list = get(&app, &user, &format!("{SESSIONS}?privy_user_id=did:privy:x")).await;
    assert_eq!(titles(&list), ["third", "first", "second"]);
    let (created, updated) =
        (take_time(&app, &mut list["data"][1]["created_at"]), take_time(&app, &mut list["data"][1]["updated_at"]));
    assert!(created < updated);
    let expected = json!({"id": first, "user_id": user.id, "title": "first", "model": "openai/gpt-4o-mini", "created_at": null,
        "updated_at": null, "is_active": true, "messages": []});
    assert_eq!(list["data"][1], expected);
    assert_eq!(
        (&list["success"], &list["count"], &list["message"]),
        (&json!(true), &json!(3), &json!("Retrieved 3 chat sessions"))
    );
    assert_eq!(list.as_object().unwrap().len(), 4);
}

#[actix_web::test]
async fn pages_are_of_1_to_100_sessions_and_50_without_a_wish() {
    let app = support::app().await;
    let user = app.register_user().await;
    for number in 0..53 {
        session(&app, &user, &format!("{number}")).await;
    }
    let page = async |query: &str| get(&app, &user, &format!("{SESSIONS}{query}")).await;
    assert_eq!((page("").await["count"].clone(), page("?limit=100").await["count"].clone()), (json!(50), json!(53)));
    assert_eq!(titles(&page("?limit=2&offset=1").await), ["51", "50"]);
    assert_eq!(titles(&page("?limit=2&offset=52").await), ["0"]);
    assert_eq!(page("?offset=53").await["data"], json!([]));
    for (query, param) in [("limit=0", "limit"), ("limit=101", "limit"), ("offset=-1", "offset"), ("limit=x", "limit")] {
        let refused = app.get_as(&user.key, &format!("{SESSIONS}?{query}")).await;
        assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!(param)), "{refused:?}");
    }
}
