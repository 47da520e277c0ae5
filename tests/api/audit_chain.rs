//! The audit trail as a chain: one over all replicas, with every tampering found, and whole after an account is gone.

use crate::support::binary::run;
use crate::support::{self, ADMIN_KEY, TestApp, TestFolder, TestUser, environment};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio_postgres::Client;
use tollgate_store::audit::{AuditHead, AuditReport, head, verify};

async fn proof(app: &TestApp, heads: &[AuditHead]) -> AuditReport {
    verify(&app.services.store, heads).await.expect("the proof runs")
}

async fn head_of(app: &TestApp) -> AuditHead {
    head(&app.services.store).await.unwrap().expect("a chain")
}

async fn make_keys(app: &TestApp, user: &TestUser, count: usize) {
    for at in 0..count {
        let body = json!({"key_name": format!("key {at}"), "max_requests": at + 1, "ip_allowlist": ["127.0.0.0/8"]});
        assert_eq!(app.post_as(&user.key, "/user/api-keys", body).await.status, 200);
    }
}

/// A superuser for whom no trigger fires.
async fn tamperer(app: &TestApp) -> Client {
    let client = app.database.connect().await;
    client.batch_execute("SET session_replication_role = replica").await.unwrap();
    client
}

#[actix_web::test]
async fn rows_of_all_kinds_and_replicas_make_one_chain() {
    let one = support::app().await;
    let (url, owner) = (one.database.app_url.clone(), one.database.owner_url.clone());
    let two = support::app_with(&[("DATABASE_URL", url.as_str()), ("DATABASE_ADMIN_URL", owner.as_str())]).await;
    let user = one.register_user().await;
    let keys = (0..40).map(|at| {
        let (app, user) = (if at % 2 == 0 { &one } else { &two }, &user);
        async move { app.post_as(&user.key, "/user/api-keys", json!({"key_name": format!("key {at}")})).await.status }
    });
    let plans =
        (0..20).map(|at| {
            let (app, user) = (if at % 2 == 0 { &two } else { &one }, &user);
            async move {
                app.post_as(ADMIN_KEY, "/admin/assign-plan", json!({"user_id": user.id, "plan_id": at % 4 + 1})).await.status
            }
        });
    // Each of these writes a row a key, while keys come and rows are locked in another order.
    let limits = (0..10).map(|at| {
        let (app, user) = (if at % 2 == 0 { &one } else { &two }, &user);
        let body = json!({"user_id": user.id, "rate_limits": {"requests_per_minute": at}});
        async move { app.post_as(ADMIN_KEY, "/admin/limit", body).await.status }
    });
    let (keys, plans, limits) = futures_util::future::join3(
        futures_util::future::join_all(keys),
        futures_util::future::join_all(plans),
        futures_util::future::join_all(limits),
    )
    .await;
    assert!(keys.iter().chain(&plans).chain(&limits).all(|status| *status == 200), "{keys:?} {plans:?} {limits:?}");
    let report = proof(&one, &[]).await;
    // Mutant: without the lock in `link_audit_row` two replicas write the same link, and one of them fails.
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.links, one.database.number("SELECT count(*) FROM api_key_audit_logs").await);
    assert_eq!(report.head, Some(head_of(&one).await));
    assert!(report.links >= 1 + 40 + 20 + 10);
}

/// What a superuser can do to the trail.
async fn some_tampering(client: &Client, kind: usize, dice: &mut StdRng) -> String {
    let count: i64 = client.query_one("SELECT count(*) FROM audit_links", &[]).await.unwrap().get(0);
    let sequence = dice.random_range(1..=count);
    let other = (1..=count).filter(|other| *other != sequence).collect::<Vec<_>>().choose(dice).copied().unwrap();
    let row = format!("id = (SELECT log_id FROM audit_links WHERE sequence = {sequence})");
    let change = |what: &str| format!("UPDATE api_key_audit_logs SET {what} WHERE {row}");
    match kind {
        0 => change("user_id = user_id + 1"),
        1 => change("api_key_id = coalesce(api_key_id, 0) + 1"),
        2 => change("action = 'rotate'"),
        3 => change("actor = 'operator'"),
        4 => change("timestamp = timestamp + interval '1 microsecond'"),
        5 => change("details = details || '{\"key_name\": \"forged\"}'"),
        6 => change("salt = gen_random_uuid()"),
        7 => change("details = '{}', salt = NULL"),
        8 => change("salt = NULL"),
        9 => format!("DELETE FROM api_key_audit_logs WHERE {row}"),
        10 => format!("DELETE FROM audit_links WHERE sequence = {sequence}"),
        11 => format!("DELETE FROM api_key_audit_logs WHERE {row}; DELETE FROM audit_links WHERE sequence = {sequence}"),
        12 => "INSERT INTO api_key_audit_logs (user_id, action) VALUES (1, 'create')".to_owned(),
        // Two rows change places in the chain.
        13 => format!(
            "UPDATE audit_links SET log_id = -log_id WHERE sequence IN ({sequence}, {other});
             UPDATE audit_links k SET log_id = -o.log_id FROM audit_links o
                 WHERE k.sequence = {sequence} AND o.sequence = {other};
             UPDATE audit_links k SET log_id = l.id FROM api_key_audit_logs l
                 WHERE k.sequence = {other} AND NOT EXISTS (SELECT FROM audit_links x WHERE x.log_id = l.id)"
        ),
        14 => format!("UPDATE audit_links SET hash = sha256(hash) WHERE sequence = {sequence}"),
        15 => format!("UPDATE audit_links SET details_hash = sha256(details_hash) WHERE sequence = {sequence}"),
        // The tail is gone, rows and all: only a head that was written down knows.
        16 => format!(
            "DELETE FROM api_key_audit_logs WHERE id IN (SELECT log_id FROM audit_links WHERE sequence >= {sequence});
             DELETE FROM audit_links WHERE sequence >= {sequence}"
        ),
        // A row is changed and everything from there on made anew, with the house's own function.
        _ => format!(
            "{}; CREATE TEMP TABLE again ON COMMIT DROP AS SELECT log_id, sequence FROM audit_links WHERE sequence >= {sequence};
             DELETE FROM audit_links WHERE sequence >= {sequence};
             DO $$ DECLARE log api_key_audit_logs; BEGIN
                 FOR log IN SELECT l.* FROM api_key_audit_logs l JOIN again ON log_id = id ORDER BY sequence LOOP
                     PERFORM add_audit_link(log);
                 END LOOP;
             END $$",
            change("action = 'rotate'")
        ),
    }
}

const KINDS: usize = 18;
/// Of these only a head tells: the cut and the chain made anew.
const NEEDS_HEAD: usize = 16;

#[actix_web::test]
async fn every_tampering_is_found() {
    let app = support::app().await;
    let user = app.register_user().await;
    make_keys(&app, &user, 12).await;
    let heads = [head_of(&app).await];
    assert!(proof(&app, &heads).await.is_clean());
    let client = tamperer(&app).await;
    let keep = "CREATE TABLE kept_rows AS TABLE api_key_audit_logs; CREATE TABLE kept_links AS TABLE audit_links";
    client.batch_execute(keep).await.unwrap();
    let seed: u64 = rand::random();
    let mut dice = StdRng::seed_from_u64(seed);
    let rounds = if support::is_long() { 20 } else { 2 };
    for round in 0..rounds * KINDS {
        let kind = round % KINDS;
        let tampering = some_tampering(&client, kind, &mut dice).await;
        client.batch_execute(&format!("BEGIN; {tampering}; COMMIT")).await.unwrap_or_else(|error| panic!("{tampering}: {error}"));
        let report = proof(&app, &heads).await;
        assert!(!report.is_clean(), "seed {seed}: not found: {tampering}");
        if kind >= NEEDS_HEAD {
            assert!(report.problems.iter().any(|problem| problem.starts_with("head ")), "{report}");
        }
        client
            .batch_execute(
                "BEGIN; DELETE FROM audit_links; DELETE FROM api_key_audit_logs;
                 INSERT INTO api_key_audit_logs OVERRIDING SYSTEM VALUE SELECT * FROM kept_rows;
                 INSERT INTO audit_links SELECT * FROM kept_links; COMMIT",
            )
            .await
            .unwrap();
    }
    assert!(proof(&app, &heads).await.is_clean(), "put back as it was");
}

#[actix_web::test]
async fn a_problem_is_named_once_where_it_is() {
    let app = support::app().await;
    let user = app.register_user().await;
    make_keys(&app, &user, 5).await;
    let client = tamperer(&app).await;
    client
        .batch_execute(
            "UPDATE api_key_audit_logs SET actor = 'operator' WHERE id = (SELECT log_id FROM audit_links WHERE sequence = 3)",
        )
        .await
        .unwrap();
    client.batch_execute("DELETE FROM audit_links WHERE sequence = 5").await.unwrap();
    let problems = proof(&app, &[]).await.problems;
    assert!(problems[0].ends_with("does not match link 3"), "{problems:?}");
    assert_eq!(problems[1], "links 5 to 5 are missing");
    assert!(problems[2].ends_with("does not match link 6") && problems[3].ends_with("stands outside the chain"), "{problems:?}");
    assert_eq!(problems.len(), 4, "{problems:?}");
}

/// The role of the application, without a superuser's powers.
#[actix_web::test]
async fn the_application_can_neither_change_a_row_nor_write_a_link() {
    let app = support::app().await;
    app.register_user().await;
    for role in [&app.database.app_url, &app.database.owner_url] {
        let (client, connection) = tokio_postgres::connect(role, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        for forbidden in [
            "UPDATE api_key_audit_logs SET action = 'rotate'",
            "UPDATE api_key_audit_logs SET details = '{\"a\": 1}'",
            "UPDATE api_key_audit_logs SET details = '{}'",
            "UPDATE api_key_audit_logs SET details = '{}', salt = gen_random_uuid()",
            "DELETE FROM api_key_audit_logs",
            "TRUNCATE api_key_audit_logs",
            "UPDATE audit_links SET hash = sha256(hash)",
            "DELETE FROM audit_links",
            "TRUNCATE audit_links",
        ] {
            assert!(client.batch_execute(forbidden).await.is_err(), "{forbidden}");
        }
    }
    let (client, connection) = tokio_postgres::connect(&app.database.app_url, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let forged = "INSERT INTO audit_links SELECT 2, log_id + 1, details_hash, hash FROM audit_links";
    assert!(client.batch_execute(forged).await.is_err());
    let row = "INSERT INTO api_key_audit_logs (user_id, action) VALUES (1, 'update')";
    client.batch_execute(row).await.unwrap();
    let report = proof(&app, &[]).await;
    assert!(report.is_clean() && report.links == 2, "whoever adds a row adds a link: {report}");
    assert!(client.batch_execute("INSERT INTO api_key_audit_logs (user_id, action) VALUES (1, 'a|b')").await.is_err());
    // An erasure that no deletion explains is found.
    client.batch_execute("UPDATE api_key_audit_logs SET details = '{}', salt = NULL WHERE action = 'create'").await.unwrap();
    let report = proof(&app, &[]).await;
    assert!(report.problems[0].contains("erased, but their account was not deleted"), "{report}");
}

#[actix_web::test]
async fn the_chain_verifies_after_an_account_is_erased_and_a_false_erasure_does_not() {
    let app = support::app().await;
    let (user, other) = (app.register_user().await, app.register_user().await);
    make_keys(&app, &user, 3).await;
    let before = head_of(&app).await;
    let confirm = json!({"confirmation": "DELETE_ACCOUNT"});
    assert_eq!(app.delete_as(&user.key, "/user/account", confirm).await.status, 200);
    let report = proof(&app, &[before, head_of(&app).await]).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.links, report.erased), (6, 4));
    let erased =
        format!("SELECT count(*) FROM api_key_audit_logs WHERE user_id = {} AND salt IS NULL AND details = '{{}}'", user.id);
    assert_eq!(app.database.number(&erased).await, 4);
    let client = tamperer(&app).await;
    let forged = "UPDATE api_key_audit_logs SET details = '{}', salt = NULL WHERE user_id = $1";
    client.execute(forged, &[&other.id]).await.unwrap();
    let report = proof(&app, &[]).await;
    assert!(report.problems.len() == 1 && report.problems[0].contains("was not deleted"), "{report}");
}

/// The rows of a database from before the chain.
#[actix_web::test]
async fn rows_from_before_the_chain_are_taken_into_it() {
    let app = support::app().await;
    let owner = app.database.owner_url.clone();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/2026-11-22-000010_access");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let (client, connection) = tokio_postgres::connect(&owner, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("BEGIN; {}; COMMIT", read("down.sql"))).await.unwrap();
    let old = "INSERT INTO api_key_audit_logs (user_id, api_key_id, action, details, timestamp)
         SELECT 7, n, 'create', jsonb_build_object('key_name', 'k' || n, 'at', 1.50, 'ü', '\"'), now() - n * interval '1 day'
         FROM generate_series(1, 5) n";
    client.batch_execute(old).await.unwrap();
    client.batch_execute(&format!("BEGIN; {}; COMMIT", read("up.sql"))).await.unwrap();
    app.register_user().await;
    let report = proof(&app, &[]).await;
    assert!(report.is_clean() && report.links == 6, "{report}");
    tamperer(&app)
        .await
        .batch_execute("UPDATE api_key_audit_logs SET details = '{\"key_name\": \"k\"}' WHERE api_key_id = 4 AND user_id = 7")
        .await
        .unwrap();
    assert_eq!(proof(&app, &[]).await.problems.len(), 1);
}

#[actix_web::test]
async fn the_head_is_written_down_at_the_end_and_the_command_holds_the_chain_against_it() {
    let folder = TestFolder::create();
    let path = folder.path.to_str().unwrap().to_owned();
    let app = support::app_with(&[("DATA_DIR", path.as_str())]).await;
    let user = app.register_user().await;
    make_keys(&app, &user, 3).await;
    let head = head_of(&app).await;
    let (_, database) = app.stop().await;
    let heads = folder.path.join("audit.heads");
    assert_eq!(std::fs::read_to_string(&heads).unwrap(), format!("{head}\n"));
    let env = environment(&database, &folder, "http://127.0.0.1:9/v1");
    let verify = |arguments: &[&str]| {
        let output = run(&[&["audit", "verify"], arguments].concat(), &env);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = verify(&[]);
    assert_eq!(
        (code, said),
        (Some(0), format!("4 rows in the chain, 0 of them erased with their accounts\nhead {head}\nthe audit trail is whole\n"))
    );
    let client = database.connect().await;
    client.batch_execute("SET session_replication_role = replica; DELETE FROM api_key_audit_logs WHERE id = (SELECT max(id) FROM api_key_audit_logs);
        DELETE FROM audit_links WHERE sequence = 4").await.unwrap();
    let (code, said) = verify(&[]);
    assert!(code == Some(1) && said.contains("the chain was cut before this link"), "{said}");
    let elsewhere = folder.path.join("elsewhere");
    std::fs::write(&elsewhere, "").unwrap();
    assert_eq!(verify(&["--heads", elsewhere.to_str().unwrap()]).0, Some(0), "without a head nobody can know");
    std::fs::write(&elsewhere, format!("\n{head}\n")).unwrap();
    assert_eq!(verify(&["--heads", elsewhere.to_str().unwrap()]).0, Some(1));
    std::fs::write(&elsewhere, "nonsense\n").unwrap();
    let output = run(&["audit", "verify", "--heads", elsewhere.to_str().unwrap()], &env);
    assert!(String::from_utf8_lossy(&output.stderr).contains("a head is a line of sequence and hash"));
}

#[actix_web::test]
async fn sequences_have_no_gap_when_transactions_fail() {
    let app = support::app().await;
    let user = app.register_user().await;
    make_keys(&app, &user, 1).await;
    for _ in 0..3 {
        let taken = app.post_as(&user.key, "/user/api-keys", json!({"key_name": "key 0"})).await;
        assert_eq!(taken.status, 400);
    }
    let client = app.database.connect().await;
    client.batch_execute("BEGIN; INSERT INTO api_key_audit_logs (user_id, action) VALUES (1, 'update'); ROLLBACK").await.unwrap();
    assert_eq!(app.post_as(&user.key, "/user/api-keys", json!({"key_name": "another"})).await.status, 200);
    let rows = client.query("SELECT sequence FROM audit_links ORDER BY sequence", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get(0)).collect::<Vec<i64>>(), [1, 2, 3]);
    assert!(proof(&app, &[]).await.is_clean());
}
