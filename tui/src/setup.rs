//! Where things are that the app works with.

use std::path::PathBuf;

use frontend::{known_circles::KnownCircles, supervisor::SupervisorSetup};
use keys::{
    Authority,
    keystore::{Keystore, WorkFactor},
};
use zeroize::Zeroizing;

/// Where things are that the app works with.
#[derive(Debug)]
pub struct Setup {
    /// The circles.json that was named; otherwise the default ones are looked for.
    pub config: Option<PathBuf>,
    /// Where the keys are; `None` if there is no home directory to have them in.
    pub keystore: Option<Keystore>,
    /// The directory in which inputs are kept; `None` keeps nothing.
    pub history: Option<PathBuf>,
    /// What it costs to try one passphrase of a key that is made here.
    pub work_factor: WorkFactor,
    /// How the supervisor of circles.json is found and started.
    pub supervisors: SupervisorSetup,
    /// How circles know themselves when they are reached through a tunnel.
    pub authority: Option<Authority>,
    /// The circles whose identities are remembered, if there is a place for them.
    pub known_circles: Option<KnownCircles>,
    /// Whether a circle off loopback may have an identity that ends with its process.
    pub accepts_ephemeral: bool,
    /// The passphrase that was given, so that none is asked for.
    pub passphrase: Option<Zeroizing<String>>,
    /// Whether the terminal shows colours.
    pub has_colours: bool,
}

impl Setup {
    /// Which processes evaluate the scripts of the scratch circle.
    pub(crate) fn workers(&self) -> server_ws::Workers {
        server_ws::Workers::Process { program: self.supervisors.program.clone() }
    }
}
