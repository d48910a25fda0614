//! Parses `circles.json` into circles that can be started.

mod access;
mod circle_resolver;
mod editor;
mod locator;
mod role_member;
mod roles;
mod store_files;
mod values;
mod worker_pool;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use circle_resolver::CircleResolver;
use functions::roles::AccessDefinition;
use keys::{Authority, PublicKey};
use protocol::{Limits, methods::Access};
use serde::Deserialize;
use serde_json::value::RawValue;
use worker_nats::config::NatsSettings;

pub use access::playing_access;
pub use editor::{ConfigEditError, MemberChange, MemberIdentity, add_member};
pub use locator::ConfigLocator;
use store_files::StoreFiles;
pub use values::{parse_host, parse_origin, parse_proxy};

use crate::{
    config_error::{ConfigError, ConfigSource},
    fields::{Audit, CircleFields, LogFormat, RestartPolicy, Sandbox, StoreConfig, TlsFiles},
    log::AuditRotation,
};

/// Largest size of a `circles.json` in bytes.
const MAX_CONFIG_BYTES: u64 = 4 << 20;

/// Configuration of one circle in `circles.json`, with `defaults` applied. Paths are absolute, or relative to the
/// process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircleConfig {
    /// Name, unique in the file.
    pub name: String,
    /// Description that `describe` returns.
    pub description: Option<String>,
    /// Address to listen on.
    pub address: SocketAddr,
    /// Who may play; with `roles`, the widest group of callers that may.
    pub access: Access,
    /// Whether an open circle may listen on an address that is not loopback.
    pub allow_open: bool,
    /// Public keys of the members, for [`Access::Members`]; with `roles`, of the members that may play.
    pub members: Vec<PublicKey>,
    /// Roles, and who has them; valid.
    pub roles: Option<AccessDefinition<PublicKey>>,
    /// Directory of the functions that callers may call by their roles.
    pub functions: Option<PathBuf>,
    /// Authorities (`host:port`) that the circle accepts besides its own address.
    pub hosts: Vec<Authority>,
    /// Web origins whose pages may connect.
    pub origins: Vec<String>,
    /// Addresses of reverse proxies whose forwarding headers the circle trusts.
    pub trusted_proxies: Vec<IpAddr>,
    /// Whether a browser that opens the circle's address gets the web console.
    pub console: bool,
    /// Certificate and key, if the circle serves TLS.
    pub tls: Option<TlsFiles>,
    /// Rhai file whose functions and constants are available in every session.
    pub init: Option<PathBuf>,
    /// The only directory that `import` reads from.
    pub modules: Option<PathBuf>,
    /// Identity file; without one, the supervisor supplies a file.
    pub identity: Option<PathBuf>,
    /// Store, if the circle has one.
    pub store: Option<StoreConfig>,
    /// Connection to NATS, if worker machines run the scripts of the circle; valid but for the content of its files.
    pub worker_pool: Option<NatsSettings>,
    /// Resource limits.
    pub limits: Limits,
    /// Whether the circle refuses to start where its scripts cannot be sandboxed.
    pub sandbox: Sandbox,
    /// When the supervisor restarts the circle.
    pub restart: RestartPolicy,
    /// Format of the log.
    pub log: LogFormat,
    /// What the audit records of each play.
    pub audit: Audit,
    /// How the audit files are rotated.
    pub audit_rotation: AuditRotation,
}

impl CircleConfig {
    /// Returns the URL at which clients on this machine connect to the circle.
    pub fn url(&self) -> String {
        self.url_at(self.address)
    }

    /// Returns the URL of the circle while it listens on this address. With TLS, it has the first of `hosts`, if there is
    /// one, because a certificate is seldom for an address; otherwise `localhost` on loopback.
    pub fn url_at(&self, listening: SocketAddr) -> String {
        let hosts: Vec<_> = self.hosts.iter().map(ToString::to_string).collect();
        client_url(connect_address(listening), self.tls.is_some(), &hosts)
    }
}

/// Returns the address at which clients on this machine connect to something that listens on `address`: loopback in the
/// place of an unspecified address.
pub fn connect_address(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

/// Returns the URL at which clients on this machine connect to a circle with these `hosts`.
pub fn client_url(address: SocketAddr, has_tls: bool, hosts: &[String]) -> String {
    match hosts.first() {
        _ if !has_tls => format!("ws://{address}"),
        Some(host) => format!("wss://{host}"),
        None if address.ip().is_loopback() => format!("wss://localhost:{}", address.port()),
        None => format!("wss://{address}"),
    }
}

/// Reads and parses a `circles.json`.
///
/// # Errors
///
/// The file cannot be read, or is not valid.
pub fn load(path: &Path) -> Result<Vec<CircleConfig>, ConfigError> {
    parse(&read(path)?, path)
}

/// A `circles.json` as a supervisor reads it.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) circles: Vec<CircleConfig>,
    /// Whether a supervisor applies changes as soon as the file is saved.
    pub(crate) is_watched: bool,
}

/// Reads and parses a `circles.json` for a supervisor.
pub(crate) fn load_config(path: &Path) -> Result<Config, ConfigError> {
    parse_config(&read(path)?, path)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    use std::io::Read;

    let io = |source| ConfigError::Io { path: path.to_owned(), source };
    let mut text = String::new();
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(io(std::io::Error::other("not a regular file")));
    }
    let file = std::fs::File::open(path).map_err(io)?;
    if file.take(MAX_CONFIG_BYTES + 1).read_to_string(&mut text).map_err(io)? as u64 > MAX_CONFIG_BYTES {
        return Err(io(std::io::Error::other("larger than 4 MiB")));
    }
    // Some editors write a byte order mark before the text.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Members of a JSON object as raw text, to locate errors in the file.
type FieldSpans<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Parses the text of a `circles.json`. Relative paths in it are relative to the directory of `path`.
///
/// # Errors
///
/// The text is not valid; the error has the line and column.
pub fn parse(text: &str, path: &Path) -> Result<Vec<CircleConfig>, ConfigError> {
    parse_config(text, path).map(|config| config.circles)
}

fn parse_config(text: &str, path: &Path) -> Result<Config, ConfigError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RawConfig<'a> {
        #[serde(rename = "$schema")]
        _schema: Option<String>,
        watch: Option<bool>,
        #[serde(borrow)]
        defaults: Option<&'a RawValue>,
        #[serde(borrow)]
        circles: Vec<&'a RawValue>,
    }
    let source = ConfigSource { text, path };
    let top: RawConfig = serde_json::from_str(text).map_err(|error| source.serde_error(text, &error))?;
    let defaults = top.defaults.map(|raw| ConfigEntry::read(source, raw)).transpose()?.unwrap_or_default();
    for unique in ["name", "port", "identity", "store"] {
        if let Some(span) = defaults.spans.get(unique) {
            return Err(source.error_at(
                span.get(),
                format!("every circle needs its own {unique}: set it in each circle, not in \"defaults\""),
            ));
        }
    }
    let (mut circles, mut names, mut addresses) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    let mut stores = StoreFiles::default();
    for raw in top.circles {
        let entry = ConfigEntry::read(source, raw)?;
        let circle = CircleResolver { source, raw, entry: &entry, defaults: &defaults }.circle()?;
        if !names.insert(circle.name.clone()) {
            return Err(source.error_at(entry.span("name", raw), format!("duplicate circle name '{}'", circle.name)));
        }
        // Port 0 means any free port, so several circles may have it.
        if circle.address.port() != 0
            && let Some(other) = addresses.insert(circle.address.port(), circle.name.clone())
        {
            let message = format!("port {} is already used by circle '{other}'", circle.address.port());
            return Err(source.error_at(entry.span("port", raw), message));
        }
        if let Some(StoreConfig::File(file)) = &circle.store
            && let Some(other) = stores.insert(file, &circle.name)
        {
            let message =
                format!("the store {} is already that of circle '{other}': name another file", file.display());
            return Err(source.error_at(entry.span("store", raw), message));
        }
        circles.push(circle);
    }
    Ok(Config { circles, is_watched: top.watch.unwrap_or(true) })
}

#[derive(Default)]
struct ConfigEntry<'a> {
    fields: CircleFields,
    spans: FieldSpans<'a>,
}

impl<'a> ConfigEntry<'a> {
    fn read(source: ConfigSource<'a>, raw: &'a RawValue) -> Result<Self, ConfigError> {
        let text = raw.get();
        let to_error = |error| source.serde_error(text, &error);
        let spans: FieldSpans = serde_json::from_str(text).map_err(to_error)?;
        let fields = serde_json::from_str(text).map_err(|error| {
            let unknown =
                spans.iter().find(|(name, _)| error.to_string().starts_with(&format!("unknown field `{name}`")));
            match unknown.and_then(|(name, _)| find_similar(name)) {
                Some(known) => {
                    let ConfigError::Invalid { path, line, column, message, line_text: text } =
                        source.serde_error(text, &error)
                    else {
                        return source.serde_error(text, &error);
                    };
                    let message = message.split(", expected").next().unwrap_or(&message).to_owned();
                    ConfigError::Invalid {
                        path,
                        line,
                        column,
                        message: format!("{message}; did you mean `{known}`?"),
                        line_text: text,
                    }
                }
                None => source.serde_error(text, &error),
            }
        })?;
        Ok(Self { fields, spans })
    }

    /// Returns the text of a field, or of the whole circle.
    fn span(&self, name: &str, raw: &'a RawValue) -> &'a str {
        self.spans.get(name).map_or(raw.get(), |value| value.get())
    }
}

const FIELD_NAMES: &[&str] = &[
    "name",
    "description",
    "host",
    "port",
    "access",
    "allow_open",
    "members",
    "roles",
    "anyone",
    "authenticated",
    "functions",
    "hosts",
    "origins",
    "trusted_proxies",
    "console",
    "tls",
    "init",
    "modules",
    "sandbox",
    "identity",
    "store",
    "worker_pool",
    "limits",
    "restart",
    "log",
    "audit",
    "audit_rotation",
];

fn find_similar(name: &str) -> Option<&'static str> {
    let nearest = FIELD_NAMES.iter().map(|known| (strsim::osa_distance(known, name), *known)).min()?;
    (nearest.0 <= 2).then_some(nearest.1)
}

#[cfg(test)]
mod tests;
