//! Promise P2 for every gateway: each kind of fault, plain and streamed, ends in one terminal event or status, no hold stays
//! open, and what is charged is what the answer says: nothing for a refusal.

use super::*;
use crate::chat::fault_table::{Seen, TABLE, check_broken};
use crate::chat::{ask, read_events, request, settled};
use crate::support::money::nanos;
use crate::support::{TestUser, books};
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use tollgate_sim::provider::Behaviour;

/// Short, so that the silent ones end.
const TIMEOUTS: [(&str, &str); 4] =
    [("FIRST_BYTE_TIMEOUT", "3"), ("BETWEEN_BYTES_TIMEOUT", "3"), ("TOTAL_TIMEOUT", "5"), ("CONNECT_TIMEOUT", "3")];
/// Calls under way at once.
const AT_ONCE: usize = 64;

struct Case<'a> {
    world: &'a World,
    gateway: GatewayId,
    word: &'static str,
}

#[actix_web::test]
async fn every_fault_at_every_gateway_ends_in_one_terminal_event_and_no_open_hold() {
    let world = &World::start(&TIMEOUTS).await;
    for (_, provider) in &world.providers {
        // Endless answers shall not take the machine from the others.
        provider.set_default(Behaviour::parse("token-delay:20").expect("a behaviour"));
    }
    let kinds = || GATEWAYS.into_iter().flat_map(|(gateway, _)| TABLE.map(|row| (gateway, row)));
    let case = |gateway, word| Case { world, gateway, word };
    let plain = kinds().map(|(gateway, (word, seen, _))| case(gateway, word).plain(seen).left_future());
    let streamed = kinds().map(|(gateway, (word, _, seen))| case(gateway, word).streamed(seen).right_future());
    futures_util::stream::iter(plain.chain(streamed)).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    let report = books::assert_clean(&world.app).await;
    assert!(report.usage_records > 0, "some of them are charged: {report}");
    for (gateway, provider) in &world.providers {
        support::eventually("the provider is idle", async || (provider.stats().open == 0).then_some(())).await;
        assert_eq!(provider.stats().redirects_followed, 0, "{gateway}");
    }
}

impl Case<'_> {
    fn fields(&self) -> Value {
        json!({"model": model_at(self.gateway, &format!("sim/{}", self.word)), "provider": self.gateway.as_str()})
    }

    async fn plain(self, seen: Seen) {
        let Self { world, gateway, word } = &self;
        let user = world.app.register_user().await;
        let reply = ask(&world.app, &user, self.fields()).await;
        if let Seen::Refused(status) = seen {
            // These may run into their bound of size or into the time-out.
            let is_due = reply.status == status || (matches!(*word, "endless" | "long-line") && reply.status == 504);
            assert!(is_due, "{gateway}: {word}: {reply:?}");
            assert!(reply.json()["error"]["message"].is_string(), "{gateway}: {word}");
            return self.charged(&user, 0).await;
        }
        assert_eq!(reply.status, 200, "{gateway}: {word}: {reply:?}");
        self.charged(&user, cost_in(&reply.json())).await;
    }

    async fn streamed(self, seen: Seen) {
        let Self { world, gateway, word } = &self;
        let user = world.app.register_user().await;
        let mut fields = self.fields();
        fields["stream"] = json!(true);
        fields["stream_options"] = json!({"include_usage": true});
        let response = request(&world.app, &user, fields).send().await.expect("an answer");
        let status = response.status().as_u16();
        if status != 200 {
            // A failure before the first event is told by the status.
            let is_due = seen == Seen::Refused(status) || (seen == Seen::Broken && matches!(status, 502..=504));
            assert!(is_due, "{gateway}: {word}: {status}");
            return self.charged(&user, 0).await;
        }
        let events = read_events(response).await;
        match seen {
            Seen::Refused(status) => panic!("{gateway}: {word}: a success, where {status} is due"),
            Seen::Broken => {
                check_broken(word, &events);
                let charged = settled(&world.app, &user).await.charged;
                assert_eq!(charged > 0, !events.content.is_empty(), "{gateway}: {word}: what came is charged, no more");
            }
            _ => {
                assert!(events.is_whole && events.is_done(), "{gateway}: {word}: {:?}", events.data.last());
                self.charged(&user, cost_in(&events.last_chunk())).await;
            }
        }
    }

    /// Mutants: a refusal that is charged for its prompt, and one nano-dollar more in the bill than is charged, are red.
    async fn charged(&self, user: &TestUser, cost: i64) {
        assert_eq!(settled(&self.world.app, user).await.charged, cost, "{}: {}", self.gateway, self.word);
    }
}

/// What an answer says that it costs.
fn cost_in(answer: &Value) -> i64 {
    nanos(answer["gateway_usage"]["cost_usd"].as_f64().expect("a cost"))
}
