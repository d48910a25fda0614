//! Command-line arguments.

#![expect(clippy::doc_markdown, reason = "help texts are shown as they are, without Markdown")]

mod circles;
mod functions;
mod groups;
mod identity;
mod keys;
mod known;
mod store;
mod watch;
mod worker;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use ::keys::{Authority, keystore::KeyName};
pub(crate) use circles::{
    AdmitArgs, DiffArgs, DownArgs, InitArgs, LaunchArgs, LogsArgs, ReloadArgs, RolesArgs, ServeArgs, StatusArgs,
    SuperviseArgs, UpArgs,
};
use clap::{
    Args, Parser, Subcommand, ValueHint,
    builder::{PossibleValuesParser, TypedValueParser},
};
use frontend::{
    connect::{ConnectOptions, EncryptionOptions, Options},
    edit_mode::EditMode,
    settings::{LoadedSettings, Settings},
};
pub(crate) use functions::{CallArgs, CallerArgs, FunctionsArgs, NewArgs, TypesLanguage};
pub(crate) use identity::IdentityVerb;
pub(crate) use keys::{ImportArgs, KeygenArgs, KeysVerb, NewPassphraseArgs};
pub(crate) use known::KnownVerb;
pub(crate) use store::{
    DeleteArgs, ExportArgs, GetArgs, ImportArgs as StoreImportArgs, ListArgs, PutArgs, StoreCheckArgs, StoreFileArgs,
    StorePlayArgs, StoreVerb,
};
pub(crate) use watch::WatchArgs;
pub(crate) use worker::{NatsArgs, WorkerArgs};

use crate::shell_completion::{self, Shell};

/// Play Rhai scripts in circles: live, isolated environments, guarded by keys.
#[derive(Debug, Parser)]
#[command(name = "circles", version, help_template = HELP_TEMPLATE, after_help = groups::list_verbs())]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
}

/// The help of the program: its commands come last, in groups.
const HELP_TEMPLATE: &str = "{about-with-newline}\n{usage-heading} {usage}{after-help}\n\nOptions:\n{options}\n\n\
                             circles COMMAND --help and circles man COMMAND describe a command.";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Open the terminal interface: circles, keys, a REPL, logs
    Tui(TuiArgs),
    /// Open a REPL on a circle, or on a scratch circle (temporary, in this process)
    Repl(ReplArgs),
    /// Play one script: print its output and its value, and exit with a code for the outcome
    Play(PlayArgs),
    /// Call a function of a circle: print its value, and exit with a code for the outcome
    Call(CallArgs),
    /// List the functions that you may call, describe one, or print a typed client for them
    Functions(FunctionsArgs),
    /// Follow keys of a circle's store, or a topic: one line of JSON for each event
    Watch(WatchArgs),
    /// Get, list, put and delete entries of a circle's store; export, import and check it
    #[command(subcommand)]
    Store(StoreVerb),
    /// Make a key pair, protect it with a passphrase, and print the public key
    Keygen(KeygenArgs),
    /// List, show, export, import, rename and remove keys, choose the default key, change passphrases
    #[command(subcommand)]
    Keys(KeysVerb),
    /// List the circles whose identities your clients remember, or forget one
    #[command(subcommand)]
    Known(KnownVerb),
    /// Write a circles.json that works: a circle for anyone on this machine, and one for members
    Init(InitArgs),
    /// Make a directory with a circle that has functions and roles, and works at once
    New(NewArgs),
    /// Add a key to the members of a circle in circles.json
    Admit(AdmitArgs),
    /// Show the roles of circles in circles.json: who has them, and what they may do
    Roles(RolesArgs),
    /// Validate circles.json and its init scripts without starting anything
    Check(CheckArgs),
    /// Check keys, configuration, circles and this machine: what is wrong, and how to fix it (changes nothing)
    Doctor(DoctorArgs),
    /// Run the configured circles in the foreground, one process each, until Ctrl-C
    Launch(LaunchArgs),
    /// Start circles in the background, and wait until they accept connections
    Up(UpArgs),
    /// Drain running circles, and wait until they have ended
    Down(DownArgs),
    /// Drain running circles, and start them again with the current circles.json
    Restart(UpArgs),
    /// Apply changes in circles.json now (changes are also picked up automatically)
    Reload(ReloadArgs),
    /// Show what a reload would change
    Diff(DiffArgs),
    /// Show the status of all configured circles
    Status(StatusArgs),
    /// Show the circles' logs
    Logs(LogsArgs),
    /// Run the supervisor that up starts
    #[command(hide = true)]
    Supervise(SuperviseArgs),
    /// Show the identity of a configured circle, or replace it
    #[command(subcommand)]
    Identity(IdentityVerb),
    /// Serve one circle in this process until Ctrl-C
    Serve(Box<ServeArgs>),
    /// Run the scripts of circles that other machines serve (NATS)
    Worker(Box<WorkerArgs>),
    /// Print the machine-readable description of the protocol (OpenRPC)
    Openrpc,
    /// Show your settings, and where each comes from
    Config(ConfigCommandArgs),
    /// Print the Tab completion script of a shell; without a shell, how to install it
    Completions(CompletionsArgs),
    /// Print the manual page of circles or of a command, or write all pages
    Man(ManArgs),
}

impl Verb {
    /// Returns whether the command holds a secret key in memory: a user's key, the identity of a circle, or an nkey.
    pub(crate) fn holds_secrets(&self) -> bool {
        self.reads_passphrases() || matches!(self, Self::Serve(_) | Self::Worker(_))
    }

    /// Returns whether the command itself reads passphrases, or unlocks or makes keys.
    pub(crate) fn reads_passphrases(&self) -> bool {
        matches!(
            self,
            Self::Tui(_)
                | Self::Repl(_)
                | Self::Play(_)
                | Self::Call(_)
                | Self::Functions(_)
                | Self::Watch(_)
                | Self::Store(_)
                | Self::Keygen(_)
                | Self::Keys(_)
                | Self::Identity(_)
        )
    }
}

/// How to connect to a circle, and with which key.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConnectArgs {
    /// Authenticate with this key [default: the default key, if the circle requires one]
    #[arg(long, value_name = "NAME", add = shell_completion::keys())]
    pub key: Option<KeyName>,
    /// The circle's own address, if you connect through a tunnel
    #[arg(long, value_name = "HOST:PORT")]
    pub authority: Option<Authority>,
    /// Accept a remote circle whose identity changes with each start: an impostor would look the same
    #[arg(long)]
    pub accept_ephemeral: bool,
    /// Trust only the CAs in this PEM file for wss:// [default: those of the system]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca: Option<PathBuf>,
    /// Authenticate over ws:// to other machines: anyone on the way can read and change everything
    #[arg(long)]
    pub insecure: bool,
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Source of the passphrase, if not the terminal.
#[derive(Debug, Clone, Args)]
pub(crate) struct PassphraseArgs {
    /// Read the passphrase from this file descriptor [default: $CIRCLES_PASSPHRASE_FILE, then $CIRCLES_PASSPHRASE, then the terminal]
    #[arg(long, value_name = "N")]
    pub passphrase_fd: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct TuiArgs {
    /// Connect to this circle first: a name in circles.json, a port, host:port or a ws:// or wss:// URL [default: $CIRCLES_CIRCLE]
    #[arg(value_name = "WHERE", add = shell_completion::circles())]
    pub target: Option<String>,
    #[command(flatten)]
    pub console: ConsoleArgs,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// Options of both consoles.
#[derive(Debug, Args)]
pub(crate) struct ConsoleArgs {
    /// Key bindings for editing an input [default: $CIRCLES_EDIT_MODE, then the setting edit_mode, then those of ~/.inputrc, then emacs]
    #[arg(long, value_name = "MODE", value_parser = edit_mode())]
    pub edit_mode: Option<EditMode>,
    /// Do not play your init script first (~/.config/circles/init.rhai, or the setting init)
    #[arg(long)]
    pub no_init: bool,
}

impl ConsoleArgs {
    /// Returns the settings in force.
    pub(crate) fn settings(&self) -> LoadedSettings {
        let mut loaded = Settings::load();
        if let Some(mode) = self.edit_mode {
            loaded.settings.edit_mode.value = mode;
        }
        if self.no_init {
            loaded.settings.init.value = None;
        }
        loaded
    }
}

#[derive(Debug, Args)]
pub(crate) struct ReplArgs {
    /// The circle: a name in circles.json, a port, host:port or a ws:// or wss:// URL [default: $CIRCLES_CIRCLE, then a scratch circle]
    #[arg(value_name = "WHERE", add = shell_completion::circles())]
    pub target: Option<String>,
    /// Same as WHERE
    #[arg(long, value_name = "WHERE", conflicts_with = "target", add = shell_completion::circles())]
    pub circle: Option<String>,
    #[command(flatten)]
    pub console: ConsoleArgs,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
#[command(
    override_usage = "circles play [OPTIONS] (-e SCRIPT | FILE | -) [ARG]... [-- -ARG...]",
    after_help = "The exit code tells how the play ended (circles man lists the codes). A script cannot choose it: exit(3) ends \
                  the script with the value 3, and the exit code is 0."
)]
pub(crate) struct PlayArgs {
    /// The circle: a name in circles.json, a port, host:port or a ws:// or wss:// URL; separate several with commas, or repeat the
    /// option [default: $CIRCLES_CIRCLE, then a scratch circle]
    #[arg(long, value_name = "WHERE", value_delimiter = ',', add = shell_completion::circles())]
    pub circle: Vec<String>,
    /// Play this script instead of a file
    #[arg(short = 'e', long = "expression", value_name = "SCRIPT", allow_hyphen_values = true)]
    pub expression: Option<String>,
    /// The script file, or - for standard input; the script finds the arguments after it in ARGS
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) rest: Vec<String>,
    /// Print one JSON object: the result with its prints, or the error; for several circles {"circles": […]}
    #[arg(long)]
    pub json: bool,
    /// Stop the script after this time, if the circle's limit is longer (5s, 200ms)
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigCommandArgs {
    /// Print {"file", "exists", "settings": {NAME: {"value", "source", "variable"}}, "errors"}
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell to print the script for
    pub shell: Option<Shell>,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The command whose page to print (play, keys list) [default: circles itself]
    #[arg(value_name = "COMMAND")]
    pub verb: Vec<String>,
    /// Write the pages of circles and of all commands into this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "verb")]
    pub dir: Option<PathBuf>,
}

fn edit_mode() -> impl TypedValueParser<Value = EditMode> {
    // The parser lets only these names pass.
    PossibleValuesParser::new(EditMode::NAMES).map(|mode| EditMode::named(&mode).unwrap_or_default())
}

/// Path of circles.json.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// Use this circles.json [default: the one in this directory, then the one in your configuration directory]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
}

impl ConfigArgs {
    pub(crate) fn path(&self) -> Option<&Path> {
        self.config.as_deref()
    }
}

impl ConnectArgs {
    pub(crate) fn options(&self) -> Options {
        Options {
            connect: ConnectOptions {
                key: self.key.clone(),
                authority: self.authority.clone(),
                accepts_ephemeral: self.accept_ephemeral,
                encryption: EncryptionOptions { ca_file: self.ca.clone(), is_insecure: self.insecure },
            },
            config: self.config.config.clone(),
            passphrase_fd: self.passphrase.passphrase_fd,
        }
    }
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
    /// Print {"version", "findings": [{"section", "level", "what", "why", "fix"}], "exit_code"}
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }

    /// Clap prints help texts unchanged, so Markdown would be visible.
    #[test]
    fn help_texts_have_no_markdown() {
        fn look(command: &clap::Command) {
            let texts = command.get_arguments().filter_map(clap::Arg::get_help).chain(command.get_about());
            for text in texts {
                assert!(!text.to_string().contains('`'), "{}: {text}", command.get_name());
            }
            command.get_subcommands().for_each(look);
        }
        look(&super::Cli::command());
    }
}
