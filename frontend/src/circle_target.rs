//! The circle that a user named.

use std::{fmt, net::IpAddr, path::Path};

use crate::{files, visible::visible};

/// The name of a scratch circle.
pub const SCRATCH: &str = "scratch";

/// A circle as the user named it, with its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircleTarget {
    /// How the user named it.
    pub kind: TargetKind,
    /// The `ws://` or `wss://` URL to connect to.
    pub url: Box<str>,
}

/// How the user named a circle, which decides what to suggest when the circle is unreachable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetKind {
    /// A name in circles.json.
    Configured {
        /// The name.
        name: Box<str>,
        /// The file that `--config` named; `None` for the default files.
        config: Option<Box<Path>>,
    },
    /// A port, `host:port` or a URL.
    Address(Box<str>),
    /// A scratch circle: the user named none.
    Scratch,
}

impl CircleTarget {
    /// Returns the target for a circle of circles.json; `config` is the file that `--config` named.
    pub fn from_config(name: &str, url: String, config: Option<&Path>) -> Self {
        Self { kind: TargetKind::Configured { name: name.into(), config: config.map(Into::into) }, url: url.into() }
    }

    /// Returns the target for a circle that the user named by its address.
    pub fn from_address(text: &str, url: String) -> Self {
        Self { kind: TargetKind::Address(text.into()), url: url.into() }
    }

    /// Returns the target for a scratch circle, which ends with this process.
    pub fn scratch(url: String) -> Self {
        Self { kind: TargetKind::Scratch, url: url.into() }
    }

    /// The text by which the user knows the circle.
    pub fn label(&self) -> &str {
        match &self.kind {
            TargetKind::Configured { name, .. } => name,
            TargetKind::Address(text) => text,
            TargetKind::Scratch => SCRATCH,
        }
    }

    /// The command that starts the circle; empty for a scratch circle.
    pub fn start_hint(&self) -> String {
        match &self.kind {
            TargetKind::Configured { name, config } => how_to_start(name, config.as_deref()),
            TargetKind::Address(_) => {
                let authority = self.url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
                let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
                if !is_loopback(host) || self.url.starts_with("wss:") {
                    return "check the address, and that a circle runs there".into();
                }
                let port = Some(port).filter(|port| port.parse::<u16>().is_ok()).unwrap_or("PORT");
                format!("check the address, or start a circle there: circles serve --port {port}")
            }
            TargetKind::Scratch => String::new(),
        }
    }
}

/// Formats the circle for use within a sentence.
impl fmt::Display for CircleTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = visible(self.url.trim_end_matches('/'));
        match &self.kind {
            TargetKind::Configured { name, .. } => write!(f, "circle '{}' at {url}", visible(name)),
            TargetKind::Address(_) => write!(f, "the circle at {url}"),
            TargetKind::Scratch => f.write_str("the scratch circle"),
        }
    }
}

/// Whether the host of a URL is this machine.
fn is_loopback(host: &str) -> bool {
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

pub(crate) fn how_to_start(name: &str, config: Option<&Path>) -> String {
    format!("start it: circles up {name}{}", files::config_flag(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_hint_is_for_this_machine_only() {
        let hint = |url: &str| CircleTarget::from_address("it", url.into()).start_hint();
        for url in ["ws://127.0.0.1:9001/", "ws://[::1]:9001", "ws://localhost:9001/"] {
            assert_eq!(hint(url), "check the address, or start a circle there: circles serve --port 9001", "{url}");
        }
        for url in ["ws://nosuch.host:22/", "ws://nosuch.host", "wss://10.0.0.1:9001"] {
            assert_eq!(hint(url), "check the address, and that a circle runs there", "{url}");
        }
    }

    #[test]
    fn start_hint_names_the_configuration_file() {
        let start = |config: Option<&str>| {
            CircleTarget::from_config("team", "ws://127.0.0.1:9002".into(), config.map(Path::new)).start_hint()
        };
        assert_eq!(start(None), "start it: circles up team");
        assert_eq!(start(Some("a/b.json")), "start it: circles up team --config a/b.json");
        assert_eq!(start(Some("my circles.json")), "start it: circles up team --config 'my circles.json'");
    }
}
