//! What a user can do about files of their own that are not as they should be.

use std::path::Path;

use keys::{identity_file::IdentityFileError, private_files::PrivateFileError};

use super::{CliError, os_error_text, to_visible};

/// Why a file was not read or written, and what to do.
pub(crate) fn file_error_parts(error: &PrivateFileError) -> (String, String) {
    let why = to_visible(&error.to_string());
    match error {
        PrivateFileError::NotText { .. } => (why, "restore it from a backup, or move it away".into()),
        PrivateFileError::LoosePermissions { path, .. } => {
            (why, format!("make it yours alone: chmod 600 {}", shell_quote(path)))
        }
        PrivateFileError::WritableDirectory { path, .. } => {
            (why, format!("make it yours alone: chmod 700 {}", shell_quote(path)))
        }
        PrivateFileError::Busy { .. } => (why, "try again; if that process stands still, end it".into()),
        PrivateFileError::Io { source, .. } => (
            format!("{why}: {}", os_error_text(source)),
            "see that it is there, belongs to you and can be read and written".into(),
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
                (why, "check the path; a circle that is started with it makes it".to_owned())
            }
            IdentityFileError::Invalid { .. } => {
                (why, "restore it from a backup; or move it away, and the next start makes another".to_owned())
            }
            IdentityFileError::File(error) => file_error_parts(error),
            IdentityFileError::Random(_) => (why, "the operating system gives no random bytes".to_owned()),
            _ => (why, String::new()),
        };
        Self::usage("cannot use the circle's identity", why, fix)
    }
}

/// A path as an argument of a command that can be copied.
pub(super) fn shell_quote(path: &Path) -> String {
    let text = path.to_string_lossy();
    to_visible(&shlex::try_quote(&text).unwrap_or_else(|_| text.clone()))
}
