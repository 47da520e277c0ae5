//! Settings, as the parts want to have them.

use crate::adapters;
use crate::config::{GatewaySettings, RateLimitDefaults, Settings};
use anyhow::Context;
use tollgate_actors::ActorsOptions;
use tollgate_actors::catalog::CatalogOptions;
use tollgate_actors::identity::keys::Peppers;
use tollgate_actors::identity::{IdentityOptions, RateLimits, TrialTerms};
use tollgate_actors::limiter::LimiterOptions;
use tollgate_actors::upkeep::Retention;
use tollgate_actors::upstreams::UpstreamOptions;

/// What upstreams are told of us, beside `PUBLIC_URL`.
const SITE_NAME: &str = "Tollgate";

impl Settings {
    /// The gateways that are on.
    pub fn adapter_gateways(&self) -> Vec<adapters::GatewaySettings> {
        let site_url = self.server.public_url.clone().unwrap_or_default();
        let convert = |gateway: &GatewaySettings| adapters::GatewaySettings {
            id: gateway.id,
            base_url: gateway.base_url.clone(),
            api_key: gateway.api_key.clone(),
            site_url: site_url.clone(),
            site_name: SITE_NAME.to_owned(),
        };
        self.gateways.on.iter().map(convert).collect()
    }

    pub const fn adapter_timeouts(&self) -> adapters::TimeoutSettings {
        let timeouts = &self.timeouts;
        adapters::TimeoutSettings {
            connect: timeouts.connect,
            first_byte: timeouts.first_byte,
            between_bytes: timeouts.between_bytes,
            total: timeouts.total,
        }
    }

    /// # Errors
    /// Peppers that identity does not take.
    pub fn actors_options(&self, instance: String) -> anyhow::Result<ActorsOptions> {
        Ok(ActorsOptions {
            identity: self.identity_options()?,
            limiter: LimiterOptions {
                defaults: rate_limits(&self.limits.rates),
                address_per_minute: self.limits.address_per_minute,
                plans_limit: self.limits.plans,
            },
            catalog: CatalogOptions::new(self.money.default_price),
            upstreams: self.upstream_options(),
            retention: self.retention(),
            instance,
            calls_max: self.server.calls_max,
            data_dir: self.server.data_dir.clone(),
        })
    }

    pub const fn retention(&self) -> Retention {
        Retention { activity_days: self.retention.activity_days, unpaid_hold_days: self.retention.unpaid_hold_days }
    }

    const fn upstream_options(&self) -> UpstreamOptions {
        let upstreams = &self.upstreams;
        UpstreamOptions {
            failures: upstreams.failures,
            failure_percent: upstreams.failure_percent,
            window: upstreams.window,
            rest: upstreams.rest,
            rest_max: upstreams.rest_max,
            key_rest: upstreams.key_rest,
            retry_percent: upstreams.budget_percent,
            retries_per_second: upstreams.budget_per_second,
        }
    }

    fn identity_options(&self) -> anyhow::Result<IdentityOptions> {
        Ok(IdentityOptions {
            peppers: Peppers::parse(&self.secrets.key_pepper).context("KEY_PEPPER")?,
            signup_credits: self.money.signup_credits,
            trial: TrialTerms { days: i64::from(self.trial.days), tokens: self.trial.tokens, requests: self.trial.requests },
            default_limits: rate_limits(&self.limits.rates),
            register_per_hour: self.limits.register_per_hour,
            listen: true,
        })
    }
}

const fn rate_limits(defaults: &RateLimitDefaults) -> RateLimits {
    RateLimits {
        requests_per_minute: defaults.requests_per_minute,
        requests_per_hour: defaults.requests_per_hour,
        requests_per_day: defaults.requests_per_day,
        tokens_per_minute: defaults.tokens_per_minute,
        tokens_per_hour: defaults.tokens_per_hour,
        tokens_per_day: defaults.tokens_per_day,
        burst: defaults.burst,
        concurrency: defaults.concurrency,
    }
}
