//! From the text of `circles.json` to circles that can be started.

mod locator;

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

pub use locator::ConfigLocator;

use crate::{
    config_error::{ConfigError, ConfigSource},
    fields::{Audit, CircleFields, LogFormat, RestartPolicy, Sandbox},
    log::AuditRotation,
};

/// Bytes of a `circles.json`.
const MAX_CONFIG_BYTES: u64 = 4 << 20;

/// One circle of `circles.json`, with what `defaults` says of it. Paths are absolute or relative to the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircleConfig {
    /// Its name, unique in the file.
    pub name: String,
    /// What `describe` says of it.
    pub description: Option<String>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Who may play.
    pub access: Access,
    /// Whether it may be open on an address that is not loopback.
    pub allow_open: bool,
    /// The keys that [`Access::Members`] admits.
    pub members: Vec<PublicKey>,
    /// Authorities that it answers to besides its own address.
    pub hosts: Vec<Authority>,
    /// Web origins whose pages may connect.
    pub origins: Vec<String>,
    /// Addresses of proxies that say whose request they pass on.
    pub trusted_proxies: Vec<IpAddr>,
    /// A Rhai file whose functions and constants every session has.
    pub init: Option<PathBuf>,
    /// The one directory that `import` reads.
    pub modules: Option<PathBuf>,
    /// The file of its identity; its supervisor has one for it otherwise.
    pub identity: Option<PathBuf>,
    /// What it allows.
    pub limits: Limits,
    /// Whether it refuses to start where its scripts cannot be sandboxed.
    pub sandbox: Sandbox,
    /// When it is started again.
    pub restart: RestartPolicy,
    /// How it writes its log.
    pub log: LogFormat,
    /// What is kept of each play.
    pub audit: Audit,
    /// How the files of the audit are rotated.
    pub audit_rotation: AuditRotation,
}

impl CircleConfig {
    /// Where a client of this machine dials it.
    pub fn url(&self) -> String {
        format!("ws://{}", connect_address(self.address))
    }
}

/// Where something that listens there is dialled on this machine: an address that stands for all of them is none that
/// anyone could dial.
pub fn connect_address(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, address.port())
}

/// Reads and parses a file.
pub fn load(path: &Path) -> Result<Vec<CircleConfig>, ConfigError> {
    parse(&read(path)?, path)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    use std::io::Read;

    let io = |source| ConfigError::Io { path: path.to_owned(), source };
    let mut text = String::new();
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(io(std::io::Error::other("it is no file")));
    }
    let file = std::fs::File::open(path).map_err(io)?;
    if file.take(MAX_CONFIG_BYTES + 1).read_to_string(&mut text).map_err(io)? as u64 > MAX_CONFIG_BYTES {
        return Err(io(std::io::Error::other("it is larger than 4 MiB")));
    }
    // Some editors put a byte order mark before the text.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The members of an object as they are written, for their places in the text.
type FieldSpans<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

/// Parses the text of a file. Relative paths in it are relative to the file's directory.
pub fn parse(text: &str, path: &Path) -> Result<Vec<CircleConfig>, ConfigError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RawConfig<'a> {
        #[serde(rename = "$schema")]
        _schema: Option<String>,
        #[serde(borrow)]
        defaults: Option<&'a RawValue>,
        #[serde(borrow)]
        circles: Vec<&'a RawValue>,
    }
    let source = ConfigSource { text, path };
    let top: RawConfig = serde_json::from_str(text).map_err(|error| source.serde_error(text, &error))?;
    let defaults = top.defaults.map(|raw| ConfigEntry::read(source, raw)).transpose()?.unwrap_or_default();
    for unique in ["name", "port", "identity"] {
        if let Some(place) = defaults.places.get(unique) {
            return Err(source.error_at(place.get(), format!("every circle has its own {unique}")));
        }
    }
    let (mut circles, mut names, mut addresses) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    for raw in top.circles {
        let entry = ConfigEntry::read(source, raw)?;
        let circle = CircleResolver { source, raw, entry: &entry, defaults: &defaults }.circle()?;
        if !names.insert(circle.name.clone()) {
            return Err(source.error_at(entry.span("name", raw), format!("there are two circles '{}'", circle.name)));
        }
        // Port 0 is a free one, each time another.
        if circle.address.port() != 0
            && let Some(other) = addresses.insert(circle.address.port(), circle.name.clone())
        {
            let message = format!("the port {} is that of '{other}', too", circle.address.port());
            return Err(source.error_at(entry.span("port", raw), message));
        }
        circles.push(circle);
    }
    Ok(circles)
}

#[derive(Default)]
struct ConfigEntry<'a> {
    fields: CircleFields,
    places: FieldSpans<'a>,
}

impl<'a> ConfigEntry<'a> {
    fn read(source: ConfigSource<'a>, raw: &'a RawValue) -> Result<Self, ConfigError> {
        let text = raw.get();
        let to_error = |error| source.serde_error(text, &error);
        let places: FieldSpans = serde_json::from_str(text).map_err(to_error)?;
        let fields = serde_json::from_str(text).map_err(|error| {
            let unknown =
                places.iter().find(|(name, _)| error.to_string().starts_with(&format!("unknown field `{name}`")));
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
        Ok(Self { fields, places })
    }

    /// Where a field stands, or else its circle.
    fn span(&self, name: &str, raw: &'a RawValue) -> &'a str {
        self.places.get(name).map_or(raw.get(), |value| value.get())
    }
}

/// A circle is told of them as arguments, of which the system takes so many.
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

/// One circle with its defaults.
struct CircleResolver<'a, 'e> {
    source: ConfigSource<'a>,
    raw: &'a RawValue,
    entry: &'e ConfigEntry<'a>,
    defaults: &'e ConfigEntry<'a>,
}

impl<'a> CircleResolver<'a, '_> {
    /// A field of its own, or the default one.
    fn field<T: Clone>(&self, field: impl Fn(&CircleFields) -> &Option<T>) -> Option<T> {
        field(&self.entry.fields).clone().or_else(|| field(&self.defaults.fields).clone())
    }

    fn error_at(&self, name: &str, message: impl Into<String>) -> ConfigError {
        let own_span = self.entry.places.get(name).or_else(|| self.defaults.places.get(name));
        self.source.error_at(own_span.map_or(self.raw.get(), |value| value.get()), message)
    }

    /// A list whose items are parsed one by one, so that the one which is wrong is pointed at.
    fn list<T>(
        &self,
        name: &str,
        items: Option<Vec<String>>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, ConfigError> {
        let place = self.entry.places.get(name).or_else(|| self.defaults.places.get(name));
        let places: Vec<&'a RawValue> =
            place.and_then(|list| serde_json::from_str(list.get()).ok()).unwrap_or_default();
        items
            .unwrap_or_default()
            .iter()
            .enumerate()
            .map(|(index, item)| {
                parse(item).map_err(|message| match places.get(index) {
                    Some(place) => self.source.error_at(place.get(), message),
                    None => self.error_at(name, message),
                })
            })
            .collect()
    }

    /// A path that is relative to the file.
    fn path(&self, path: Option<PathBuf>) -> Option<PathBuf> {
        path.map(|path| self.source.path.parent().unwrap_or(Path::new("")).join(path))
    }

    fn circle(&self) -> Result<CircleConfig, ConfigError> {
        let name = self.field(|fields| &fields.name).ok_or_else(|| self.error_at("name", "a circle needs a name"))?;
        if !protocol::is_circle_name(&name) {
            let message = "a name is made of lower-case letters, digits and dashes, with a letter, up to 64 of them";
            return Err(self.error_at("name", message));
        }
        let port =
            self.field(|fields| &fields.port).ok_or_else(|| self.error_at("port", format!("'{name}' needs a port")))?;
        let host = self.field(|fields| &fields.host).unwrap_or(Ipv4Addr::LOCALHOST.into());
        let has_members = self.field(|fields| &fields.members).is_some();
        let access = self.field(|fields| &fields.access);
        if self.entry.fields.members.is_some() && access.is_some_and(|access| access != Access::Members) {
            return Err(self.error_at("members", "with this \"access\" others may play, too: leave one of the two out"));
        }
        // Who lists members means them alone.
        let access = access.unwrap_or(if has_members { Access::Members } else { Access::Open });
        let allow_open = self.field(|fields| &fields.allow_open).unwrap_or_default();
        if access == Access::Open && !host.is_loopback() && !allow_open {
            let message = format!(
                "'{name}' would be open to anyone who reaches {host}: say who may play (\"access\"), or mean it (\"allow_open\": true)"
            );
            return Err(self.error_at("host", message));
        }
        if self.entry.fields.tls.is_some() || self.defaults.fields.tls.is_some() {
            return Err(self.error_at("tls", "this version cannot do TLS yet"));
        }
        let members = self.list("members", self.field(|fields| &fields.members), |key| {
            key.parse::<PublicKey>().map_err(|error| error.to_string())
        })?;
        if members.len() > MAX_MEMBERS {
            let message = format!("a circle has {MAX_MEMBERS} members at the most, and these are {}", members.len());
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
            init: self.path(self.field(|fields| &fields.init)),
            modules: self.path(self.field(|fields| &fields.modules)),
            identity: self.path(self.field(|fields| &fields.identity)),
            limits: self.limits()?,
            // Off loopback strangers may come.
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
            let message = "a description is one line of at most 1000 bytes, without control characters";
            return Err(self.error_at("description", message));
        }
        Ok(description)
    }

    fn limits(&self) -> Result<Limits, ConfigError> {
        let mut limits = Limits::default();
        for entry in [self.defaults, self.entry] {
            let places: FieldSpans = entry
                .places
                .get("limits")
                .and_then(|limits| serde_json::from_str(limits.get()).ok())
                .unwrap_or_default();
            for (name, value) in entry.fields.limits.iter().flatten() {
                if let Err(error) = limits.set(name, *value) {
                    let place = places.get(name.as_str()).map_or(self.raw.get(), |value| value.get());
                    return Err(self.source.error_at(place, format!("{name}: {error}")));
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
        if let Some(init) = &circle.init
            // Not opened: a pipe would be waited for.
            && !std::fs::metadata(init).is_ok_and(|metadata| metadata.is_file())
        {
            return Err(self.error_at("init", format!("{} is no file that can be read", init.display())));
        }
        if let Some(modules) = &circle.modules
            && let Err(error) = std::fs::read_dir(modules)
        {
            return Err(self.error_at("modules", format!("cannot read {}: {error}", modules.display())));
        }
        Ok(())
    }
}

/// Reads an authority that a circle is to answer to.
///
/// # Errors
///
/// It is no authority, or a pattern. Authorities are compared as text, so a pattern would match none.
pub fn parse_host(text: &str) -> Result<Authority, String> {
    if text.contains('*') {
        return Err("a host is compared as text, so one with a * matches nothing: name each host".into());
    }
    text.parse::<Authority>().map_err(|error| error.to_string())
}

/// Reads a web origin (RFC 6454): scheme and authority, nothing behind.
///
/// # Errors
///
/// It is no origin, or a pattern.
pub fn parse_origin(text: &str) -> Result<String, String> {
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match authority.map(parse_host) {
        Some(Ok(_)) if !text.contains(',') => Ok(text.to_owned()),
        Some(Err(message)) if text.contains('*') => Err(message),
        _ => Err("an origin is https://HOST or http://HOST, with a port where there is one, and nothing behind".into()),
    }
}

/// The address of a proxy. What is wrong with another text is said for a person.
pub fn parse_proxy(text: &str) -> Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| "a trusted proxy is an IP address, without a port or a network")?;
    if address.is_unspecified() { Err("this is the address of no proxy".into()) } else { Ok(address.to_canonical()) }
}

#[cfg(test)]
mod tests;
