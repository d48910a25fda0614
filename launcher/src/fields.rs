//! The fields of `circles.json`, as they are written.

use std::{collections::BTreeMap, path::PathBuf};

use protocol::methods::Access;
use serde::Deserialize;

/// All of `circles.json`.
#[cfg(feature = "schema")]
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[schemars(title = "circles.json")]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is of use")]
pub(crate) struct ConfigFile {
    /// Where the schema is, for editors.
    #[serde(rename = "$schema")]
    pub(crate) schema: Option<String>,
    /// Fields for every circle that does not have its own.
    pub(crate) defaults: Option<CircleFields>,
    /// The circles.
    pub(crate) circles: Vec<CircleFields>,
}

/// One circle, or what all have by default.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct CircleFields {
    /// Lower-case letters, digits and dashes, with a letter; unique.
    pub(crate) name: Option<String>,
    /// What `describe` says of it.
    pub(crate) description: Option<String>,
    /// The address to listen on; 127.0.0.1 unless said otherwise.
    pub(crate) host: Option<std::net::IpAddr>,
    /// The port; unique.
    pub(crate) port: Option<u16>,
    /// Who may play; members where some are listed, anyone otherwise.
    pub(crate) access: Option<Access>,
    /// Lets an open circle listen on an address that is not loopback.
    pub(crate) allow_open: Option<bool>,
    /// Public keys that may play, as hex.
    pub(crate) members: Option<Vec<String>>,
    /// Authorities (`host:port`) that it answers to besides its own address.
    pub(crate) hosts: Option<Vec<String>>,
    /// Web origins whose pages may connect, besides its own.
    pub(crate) origins: Option<Vec<String>>,
    /// Addresses of proxies that say in `X-Forwarded-For` whose request they pass on.
    pub(crate) trusted_proxies: Option<Vec<String>>,
    /// Certificate and key for wss.
    pub(crate) tls: Option<Tls>,
    /// A Rhai file whose functions and constants every session has.
    pub(crate) init: Option<PathBuf>,
    /// The one directory that `import` reads.
    pub(crate) modules: Option<PathBuf>,
    /// Whether it refuses to start where its scripts cannot be sandboxed.
    pub(crate) sandbox: Option<Sandbox>,
    /// The file of its identity, which is made if it is not there; replicas of a circle share one.
    pub(crate) identity: Option<PathBuf>,
    /// What it allows.
    #[cfg_attr(feature = "schema", schemars(with = "Option<protocol::Limits>"))]
    pub(crate) limits: Option<BTreeMap<String, u64>>,
    /// When it is started again.
    pub(crate) restart: Option<RestartPolicy>,
    /// How it writes its log.
    pub(crate) log: Option<LogFormat>,
    /// What is kept of each play.
    pub(crate) audit: Option<Audit>,
    /// How large and how old the files of the audit get, and how many there are.
    pub(crate) audit_rotation: Option<RotationFields>,
}

/// How the files of an audit are rotated.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct RotationFields {
    /// MiB of one file, from 1 to 1024; 8 unless said otherwise.
    pub(crate) file_mib: Option<u64>,
    /// Files that are kept, the one that is written included, from 2 to 1000; 8 unless said otherwise.
    pub(crate) files: Option<u64>,
    /// Days after which the next line begins another file, whatever the size, from 1 to 3650; only the size counts unless
    /// said otherwise.
    pub(crate) days: Option<u64>,
}

/// Certificate and key for wss, PEM files.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "this version cannot do TLS yet")]
pub(crate) struct Tls {
    /// The certificate chain.
    pub(crate) cert: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
}

/// Whether a circle refuses to start where its scripts cannot be sandboxed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Sandbox {
    /// It refuses.
    Required,
    /// It starts, and says so.
    BestEffort,
}

impl std::fmt::Display for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
            _ => Err("it is required or best-effort"),
        }
    }
}

/// When a circle that ended is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Whenever it ended.
    #[default]
    Always,
    /// When it failed.
    OnFailure,
    /// Never.
    Never,
}

/// How a circle writes its log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
}

/// What is kept of each play.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Audit {
    /// Nothing.
    Off,
    /// Who played, when, what it came to, and a hash of the script.
    #[default]
    Hashes,
    /// The script itself, too.
    Scripts,
}

impl std::fmt::Display for LogFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
            _ => Err("it is text or json"),
        }
    }
}

impl std::fmt::Display for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
            _ => Err("it is off, hashes or scripts"),
        }
    }
}
