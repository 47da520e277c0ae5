//! Who may use the admin doors: the operator with `ADMIN_API_KEY`, or a user who is an administrator.

use super::{authenticate, bearer, missing, services};
use crate::http::error::ApiError;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use tollgate_actors::identity::{Actor, Caller, keys};

/// Someone who may do everything.
pub enum AdminPrincipal {
    Operator,
    User(Arc<Caller>),
}

impl AdminPrincipal {
    /// For the audit log.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Operator => Actor::Operator,
            Self::User(caller) => Actor::Admin(caller.user),
        }
    }
}

impl FromRequest for AdminPrincipal {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let presented = bearer::presented(request.headers()).ok_or_else(missing)?;
            if is_admin_key(presented, &services(&request)?.settings.secrets.admin_api_key) {
                return Ok(Self::Operator);
            }
            if !keys::is_well_formed(presented) {
                return Err(ApiError::unauthorized("Invalid admin API key"));
            }
            let caller = authenticate(&request, presented).await?;
            let is_admin = caller.is_admin && caller.scopes.allow("admin", "*");
            if is_admin { Ok(Self::User(caller)) } else { Err(ApiError::forbidden("Administrator privileges required")) }
        })
    }
}

/// Compares digests, which are of one length, in constant time.
fn is_admin_key(presented: &str, admin_key: &SecretString) -> bool {
    let (presented, admin_key) = (Sha256::digest(presented), Sha256::digest(admin_key.expose_secret()));
    presented.ct_eq(&admin_key).into()
}
