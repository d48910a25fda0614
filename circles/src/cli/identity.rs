//! The arguments of `circles identity`.

use clap::Subcommand;

use super::ConfigArgs;
use crate::shell_completion;

#[derive(Debug, Subcommand)]
pub(crate) enum IdentityVerb {
    /// Show the public key that a circle identifies itself with, and the file of its secret key
    Show {
        /// The name of the circle in circles.json
        #[arg(add = shell_completion::circles())]
        name: String,
        /// Print {"name", "public_key", "file"}
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Give a circle a new identity, which clients refuse until they forget the old one, and restart the circle if it is up
    Rotate {
        /// The name of the circle in circles.json
        #[arg(add = shell_completion::circles())]
        name: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
}
