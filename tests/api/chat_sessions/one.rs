//! `GET /v1/chat/sessions/{session_id}`.

use super::*;
use crate::support;

#[actix_web::test]
async fn a_session_is_shown_with_its_messages_in_order() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "Oslo").await;
    say(&app, &user, id, json!({"role": "user", "content": "How far?"})).await;
    say(&app, &user, id, json!({"role": "assistant", "content": "Far.", "model": "m", "tokens": 7})).await;
    let mut shown = get(&app, &user, &path_of(id)).await;
    let (created, updated) =
        (take_time(&app, &mut shown["data"]["created_at"]), take_time(&app, &mut shown["data"]["updated_at"]));
    let times = [0, 1].map(|at| take_time(&app, &mut shown["data"]["messages"][at]["created_at"]));
    assert!(created <= times[0] && times[0] <= times[1] && times[1] == updated);
    let ids = [0, 1].map(|at| shown["data"]["messages"][at]["id"].take().as_i64().expect("an id"));
    assert!(ids[0] < ids[1]);
    let expected = json!({
        "success": true, "message": "Chat session retrieved successfully", "has_more": false, "next_before": null,
        "data": {
            "id": id, "user_id": user.id, "title": "Oslo", "model": "openai/gpt-4o-mini", "created_at": null, "updated_at": null,
            "is_active": true,
            "messages": [
                {"id": null, "session_id": id, "role": "user", "content": "How far?", "model": null, "tokens": 0, "created_at": null},
                {"id": null, "session_id": id, "role": "assistant", "content": "Far.", "model": "m", "tokens": 7, "created_at": null},
            ],
        },
    });
    assert_eq!(shown, expected);
}

#[actix_web::test]
async fn pages_lead_from_the_end_to_the_beginning_and_miss_none() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "long").await;
    // Three of one time each: the id decides among them.
    for number in 0..12 {
        let at = format!("2025-01-09T12:34:{:02}Z", number / 3);
        say(&app, &user, id, json!({"role": "user", "content": number.to_string(), "created_at": at})).await;
    }
    let (mut seen, mut before) = (Vec::new(), String::new());
    loop {
        let page = get(&app, &user, &format!("{}?limit=5&before={before}", path_of(id))).await;
        let texts = page["data"]["messages"].as_array().unwrap().iter();
        let mut texts: Vec<i64> = texts.map(|message| message["content"].as_str().unwrap().parse().unwrap()).collect();
        texts.append(&mut seen);
        seen = texts;
        assert_eq!(page["has_more"], !page["next_before"].is_null());
        match page["next_before"].as_str() {
            Some(next) => before = next.to_owned(),
            None => break,
        }
        // What is said meanwhile is on no earlier page.
        say(&app, &user, id, json!({"role": "assistant", "content": "99"})).await;
    }
    assert_eq!(seen, (0..12).collect::<Vec<i64>>());
    for (query, param) in [("limit=0", "limit"), ("limit=1001", "limit"), ("before=x", "before")] {
        let refused = app.get_as(&user.key, &format!("{}?{query}", path_of(id))).await;
        assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!(param)), "{refused:?}");
    }
}

/// Eight messages of a mebibyte: an answer has four of them.
#[actix_web::test]
async fn an_answer_is_bounded_in_bytes_whatever_the_messages_are() {
    let app = support::app().await;
    let user = app.register_user().await;
    let id = session(&app, &user, "heavy").await;
    let heavy = "x".repeat(1 << 20);
    for _ in 0..8 {
        say(&app, &user, id, json!({"role": "user", "content": heavy})).await;
    }
    let first = get(&app, &user, &path_of(id)).await;
    // Mutant: without `bytes <= ?` in `newest.sql` all eight come.
    assert_eq!((first["data"]["messages"].as_array().unwrap().len(), &first["has_more"]), (4, &json!(true)));
    let next = format!("{}?before={}", path_of(id), first["next_before"].as_str().unwrap());
    let rest = get(&app, &user, &next).await;
    assert_eq!((rest["data"]["messages"].as_array().unwrap().len(), &rest["has_more"]), (4, &json!(false)));
}
