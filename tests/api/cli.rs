//! The command line: help, and one line for what is wrong.

use crate::support::binary::run;
use crate::support::{ADMIN_KEY, PEPPER, TestDatabase, TestFolder, environment};
use std::collections::HashMap;
use std::net::TcpListener;
use std::process::Output;

fn env(settings: &[(&str, &str)]) -> HashMap<String, String> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The only line on stderr of a command that failed.
fn complaint(output: &Output) -> String {
    let (stderr, stdout) = (text(&output.stderr), text(&output.stdout));
    assert_eq!(output.status.code(), Some(1), "{stdout}{stderr}");
    assert_eq!(stderr.lines().count(), 1, "one line: {stderr}");
    stderr.trim_end().to_owned()
}

#[test]
fn help_names_every_command() {
    let help = run(&["--help"], &HashMap::new());
    assert!(help.status.success());
    for command in ["serve", "migrate", "admin", "audit", "ledger"] {
        assert!(text(&help.stdout).contains(command), "{command}");
    }
    let help = text(&run(&["admin", "--help"], &HashMap::new()).stdout);
    for command in ["create-user", "create-key", "grant", "revoke-key", "list-keys", "promote", "demote"] {
        assert!(help.contains(command), "{command}");
    }
    assert!(text(&run(&["serve", "--help"], &HashMap::new()).stdout).contains("--demo"));
    assert!(text(&run(&["migrate", "--help"], &HashMap::new()).stdout).contains("--revert-all"));
    assert!(text(&run(&["ledger", "verify", "--help"], &HashMap::new()).stdout).contains("--anchors"));
    assert!(text(&run(&["audit", "verify", "--help"], &HashMap::new()).stdout).contains("--heads"));
    assert_eq!(run(&["serve", "--wrong"], &HashMap::new()).status.code(), Some(2));
}

#[test]
fn a_wrong_setting_stops_the_start_with_one_line() {
    let secrets = [("ADMIN_API_KEY", ADMIN_KEY), ("KEY_PEPPER", PEPPER)];
    let with = |further: (&'static str, &'static str)| env(&[secrets[0], secrets[1], further]);
    let line = complaint(&run(&["serve"], &with(("BIND_ADDR", "nowhere"))));
    assert_eq!(line, "tollgate: BIND_ADDR: got \"nowhere\", wants an address and a port such as 127.0.0.1:8000");
    let line = complaint(&run(&["serve"], &env(&[secrets[1]])));
    assert_eq!(line, "tollgate: ADMIN_API_KEY: got nothing, wants at least 24 characters that are hard to guess");
    let line = complaint(&run(&["serve"], &with(("KEY_PEPPER", "v1:aHVudGVyMg=="))));
    assert!(line.starts_with("tollgate: KEY_PEPPER: got a secret of 15 characters") && !line.contains("aHVud"), "{line}");
    let line = complaint(&run(&["serve"], &with(("RUST_LOG", "tollgate=loud"))));
    assert!(line.starts_with("tollgate: RUST_LOG: got \"tollgate=loud\""), "{line}");
}

#[actix_web::test]
async fn a_taken_address_is_one_line_with_the_settings_name() {
    let (database, folder) = (TestDatabase::create().await, TestFolder::create());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut env = environment(&database, &folder, "http://127.0.0.1:9/v1");
    env.insert("BIND_ADDR".to_owned(), address.clone());
    let line = complaint(&run(&["serve"], &env));
    assert_eq!(line, format!("tollgate: BIND_ADDR: got \"{address}\", wants a free address (another program listens there)"));
    // The demo finds out before it starts a database of its own.
    env.remove("DATABASE_URL");
    env.remove("DATABASE_ADMIN_URL");
    assert_eq!(complaint(&run(&["serve", "--demo"], &env)), line);
    assert!(!folder.path.join("postgres").exists());
}

#[actix_web::test]
async fn a_database_that_is_not_there_is_one_line_without_its_password() {
    let (database, folder) = (TestDatabase::create().await, TestFolder::create());
    let mut env = environment(&database, &folder, "http://127.0.0.1:9/v1");
    env.insert("DATABASE_ADMIN_URL".to_owned(), "postgres://me:hunter2@127.0.0.1:9/none".to_owned());
    env.insert("RUST_LOG".to_owned(), "off".to_owned());
    let line = complaint(&run(&["serve"], &env));
    assert!(line.contains("can't reach the database") && !line.contains("hunter2"), "{line}");
}

#[actix_web::test]
async fn migrations_run_once_and_are_undone() {
    let (database, folder) = (TestDatabase::create().await, TestFolder::create());
    let env = environment(&database, &folder, "http://127.0.0.1:9/v1");
    let said = |arguments: &[&str]| {
        let output = run(arguments, &env);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(said(&["migrate"]), "0 migrations run\n");
    let undone = said(&["migrate", "--revert-all"]);
    let count = undone.split(' ').next().unwrap();
    assert_ne!(count, "0");
    assert_eq!(said(&["migrate"]), format!("{count} migrations run\n"));
}

#[actix_web::test]
async fn the_operator_makes_users_keys_and_grants() {
    let (database, folder) = (TestDatabase::create().await, TestFolder::create());
    let env = environment(&database, &folder, "http://127.0.0.1:9/v1");
    let said = |arguments: &[&str]| {
        let output = run(arguments, &env);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let created = said(&["admin", "create-user", "ada", "ada@example.com"]);
    assert!(created.contains("with 10 dollars") && created.contains("gw_live_"), "{created}");
    let granted = said(&["admin", "grant", "ada", "2.5", "--id", "00000000-0000-4000-8000-000000000001"]);
    assert!(granted.contains("has 12.5 dollars"), "{granted}");
    let again = said(&["admin", "grant", "ada@example.com", "2.5", "--id", "00000000-0000-4000-8000-000000000001"]);
    assert!(again.contains("has 12.5 dollars"), "a grant has one effect: {again}");
    let key = said(&["admin", "create-key", "ada", "spare", "--environment", "test"]);
    assert!(key.contains("gw_test_"), "{key}");
    let keys = said(&["admin", "list-keys", "ada"]);
    assert_eq!(keys.lines().count(), 2, "{keys}");
    let spare = keys.lines().find(|line| line.contains("spare")).unwrap();
    assert!(!spare.contains(key.lines().nth(1).unwrap()), "lists show no whole key: {spare}");
    let id = spare.split('\t').next().unwrap();
    assert!(said(&["admin", "revoke-key", "ada", id]).contains("Revoked gw_test_"));
    assert_eq!(said(&["admin", "list-keys", "ada"]).lines().count(), 1);
    assert_eq!(complaint(&run(&["admin", "list-keys", "nobody"], &env)), "tollgate: there is no user \"nobody\"");

    assert!(said(&["admin", "promote", "ada"]).contains("is an administrator now"));
    assert!(said(&["admin", "promote", "ada@example.com"]).contains("is an administrator already"));
    assert!(said(&["admin", "demote", "ada"]).contains("is no administrator now"));
    let acts = "SELECT count(*) FROM api_key_audit_logs WHERE actor = 'command_line' AND action IN
        ('create', 'add_credits', 'delete', 'grant_admin', 'revoke_admin')";
    assert_eq!(database.number(acts).await, 2 + 2 + 1 + 2, "what the command line does is told as such");
    assert!(said(&["audit", "verify"]).ends_with("the audit trail is whole\n"));

    let proof = said(&["ledger", "verify"]);
    assert!(proof.contains("the ledger is clean"), "{proof}");
    let superuser = database.connect().await;
    superuser.batch_execute("SET session_replication_role = replica; UPDATE accounts SET posted = posted + 1 WHERE kind = 'user' AND asset = 'usd'").await.unwrap();
    let output = run(&["ledger", "verify"], &env);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("PROBLEM"), "{}", text(&output.stdout));
}
