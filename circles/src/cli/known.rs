//! Arguments of `circles known`.

use ::keys::Authority;
use clap::Subcommand;

use crate::shell_completion;

#[derive(Debug, Subcommand)]
pub(crate) enum KnownVerb {
    /// List all known circles with their identities
    List {
        /// Print {"circles": [{"authority", "public_key"}], "unreadable": [{"line", "reason"}]}
        #[arg(long)]
        json: bool,
    },
    /// Forget the identity of a circle: the next connection accepts and remembers a new one
    Forget {
        /// Address of the circle, as in circles known list
        #[arg(value_name = "HOST:PORT", add = shell_completion::known_circles())]
        authority: Authority,
    },
}
