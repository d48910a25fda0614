//! The circles of the user's own circles.json, whose identities are known before the first connection.

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

/// What circles.json says about an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OwnCircle {
    /// No circle of circles.json is there.
    None,
    /// A circle may be there, on a port that the system chose. Only the supervisor knows.
    Unknown,
    /// The circle there has never been started, so it has no identity.
    Unstarted,
    /// The circle there has this identity, whether it is running or not.
    Identity {
        key: PublicKey,
        /// Whether the user's supervisor made the file. Otherwise circles.json names it, and anyone may have written
        /// both files.
        is_private: bool,
    },
}

/// Finds the circle of circles.json at an authority, and its identity. Blocks on file reads.
pub(super) fn find_in_config(
    directories: &Directories,
    config: Option<&Path>,
    authority: &Authority,
) -> Result<OwnCircle, IdentityFileError> {
    let Some(files) = supervisor_files(directories, config) else { return Ok(OwnCircle::None) };
    // The supervisor may still run the last valid version of the file.
    let Ok(circles) = launcher::load(files.config()) else { return Ok(OwnCircle::Unknown) };
    let Some(circle) = circles.iter().find(|circle| circle.address.port() != 0 && is_at(&circle.url(), authority))
    else {
        let has_free_port = circles.iter().any(|circle| circle.address.port() == 0);
        return Ok(if has_free_port { OwnCircle::Unknown } else { OwnCircle::None });
    };
    // A circle on another machine is not the user's own, whatever a circles.json says.
    if !is_of_this_machine(circle.address.ip()) {
        return Ok(OwnCircle::None);
    }
    let file = circle.identity.clone().unwrap_or_else(|| files.identity(&circle.name));
    match identity_file::load(&file) {
        Ok(keypair) => Ok(OwnCircle::Identity { key: keypair.public_key(), is_private: circle.identity.is_none() }),
        Err(IdentityFileError::Missing { .. }) => Ok(OwnCircle::Unstarted),
        Err(error) => Err(error),
    }
}

/// Asks the supervisor for the identity of its circle at an authority.
pub(super) async fn ask_supervisor(
    directories: &Directories,
    config: Option<&Path>,
    authority: &Authority,
) -> Option<PublicKey> {
    let files = supervisor_files(directories, config)?;
    let (_, statuses) = supervisor::connect_with_status(&files).await.ok()??;
    let status = statuses.circles.into_iter().find(|status| is_at(&status.url, authority))?;
    status.identity?.parse().ok()
}

fn supervisor_files(directories: &Directories, config: Option<&Path>) -> Option<SupervisorFiles> {
    let path = config::path(config).ok()?;
    SupervisorFiles::open(&path, &directories.run, &directories.state).ok()
}

fn is_of_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified() || UdpSocket::bind((address, 0)).is_ok()
}

fn is_at(url: &str, authority: &Authority) -> bool {
    CircleUrl::parse(url).is_ok_and(|url| is_same_circle(url.authority(), authority))
}
