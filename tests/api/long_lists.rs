//! 22,000 models, as one real gateway has them: every door stays quick, and no question makes the server keep more.

use crate::support::{self, Reply, TestApp};
use reqwest::Method;
use std::time::{Duration, Instant};
use tollgate_sim::provider::{Provider, ProviderOptions};

const MODELS: usize = 22_000;

/// An optimised build answers each within 20 ms, on a quiet machine. This one is several times slower, and others use the
/// machine.
const SLACK: Duration = Duration::from_millis(500);
/// An unoptimised server takes seconds to read such a list.
const LIST_LIMIT: Duration = Duration::from_secs(90);

async fn app() -> (TestApp, Provider) {
    let long = Provider::start(ProviderOptions { extra_models: MODELS, ..ProviderOptions::default() }).await.unwrap();
    let app = support::app_with(&[("OPENROUTER_BASE_URL", &long.base_url())]).await;
    let begun = Instant::now();
    while app.get("/v1/models/count").await.status != 200 {
        assert!(begun.elapsed() < LIST_LIMIT, "no list after {LIST_LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    (app, long)
}

#[actix_web::test]
async fn every_door_is_quick_with_22_000_models() {
    let (app, _long) = app().await;
    for (path, models) in [
        ("/models", 2 * MODELS),
        ("/models?gateway=all", MODELS),
        ("/models?provider=extra&gateway=all", MODELS),
        ("/models?gateway=all&limit=50&offset=21000", 50),
        ("/models?provider=mistralai", 6),
        ("/models/providers", 0),
        ("/catalog/provider", 0),
        ("/developer/extra/models?limit=10&offset=15000", 10),
        ("/v1/models", MODELS),
        ("/v1/models/extra/model-21999", 1),
    ] {
        let mut best = Duration::MAX;
        let mut reply = None;
        for _ in 0..4 {
            let begun = Instant::now();
            reply = Some(app.get(path).await);
            best = best.min(begun.elapsed());
        }
        let reply = reply.unwrap();
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.text().matches("\"charged_pricing\":").count() >= models, "{path}");
        println!("{path}: {best:?}, {} bytes", reply.body.len());
        assert!(best <= SLACK, "{path} took {best:?}");
    }
}

#[actix_web::test]
async fn a_long_list_under_gzip_is_the_list_and_compressed_once() {
    let (app, _long) = app().await;
    let plain = app.get("/models").await;
    let zipped = async || Reply::of(app.request(Method::GET, "/models").header("accept-encoding", "gzip")).await;
    let first = zipped().await;
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut flate2::bufread::GzDecoder::new(&first.body[..]), &mut read).unwrap();
    assert!(read == plain.body && first.body.len() < plain.body.len() / 10);
    let begun = Instant::now();
    assert_eq!(zipped().await.body, first.body);
    assert!(begun.elapsed() <= SLACK, "{:?}", begun.elapsed());
}

#[actix_web::test]
async fn questions_of_every_kind_leave_nothing_behind() {
    let (app, _long) = app().await;
    let ask = async |number: usize| {
        // Each matches a tenth of the list, here and there.
        let path = format!("/models?gateway=all&provider={}&offset={number}&limit=3000&x={number}", number % 10);
        let reply = Reply::of(app.request(Method::GET, &path).header("accept-encoding", "gzip")).await;
        assert_eq!(reply.status, 200);
    };
    // The allocator's own share settles with the first questions.
    for number in 0..30 {
        ask(number).await;
    }
    let before = resident_bytes();
    for number in 30..230 {
        ask(number).await;
    }
    let grown = resident_bytes().saturating_sub(before);
    println!("{} MiB resident, {} MiB more after 200 other questions", before >> 20, grown >> 20);
    // Each answer is a megabyte and more: kept bodies would be 200 of them.
    assert!(grown < 64 << 20, "{} MiB more", grown >> 20);
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}
