//! Arguments of `circles identity`.

use clap::Subcommand;

use super::ConfigArgs;
use crate::shell_completion;

#[derive(Debug, Subcommand)]
pub(crate) enum IdentityVerb {
    /// Show the public key of a circle's identity, and the file of its secret key
    Show {
        /// Name of the circle in circles.json
        #[arg(add = shell_completion::circles())]
        name: String,
        /// Print {"name", "public_key", "file"}
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Give a circle a new identity, and restart it if it is up; clients refuse the circle until they forget the old identity
    Rotate {
        /// Name of the circle in circles.json
        #[arg(add = shell_completion::circles())]
        name: String,
        /// Do not ask for confirmation
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
}
