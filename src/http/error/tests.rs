use super::*;
use actix_web::body::to_bytes;
use serde_json::{Value, json};

#[derive(Debug, thiserror::Error)]
#[error("relation users does not exist")]
struct Cause(#[source] std::io::Error);

async fn shown(error: &ApiError, envelope: Envelope) -> (u16, Value) {
    let response = error.render(envelope, Some("req-1"));
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&to_bytes(response.into_body()).await.unwrap()).unwrap())
}

#[test]
fn the_path_decides_the_envelope() {
    assert_eq!(Envelope::of("/v1/chat/completions"), Envelope::OpenAi);
    assert_eq!(Envelope::of("/v1"), Envelope::OpenAi);
    assert_eq!(Envelope::of("/v10"), Envelope::Detail);
    assert_eq!(Envelope::of("/api/chat"), Envelope::Api);
    assert_eq!(Envelope::of("/apish"), Envelope::Detail);
    assert_eq!(Envelope::of("/user/balance"), Envelope::Detail);
}

#[actix_web::test]
async fn each_envelope_has_its_form() {
    let error = ApiError::payment_required("Insufficient credits");
    let (status, body) = shown(&error, Envelope::OpenAi).await;
    assert_eq!(status, 402);
    let inner =
        json!({"message": "Insufficient credits", "type": "insufficient_quota", "param": null, "code": "insufficient_quota"});
    assert_eq!(body, json!({"error": inner, "detail": "Insufficient credits"}));
    let (_, body) = shown(&error, Envelope::Api).await;
    assert_eq!(body, json!({"error": "INSUFFICIENT_QUOTA", "message": "Insufficient credits"}));
    let (_, body) = shown(&error, Envelope::Detail).await;
    assert_eq!(body, json!({"detail": "Insufficient credits"}));
}

#[actix_web::test]
async fn a_wrong_shape_is_422_with_a_list_and_400_under_v1_and_api() {
    let mut field = FieldError::of_body("messages", "Field required", json!({}));
    field.loc.extend([json!(0), json!("role")]);
    let error = ApiError::unprocessable(vec![field]);
    let (status, body) = shown(&error, Envelope::Detail).await;
    assert_eq!(status, 422);
    assert_eq!(body["detail"][0]["loc"], json!(["body", "messages", 0, "role"]));
    let (status, body) = shown(&error, Envelope::OpenAi).await;
    assert_eq!((status, &body["error"]["param"]), (400, &json!("messages.0.role")));
    assert_eq!(body["detail"], "messages.0.role: Field required");
    assert_eq!(shown(&error, Envelope::Api).await.0, 400);
}

#[actix_web::test]
async fn a_defect_shows_its_request_id_and_nothing_of_its_cause() {
    let error = ApiError::internal(&Cause(std::io::Error::other("secret place")));
    for envelope in [Envelope::OpenAi, Envelope::Api, Envelope::Detail] {
        let (status, body) = shown(&error, envelope).await;
        assert_eq!((status, &body["request_id"]), (500, &json!("req-1")));
        let text = body.to_string();
        assert!(!text.contains("users") && !text.contains("secret"), "{text}");
    }
    assert_eq!(error.cause(), Some("relation users does not exist: secret place"));
}

#[actix_web::test]
async fn a_wait_is_rounded_up_to_whole_seconds_and_never_zero() {
    for (wait_ms, header) in [(0, "1"), (1, "1"), (1_000, "1"), (1_001, "2"), (59_999, "60")] {
        let error = ApiError::too_many_requests("Rate limit exceeded", Some(Duration::from_millis(wait_ms)));
        let response = error.render(Envelope::Detail, None);
        assert_eq!(response.headers().get("retry-after").unwrap(), header);
    }
}

#[test]
fn a_header_that_no_one_can_send_is_left_out() {
    let error = ApiError::forbidden("no").with_header("x-trial-expired", "true").with_header("x-bad", "a\r\nb");
    let response = error.render(Envelope::Detail, None);
    assert_eq!(response.headers().get("x-trial-expired").unwrap(), "true");
    assert!(!response.headers().contains_key("x-bad"));
}
