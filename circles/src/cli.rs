//! The arguments.

#![expect(clippy::doc_markdown, reason = "help texts are shown as they are, without Markdown")]

mod circles;
mod identity;
mod keys;
mod known;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use ::keys::{Authority, keystore::KeyName};
pub(crate) use circles::{
    DiffArgs, DownArgs, LaunchArgs, LogsArgs, ReloadArgs, ServeArgs, StatusArgs, SuperviseArgs, UpArgs,
};
use clap::{
    Args, Parser, Subcommand, ValueHint,
    builder::{PossibleValuesParser, TypedValueParser},
};
use frontend::connect::{ConnectOptions, Options};
pub(crate) use identity::IdentityVerb;
pub(crate) use keys::{ImportArgs, KeygenArgs, KeysVerb, NewPassphraseArgs};
pub(crate) use known::KnownVerb;

use repl::EditMode;

use crate::shell_completion::{self, Shell};

/// Play Rhai in live circles, with keys that prove who you are.
#[derive(Debug, Parser)]
#[command(name = "circles", version, about)]
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
    /// List the circles whose identities are remembered, and forget them
    #[command(subcommand)]
    Known(KnownVerb),
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
    /// The supervisor that up starts
    #[command(hide = true)]
    Supervise(SuperviseArgs),
    /// Show what a circle of circles.json identifies itself with, and give it a new identity
    #[command(subcommand)]
    Identity(IdentityVerb),
    /// Serve one circle in this process until Ctrl-C
    Serve(ServeArgs),
    /// Print the contract for machines (OpenRPC)
    Openrpc,
    /// Print what makes Tab complete in a shell; without one, how to install it
    Completions(CompletionsArgs),
    /// Print the manual page of circles or of a verb, or write them all
    Man(ManArgs),
}

impl Verb {
    /// Whether the process of the verb has a secret key in its memory: a user's, or the identity of a circle.
    pub(crate) fn holds_secrets(&self) -> bool {
        self.reads_passphrases() || matches!(self, Self::Serve(_))
    }

    /// Whether the verb reads passphrases, or unlocks or makes keys, itself.
    pub(crate) fn reads_passphrases(&self) -> bool {
        matches!(
            self,
            Self::Tui(_) | Self::Repl(_) | Self::Play(_) | Self::Keygen(_) | Self::Keys(_) | Self::Identity(_)
        )
    }
}

/// How a circle is reached, and as whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConnectArgs {
    /// The key to authenticate with [default: the default key, on a circle that asks for one]
    #[arg(long, value_name = "NAME", add = shell_completion::keys())]
    pub key: Option<KeyName>,
    /// How the circle knows itself, when it is dialled through a tunnel
    #[arg(long, value_name = "HOST:PORT")]
    pub authority: Option<Authority>,
    /// Use a circle that is not on this machine though its identity ends with its process, so that nothing tells it from an impostor
    #[arg(long)]
    pub accept_ephemeral: bool,
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
    #[arg(value_name = "WHERE", add = shell_completion::circles())]
    pub target: Option<String>,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReplArgs {
    /// A name in circles.json, a port, host:port or a ws:// URL [default: $CIRCLES_CIRCLE, then a throw-away circle]
    #[arg(value_name = "WHERE", add = shell_completion::circles())]
    pub target: Option<String>,
    /// The same as WHERE
    #[arg(long, value_name = "WHERE", conflicts_with = "place", add = shell_completion::circles())]
    pub circle: Option<String>,
    /// The keys that edit a line [default: as ~/.inputrc has it, otherwise emacs]
    #[arg(long, value_name = "MODE", env = "CIRCLES_EDIT_MODE", value_parser = edit_mode())]
    pub edit_mode: Option<EditMode>,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

#[derive(Debug, Args)]
#[command(override_usage = "circles play [OPTIONS] (-e SCRIPT | FILE | -) [ARG]... [-- -ARG...]")]
pub(crate) struct PlayArgs {
    /// A name in circles.json, a port, host:port or a ws:// URL; several with commas between, or given again [default:
    /// $CIRCLES_CIRCLE, then a throw-away circle]
    #[arg(long, value_name = "WHERE", value_delimiter = ',', add = shell_completion::circles())]
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
    /// The verb whose page it is (play, keys list) [default: the program's]
    pub verb: Vec<String>,
    /// Write the pages of circles and of each verb into this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "verb")]
    pub dir: Option<PathBuf>,
}

fn edit_mode() -> impl TypedValueParser<Value = EditMode> {
    PossibleValuesParser::new(["emacs", "vi"]).map(|mode| if mode == "vi" { EditMode::Vi } else { EditMode::Emacs })
}

/// Which circles.json is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// The circles.json [default: the one here, then the one in the user's configuration directory]
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

    /// Clap shows them as they are.
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
