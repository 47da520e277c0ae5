//! `POST /auth`: signing in with Privy.
//!
//! The token says who it is, and nothing else does: what the body tells of the person names a new account and finds none.

mod person;

use super::activity::note_login;
use super::error::ApiError;
use super::extract::Body;
use super::principal::{ClientAddress, of_ledger};
use crate::adapters::privy::TokenError;
use crate::startup::Services;
use actix_web::http::StatusCode;
use actix_web::{post, web};
use chrono::{DateTime, Utc};
use person::PrivyUser;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::time::Duration;
use tollgate_actors::identity::{SignIn, SignedIn};
use tollgate_domain::Nanos;
use utoipa::ToSchema;

const RETRY_SOON: Duration = Duration::from_secs(5);

/// Someone who has signed in with Privy, as its SDKs and the web client send it
#[derive(Deserialize, ToSchema)]
pub struct PrivyAuthRequest {
    user: PrivyUser,
    /// Privy's access token. Without one: 401.
    token: Option<String>,
    /// For a new account, when no linked account has an address.
    email: Option<String>,
}

/// A user who is signed in
#[derive(Serialize, ToSchema)]
pub struct PrivyAuthResponse {
    success: bool,
    message: &'static str,
    user_id: i64,
    /// The whole key, shown this once: a new user's primary key, else that of a web session, which lasts 30 days.
    api_key: String,
    /// `email`, `google`, `github`, `wallet`, …
    auth_method: String,
    privy_user_id: String,
    is_new_user: bool,
    display_name: String,
    email: String,
    /// Dollars: the balance.
    #[schema(value_type = f64)]
    credits: Nanos,
    timestamp: DateTime<Utc>,
}

/// Sign in with Privy
#[utoipa::path(tag = "auth", security(()), request_body = PrivyAuthRequest, responses(
    (status = 200, description = "Signed in", body = PrivyAuthResponse),
    (status = 401, description = "No token, or one that is not believed"),
    (status = 403, description = "The account is inactive"),
    (status = 422, description = "A wrong shape"),
    (status = 429, description = "Too many registrations from this address"),
    (status = 501, description = "This server does not offer it"),
    (status = 503, description = "Privy's keys or the database are away"),
))]
#[post("/auth")]
pub async fn sign_in(
    services: web::Data<Services>,
    ClientAddress(address): ClientAddress,
    Body(request): Body<PrivyAuthRequest>,
) -> Result<web::Json<PrivyAuthResponse>, ApiError> {
    let did = verified(&services, &request).await?;
    let PrivyAuthRequest { user, email, .. } = request;
    let person = user.person(email.as_deref());
    let ask = SignIn {
        did,
        email: person.email,
        name: person.name,
        auth_method: person.auth_method.unwrap_or("email").to_owned(),
        address: Some(address),
    };
    let did = ask.did.clone();
    let signed_in = services.actors.identity.sign_in(ask).await?;
    let auth_method = person.auth_method.map_or_else(|| signed_in.auth_method.clone(), str::to_owned);
    note(&services, &signed_in, &auth_method, &did);
    let credits = match signed_in.granted {
        Some(granted) => granted,
        None => services.actors.ledger.balance(signed_in.accounts).await.map_err(of_ledger)?.credits,
    };
    let is_new_user = signed_in.granted.is_some();
    Ok(web::Json(PrivyAuthResponse {
        success: true,
        message: if is_new_user { "Account created successfully" } else { "Login successful" },
        user_id: signed_in.user.0,
        api_key: signed_in.api_key.expose_secret().to_owned(),
        auth_method,
        privy_user_id: did,
        is_new_user,
        display_name: signed_in.name.unwrap_or(signed_in.username),
        email: signed_in.email,
        credits,
        timestamp: services.clock.now(),
    }))
}

/// The DID that the token proves, which must be the one that the body speaks of.
async fn verified(services: &Services, request: &PrivyAuthRequest) -> Result<String, ApiError> {
    let privy = services.privy.as_ref().ok_or_else(not_offered)?;
    let token = request.token.as_deref().filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| ApiError::unauthorized("A Privy access token is required"))?;
    let did = privy.verify(token, services.clock.now()).await.map_err(refused)?;
    // Mutant: without this line a token of one's own opens whoever's account a client names, as far as the answer shows.
    if did == request.user.id { Ok(did) } else { Err(ApiError::unauthorized("The Privy token is another user's")) }
}

fn not_offered() -> ApiError {
    ApiError::new(StatusCode::NOT_IMPLEMENTED, "not_configured", "Signing in with Privy is not configured on this server")
}

fn refused(error: TokenError) -> ApiError {
    match error {
        TokenError::Rejected(rejection) => {
            tracing::debug!(%rejection, "a Privy token is refused");
            ApiError::unauthorized("Invalid or expired Privy token")
        }
        TokenError::Unavailable => ApiError::unavailable(RETRY_SOON).with_cause(&error),
    }
}

/// The log's details of a sign-in
#[derive(Serialize)]
struct Login<'a> {
    action: &'a str,
    auth_method: &'a str,
    privy_user_id: &'a str,
    is_new_user: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    initial_credits: Option<Nanos>,
    finish_reason: &'a str,
    app: &'a str,
}

fn note(services: &Services, signed_in: &SignedIn, auth_method: &str, did: &str) {
    let is_new_user = signed_in.granted.is_some();
    let action = if is_new_user { "register" } else { "login" };
    let details = Login {
        action,
        auth_method,
        privy_user_id: did,
        is_new_user,
        initial_credits: signed_in.granted,
        finish_reason: action,
        app: "Auth",
    };
    note_login(services, signed_in.user, &json!(details));
}
