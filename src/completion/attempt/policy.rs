//! What a failure means: for the call, whether anybody else is asked; for the gateway, whether it is to blame. Plain functions.

use std::time::Duration;
use tollgate_actors::ports::{GatewayError, Phase};
use tollgate_actors::upstreams::Failure;

/// No back-off is longer.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Whom to ask next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another gateway, and when there is none, this one again.
    Again,
    /// Another gateway; this one would do the same, or has spent tokens on the call already.
    Elsewhere,
    /// Nobody would do better.
    Nobody,
}

/// What a failure says of its gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It is well, the caller's request is not.
    Well,
    /// It was not asked.
    Unknown,
    Troubled(Failure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub next: Next,
    pub health: Health,
}

impl Verdict {
    const fn new(next: Next, health: Health) -> Self {
        Self { next, health }
    }
}

/// The one place where failures are sorted. `begun`: the head of the answer had come. `ours`: the key is ours, not the caller's.
pub fn verdict(error: &GatewayError, begun: bool, ours: bool) -> Verdict {
    use Health::{Troubled, Unknown, Well};
    use Next::{Again, Elsewhere, Nobody};
    let model = Troubled(Failure::Model);
    match error {
        GatewayError::Connection(_) | GatewayError::Timeout(_) if begun => Verdict::new(Elsewhere, model),
        GatewayError::Connection(_) | GatewayError::Timeout(Phase::Connect) => Verdict::new(Again, Troubled(Failure::Gateway)),
        GatewayError::Timeout(Phase::FirstByte | Phase::BetweenBytes) | GatewayError::Malformed(_) => {
            Verdict::new(Elsewhere, model)
        }
        GatewayError::Exhausted(_) => Verdict::new(Nobody, Unknown),
        // The time is used up.
        GatewayError::Timeout(Phase::Total) => Verdict::new(Nobody, model),
        GatewayError::TooLarge => Verdict::new(Nobody, Well),
        GatewayError::Status { status, body, retry_after } => of_status(*status, body, *retry_after, ours),
    }
}

fn of_status(status: u16, body: &[u8], retry_after: Option<Duration>, ours: bool) -> Verdict {
    use Health::{Troubled, Well};
    use Next::{Again, Elsewhere, Nobody};
    let busy = retry_after.map(Failure::Busy);
    match status {
        // With a key of the caller's own nobody else can serve, and nobody else is to suffer.
        401..=403 | 429 if !ours => Verdict::new(Nobody, Well),
        // OpenRouter's way to say that the prompt was flagged.
        403 if is_flagged(body) => Verdict::new(Nobody, Well),
        401..=403 => Verdict::new(Elsewhere, Troubled(Failure::Key)),
        404 => Verdict::new(Elsewhere, Well),
        408 => Verdict::new(Again, Troubled(Failure::Model)),
        429 => Verdict::new(Again, busy.map_or(Well, Troubled)),
        501 | 505 => Verdict::new(Elsewhere, Troubled(Failure::Model)),
        500.. => Verdict::new(Again, Troubled(busy.unwrap_or(Failure::Model))),
        _ => Verdict::new(Nobody, Well),
    }
}

/// `error.metadata` of a moderated request holds `flagged_input`.
fn is_flagged(body: &[u8]) -> bool {
    memchr::memmem::find(body, b"\"flagged_input\"").is_some()
}

/// How long to wait before the same gateway is asked again: twice as long each time, half of it by chance.
///
/// `chance`: from 0 to 1.
pub fn backoff(round: u32, first: Duration, chance: f64) -> Duration {
    let whole = first.saturating_mul(2_u32.saturating_pow(round)).min(BACKOFF_MAX);
    whole.mul_f64(chance.clamp(0.0, 1.0).mul_add(0.5, 0.5))
}

#[cfg(test)]
mod tests {
    use super::Health::{Troubled, Unknown, Well};
    use super::Next::{Again, Elsewhere, Nobody};
    use super::*;
    use proptest::prelude::*;

    const WAIT: Duration = Duration::from_secs(3);

    fn status(status: u16, retry_after: Option<Duration>) -> GatewayError {
        GatewayError::Status { status, body: "{}".into(), retry_after }
    }

    fn expect(error: &GatewayError, next: Next, health: Health) {
        assert_eq!(verdict(error, false, true), Verdict { next, health }, "{error:?}");
    }

    // Mutants: 400 that may be tried again, and 500 that blames nobody, turn this red.
    #[test]
    fn every_failure_has_its_verdict() {
        let lost = || GatewayError::Connection("reset".to_owned());
        let model = Troubled(Failure::Model);
        expect(&lost(), Again, Troubled(Failure::Gateway));
        expect(&GatewayError::Timeout(Phase::Connect), Again, Troubled(Failure::Gateway));
        expect(&GatewayError::Timeout(Phase::FirstByte), Elsewhere, model);
        expect(&GatewayError::Timeout(Phase::Total), Nobody, model);
        expect(&GatewayError::Malformed("html".to_owned()), Elsewhere, model);
        expect(&GatewayError::TooLarge, Nobody, Well);
        expect(&GatewayError::Exhausted("too many open files".to_owned()), Nobody, Unknown);
        for mistake in [400, 405, 409, 413, 415, 422] {
            expect(&status(mistake, None), Nobody, Well);
        }
        for refused in [401, 402, 403] {
            expect(&status(refused, None), Elsewhere, Troubled(Failure::Key));
        }
        expect(&status(404, None), Elsewhere, Well);
        for passing in [408, 500, 502, 503, 504, 520, 524, 529] {
            expect(&status(passing, None), Again, model);
        }
        expect(&status(501, None), Elsewhere, model);
        expect(&status(429, None), Again, Well);
        expect(&status(429, Some(WAIT)), Again, Troubled(Failure::Busy(WAIT)));
        expect(&status(503, Some(WAIT)), Again, Troubled(Failure::Busy(WAIT)));
        // What broke after it had begun has cost tokens: not the same again.
        for broken in [lost(), GatewayError::Timeout(Phase::BetweenBytes)] {
            assert_eq!(verdict(&broken, true, true), Verdict { next: Elsewhere, health: model });
        }
    }

    #[test]
    fn a_callers_own_key_or_prompt_is_no_trouble_of_the_gateways() {
        for refused in [401, 402, 403, 429] {
            assert_eq!(verdict(&status(refused, Some(WAIT)), false, false), Verdict { next: Nobody, health: Well });
        }
        let flagged = r#"{"error":{"code":403,"metadata":{"reasons":["violence"],"flagged_input":"…"}}}"#;
        expect(&GatewayError::Status { status: 403, body: flagged.into(), retry_after: None }, Nobody, Well);
    }

    proptest! {
        #[test]
        fn a_back_off_doubles_up_to_its_bound_and_is_never_shorter_than_half(
            round in 0..200_u32, first_ms in 0..10_000_u64, chance in 0.0..=1.0_f64
        ) {
            let first = Duration::from_millis(first_ms);
            let whole = first.as_secs_f64() * 2_f64.powi(i32::try_from(round.min(40)).unwrap());
            let whole = whole.min(BACKOFF_MAX.as_secs_f64());
            let waited = backoff(round, first, chance).as_secs_f64();
            prop_assert!(waited >= whole / 2.0 - 1e-6 && waited <= whole + 1e-6, "{waited} of {whole}");
        }
    }
}
