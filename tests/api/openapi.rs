//! The description of all routes is whole: what is written in the source is in `/openapi.json`, and what is in there is served.

use crate::support::{self, Reply};
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// `get /health` for every route attribute in the source.
fn routes_of_source(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            routes_of_source(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            found.extend(source.lines().filter_map(|line| route_of(line.trim())));
        }
    }
}

fn route_of(line: &str) -> Option<String> {
    let method = METHODS.iter().find(|method| line.starts_with(&format!("#[{method}(\"")))?;
    let path = line.split('"').nth(1)?;
    Some(format!("{method} {}", without_patterns(path)))
}

/// `/docs/{file:.*}` is described as `/docs/{file}`.
fn without_patterns(path: &str) -> String {
    let mut plain = String::new();
    let mut in_pattern = false;
    for letter in path.chars() {
        in_pattern = (in_pattern || letter == ':') && letter != '}';
        if !in_pattern {
            plain.push(letter);
        }
    }
    plain
}

fn operations(document: &Value) -> Vec<(String, &'static str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &'_ Value)| {
        let path = path.clone();
        let item: Vec<_> =
            METHODS.iter().filter(|method| item.get(**method).is_some()).map(|method| (path.clone(), *method)).collect();
        item
    };
    let named: Vec<_> = paths.iter().flat_map(of_path).collect();
    named
        .into_iter()
        .map(|(path, method)| {
            let operation = &document["paths"][path.as_str()][method];
            (path, method, operation)
        })
        .collect()
}

#[actix_web::test]
async fn every_route_of_the_source_is_described_and_no_other() {
    let app = support::app().await;
    let document = app.get("/openapi.json").await.json();
    let described: BTreeSet<_> = operations(&document).into_iter().map(|(path, method, _)| format!("{method} {path}")).collect();
    let mut written = BTreeSet::new();
    routes_of_source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut written);
    // Mutant: a route that is not registered in `routes.rs` turns this red.
    assert_eq!(written, described);
    assert!(written.len() >= 7);
}

#[actix_web::test]
async fn every_described_operation_is_served_and_says_what_it_is() {
    let app = support::app().await;
    let document = app.get("/openapi.json").await.json();
    for (path, method, operation) in operations(&document) {
        assert!(operation["summary"].is_string(), "{method} {path} has no summary");
        assert!(
            operation["responses"].as_object().is_some_and(|responses| !responses.is_empty()),
            "{method} {path} has no responses"
        );
        let mut served = path.clone();
        while let (Some(from), Some(to)) = (served.find('{'), served.find('}')) {
            served.replace_range(from..=to, "1");
        }
        let reply = Reply::of(app.request(Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(), &served)).await;
        assert_ne!(reply.status, 405, "{method} {path}");
        assert!(reply.status != 404 || !reply.text().contains("\"Not Found\""), "{method} {path} is not served");
        assert!(reply.status < 500 || reply.status == 503, "{method} {path}: {reply:?}");
    }
}

#[actix_web::test]
async fn the_description_says_who_wrote_what_and_how_to_get_in() {
    let app = support::app().await;
    let document = app.get("/openapi.json").await.json();
    assert_eq!(
        (document["info"]["title"].as_str(), document["info"]["version"].as_str()),
        (Some("Tollgate"), Some(env!("CARGO_PKG_VERSION")))
    );
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    assert!(schemes.contains_key("api_key") && schemes.contains_key("admin_key"));
    // References lead somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"].get(name).is_some(), "the schema {name} is missing");
    }
}
