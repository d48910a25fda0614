//! Arguments of `circles store`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{ConfigArgs, ConnectArgs};
use crate::shell_completion;

#[derive(Debug, Subcommand)]
pub(crate) enum StoreVerb {
    /// Print the value of a key; prints nothing if there is none
    Get(GetArgs),
    /// List the entries whose keys start with a prefix, in the order of their keys
    List(ListArgs),
    /// Write the value of a key
    Put(PutArgs),
    /// Delete a key and its value
    Delete(DeleteArgs),
    /// Write all entries of a circle's store as JSON Lines, a backup; the circle may run
    Export(ExportArgs),
    /// Read the entries of an export into the store of a circle that is down
    Import(ImportArgs),
    /// Verify the store of a circle that is down, and count its entries (changes nothing)
    Check(StoreCheckArgs),
}

/// The circle in which a script uses the store, and who plays the script.
#[derive(Debug, Args)]
pub(crate) struct StorePlayArgs {
    /// The circle: a name in circles.json, a port, host:port or a ws:// or wss:// URL [default: $CIRCLES_CIRCLE, then the only
    /// circle with a store in circles.json]
    #[arg(long, value_name = "WHERE", add = shell_completion::circles())]
    pub circle: Option<String>,
    /// Print one JSON object: the result of the play, or the error
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub connect: ConnectArgs,
}

/// The circle whose file an operator uses.
#[derive(Debug, Args)]
pub(crate) struct StoreFileArgs {
    /// The name of a circle in circles.json [default: $CIRCLES_CIRCLE, then the only circle with a store in circles.json]
    #[arg(long, value_name = "NAME", add = shell_completion::circles())]
    pub circle: Option<String>,
    #[command(flatten)]
    pub config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The key (stock/tea)
    pub key: String,
    #[command(flatten)]
    pub play: StorePlayArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The prefix, which ends in a slash (stock/)
    pub prefix: String,
    /// List at most this many entries, from 1 to 1000 [default: 100]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub limit: Option<u16>,
    /// List the entries after this key: the last key of a list continues it
    #[arg(long, value_name = "KEY")]
    pub after: Option<String>,
    /// Begin with the last key
    #[arg(long)]
    pub reverse: bool,
    #[command(flatten)]
    pub play: StorePlayArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PutArgs {
    /// The key (stock/tea)
    pub key: String,
    /// The value as JSON: 12, 1.5, true, '"text"', '[1, 2]', '{"a": 1}'; - reads it from standard input
    #[arg(allow_hyphen_values = true)]
    pub value: String,
    /// Write the value as a string, whatever it contains
    #[arg(long)]
    pub text: bool,
    #[command(flatten)]
    pub play: StorePlayArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The key (stock/tea)
    pub key: String,
    #[command(flatten)]
    pub play: StorePlayArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Each line is one entry, {\"key\": KEY, \"value\": VALUE}, in the order of the keys; all are as of one moment. \
                  The last line is {\"entries\": COUNT}. \
                  The export has neither the change log nor recorded results of once. Only you can read a FILE that the \
                  command makes."
)]
pub(crate) struct ExportArgs {
    /// The file to make [default: standard output]
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub store: StoreFileArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The import checks all lines first; a fault changes nothing. Without --merge, the circle then gets a new store. \
                  --replace requires the last line of an export, {\"entries\": COUNT}, which shows that the file is complete."
)]
pub(crate) struct ImportArgs {
    /// The export, or - for standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Replace a store that is not empty, with its change log and the recorded results of once
    #[arg(long, conflicts_with = "merge")]
    pub replace: bool,
    /// Add the entries to a store that is not empty; they replace the values of the same keys
    #[arg(long)]
    pub merge: bool,
    /// Do not ask for confirmation before replacing a store
    #[arg(short, long)]
    pub yes: bool,
    #[command(flatten)]
    pub store: StoreFileArgs,
}

#[derive(Debug, Args)]
pub(crate) struct StoreCheckArgs {
    /// Print {"circle", "file", "entries", "bytes", "log_bytes", "once_bytes", "file_bytes", "revision"}
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub store: StoreFileArgs,
}
