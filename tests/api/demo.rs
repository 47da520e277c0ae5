//! `serve --demo`: what `make run` shows.

use crate::support::binary::Served;
use crate::support::{TestDatabase, TestFolder, environment};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// A demo on a test's database: neither secrets nor a provider are in its environment.
fn demo_environment(database: &TestDatabase, folder: &TestFolder) -> HashMap<String, String> {
    let mut env = environment(database, folder, "");
    for name in ["ADMIN_API_KEY", "KEY_PEPPER", "OPENROUTER_API_KEY", "OPENROUTER_BASE_URL"] {
        env.remove(name);
    }
    env
}

/// Sends what the printed `curl` sends.
async fn obey(line: &str) -> Value {
    let between = |before: &str, after: &str| line.split_once(before).unwrap().1.split_once(after).unwrap().0.to_owned();
    let (url, key, body) = (between("curl ", " "), between("Bearer ", "'"), between("-d '", "'"));
    tollgate::install_crypto();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.post(url).bearer_auth(key).header("content-type", "application/json").body(body);
    request.send().await.unwrap().json().await.unwrap()
}

#[actix_web::test]
async fn a_demo_prints_a_curl_that_works_and_the_same_one_after_a_restart() {
    let (database, folder) = (TestDatabase::create().await, TestFolder::create());
    let env = demo_environment(&database, &folder);
    let mut curls = Vec::new();
    for _ in 0..2 {
        let mut demo = Served::spawn(&["serve", "--demo"], &env);
        let printed = demo.await_address();
        let text = printed.join("\n");
        assert!(text.contains("OPENROUTER") && text.contains("stand-in"), "{text}");
        assert!(text.contains(&format!("http://{}/docs", demo.address)), "{text}");
        let curl = printed.iter().find(|line| line.contains("curl ")).expect("a curl").clone();
        let answer = obey(&curl).await;
        assert_eq!(answer["choices"][0]["message"]["role"], "assistant", "{answer}");
        demo.signal("TERM");
        let (status, log) = demo.wait(Duration::from_secs(10));
        assert!(status.success(), "{log}");
        curls.push(curl.split_once("Bearer ").unwrap().1.to_owned());
    }
    assert_eq!(curls[0], curls[1]);
    for file in ["demo_key", "demo_secrets.json"] {
        let mode = std::fs::metadata(folder.path.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[actix_web::test]
async fn a_demo_without_its_key_file_makes_a_further_key() {
    let (database, folder) = (TestDatabase::create().await, TestFolder::create());
    let env = demo_environment(&database, &folder);
    for round in 0..2 {
        let mut demo = Served::spawn(&["serve", "--demo"], &env);
        let printed = demo.await_address();
        let curl = printed.iter().find(|line| line.contains("curl ")).expect("a curl").clone();
        assert_eq!(obey(&curl).await["object"], json!("chat.completion"), "round {round}");
        demo.signal("TERM");
        demo.wait(Duration::from_secs(10));
        std::fs::remove_file(folder.path.join("demo_key")).unwrap();
    }
}
