//! Fields of `circles.json`, as they are written.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use functions::roles::{MemberDefinition, RoleDefinition};
use protocol::methods::Access;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, Visitor, value::MapAccessDeserializer},
};

/// Configuration of circles.
#[cfg(feature = "schema")]
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[schemars(title = "circles.json")]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct ConfigFile {
    /// Location of the schema, for editors.
    #[serde(rename = "$schema")]
    pub(crate) schema: Option<String>,
    /// Whether a supervisor applies changes as soon as this file, or a file that it names, is saved; default true. If
    /// false, `circles reload` applies them.
    pub(crate) watch: Option<bool>,
    /// Fields that apply to every circle without its own value.
    pub(crate) defaults: Option<CircleFields>,
    /// The circles.
    pub(crate) circles: Vec<CircleFields>,
}

/// One circle, or the defaults for all circles.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct CircleFields {
    /// Name: lower-case letters, digits and dashes, with at least one letter; unique.
    pub(crate) name: Option<String>,
    /// Description that `describe` returns.
    pub(crate) description: Option<String>,
    /// Address to listen on; default 127.0.0.1.
    pub(crate) host: Option<std::net::IpAddr>,
    /// Port to listen on; unique.
    pub(crate) port: Option<u16>,
    /// Who may play; default `members` if members are listed, otherwise `open`. Not with `roles`, which say who may play.
    pub(crate) access: Option<Access>,
    /// Allow an open circle to listen on an address that is not loopback.
    pub(crate) allow_open: Option<bool>,
    /// Members: with `roles`, objects with a name, keys and a role; otherwise public keys as hex.
    pub(crate) members: Option<Vec<MemberEntry>>,
    /// Roles by name: what their callers may do. A circle with roles refuses what no role grants.
    pub(crate) roles: Option<Roles>,
    /// Role of an anonymous caller; by default, an anonymous caller may do nothing.
    pub(crate) anyone: Option<String>,
    /// Role of an authenticated caller who is no member; default `anyone`.
    pub(crate) authenticated: Option<String>,
    /// Directory whose Rhai files are the functions of the circle; needs `roles`.
    pub(crate) functions: Option<PathBuf>,
    /// Authorities (`host:port`) that the circle accepts besides its own address.
    pub(crate) hosts: Option<Vec<String>>,
    /// Web origins whose pages may connect, besides the circle's own.
    pub(crate) origins: Option<Vec<String>>,
    /// IP addresses of reverse proxies whose `X-Forwarded-For` header the circle trusts.
    pub(crate) trusted_proxies: Option<Vec<String>>,
    /// Whether a browser that opens the circle's address gets the web console; default true.
    pub(crate) console: Option<bool>,
    /// Certificate and key, with which the circle serves wss and https, and nothing without TLS.
    pub(crate) tls: Option<TlsFiles>,
    /// Rhai file whose functions and constants are available in every session.
    pub(crate) init: Option<PathBuf>,
    /// The only directory that `import` reads from.
    pub(crate) modules: Option<PathBuf>,
    /// Whether the circle refuses to start where its scripts cannot be sandboxed.
    pub(crate) sandbox: Option<Sandbox>,
    /// Identity file, created if it does not exist; replicas of a circle share one.
    pub(crate) identity: Option<PathBuf>,
    /// File of the store, which the circle creates if there is none; its directory must exist. `:memory:` keeps the store
    /// in memory until the circle ends, for tests. Without it, the circle has no store.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub(crate) store: Option<StoreConfig>,
    /// NATS servers, through which worker machines run the scripts of the circle; without it, this machine runs them.
    pub(crate) worker_pool: Option<WorkerPoolFields>,
    /// Resource limits.
    #[cfg_attr(feature = "schema", schemars(with = "Option<protocol::Limits>"))]
    pub(crate) limits: Option<BTreeMap<String, u64>>,
    /// When the supervisor restarts the circle.
    pub(crate) restart: Option<RestartPolicy>,
    /// Format of the log.
    pub(crate) log: Option<LogFormat>,
    /// What the audit records of each play.
    pub(crate) audit: Option<Audit>,
    /// Size, age and number of the audit files.
    pub(crate) audit_rotation: Option<RotationFields>,
}

/// Roles by name, each once.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub(crate) struct Roles(
    #[serde(deserialize_with = "functions::roles::deserialize_roles")] pub(crate) BTreeMap<String, RoleDefinition>,
);

/// A member: a public key as hex, or an object.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged))]
pub(crate) enum MemberEntry {
    /// A public key as hex.
    Key(String),
    /// A member with a name and a role.
    Member(MemberDefinition<String>),
}

/// Not derived: the errors of an untagged enum do not say what is wrong with an object, or where.
impl<'de> Deserialize<'de> for MemberEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntryVisitor;

        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = MemberEntry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a public key as text, or an object with name, keys and role")
            }

            fn visit_str<E: de::Error>(self, key: &str) -> Result<MemberEntry, E> {
                Ok(MemberEntry::Key(key.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<MemberEntry, A::Error> {
                MemberDefinition::deserialize(MapAccessDeserializer::new(map)).map(MemberEntry::Member)
            }
        }

        deserializer.deserialize_any(EntryVisitor)
    }
}

/// Rotation of the audit files.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct RotationFields {
    /// Size of a file in MiB, from 1 to 1024; default 8.
    pub(crate) file_mib: Option<u64>,
    /// Number of files that are kept, the current one included, from 2 to 1000; default 8.
    pub(crate) files: Option<u64>,
    /// Days after which a new file is started, whatever the size, from 1 to 3650; by default only the size counts.
    pub(crate) days: Option<u64>,
}

/// The connection to NATS, and at most one of `credentials`, `nkey`, and `user` with `password_file`.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkerPoolFields {
    /// URLs of NATS servers of one cluster, separated by commas: all `nats://HOST:PORT`, or all `tls://HOST:PORT`.
    pub(crate) nats: String,
    /// Credentials file: a JWT and the seed of a user's nkey. Only its owner may read it.
    pub(crate) credentials: Option<PathBuf>,
    /// File with the seed of a user's nkey. Only its owner may read it.
    pub(crate) nkey: Option<PathBuf>,
    /// User name in NATS; needs `password_file`.
    pub(crate) user: Option<String>,
    /// File with the password of `user`. Only its owner may read it.
    pub(crate) password_file: Option<PathBuf>,
    /// PEM file with the CAs that may sign the certificate of a NATS server; default those of the system.
    pub(crate) ca: Option<PathBuf>,
    /// PEM file with the client certificate, for NATS servers that verify clients; needs `key`.
    pub(crate) cert: Option<PathBuf>,
    /// PEM file with the private key of `cert`. Only its owner may read it.
    pub(crate) key: Option<PathBuf>,
}

/// Where the store of a circle is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "PathBuf")]
pub enum StoreConfig {
    /// In memory, until the circle ends.
    Memory,
    /// In a file.
    File(PathBuf),
}

/// The path that stands for a store in memory.
const MEMORY_STORE: &str = ":memory:";

impl From<PathBuf> for StoreConfig {
    fn from(path: PathBuf) -> Self {
        if path.as_os_str() == MEMORY_STORE { Self::Memory } else { Self::File(path) }
    }
}

impl From<std::ffi::OsString> for StoreConfig {
    fn from(path: std::ffi::OsString) -> Self {
        PathBuf::from(path).into()
    }
}

impl fmt::Display for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str(MEMORY_STORE),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// Certificate and key of a circle that serves TLS, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate of the circle, then those of the intermediate CAs.
    pub cert: PathBuf,
    /// The private key, without a passphrase.
    pub key: PathBuf,
}

/// Whether a circle refuses to start where its scripts cannot be sandboxed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Sandbox {
    /// Refuse to start.
    Required,
    /// Start, with a warning.
    BestEffort,
}

impl fmt::Display for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Required => "required",
            Self::BestEffort => "best-effort",
        })
    }
}

impl std::str::FromStr for Sandbox {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "required" => Ok(Self::Required),
            "best-effort" => Ok(Self::BestEffort),
            _ => Err("expected required or best-effort"),
        }
    }
}

/// When the supervisor restarts a circle whose process has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Always.
    #[default]
    Always,
    /// Only after a failure.
    OnFailure,
    /// Never.
    Never,
}

/// Format of a circle's log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Lines of text for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// What the audit records of each play.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Audit {
    /// Nothing.
    Off,
    /// Player, time, outcome, and a hash of the script.
    #[default]
    Hashes,
    /// The same, with the script itself.
    Scripts,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

impl std::str::FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected text or json"),
        }
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Hashes => "hashes",
            Self::Scripts => "scripts",
        })
    }
}

impl std::str::FromStr for Audit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "hashes" => Ok(Self::Hashes),
            "scripts" => Ok(Self::Scripts),
            _ => Err("expected off, hashes or scripts"),
        }
    }
}
