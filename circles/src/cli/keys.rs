//! Arguments of the commands for keys.

use std::path::PathBuf;

use ::keys::keystore::KeyName;
use clap::{Args, Subcommand};

use super::PassphraseArgs;
use crate::shell_completion;

#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// Name of the new key: up to 64 letters, digits, dots, dashes and underscores
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
    /// List all keys with their public keys
    List {
        /// Print {"keys": [{"name", "public_key", "default"}]}
        #[arg(long)]
        json: bool,
    },
    /// Print the public key of a key
    Show {
        /// Name of the key [default: the default key]
        #[arg(add = shell_completion::keys())]
        name: Option<KeyName>,
        /// Print {"name", "public_key", "default"}
        #[arg(long)]
        json: bool,
    },
    /// Print the name of the default key, or choose another
    Default {
        /// Name of the key to make the default
        #[arg(add = shell_completion::keys())]
        name: Option<KeyName>,
        /// Print {"name", "public_key", "default"}
        #[arg(long, conflicts_with = "name")]
        json: bool,
    },
    /// Print a key, encrypted with its passphrase, for import elsewhere
    Export {
        /// Name of the key
        #[arg(add = shell_completion::keys())]
        name: KeyName,
        /// Print the secret key unencrypted, as hex, after confirmation
        #[arg(long)]
        secret: bool,
        /// Do not ask for confirmation
        #[arg(short, long, requires = "secret")]
        yes: bool,
        #[command(flatten)]
        passphrase: PassphraseArgs,
    },
    /// Import an exported key, or an unencrypted secret key, which gets a passphrase
    Import(ImportArgs),
    /// Change the passphrase of a key
    Passwd {
        /// Name of the key
        #[arg(add = shell_completion::keys())]
        name: KeyName,
        #[command(flatten)]
        passphrase: PassphraseArgs,
        #[command(flatten)]
        new_passphrase: NewPassphraseArgs,
    },
    /// Rename a key
    Rename {
        /// Current name
        #[arg(add = shell_completion::keys())]
        old: KeyName,
        /// New name, not in use
        new: KeyName,
    },
    /// Remove a key for good, after confirmation
    Remove {
        /// Name of the key
        #[arg(add = shell_completion::keys())]
        name: KeyName,
        /// Do not ask for confirmation
        #[arg(short, long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    // Not parsed by clap, whose errors repeat the argument: the user may have typed a secret here by mistake.
    /// Name of the imported key, not in use
    pub name: String,
    /// File to read; - is standard input [default: standard input; asks if that is a terminal]
    #[arg(value_hint = clap::ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Print {"name", "public_key", "default"}
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
}

/// Source of the new passphrase, if not the terminal.
#[derive(Debug, Args)]
pub(crate) struct NewPassphraseArgs {
    /// Read the new passphrase from this file descriptor [default: $CIRCLES_NEW_PASSPHRASE_FILE, then $CIRCLES_NEW_PASSPHRASE, then the terminal]
    #[arg(long, value_name = "N")]
    pub new_passphrase_fd: Option<u32>,
}
