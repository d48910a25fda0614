//! Members of a circle in circles.json.

use std::path::Path;

use keys::PublicKey;
use launcher::{ConfigEditError, MemberChange};

use crate::error::CliError;

/// Adds a key to the members of a circle in circles.json. Blocks.
///
/// # Errors
///
/// The file is not valid, its circle does not admit members by a list of its own, or the file cannot be written. The
/// file is unchanged then.
pub fn add(path: &Path, circle: &str, key: &PublicKey) -> Result<MemberChange, CliError> {
    launcher::add_member(path, circle, key).map_err(edit_error)
}

fn edit_error(error: ConfigEditError) -> CliError {
    let fix = match &error {
        ConfigEditError::NotForMembers { .. } => "to restrict it, set \"access\": \"members\" in circles.json",
        ConfigEditError::SharedMembers { .. } => "give the circle its own \"members\", or edit \"defaults\" yourself",
        ConfigEditError::Changed { .. } => "try again",
        _ => "edit the file yourself",
    };
    match error {
        ConfigEditError::Config(error) => error.into(),
        ConfigEditError::Write { path, source } => CliError::io(
            format!("cannot write {}", path.display()),
            &source,
            "make the file and its directory writable",
        ),
        other => CliError::usage("nothing was changed", other.to_string(), fix),
    }
}
