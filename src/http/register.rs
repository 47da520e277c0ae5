//! `POST /auth/register`: a new user and their first key.

use super::activity::note_login;
use super::error::{ApiError, FieldError};
use super::extract::Body;
use super::principal::ClientAddress;
use super::{dollars, text};
use crate::startup::Services;
use actix_web::{post, web};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use tollgate_actors::identity::Register;
use tollgate_actors::identity::keys::Environment;
use tollgate_domain::Nanos;
use utoipa::ToSchema;

/// Someone who registers
#[derive(Deserialize, ToSchema)]
pub struct UserRegistrationRequest {
    #[schema(min_length = 1, max_length = 255)]
    username: String,
    #[schema(format = "email", max_length = 255)]
    email: String,
    #[serde(default)]
    auth_method: AuthMethod,
    /// Dollars. May lower what is granted, not raise it; absent: all of it.
    #[schema(value_type = Option<f64>, minimum = 0)]
    initial_credits: Option<serde_json::Number>,
    /// `live` (default), `test`, `staging` or `development`.
    environment_tag: Option<String>,
    /// Default: `Primary Key`.
    key_name: Option<String>,
}

/// How a user signs in
#[derive(Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum AuthMethod {
    #[default]
    Email,
    Wallet,
    Google,
    Github,
}

impl AuthMethod {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Wallet => "wallet",
            Self::Google => "google",
            Self::Github => "github",
        }
    }
}

/// A registered user
#[derive(Serialize, ToSchema)]
pub struct UserRegistrationResponse {
    user_id: i64,
    username: String,
    email: String,
    /// The whole key, shown this once.
    api_key: String,
    key_id: i64,
    /// Dollars: the balance.
    #[schema(value_type = f64)]
    credits: Nanos,
    environment_tag: &'static str,
    /// What the contract shows; the primary key itself may do everything.
    #[schema(value_type = BTreeMap<String, Vec<String>>)]
    scope_permissions: BTreeMap<&'static str, [&'static str; 3]>,
    auth_method: AuthMethod,
    /// `trial` or `active`.
    subscription_status: &'static str,
    message: &'static str,
    timestamp: DateTime<Utc>,
}

/// Register a user
#[utoipa::path(tag = "auth", security(()), request_body = UserRegistrationRequest, responses(
    (status = 200, description = "Registered", body = UserRegistrationResponse),
    (status = 400, description = "The name or address is taken, or a rule is broken"),
    (status = 422, description = "A wrong shape"),
    (status = 429, description = "Too many registrations from this address"),
))]
#[post("/auth/register")]
pub async fn register(
    services: web::Data<Services>,
    address: ClientAddress,
    Body(request): Body<UserRegistrationRequest>,
) -> Result<web::Json<UserRegistrationResponse>, ApiError> {
    let auth_method = request.auth_method;
    let message = checked(request, address)?;
    let (username, email, environment) = (message.username.clone(), message.email.clone(), message.environment);
    let registered = services.actors.identity.register(message).await?;
    let details = json!({"auth_method": auth_method.as_str(), "is_new_user": true, "app": "Auth"});
    note_login(&services, registered.user, &details);
    Ok(web::Json(UserRegistrationResponse {
        user_id: registered.user.0,
        username,
        email,
        api_key: registered.api_key.expose_secret().to_owned(),
        key_id: registered.key.0,
        credits: registered.credits,
        environment_tag: environment.tag(),
        scope_permissions: BTreeMap::from([
            ("read", ["models", "usage", "profile"]),
            ("write", ["chat", "completions", "profile_update"]),
        ]),
        auth_method,
        subscription_status: registered.subscription_status,
        message: "User registered successfully",
        timestamp: registered.registered_at,
    }))
}

fn checked(request: UserRegistrationRequest, ClientAddress(address): ClientAddress) -> Result<Register, ApiError> {
    let key_name = request.key_name.unwrap_or_else(|| "Primary Key".to_owned());
    let [username, email, key_name] = text::all([
        text::short("username", &request.username),
        text::email("email", &request.email),
        text::short("key_name", &key_name),
    ])?;
    let tag = request.environment_tag.as_deref().unwrap_or("live");
    let environment = Environment::parse(tag).ok_or_else(|| ApiError::bad_request("Invalid environment tag"))?;
    let credits = request.initial_credits.as_ref().map(credits).transpose()?;
    let auth_method = request.auth_method.as_str().to_owned();
    Ok(Register { username, email, auth_method, environment, key_name, credits, address: Some(address) })
}

fn credits(number: &serde_json::Number) -> Result<Nanos, ApiError> {
    if number.as_f64().is_some_and(|dollars| dollars < 0.0) {
        return Err(ApiError::bad_request("Initial credits must be non-negative"));
    }
    dollars::parse(number).map_err(|error| {
        let msg = format!("Not an amount of dollars: {error}");
        ApiError::unprocessable(vec![FieldError::of_body("initial_credits", msg, number.clone().into())])
    })
}
