//! Parses `circles.json` into circles that can be started.

mod editor;
mod locator;
mod values;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use keys::{Authority, PublicKey};
use protocol::{Limits, methods::Access};
use serde::Deserialize;
use serde_json::value::RawValue;

pub use editor::{ConfigEditError, MemberChange, add_member};
pub use locator::ConfigLocator;
pub use values::{parse_host, parse_origin, parse_proxy};

use crate::{
    config_error::{ConfigError, ConfigSource},
    fields::{Audit, CircleFields, LogFormat, RestartPolicy, Sandbox, TlsFiles},
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
    /// Who may play.
    pub access: Access,
    /// Whether an open circle may listen on an address that is not loopback.
    pub allow_open: bool,
    /// Public keys of the members, for [`Access::Members`].
    pub members: Vec<PublicKey>,
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
    for unique in ["name", "port", "identity"] {
        if let Some(span) = defaults.spans.get(unique) {
            return Err(source.error_at(
                span.get(),
                format!("every circle needs its own {unique}: set it in each circle, not in \"defaults\""),
            ));
        }
    }
    let (mut circles, mut names, mut addresses) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
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

/// A circle receives its members as arguments, which the system limits.
const MAX_MEMBERS: usize = 10_000;

const FIELD_NAMES: &[&str] = &[
    "name",
    "description",
    "host",
    "port",
    "access",
    "allow_open",
    "members",
    "hosts",
    "origins",
    "trusted_proxies",
    "console",
    "tls",
    "init",
    "modules",
    "sandbox",
    "identity",
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

/// Resolves one circle with its defaults.
struct CircleResolver<'a, 'e> {
    source: ConfigSource<'a>,
    raw: &'a RawValue,
    entry: &'e ConfigEntry<'a>,
    defaults: &'e ConfigEntry<'a>,
}

impl<'a> CircleResolver<'a, '_> {
    /// Returns the circle's own field, or the default.
    fn field<T: Clone>(&self, field: impl Fn(&CircleFields) -> &Option<T>) -> Option<T> {
        field(&self.entry.fields).clone().or_else(|| field(&self.defaults.fields).clone())
    }

    fn error_at(&self, name: &str, message: impl Into<String>) -> ConfigError {
        let own_span = self.entry.spans.get(name).or_else(|| self.defaults.spans.get(name));
        self.source.error_at(own_span.map_or(self.raw.get(), |value| value.get()), message)
    }

    /// Parses the items of a list one by one, so that an error points at its item.
    fn list<T>(
        &self,
        name: &str,
        items: Option<Vec<String>>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, ConfigError> {
        let span = self.entry.spans.get(name).or_else(|| self.defaults.spans.get(name));
        let spans: Vec<&'a RawValue> = span.and_then(|list| serde_json::from_str(list.get()).ok()).unwrap_or_default();
        items
            .unwrap_or_default()
            .iter()
            .enumerate()
            .map(|(index, item)| {
                parse(item).map_err(|message| match spans.get(index) {
                    Some(span) => self.source.error_at(span.get(), message),
                    None => self.error_at(name, message),
                })
            })
            .collect()
    }

    /// Resolves a path that is relative to the file.
    fn path(&self, path: Option<PathBuf>) -> Option<PathBuf> {
        path.map(|path| self.resolve(&path))
    }

    fn resolve(&self, path: &Path) -> PathBuf {
        self.source.path.parent().unwrap_or(Path::new("")).join(path)
    }

    fn circle(&self) -> Result<CircleConfig, ConfigError> {
        let name = self.field(|fields| &fields.name).ok_or_else(|| self.error_at("name", "a circle needs a name"))?;
        if !protocol::is_circle_name(&name) {
            let message = "invalid name: use up to 64 lower-case letters, digits and dashes, with at least one letter";
            return Err(self.error_at("name", message));
        }
        let port =
            self.field(|fields| &fields.port).ok_or_else(|| self.error_at("port", format!("'{name}' needs a port")))?;
        let host = self.field(|fields| &fields.host).unwrap_or(Ipv4Addr::LOCALHOST.into());
        let has_members = self.field(|fields| &fields.members).is_some();
        let access = self.field(|fields| &fields.access);
        if self.entry.fields.members.is_some() && access.is_some_and(|access| access != Access::Members) {
            return Err(
                self.error_at("members", "\"members\" has no effect with this \"access\": remove one of the two")
            );
        }
        // A list of members without `access` means members only.
        let access = access.unwrap_or(if has_members { Access::Members } else { Access::Open });
        let allow_open = self.field(|fields| &fields.allow_open).unwrap_or_default();
        if access == Access::Open && !host.is_loopback() && !allow_open {
            let message = format!(
                "'{name}' would be open to anyone who can reach {host}: restrict it with \"access\", or confirm with \"allow_open\": true"
            );
            return Err(self.error_at("host", message));
        }
        let members = self.list("members", self.field(|fields| &fields.members), |key| {
            key.parse::<PublicKey>().map_err(|error| error.to_string())
        })?;
        if members.len() > MAX_MEMBERS {
            let message =
                format!("too many members: at most {MAX_MEMBERS} are allowed, this list has {}", members.len());
            return Err(self.error_at("members", message));
        }
        let hosts = self.list("hosts", self.field(|fields| &fields.hosts), parse_host)?;
        let circle = CircleConfig {
            description: self.description()?,
            address: SocketAddr::new(host, port),
            access,
            allow_open,
            members,
            hosts,
            origins: self.list("origins", self.field(|fields| &fields.origins), parse_origin)?,
            trusted_proxies: self.list("trusted_proxies", self.field(|fields| &fields.trusted_proxies), parse_proxy)?,
            console: self.field(|fields| &fields.console).unwrap_or(true),
            tls: self
                .field(|fields| &fields.tls)
                .map(|TlsFiles { cert, key }| TlsFiles { cert: self.resolve(&cert), key: self.resolve(&key) }),
            init: self.path(self.field(|fields| &fields.init)),
            modules: self.path(self.field(|fields| &fields.modules)),
            identity: self.path(self.field(|fields| &fields.identity)),
            limits: self.limits()?,
            // Off loopback, strangers may connect.
            sandbox: self.field(|fields| &fields.sandbox).unwrap_or(if host.is_loopback() {
                Sandbox::BestEffort
            } else {
                Sandbox::Required
            }),
            restart: self.field(|fields| &fields.restart).unwrap_or_default(),
            log: self.field(|fields| &fields.log).unwrap_or_default(),
            audit: self.field(|fields| &fields.audit).unwrap_or_default(),
            audit_rotation: self.audit_rotation()?,
            name,
        };
        self.check_files(&circle)?;
        Ok(circle)
    }

    fn description(&self) -> Result<Option<String>, ConfigError> {
        let description = self.field(|fields| &fields.description);
        if description.as_ref().is_some_and(|text| text.len() > 1000 || text.contains(char::is_control)) {
            let message = "invalid description: use one line of at most 1000 bytes, without control characters";
            return Err(self.error_at("description", message));
        }
        Ok(description)
    }

    fn limits(&self) -> Result<Limits, ConfigError> {
        let mut limits = Limits::default();
        for entry in [self.defaults, self.entry] {
            let spans: FieldSpans = entry
                .spans
                .get("limits")
                .and_then(|limits| serde_json::from_str(limits.get()).ok())
                .unwrap_or_default();
            for (name, value) in entry.fields.limits.iter().flatten() {
                if let Err(error) = limits.set(name, *value) {
                    let span = spans.get(name.as_str()).map_or(self.raw.get(), |value| value.get());
                    return Err(self.source.error_at(span, format!("{name}: {error}")));
                }
            }
        }
        Ok(limits)
    }

    fn audit_rotation(&self) -> Result<AuditRotation, ConfigError> {
        let mut rotation = AuditRotation::default();
        for fields in [self.defaults, self.entry].into_iter().filter_map(|entry| entry.fields.audit_rotation.as_ref()) {
            rotation = rotation.with_fields(fields).map_err(|message| self.error_at("audit_rotation", message))?;
        }
        Ok(rotation)
    }

    fn check_files(&self, circle: &CircleConfig) -> Result<(), ConfigError> {
        let tls = circle.tls.iter().flat_map(|files| [("tls", &files.cert), ("tls", &files.key)]);
        for (field, path) in circle.init.iter().map(|init| ("init", init)).chain(tls) {
            // Not opened: opening a pipe would block.
            let problem = match std::fs::metadata(path) {
                Ok(metadata) if metadata.is_file() => continue,
                Ok(_) => "not a regular file".to_owned(),
                Err(error) => error.to_string(),
            };
            return Err(self.error_at(field, format!("cannot read {}: {problem}", path.display())));
        }
        if let Some(modules) = &circle.modules
            && let Err(error) = std::fs::read_dir(modules)
        {
            return Err(self.error_at("modules", format!("cannot read {}: {error}", modules.display())));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
