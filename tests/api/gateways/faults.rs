//! Promise P2 for every gateway: each kind of fault, plain and streamed, ends in one terminal event or status, and no hold
//! stays open.

use super::*;
use crate::chat::fault_table::{Seen, TABLE, check_broken};
use crate::chat::{ask, read_events, request, settled};
use crate::support::TestUser;
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
    user: &'a TestUser,
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
    let user = &world.app.register_user().await;
    let kinds = || GATEWAYS.into_iter().flat_map(|(gateway, _)| TABLE.map(|row| (gateway, row)));
    let case = |gateway, word| Case { world, user, gateway, word };
    let plain = kinds().map(|(gateway, (word, seen, _))| case(gateway, word).plain(seen).left_future());
    let streamed = kinds().map(|(gateway, (word, _, seen))| case(gateway, word).streamed(seen).right_future());
    futures_util::stream::iter(plain.chain(streamed)).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    let money = settled(&world.app, user).await;
    assert!(money.records > 0, "some of them are charged: {money:?}");
    assert_eq!(world.app.database.number("SELECT count(*) FROM holds WHERE state = 0").await, 0);
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
        let Self { world, user, gateway, word } = &self;
        let reply = ask(&world.app, user, self.fields()).await;
        let Seen::Refused(status) = seen else {
            return assert_eq!(reply.status, 200, "{gateway}: {word}: {reply:?}");
        };
        // These may run into their bound of size or into the time-out.
        let is_due = reply.status == status || (matches!(*word, "endless" | "long-line") && reply.status == 504);
        assert!(is_due, "{gateway}: {word}: {reply:?}");
        assert!(reply.json()["error"]["message"].is_string(), "{gateway}: {word}");
    }

    async fn streamed(self, seen: Seen) {
        let Self { world, user, gateway, word } = &self;
        let mut fields = self.fields();
        fields["stream"] = json!(true);
        let response = request(&world.app, user, fields).send().await.expect("an answer");
        let status = response.status().as_u16();
        if status != 200 {
            // A failure before the first event is told by the status.
            let is_due = seen == Seen::Refused(status) || (seen == Seen::Broken && matches!(status, 502..=504));
            return assert!(is_due, "{gateway}: {word}: {status}");
        }
        let events = read_events(response).await;
        match seen {
            Seen::Refused(status) => panic!("{gateway}: {word}: a success, where {status} is due"),
            Seen::Broken => check_broken(word, &events),
            _ => assert!(events.is_whole && events.is_done(), "{gateway}: {word}: {:?}", events.data.last()),
        }
    }
}
