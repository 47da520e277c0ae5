use super::*;
use actix_web::test::TestRequest;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
struct Page {
    limit: Option<i64>,
    gateway: Option<String>,
}

fn list(error: &ApiError) -> Value {
    let response = actix_web::ResponseError::error_response(error);
    let body = futures_util::FutureExt::now_or_never(actix_web::body::to_bytes(response.into_body())).unwrap().unwrap();
    serde_json::from_slice::<Value>(&body).unwrap()["detail"].take()
}

#[test]
fn a_query_is_read_as_a_struct() {
    let page: Page = parse_query("limit=5&gateway=open%20router&unknown=1").unwrap();
    assert_eq!((page.limit, page.gateway.as_deref()), (Some(5), Some("open router")));
}

#[test]
fn a_wrong_query_parameter_is_named() {
    let error = parse_query::<Page>("gateway=a&limit=many").unwrap_err();
    let field = &list(&error)[0];
    assert_eq!(error.status().as_u16(), 422);
    assert_eq!(
        (&field["type"], &field["loc"], &field["input"]),
        (&json!("int_parsing"), &json!(["query", "limit"]), &json!("many"))
    );
}

#[actix_web::test]
async fn a_wrong_path_parameter_is_named() {
    let request = TestRequest::default().param("key_id", "seven").to_http_request();
    let error = Path::<i64>::from_request(&request, &mut Payload::None).await.unwrap_err();
    assert_eq!(list(&error)[0]["loc"], json!(["path", "key_id"]));
    let request = TestRequest::default().param("key_id", "7").to_http_request();
    assert_eq!(Path::<i64>::from_request(&request, &mut Payload::None).await.unwrap().0, 7);
}
