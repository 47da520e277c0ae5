//! May this caller do that, from there, now? Plain functions.

use super::caller::Caller;
use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde_json::Value;
use std::collections::HashMap;
use std::net::IpAddr;

/// What a request shows of where it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The client's address, as far as it can be believed.
    pub address: IpAddr,
    /// The host of the page that sent it; `None` when no header tells or the header is garbage or `null`.
    pub site: Option<&'a str>,
}

/// Why a known key is refused, in the order in which it is checked (`contract.md` A.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("API key is inactive")]
    Inactive,
    #[error("API key has expired")]
    Expired,
    #[error("API key request limit reached")]
    RequestCap,
    #[error("IP address not allowed for this API key")]
    Address,
    #[error("Domain not allowed for this API key")]
    Domain,
}

/// Checks a key in the contract's order: active, expiry, request cap, address, domain.
///
/// # Errors
/// The first check that fails.
pub fn check(caller: &Caller, origin: Origin<'_>, now: DateTime<Utc>) -> Result<(), Refusal> {
    if !caller.is_active {
        return Err(Refusal::Inactive);
    }
    // Mutant: `<` for `<=` turns `a_key_expires_exactly_at_its_time` and `the_secret_before_a_rotation…` red.
    if caller.expires_at.into_iter().chain(caller.secret_ends_at).any(|end| end <= now) {
        return Err(Refusal::Expired);
    }
    if caller.max_requests.is_some_and(|cap| caller.requests_used() >= cap) {
        return Err(Refusal::RequestCap);
    }
    if caller.ip_allowlist.as_deref().is_some_and(|list| !address_allowed(list, origin.address)) {
        return Err(Refusal::Address);
    }
    if caller.domains.as_deref().is_some_and(|list| !domain_allowed(list, origin.site)) {
        return Err(Refusal::Domain);
    }
    Ok(())
}

/// Is the address in one of the nets? An IPv4 address mapped into IPv6 is the IPv4 address, on both sides.
#[must_use]
pub fn address_allowed(list: &[IpNet], address: IpAddr) -> bool {
    // Mutant: without `to_canonical` the mapped cases of `networks_allow_exactly_their_addresses…` are red.
    let address = address.to_canonical();
    list.iter().any(|net| canonical(*net).contains(&address))
}

/// Is the site one of the hosts, or a sub-domain of one? No site is no.
#[must_use]
pub fn domain_allowed(list: &[String], site: Option<&str>) -> bool {
    site.is_some_and(|site| {
        list.iter().any(|entry| {
            let below = site.strip_suffix(entry.as_str());
            // Mutant: dropping the dot lets evil-example.org pass for example.org: `a_domain_list_demands_a_site` is red.
            below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    })
}

/// Reads one entry of an address list: an address or a net, of either family. `None` for anything else.
#[must_use]
pub fn parse_net(entry: &str) -> Option<IpNet> {
    let entry = entry.trim();
    entry.parse::<IpNet>().or_else(|_| entry.parse::<IpAddr>().map(IpNet::from)).ok()
}

/// `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
fn canonical(net: IpNet) -> IpNet {
    const MAPPED_BITS: u8 = 96;
    let IpNet::V6(v6) = net else { return net };
    let v4 = v6.addr().to_ipv4_mapped().zip(v6.prefix_len().checked_sub(MAPPED_BITS));
    v4.and_then(|(address, prefix)| IpNet::new(address.into(), prefix).ok()).unwrap_or(net)
}

/// Reads one entry of a domain list, a host or an address with a scheme, port or path: the lower-case host.
/// `None` for text that has no host; international names have to be written as browsers send them (`xn--…`).
#[must_use]
pub fn parse_domain(entry: &str) -> Option<String> {
    let entry = entry.trim();
    let entry = entry.split_once("://").map_or(entry, |(_, rest)| rest);
    // A leading "*." or "." says what an entry means anyway.
    let entry = entry.strip_prefix("*.").unwrap_or(entry).trim_start_matches('.');
    host_of(entry)
}

/// The lower-case host that `host[:port][/…]` begins with. `None` when there is none, or it has characters that no
/// host has: user names before an `@` are refused, because they are how one host is made to look like another.
#[must_use]
pub fn host_of(address: &str) -> Option<String> {
    // Browsers read a backslash as a slash.
    let authority = address.split(['/', '\\', '?', '#']).next()?;
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']').filter(|(host, _)| host.parse::<std::net::Ipv6Addr>().is_ok())?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':');
    // No label is empty, so neither is the host.
    let labels_fit = host.split('.').all(|label| !label.is_empty() && label.chars().all(fits));
    (port_fits && labels_fit).then_some(host)
}

/// A list as the row has it: `None` when it is empty or holds nothing but empty texts. Entries that can't be read
/// allow nobody, and a list of nothing else refuses everyone.
pub(super) fn list_of<T>(entries: &[String], parse: fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let entries: Vec<_> = entries.iter().filter(|entry| !entry.trim().is_empty()).collect();
    (!entries.is_empty()).then(|| entries.into_iter().filter_map(|entry| parse(entry)).collect())
}

/// What a key may do: verb → resources. `*` is any; nothing at all allows everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(Option<HashMap<String, Vec<String>>>);

impl Scopes {
    /// Reads `scope_permissions`. What is no object of lists of texts allows nothing.
    #[must_use]
    pub fn from_json(value: &Value) -> Self {
        Self(serde_json::from_value(value.clone()).ok())
    }

    /// May it do everything that the other may?
    #[must_use]
    pub fn cover(&self, other: &Self) -> bool {
        let Some(others) = &other.0 else { return true };
        if others.is_empty() {
            return self.0.as_ref().is_some_and(HashMap::is_empty) || self.allow_all();
        }
        others.iter().all(|(verb, resources)| resources.iter().all(|resource| self.allow(verb, resource)))
    }

    /// Every verb, every resource.
    fn allow_all(&self) -> bool {
        ["read", "write", "admin"].iter().all(|verb| self.allow(verb, "*"))
    }

    /// May it do this verb to this resource? `*` asks for every resource.
    #[must_use]
    pub fn allow(&self, verb: &str, resource: &str) -> bool {
        let Some(scopes) = &self.0 else { return false };
        let listed = |verb: &str| scopes.get(verb).is_some_and(|list| list.iter().any(|entry| entry == "*" || entry == resource));
        scopes.is_empty() || listed(verb) || listed("*")
    }
}

#[cfg(test)]
mod tests;
