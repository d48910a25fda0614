//! The list of NATS servers.

use async_nats::ServerAddr;
use url::Url;

use super::NatsConfigError;

/// Maximum number of servers in a list; NATS clusters have a few.
pub(super) const MAX_SERVERS: usize = 32;

/// Parses a list of URLs with one scheme, separated by commas.
pub(super) fn parse(list: &str) -> Result<Vec<ServerAddr>, NatsConfigError> {
    let servers: Vec<_> = list.split(',').map(str::trim).filter(|server| !server.is_empty()).collect();
    match servers.len() {
        0 => Err(NatsConfigError::NoServer),
        count if count > MAX_SERVERS => Err(NatsConfigError::TooManyServers(count)),
        _ => one_scheme(servers.into_iter().map(parse_server).collect::<Result<_, _>>()?),
    }
}

/// Refuses servers with and without TLS in one list.
fn one_scheme(servers: Vec<ServerAddr>) -> Result<Vec<ServerAddr>, NatsConfigError> {
    match servers.iter().find(|server| !server.tls_required()) {
        Some(server) if servers.iter().any(ServerAddr::tls_required) => {
            Err(NatsConfigError::MixedSchemes { without_tls: server.as_url_str().to_owned() })
        }
        _ => Ok(servers),
    }
}

fn parse_server(text: &str) -> Result<ServerAddr, NatsConfigError> {
    let bad = |reason: String| NatsConfigError::BadServer { server: without_user(text), reason };
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("nats://{text}") };
    let url: Url = with_scheme.parse().map_err(|error: url::ParseError| bad(error.to_string()))?;
    if !matches!(url.scheme(), "nats" | "tls") {
        return Err(bad(format!("its scheme is '{}'", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(NatsConfigError::PasswordInUrl { server: without_user(text) });
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(bad("it has no host".into()));
    }
    if url.port() == Some(0) {
        return Err(bad("its port is 0".into()));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it has a path, a query or a fragment".into()));
    }
    ServerAddr::from_url(url).map_err(|error| bad(error.to_string()))
}

/// The text of a URL without what may be a user and a password.
fn without_user(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let separator = if scheme.is_empty() { "" } else { "://" };
    let text = format!("{scheme}{separator}{rest}");
    text.chars().filter(|character| !character.is_control()).take(300).collect()
}
