//! The arguments of `circles known`.

use ::keys::Authority;
use clap::Subcommand;

use crate::shell_completion;

#[derive(Debug, Subcommand)]
pub(crate) enum KnownVerb {
    /// Show every known circle with its identity
    List {
        /// Print {"circles": [{"authority", "public_key"}], "unreadable": [{"line", "reason"}]}
        #[arg(long)]
        json: bool,
    },
    /// Forget the identity of a circle, so that the next one is accepted as at a first use
    Forget {
        /// How the circle is dialled
        #[arg(value_name = "HOST:PORT", add = shell_completion::known_circles())]
        authority: Authority,
    },
}
