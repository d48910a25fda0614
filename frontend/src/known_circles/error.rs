//! What can go wrong with the known circles.

use std::path::PathBuf;

use keys::{Authority, PublicKey, private_files::PrivateFileError};

use super::UnreadableLine;
use crate::{
    error::{CliError, ErrorParts, file_error_parts},
    suggest,
    visible::visible,
};

/// Why the known circles were not read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KnownCirclesError {
    /// The circle is known by another identity.
    #[error("{authority} is known by another identity: {known}")]
    IdentityMismatch {
        /// How the circle is dialled.
        authority: Authority,
        /// The identity that is known.
        known: PublicKey,
    },
    /// There is nothing to forget.
    #[error("no circle is known at {authority}")]
    Unknown {
        /// What was asked for.
        authority: Authority,
        /// The authorities that are known.
        known: Vec<String>,
    },
    /// The line that may say who the circle is cannot be read.
    #[error("line {} of {} cannot be read: {}", line.number, path.display(), line.reason)]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The line.
        line: UnreadableLine,
    },
    /// The file is as large as it may be.
    #[error("{} has no room for another circle", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or written, or others can write to it.
    #[error(transparent)]
    File(#[from] PrivateFileError),
    /// Set `HOME`.
    #[error("no home directory was found, so there is no place for the known circles")]
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
                    None => "see which circles are known: circles known list".into(),
                };
                (why, fix)
            }
            KnownCirclesError::Unreadable { line, .. } => {
                let forget = line.authority.as_ref().map_or(String::new(), |authority| {
                    format!("; or remove what is known of this circle: circles known forget {authority}")
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
