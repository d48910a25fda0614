//! The circles of the user's own circles.json: who they are is known without a first use.

use std::{
    net::{IpAddr, UdpSocket},
    path::Path,
};

use client_ws::CircleUrl;
use keys::{
    Authority, PublicKey,
    identity_file::{self, IdentityFileError},
};
use launcher::supervisor_files::SupervisorFiles;

use super::is_same_circle;
use crate::{
    config,
    supervisor::{self, Directories},
};

/// What circles.json says of an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnCircle {
    /// No circle of circles.json is there.
    None,
    /// One may be there, on a port that the system chose: only the supervisor knows.
    Unknown,
    /// The circle there has not been started, so it has no identity yet.
    Unstarted,
    /// The circle there has this identity, whether it runs or not.
    Identity {
        key: PublicKey,
        /// Whether a supervisor of the user has made the file. Otherwise circles.json names it, and anyone may have written both.
        is_private: bool,
    },
}

/// Finds the circle of circles.json at an authority, and its identity. Reads files.
pub(super) fn find_in_config(
    directories: &Directories,
    config: Option<&Path>,
    authority: &Authority,
) -> Result<OwnCircle, IdentityFileError> {
    let Some(place) = place(directories, config) else { return Ok(OwnCircle::None) };
    // What a file with a mistake would say, the supervisor may know.
    let Ok(circles) = launcher::load(place.config()) else { return Ok(OwnCircle::Unknown) };
    let Some(circle) = circles.iter().find(|circle| circle.address.port() != 0 && is_at(&circle.url(), authority))
    else {
        let has_free_port = circles.iter().any(|circle| circle.address.port() == 0);
        return Ok(if has_free_port { OwnCircle::Unknown } else { OwnCircle::None });
    };
    // A circle elsewhere is not the user's own, whatever a circles.json in some directory says.
    if !is_of_this_machine(circle.address.ip()) {
        return Ok(OwnCircle::None);
    }
    let file = circle.identity.clone().unwrap_or_else(|| place.identity(&circle.name));
    match identity_file::load(&file) {
        Ok(keypair) => Ok(OwnCircle::Identity { key: keypair.public_key(), is_private: circle.identity.is_none() }),
        Err(IdentityFileError::Missing { .. }) => Ok(OwnCircle::Unstarted),
        Err(error) => Err(error),
    }
}

/// The identity that the supervisor says that its circle at this authority has.
pub(super) async fn ask_supervisor(
    directories: &Directories,
    config: Option<&Path>,
    authority: &Authority,
) -> Option<PublicKey> {
    let place = place(directories, config)?;
    let (_, statuses) = supervisor::connect_with_status(&place).await.ok()??;
    let status = statuses.circles.into_iter().find(|status| is_at(&status.url, authority))?;
    status.identity?.parse().ok()
}

fn place(directories: &Directories, config: Option<&Path>) -> Option<SupervisorFiles> {
    let path = config::path(config).ok()?;
    SupervisorFiles::open(&path, &directories.run, &directories.state).ok()
}

fn is_of_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified() || UdpSocket::bind((address, 0)).is_ok()
}

fn is_at(url: &str, authority: &Authority) -> bool {
    CircleUrl::parse(url).is_ok_and(|url| is_same_circle(url.authority(), authority))
}
