//! Who is calling: one principal, whatever the door.
//!
//! A handler that takes a [`May`] is reached only by callers whose key passed every check of the contract and may do what the
//! door needs.

mod admin;
pub mod allow_lists;
pub mod bearer;
pub mod client_address;
mod refusals;
pub mod scopes;

pub use admin::AdminPrincipal;
pub use client_address::ClientAddress;
pub(super) use refusals::of_ledger;
pub use scopes::{May, Read, Write};

use crate::http::error::ApiError;
use crate::startup::Services;
use actix_web::{HttpMessage, HttpRequest, web};
use std::sync::Arc;
use tollgate_actors::identity::Caller;
use tollgate_actors::identity::checks::{self, Origin};

/// 403 in the contract's words.
pub fn insufficient(verb: &str, resource: &str) -> ApiError {
    ApiError::forbidden(format!("Insufficient permissions to {verb} {}", resource.replace('_', " ")))
}

fn missing() -> ApiError {
    ApiError::unauthorized("Not authenticated")
}

fn services(request: &HttpRequest) -> Result<web::Data<Services>, ApiError> {
    let found = request.app_data::<web::Data<Services>>().cloned();
    found.ok_or_else(|| ApiError::internal(&std::io::Error::other("the app has no Services")))
}

/// The caller with this key, if every check lets them through.
async fn authenticate(request: &HttpRequest, key: &str) -> Result<Arc<Caller>, ApiError> {
    let services = services(request)?;
    let identity = &services.actors.identity;
    let caller = identity.find_key(key).await?;
    let site = if caller.domains.is_some() { allow_lists::site(request.headers()) } else { None };
    let origin = Origin { address: ClientAddress::of(request).0, site: site.as_deref() };
    checks::check(&caller, origin, services.clock.now())?;
    identity.seen(&caller);
    // For the headers that every answer carries.
    request.extensions_mut().insert(Arc::clone(&caller));
    Ok(caller)
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
