//! What a key may do: its `scope_permissions` are lists of resources by verb, and a door names one of each.
//!
//! A door says so in its signature: `caller: May<Read, Usage>` is reached only by callers whose key may read usage. The words below
//! are the whole vocabulary; `*` stands for any resource or verb, and no permissions at all stand for all of them.

use super::{authenticate, bearer, insufficient, missing};
use crate::http::error::ApiError;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use std::marker::PhantomData;
use std::sync::Arc;
use tollgate_actors::identity::Caller;

/// A caller whose key may do `V` to `R`.
pub struct May<V, R>(pub Arc<Caller>, PhantomData<fn(V, R)>);

/// What is done.
pub trait Verb: 'static {
    const WORD: &'static str;
}

/// What it is done to.
pub trait Resource: 'static {
    const WORD: &'static str;
}

macro_rules! words {
    ($trait:ident: $($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        $(
            $(#[$doc])*
            pub struct $name;

            impl $trait for $name {
                const WORD: &'static str = $word;
            }
        )*
    };
}

words! { Verb:
    Read = "read";
    Write = "write";
}

words! { Resource:
    /// Model calls.
    Completions = "completions";
    /// Chat sessions and their messages.
    Sessions = "sessions";
    /// The user's keys and their audit log.
    ApiKeys = "api_keys";
    /// What was used, what it cost, what is left.
    Usage = "usage";
    /// The activity page.
    Activity = "activity";
    /// The user's plan and trial.
    Plans = "plans";
    /// The keys' rate limits.
    Limits = "limits";
    /// Name, address, preferences, settings.
    Profile = "profile";
    /// What the user is told by mail.
    Notifications = "notifications";
    /// The account as a whole: its deletion.
    Account = "account";
}

/// Other words by which a key may do it: what the contract calls the same thing, or a part of it.
fn synonyms(verb: &str, resource: &str) -> &'static [&'static str] {
    match (verb, resource) {
        (_, "completions" | "sessions") => &["chat"],
        (_, "activity" | "plans") => &["usage"],
        ("read", "limits") => &["usage", "api_keys"],
        (_, "limits") => &["api_keys"],
        ("write", "profile") => &["profile_update"],
        ("write", "notifications") => &["profile", "profile_update"],
        (_, "notifications") => &["profile"],
        _ => &[],
    }
}

/// # Errors
/// 403 in the contract's words.
pub(super) fn require(caller: &Caller, verb: &str, resource: &str) -> Result<(), ApiError> {
    let may = |word: &str| caller.scopes.allow(verb, word);
    if may(resource) || synonyms(verb, resource).iter().any(|word| may(word)) {
        return Ok(());
    }
    Err(insufficient(verb, resource))
}

impl<V: Verb, R: Resource> FromRequest for May<V, R> {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let key = bearer::presented(request.headers()).ok_or_else(missing)?;
            let caller = authenticate(&request, key).await?;
            // Mutant: without this line every key may do everything: `a_key_without_the_scope_is_refused_at_every_door` is red.
            require(&caller, V::WORD, R::WORD)?;
            Ok(Self(caller, PhantomData))
        })
    }
}
