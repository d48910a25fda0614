//! Arguments of the commands that serve and supervise circles.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use ::keys::{Authority, PublicKey};
use clap::{Args, ValueHint};
use server_ws::Access;
use worker_nats::config::NatsSettings;

use super::{ConfigArgs, NatsArgs};
use crate::shell_completion;

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Write this file [default: circles.json in this directory]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Also write circles.schema.json beside it, with which editors complete and validate the file
    #[arg(long)]
    pub schema: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AdmitArgs {
    /// The circle in circles.json
    #[arg(value_name = "CIRCLE", add = shell_completion::circles())]
    pub circle: String,
    /// A public key (66 hex digits), or the name of a key of yours [default: your default key]
    #[arg(value_name = "KEY", add = shell_completion::keys())]
    pub key: Option<String>,
    /// The member who has the key, in a circle with roles [default: the name of your key]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The role of the member, in a circle with roles; circles roles CIRCLE lists them
    #[arg(long, value_name = "ROLE", add = shell_completion::roles())]
    pub role: Option<String>,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RolesArgs {
    /// The circle in circles.json [default: all]
    #[arg(value_name = "NAME", add = shell_completion::circles())]
    pub name: Option<String>,
    /// Print {"circles": [{"name", "access", "roles": [{"name", "callers", "members", "call", "play", "use", "subscribe", "per_minute"}]}]}
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LaunchArgs {
    /// Circles to act on [default: all]
    #[arg(value_name = "NAME", add = shell_completion::circles())]
    pub names: Vec<String>,
    /// Apply changes in circles.json only at circles reload, not as soon as the file is saved
    #[arg(long)]
    pub no_watch: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Arguments that `circles up` and the TUI start a supervisor with.
#[derive(Debug, Args)]
pub(crate) struct SuperviseArgs {
    #[command(flatten)]
    pub launch: LaunchArgs,
    /// Directory of the supervisor's socket and locks
    #[arg(long, value_name = "DIR")]
    pub run_directory: PathBuf,
    /// Directory of the supervisor's logs
    #[arg(long, value_name = "DIR")]
    pub state_directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Circles to act on [default: all]
    #[arg(value_name = "NAME", add = shell_completion::circles())]
    pub names: Vec<String>,
    /// Wait this long for the circles to be ready (90s, 2m)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "60s")]
    pub timeout: Duration,
    /// Show what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Apply changes in circles.json only at circles reload, not as soon as the file is saved
    #[arg(long)]
    pub no_watch: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReloadArgs {
    /// Print {"circles": [{"name", "action", "fields"}]}
    #[arg(long)]
    pub json: bool,
    /// Wait this long for circles to start and drain (90s, 2m)
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
    /// Circles to act on [default: all, and their supervisor]
    #[arg(value_name = "NAME", add = shell_completion::circles())]
    pub names: Vec<String>,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Circles to show [default: all]
    #[arg(value_name = "NAME", add = shell_completion::circles())]
    pub names: Vec<String>,
    /// Update in place until Ctrl-C; if the output is not a terminal, print again at each change
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
    /// Circles to show [default: all]
    #[arg(value_name = "NAME", add = shell_completion::circles())]
    pub names: Vec<String>,
    /// Follow the logs until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// Show the last N lines of each log [default: 100, or all with --since]
    #[arg(long, value_name = "N")]
    pub tail: Option<usize>,
    /// Show only lines since this time (10m, 2026-11-24T12:00:00Z)
    #[arg(long, value_name = "WHEN", value_parser = since)]
    pub since: Option<SystemTime>,
    /// Show the audit instead of the log: who played, when, and the outcome
    #[arg(long)]
    pub audit: bool,
    /// Print one JSON object per line: {"circle", "timestamp", "level", "message", …}, or the audit's fields
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ServeArgs {
    /// Run under a supervisor: standard input is its socket, and the circle ends with it
    #[arg(long, hide = true)]
    pub supervised: bool,
    /// Also write the log to this file
    #[arg(long, hide = true)]
    pub log_file: Option<PathBuf>,
    /// Format of the log: text, or json (one object per line)
    #[arg(long, value_name = "FORMAT", default_value_t)]
    pub log_format: launcher::LogFormat,
    /// What the audit keeps of each play: hashes of scripts, whole scripts, or nothing (off)
    #[arg(long, value_name = "WHAT", default_value_t)]
    pub audit: launcher::Audit,
    /// Write a JSON line for each play to this file: who, when, the outcome [default: no audit]
    #[arg(long, value_name = "FILE")]
    pub audit_file: Option<PathBuf>,
    /// Rotation of the audit files: MiB per file, number of files, and days until a new file begins regardless of size
    /// (file_mib=8,files=8,days=7)
    #[arg(long, value_name = "NAME=N,…", default_value_t)]
    pub audit_rotation: launcher::AuditRotation,
    /// Wait for a lock on this file, and hold it
    #[arg(long, hide = true)]
    pub lock_file: Option<PathBuf>,
    /// The port to listen on; 0 takes a free port and prints it
    #[arg(long)]
    pub port: u16,
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    pub host: std::net::IpAddr,
    /// The circle's name
    #[arg(long, default_value = "circle")]
    pub name: String,
    /// Description of the circle, shown to clients
    #[arg(long)]
    pub description: Option<String>,
    /// Who may play [default: members with --member, otherwise open]
    #[arg(long)]
    pub access: Option<Access>,
    /// A public key that may play; repeat the option for more
    #[arg(long, value_name = "HEX")]
    pub member: Vec<PublicKey>,
    /// Roles and who has them, as a JSON object with roles, anyone, authenticated and members as in circles.json
    #[arg(long, value_name = "JSON", conflicts_with_all = ["access", "member"])]
    pub roles: Option<String>,
    /// A directory whose Rhai files are functions that callers may call by their roles
    #[arg(long, value_name = "DIR", requires = "roles", value_hint = ValueHint::DirPath)]
    pub functions: Option<PathBuf>,
    /// required: refuse to start if scripts cannot be isolated from the system; best-effort: start anyway with a warning
    /// [default: best-effort on loopback, otherwise required]
    #[arg(long)]
    pub sandbox: Option<launcher::Sandbox>,
    /// Let anyone play who can reach the circle, also on an address other than loopback
    #[arg(long)]
    pub allow_open: bool,
    /// Further authorities that the circle answers to, separated by commas
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', value_parser = launcher::parse_host)]
    pub hosts: Vec<Authority>,
    /// Web origins whose pages may connect, separated by commas
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',', value_parser = launcher::parse_origin)]
    pub origins: Vec<String>,
    /// Addresses of proxies whose X-Forwarded-For header is trusted, separated by commas
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', value_parser = launcher::parse_proxy)]
    pub trusted_proxies: Vec<std::net::IpAddr>,
    /// Serve no web console: browsers that open the circle's address get a line of text
    #[arg(long)]
    pub no_console: bool,
    /// Serve TLS (wss, https) with this certificate chain, a PEM file; a renewed file applies automatically
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert, a PEM file without a passphrase
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// The only directory that scripts can import from
    #[arg(long, value_name = "DIR")]
    pub modules: Option<PathBuf>,
    /// A Rhai file whose functions and constants every session gets
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,
    /// File of the circle's identity, made if it does not exist [default: a new identity for this process]
    #[arg(long, value_name = "FILE")]
    pub identity: Option<PathBuf>,
    /// File of the store, created if it does not exist; :memory: for a store that ends with the process [default: no store]
    #[arg(long, value_name = "FILE")]
    pub store: Option<launcher::StoreConfig>,
    /// Run scripts on worker machines (circles worker) that connect to these NATS servers, separated by commas [default: on
    /// this machine]
    #[arg(long, value_name = "URL")]
    pub nats: Option<String>,
    #[command(flatten)]
    pub connection: NatsArgs,
    /// A limit (play_ms=2000); repeat the option for more
    #[arg(long, value_name = "NAME=VALUE")]
    pub limit: Vec<String>,
}

impl ServeArgs {
    /// Returns the settings of the connection to NATS; `None` if workers run on this machine.
    pub(crate) fn nats_settings(&self) -> Option<NatsSettings> {
        self.nats.as_deref().map(|servers| self.connection.settings(servers))
    }
}

/// Parses a time, or a duration before now.
fn since(text: &str) -> Result<SystemTime, &'static str> {
    let ago = humantime::parse_duration(text).ok().and_then(|ago| SystemTime::now().checked_sub(ago));
    ago.or_else(|| launcher::log::parse_time(text)).ok_or("expected a duration (10m) or a time (RFC 3339)")
}
