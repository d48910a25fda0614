//! Error messages about the user's own files.

use std::path::Path;

use keys::{identity_file::IdentityFileError, private_files::PrivateFileError};

use super::{CliError, os_error_text, to_visible};

/// Returns why a file could not be read or written, and what to do.
pub(crate) fn file_error_parts(error: &PrivateFileError) -> (String, String) {
    let why = to_visible(&error.to_string());
    match error {
        PrivateFileError::NotText { .. } => (why, "restore it from a backup, or move it away".into()),
        PrivateFileError::LoosePermissions { path, .. } => {
            (why, format!("restrict it to yourself: chmod 600 {}", shell_quote(path)))
        }
        PrivateFileError::WritableDirectory { path, .. } => {
            (why, format!("restrict it to yourself: chmod 700 {}", shell_quote(path)))
        }
        PrivateFileError::Busy { .. } => (why, "try again; if that process hangs, end it".into()),
        PrivateFileError::Io { source, .. } => (
            format!("{why}: {}", os_error_text(source)),
            "check that it exists, and that you own it and can read and write it".into(),
        ),
        _ => (why, String::new()),
    }
}

impl From<IdentityFileError> for CliError {
    fn from(error: IdentityFileError) -> Self {
        Self::from(&error)
    }
}

impl From<&IdentityFileError> for CliError {
    fn from(error: &IdentityFileError) -> Self {
        let why = to_visible(&error.to_string());
        let (why, fix) = match error {
            IdentityFileError::Missing { .. } => {
                (why, "check the path; a circle creates the file when it starts".to_owned())
            }
            IdentityFileError::Invalid { .. } => {
                (why, "restore it from a backup; or move it away, and the next start creates a new one".to_owned())
            }
            IdentityFileError::File(error) => file_error_parts(error),
            IdentityFileError::Random(_) => (why, "check the operating system's random number generator".to_owned()),
            _ => (why, String::new()),
        };
        Self::usage("cannot use the circle's identity", why, fix)
    }
}

/// Quotes a path for a shell command that the user can copy.
pub(super) fn shell_quote(path: &Path) -> String {
    let text = path.to_string_lossy();
    to_visible(&shlex::try_quote(&text).unwrap_or_else(|_| text.clone()))
}
