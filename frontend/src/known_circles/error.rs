//! The errors of the known circles.

use std::path::PathBuf;

use keys::{Authority, PublicKey, private_files::PrivateFileError};

use super::UnreadableLine;
use crate::{
    error::{CliError, ErrorParts, file_error_parts},
    suggest,
    visible::visible,
};

/// Why the known circles could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KnownCirclesError {
    /// The circle is known with a different identity.
    #[error("{authority} is known with a different identity: {known}")]
    IdentityMismatch {
        /// The address that the client connects to.
        authority: Authority,
        /// The known identity.
        known: PublicKey,
    },
    /// There is no circle to forget.
    #[error("no circle is known at {authority}")]
    Unknown {
        /// The authority that the user named.
        authority: Authority,
        /// The known authorities.
        known: Vec<String>,
    },
    /// The line of this authority is invalid.
    #[error("line {} of {} is invalid: {}", line.number, path.display(), line.reason)]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The line.
        line: UnreadableLine,
    },
    /// The file has reached its maximum size.
    #[error("{} is full", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written, or other users can write to it.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// The user has no home directory.
    #[error("there is no home directory to keep them in")]
    NoHome,
}

impl From<KnownCirclesError> for CliError {
    fn from(error: KnownCirclesError) -> Self {
        Self::from(&error)
    }
}

impl From<&KnownCirclesError> for CliError {
    fn from(error: &KnownCirclesError) -> Self {
        let why = visible(&error.to_string()).into_owned();
        let (why, fix) = match error {
            KnownCirclesError::IdentityMismatch { authority, .. } => {
                (why, format!("if the circle was given a new identity, accept it: circles known forget {authority}"))
            }
            KnownCirclesError::Unknown { authority, known } => {
                let fix = match suggest::nearest(authority.as_str(), known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => "list the known circles: circles known list".into(),
                };
                (why, fix)
            }
            KnownCirclesError::Unreadable { line, .. } => {
                let forget = line.authority.as_ref().map_or(String::new(), |authority| {
                    format!("; or forget this circle: circles known forget {authority}")
                });
                (why, format!("correct the line{forget}"))
            }
            KnownCirclesError::Full { .. } => (why, "remove circles that you do not use: circles known forget".into()),
            KnownCirclesError::File(error) => file_error_parts(error),
            KnownCirclesError::NoHome => (why, "set HOME or XDG_DATA_HOME".into()),
        };
        Self::KnownCircles(ErrorParts { what: "known circles".into(), why, fix })
    }
}
