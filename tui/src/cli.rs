//! The arguments.

#![expect(clippy::doc_markdown, reason = "help texts are shown as they are, without Markdown")]

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use keys::{Authority, PublicKey, keystore::KeyName};
use server_ws::Access;

use crate::completing::{self, Shell};

/// Play Rhai in live circles, with keys that prove who you are.
#[derive(Debug, Parser)]
#[command(name = "circles", version, about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// A screen to play on: circles, keys, a REPL, logs
    Tui(TuiArgs),
    /// A line REPL, on a circle or on a throw-away one inside this process
    Repl(ReplArgs),
    /// Play one script: its prints, its value, an exit code
    Play(PlayArgs),
    /// Make a keypair, protected by a passphrase, and print its public key
    Keygen(KeygenArgs),
    /// List, show, choose, export, import, rename and remove keys, change their passphrases
    #[command(subcommand)]
    Keys(KeysVerb),
    /// Validate circles.json and its init scripts, without starting anything
    Check(CheckArgs),
    /// What is set up, what runs, what is wrong, and the command that mends it; changes nothing
    Doctor(DoctorArgs),
    /// Keep the circles of circles.json up, a process each, until Ctrl-C
    Launch(LaunchArgs),
    /// Start circles of circles.json in the background, and wait until they take connections
    Up(UpArgs),
    /// Drain circles that are up, and wait until they have ended
    Down(DownArgs),
    /// Drain circles that are up, and start them as circles.json has them now
    Restart(UpArgs),
    /// Take over what is different in circles.json, and nothing else; a change of it is taken over by itself, too
    Reload(ReloadArgs),
    /// What a reload would do
    Diff(DiffArgs),
    /// How the circles of circles.json are
    Status(StatusArgs),
    /// What circles that were started by up or launch have logged
    Logs(LogsArgs),
    /// The supervisor that `up` starts
    #[command(hide = true)]
    Supervise(SuperviseArgs),
    /// Serve one circle in this process until Ctrl-C
    Serve(ServeArgs),
    /// Print the contract for machines (OpenRPC)
    Openrpc,
    /// Print what makes Tab complete in a shell; without one, how to install it
    Completions(CompletionsArgs),
    /// Print the manual page of circles, or write one for each verb
    Man(ManArgs),
}

/// How a circle is reached, and as whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConnectArgs {
    /// The key to authenticate with [default: the default key, on a circle that asks for one]
    #[arg(long, value_name = "NAME", add = completing::keys())]
    pub key: Option<KeyName>,
    /// How the circle knows itself, when it is dialled through a tunnel
    #[arg(long, value_name = "HOST:PORT")]
    pub authority: Option<Authority>,
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Where a passphrase comes from when nobody is to be asked.
#[derive(Debug, Clone, Args)]
pub(crate) struct PassphraseArgs {
    /// Read the passphrase from this file descriptor [otherwise $CIRCLES_PASSPHRASE_FILE, $CIRCLES_PASSPHRASE, the terminal]
    #[arg(long, value_name = "N")]
    pub passphrase_fd: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct TuiArgs {
    /// Connect to this one first: a name in circles.json, a port, host:port or a ws:// URL [default: $CIRCLES_CIRCLE]
    #[arg(value_name = "WHERE", add = completing::circles())]
    pub place: Option<String>,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReplArgs {
    /// A name in circles.json, a port, host:port or a ws:// URL [default: $CIRCLES_CIRCLE, then a throw-away circle]
    #[arg(value_name = "WHERE", add = completing::circles())]
    pub place: Option<String>,
    /// The same as WHERE
    #[arg(long, value_name = "WHERE", conflicts_with = "place", add = completing::circles())]
    pub circle: Option<String>,
    /// The keys that edit a line [default: as ~/.inputrc has it, otherwise emacs]
    #[arg(long, value_name = "MODE", env = "CIRCLES_EDIT_MODE")]
    pub edit_mode: Option<EditMode>,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// The keys that edit a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EditMode {
    Emacs,
    Vi,
}

#[derive(Debug, Args)]
#[command(override_usage = "circles play [OPTIONS] (-e SCRIPT | FILE | -) [ARG]... [-- -ARG...]")]
pub(crate) struct PlayArgs {
    /// A name in circles.json, a port, host:port or a ws:// URL; several with commas between, or given again [default:
    /// $CIRCLES_CIRCLE, then a throw-away circle]
    #[arg(long, value_name = "WHERE", value_delimiter = ',', add = completing::circles())]
    pub circle: Vec<String>,
    /// The script itself, instead of a file
    #[arg(short = 'e', long = "expression", value_name = "SCRIPT", allow_hyphen_values = true)]
    pub expression: Option<String>,
    /// The script's file, or - for standard input; what follows is for the script, which finds it in ARGS
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) rest: Vec<String>,
    /// Print one JSON object: the result with its prints, or the error; for several circles {"circles": […]}
    #[arg(long)]
    pub json: bool,
    /// Shorten the circle's time limit (5s, 200ms)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub shell: Option<Shell>,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Write the pages of circles and of each verb into this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// Its name: up to 64 letters, digits, dots, dashes and underscores
    #[arg(default_value = "default")]
    pub name: KeyName,
    /// Print {"name", "`public_key`", "default"}
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysVerb {
    /// Every key with its public key
    List {
        /// Print {"keys": [{"name", "public_key", "default"}]}
        #[arg(long)]
        json: bool,
    },
    /// Print the public key of one
    Show {
        /// Its name [default: the default key]
        #[arg(add = completing::keys())]
        name: Option<KeyName>,
        /// Print {"name", "`public_key`", "default"}
        #[arg(long)]
        json: bool,
    },
    /// Print the name of the default key, or choose it
    Default {
        /// Its name from now on
        #[arg(add = completing::keys())]
        name: Option<KeyName>,
        /// Print {"name", "`public_key`", "default"}
        #[arg(long, conflicts_with = "name")]
        json: bool,
    },
    /// Print a key as it is kept, encrypted with its passphrase: what import reads
    Export {
        /// Its name
        #[arg(add = completing::keys())]
        name: KeyName,
        /// Print the bare secret key instead, as hex, once that was agreed to
        #[arg(long)]
        secret: bool,
        /// Do not ask
        #[arg(short, long, requires = "secret")]
        yes: bool,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Take in a key that was exported, or a bare secret key, which gets a passphrase
    Import(ImportArgs),
    /// Change the passphrase of one
    Passwd {
        /// Its name
        #[arg(add = completing::keys())]
        name: KeyName,
        #[command(flatten)]
        passphrase: PassphraseArgs,
        #[command(flatten)]
        new_passphrase: NewPassphraseArgs,
    },
    /// Give one another name
    Rename {
        /// Its name so far
        #[arg(add = completing::keys())]
        old: KeyName,
        /// Its name from now on, which no other has
        new: KeyName,
    },
    /// Remove one for good, once that was agreed to
    Remove {
        /// Its name
        #[arg(add = completing::keys())]
        name: KeyName,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    // Not parsed by clap, whose errors repeat what was typed: it may be a secret that came to the wrong place.
    /// Its name from now on, which no other has
    pub name: String,
    /// Where it is read from; - is standard input [default: standard input, on a terminal a question]
    #[arg(value_hint = clap::ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Print {"name", "`public_key`", "default"}
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// Where a passphrase comes from that is to take the place of another.
#[derive(Debug, Args)]
pub(crate) struct NewPassphraseArgs {
    /// Read the new passphrase from this file descriptor [otherwise $`CIRCLES_NEW_PASSPHRASE_FILE`, $`CIRCLES_NEW_PASSPHRASE`, the terminal]
    #[arg(long, value_name = "N")]
    pub new_passphrase_fd: Option<u32>,
}

/// Which circles.json is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// The circles.json [default: the one here, then the one in the user's configuration directory]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Print {"circles": [{"name", "url", "access", "errors"}], "errors"}
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Print {"version", "findings": [{"section", "level", "what", "why", "fix"}], "`exit_code`"}
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LaunchArgs {
    /// Only these [default: all of them]
    #[arg(value_name = "NAME", add = completing::circles())]
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
    #[arg(value_name = "NAME", add = completing::circles())]
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
    #[arg(value_name = "NAME", add = completing::circles())]
    pub names: Vec<String>,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Only of these [default: all of them]
    #[arg(value_name = "NAME", add = completing::circles())]
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
    #[arg(value_name = "NAME", add = completing::circles())]
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
    /// What `describe` says of it
    #[arg(long)]
    pub description: Option<String>,
    /// Who may play [default: members with --member, otherwise open]
    #[arg(long)]
    pub access: Option<Access>,
    /// A public key that may play; can be given again
    #[arg(long, value_name = "HEX")]
    pub member: Vec<PublicKey>,
    /// `required`: refuse to start where scripts cannot be kept from the system; best-effort: start, and say so [default:
    /// best-effort on loopback, otherwise required]
    #[arg(long)]
    pub sandbox: Option<launcher::Sandbox>,
    /// Let anyone play who can reach an address that is not loopback
    #[arg(long)]
    pub allow_open: bool,
    /// Authorities that it answers to besides its own address, with commas between
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub hosts: Vec<Authority>,
    /// Web origins whose pages may connect, with commas between
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',')]
    pub origins: Vec<String>,
    /// The one directory that `import` reads
    #[arg(long, value_name = "DIR")]
    pub modules: Option<PathBuf>,
    /// A Rhai file whose functions and constants every session has
    #[arg(long, value_name = "FILE")]
    pub init: Option<PathBuf>,
    /// A limit (`play_ms=2000`); can be given again
    #[arg(long, value_name = "NAME=VALUE")]
    pub limit: Vec<String>,
}

/// A time, or how long ago it is.
fn since(text: &str) -> Result<SystemTime, &'static str> {
    let ago = humantime::parse_duration(text).ok().and_then(|ago| SystemTime::now().checked_sub(ago));
    ago.or_else(|| launcher::log::parse_time(text)).ok_or("it is neither a duration (10m) nor a time (RFC 3339)")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
