//! The arguments of what deals with keys.

use std::path::PathBuf;

use ::keys::keystore::KeyName;
use clap::{Args, Subcommand};

use super::PassphraseArgs;
use crate::shell_completion;

#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// Its name: up to 64 letters, digits, dots, dashes and underscores
    #[arg(default_value = "default")]
    pub name: KeyName,
    /// Print {"name", "public_key", "default"}
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
        #[arg(add = shell_completion::keys())]
        name: Option<KeyName>,
        /// Print {"name", "public_key", "default"}
        #[arg(long)]
        json: bool,
    },
    /// Print the name of the default key, or choose it
    Default {
        /// Its name from now on
        #[arg(add = shell_completion::keys())]
        name: Option<KeyName>,
        /// Print {"name", "public_key", "default"}
        #[arg(long, conflicts_with = "name")]
        json: bool,
    },
    /// Print a key as it is kept, encrypted with its passphrase: what import reads
    Export {
        /// Its name
        #[arg(add = shell_completion::keys())]
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
        #[arg(add = shell_completion::keys())]
        name: KeyName,
        #[command(flatten)]
        passphrase: PassphraseArgs,
        #[command(flatten)]
        new_passphrase: NewPassphraseArgs,
    },
    /// Give one another name
    Rename {
        /// Its name so far
        #[arg(add = shell_completion::keys())]
        old: KeyName,
        /// Its name from now on, which no other has
        new: KeyName,
    },
    /// Remove one for good, once that was agreed to
    Remove {
        /// Its name
        #[arg(add = shell_completion::keys())]
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
    /// Print {"name", "public_key", "default"}
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// Where a passphrase comes from that is to take the place of another.
#[derive(Debug, Args)]
pub(crate) struct NewPassphraseArgs {
    /// Read the new passphrase from this file descriptor [otherwise $CIRCLES_NEW_PASSPHRASE_FILE, $CIRCLES_NEW_PASSPHRASE, the terminal]
    #[arg(long, value_name = "N")]
    pub new_passphrase_fd: Option<u32>,
}
