//! The arguments of what serves circles and keeps them up.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use ::keys::{Authority, PublicKey};
use clap::Args;
use server_ws::Access;

use super::ConfigArgs;
use crate::shell_completion;

#[derive(Debug, Args)]
pub(crate) struct LaunchArgs {
    /// Only these [default: all of them]
    #[arg(value_name = "NAME", add = shell_completion::circles())]
    pub names: Vec<String>,
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// What `circles up` and the TUI start a supervisor with.
#[derive(Debug, Args)]
pub(crate) struct SuperviseArgs {
    #[command(flatten)]
    pub launch: LaunchArgs,
    /// Where its socket and its locks are
    #[arg(long, value_name = "DIR")]
    pub run_directory: PathBuf,
    /// Where its logs are
    #[arg(long, value_name = "DIR")]
    pub state_directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Only these [default: all of them]
    #[arg(value_name = "NAME", add = shell_completion::circles())]
    pub names: Vec<String>,
    /// How long to wait for them (90s, 2m)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "60s")]
    pub timeout: Duration,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReloadArgs {
    /// Print {"circles": [{"name", "action", "fields"}]}
    #[arg(long)]
    pub json: bool,
    /// How long to wait for what it starts and drains (90s, 2m)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "60s")]
    pub timeout: Duration,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Print {"circles": [{"name", "action", "fields"}]}
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DownArgs {
    /// Only these [default: all of them, and their supervisor]
    #[arg(value_name = "NAME", add = shell_completion::circles())]
    pub names: Vec<String>,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Only of these [default: all of them]
    #[arg(value_name = "NAME", add = shell_completion::circles())]
    pub names: Vec<String>,
    /// Go on, in place, until Ctrl-C; where the output is no terminal, say it once more whenever something has changed
    #[arg(short, long)]
    pub watch: bool,
    /// Print {"circles": [{"name", "url", "state", …}]}: docs/operating.md lists the fields
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Only of these [default: all of them]
    #[arg(value_name = "NAME", add = shell_completion::circles())]
    pub names: Vec<String>,
    /// Go on with what is written from now on, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// The last so many lines of each [default: 100, or all with --since]
    #[arg(long, value_name = "N")]
    pub tail: Option<usize>,
    /// Only what was written since then (10m, 2026-11-24T12:00:00Z)
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub since: Option<SystemTime>,
    /// Who played, when, and what it came to, instead of the log
    #[arg(long)]
    pub audit: bool,
    /// The lines as they are written
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Standard input is a socket to a supervisor, which is told when it is ready and whose end is its end
    #[arg(long, hide = true)]
    pub supervised: bool,
    /// Also write the log there
    #[arg(long, hide = true)]
    pub log_file: Option<PathBuf>,
    /// How the log is written: text, or json, an object a line
    #[arg(long, value_name = "FORMAT", default_value_t)]
    pub log_format: launcher::LogFormat,
    /// What is kept of each play: hashes of scripts, the scripts themselves, or off
    #[arg(long, value_name = "WHAT", default_value_t)]
    pub audit: launcher::Audit,
    /// Write a JSON line there for each play: who, when, what it came to [default: none is kept]
    #[arg(long, value_name = "FILE")]
    pub audit_file: Option<PathBuf>,
    /// How the files of the audit are rotated: MiB of each, how many there are, and after how many days a new one is begun
    /// whatever the size (file_mib=8,files=8,days=7)
    #[arg(long, value_name = "NAME=N,…", default_value_t)]
    pub audit_rotation: launcher::AuditRotation,
    /// Begin once nobody else holds this file, and hold it
    #[arg(long, hide = true)]
    pub lock_file: Option<PathBuf>,
    /// The port; 0 takes a free one, which is printed
    #[arg(long)]
    pub port: u16,
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: std::net::IpAddr,
    /// The circle's name
    #[arg(long, default_value = "circle")]
    pub name: String,
    /// What describe says of it
    #[arg(long)]
    pub description: Option<String>,
    /// Who may play [default: members with --member, otherwise open]
    #[arg(long)]
    pub access: Option<Access>,
    /// A public key that may play; can be given again
    #[arg(long, value_name = "HEX")]
    pub member: Vec<PublicKey>,
    /// required: refuse to start where scripts cannot be kept from the system; best-effort: start, and say so [default:
    /// best-effort on loopback, otherwise required]
    #[arg(long)]
    pub sandbox: Option<launcher::Sandbox>,
    /// Let anyone play who can reach an address that is not loopback
    #[arg(long)]
    pub allow_open: bool,
    /// Authorities that it answers to besides its own address, with commas between
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', value_parser = launcher::parse_host)]
    pub hosts: Vec<Authority>,
    /// Web origins whose pages may connect, with commas between
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',', value_parser = launcher::parse_origin)]
    pub origins: Vec<String>,
    /// Addresses of proxies whose X-Forwarded-For says where a client is, with commas between
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', value_parser = launcher::parse_proxy)]
    pub trusted_proxies: Vec<std::net::IpAddr>,
    /// The one directory that import reads
    #[arg(long, value_name = "DIR")]
    pub modules: Option<PathBuf>,
    /// A Rhai file whose functions and constants every session has
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,
    /// A file that holds the circle's identity and is made if it is not there [default: an identity that ends with this
    /// process]
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// A limit (play_ms=2000); can be given again
    #[arg(long, value_name = "NAME=VALUE")]
    pub limit: Vec<String>,
}

/// A time, or how long ago it is.
fn since(text: &str) -> Result<SystemTime, &'static str> {
    let ago = humantime::parse_duration(text).ok().and_then(|ago| SystemTime::now().checked_sub(ago));
    ago.or_else(|| launcher::log::parse_time(text)).ok_or("it is neither a duration (10m) nor a time (RFC 3339)")
}
