use super::*;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use secrecy::ExposeSecret;
use std::collections::HashMap;
use std::time::Duration;
use tollgate_domain::{GatewayId, Nanos};

const ADMIN_KEY: &str = "correct-horse-battery-staple";

fn random_key(first: u8) -> String {
    BASE64_STANDARD.encode((first..first + 32).collect::<Vec<u8>>())
}

fn settings(extra: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let pepper = format!("v1:{}", random_key(1));
    let mut env = HashMap::from([("ADMIN_API_KEY", ADMIN_KEY), ("KEY_PEPPER", pepper.as_str())]);
    env.extend(extra.iter().copied());
    Settings::from_env(|name| env.get(name).map(|value| (*value).to_owned()))
}

#[test]
fn everything_but_the_secrets_has_a_default() {
    let settings = settings(&[]).unwrap();
    assert_eq!(settings.server.bind_addr.to_string(), "127.0.0.1:8000");
    assert_eq!(settings.server.cors_origins, CorsOrigins::Any);
    assert!(settings.database.url.is_none() && settings.gateways.on.is_empty());
    assert_eq!(settings.limits.body_bytes_max, 32 * 1024 * 1024);
    assert_eq!(settings.limits.rates.tokens_per_day, 1_000_000);
    assert_eq!(settings.money.signup_credits, Nanos::from_whole_usd(10));
    assert_eq!(settings.money.default_price.to_usd_per_token(), "0.00002");
    assert_eq!(settings.timeouts.total, Duration::from_secs(900));
    assert_eq!((settings.upstreams.attempts, settings.upstreams.failures), (3, 5));
    assert_eq!(settings.trial, TrialSettings { days: 3, tokens: 100_000, requests: 1_000 });
    assert_eq!(settings.retention, RetentionSettings { activity_days: 400, unpaid_hold_days: 30 });
}

#[test]
fn a_wrong_value_is_one_line_with_name_value_and_wish() {
    let cases = [
        ("BIND_ADDR", "localhost", "BIND_ADDR: got \"localhost\", wants an address and a port such as 127.0.0.1:8000"),
        ("HTTP_WORKERS", "0", "HTTP_WORKERS: got \"0\", wants a whole number from 1 to 1024"),
        ("MAX_BODY_BYTES", "32 MiB", "MAX_BODY_BYTES: got \"32 MiB\", wants a whole number from 1024 to 1073741824"),
        ("CONNECT_TIMEOUT", "0", "CONNECT_TIMEOUT: got \"0\", wants seconds, up to 300"),
        ("CONNECT_TIMEOUT", "NaN", "CONNECT_TIMEOUT: got \"NaN\", wants seconds, up to 300"),
        (
            "CORS_ORIGINS",
            "https://a.example/",
            "CORS_ORIGINS: got \"https://a.example/\", wants origins such as https://app.example.com, or *",
        ),
        (
            "TRUSTED_PROXIES",
            "10.0.0.0/33",
            "TRUSTED_PROXIES: got \"10.0.0.0/33\", wants addresses or networks such as 10.0.0.0/8",
        ),
        (
            "OPENROUTER_BASE_URL",
            "openrouter.ai",
            "OPENROUTER_BASE_URL: got \"openrouter.ai\", wants an address such as https://example.com/v1",
        ),
        ("SIGNUP_CREDITS_USD", "-1", "SIGNUP_CREDITS_USD: got \"-1\", wants US dollars such as 10 or 0.5, from 0 to 1000000"),
        (
            "DEFAULT_PRICE_PER_TOKEN",
            "-0.1",
            "DEFAULT_PRICE_PER_TOKEN: got \"-0.1\", wants US dollars per token such as 0.00002, not negative",
        ),
        (
            "PRIVY_APP_ID",
            "app",
            "PRIVY_JWKS_URL: got nothing, wants the JWKS endpoint that Privy's dashboard shows for PRIVY_APP_ID",
        ),
        (
            "PRIVY_JWKS_URL",
            "https://auth.example/jwks.json",
            "PRIVY_APP_ID: got nothing, wants the app whose tokens PRIVY_JWKS_URL verifies",
        ),
        ("LOG_FORMAT", "xml", "LOG_FORMAT: got \"xml\", wants text or json"),
        ("PLAN_LIMITS", "no", "PLAN_LIMITS: got \"no\", wants on or off"),
        ("RATE_LIMIT_BURST", "-5", "RATE_LIMIT_BURST: got \"-5\", wants a whole number from 1 to 1000000000000"),
    ];
    for (name, value, line) in cases {
        assert_eq!(settings(&[(name, value)]).unwrap_err().to_string(), line);
    }
}

#[test]
fn secrets_are_required_and_weak_ones_are_refused_without_being_shown() {
    let weak = [
        ("ADMIN_API_KEY", ""),
        ("ADMIN_API_KEY", "short-but-secret"),
        ("ADMIN_API_KEY", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("ADMIN_API_KEY", "has a blank in it and is long"),
        ("KEY_PEPPER", ""),
        ("KEY_PEPPER", "c2VjcmV0"),
        ("KEY_PEPPER", "v1:c2VjcmV0LWFuZC1zaG9ydA=="),
        ("KEY_PEPPER", "v1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("JWT_SECRET", "changeme"),
        ("VAULT_KEK", "c2VjcmV0LWFuZC1zaG9ydA=="),
    ];
    for (name, value) in weak {
        let line = settings(&[(name, value)]).unwrap_err().to_string();
        assert!(line.starts_with(&format!("{name}: got ")), "{line}");
        assert!(value.is_empty() || !line.contains(value), "{line}");
    }
}

#[test]
fn peppers_are_a_list_without_a_version_twice() {
    let (one, two) = (random_key(1), random_key(40));
    assert!(settings(&[("KEY_PEPPER", &format!("v1:{one}, v2:{two}"))]).is_ok());
    assert!(settings(&[("KEY_PEPPER", &format!("v1:{one},v1:{two}"))]).is_err());
    assert!(settings(&[("KEY_PEPPER", &format!("v0:{one}"))]).is_err());
}

#[test]
fn a_database_address_is_never_shown() {
    let line = settings(&[("DATABASE_URL", "mysql://me:hunter2@host/db")]).unwrap_err().to_string();
    assert!(line.starts_with("DATABASE_URL: got a secret of") && !line.contains("hunter2"), "{line}");
    let line = settings(&[("REDIS_URL", "http://me:hunter2@host")]).unwrap_err().to_string();
    assert!(line.starts_with("REDIS_URL: got a secret of") && !line.contains("hunter2"), "{line}");
    let settings = settings(&[("DATABASE_URL", "postgres://me:hunter2@host:5432/db")]).unwrap();
    assert!(settings.database.url.is_some());
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn a_gateway_is_on_when_it_has_a_key() {
    let settings = settings(&[
        ("OPENROUTER_API_KEY", "sk-or-1"),
        ("FEATHERLESS_API_KEY", "f-1"),
        ("FEATHERLESS_BASE_URL", "http://127.0.0.1:9/v1/"),
        ("CHUTES_BASE_URL", "http://127.0.0.1:9/v1"),
    ])
    .unwrap();
    let on: Vec<_> = settings.gateways.on.iter().map(|gateway| (gateway.id, gateway.base_url.as_str())).collect();
    assert_eq!(on, [(GatewayId::OpenRouter, "https://openrouter.ai/api/v1"), (GatewayId::Featherless, "http://127.0.0.1:9/v1")]);
    assert_eq!(settings.gateways.get(GatewayId::OpenRouter).unwrap().api_key.expose_secret(), "sk-or-1");
    assert!(!format!("{settings:?}").contains("sk-or-1"));
}

#[test]
fn a_password_in_a_wrong_address_is_cut_out() {
    let line = settings(&[("PUBLIC_URL", "ftp://me:hunter2@host")]).unwrap_err().to_string();
    assert_eq!(line, "PUBLIC_URL: got \"ftp://…@host\", wants an address such as https://example.com/v1");
}

#[test]
fn privys_keys_come_over_https_or_from_this_machine() {
    let with = |url: &'static str| settings(&[("PRIVY_APP_ID", "app"), ("PRIVY_JWKS_URL", url)]);
    for good in
        ["https://auth.example/v1/jwks.json", "http://127.0.0.1:9/jwks.json", "http://[::1]/jwks.json", "http://localhost/j"]
    {
        let settings = with(good).unwrap();
        assert_eq!(settings.privy, Some(PrivySettings { app_id: "app".to_owned(), jwks_url: good.to_owned() }));
    }
    for bad in ["http://auth.example/jwks.json", "http://localhost.example/jwks.json", "http://10.0.0.1/jwks.json"] {
        assert_eq!(with(bad).unwrap_err().name, "PRIVY_JWKS_URL", "{bad}");
    }
    assert_eq!(settings(&[]).unwrap().privy, None);
}
