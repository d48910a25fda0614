//! Members of a circle in circles.json.

use std::path::Path;

use keys::PublicKey;
use launcher::{ConfigEditError, MemberChange, MemberIdentity};

use crate::error::CliError;

/// Adds a key to the members of a circle in circles.json. In a circle with roles, adds a member, or a key to the member of
/// that name. Blocks.
///
/// # Errors
///
/// The file is not valid, its circle does not admit members by a list of its own, name and role do not fit the circle, or
/// the file cannot be written. The file is unchanged then.
pub fn add(path: &Path, circle: &str, key: &PublicKey, identity: &MemberIdentity) -> Result<MemberChange, CliError> {
    launcher::add_member(path, circle, key, identity).map_err(edit_error)
}

/// Returns the name of a member that has a key of the user: that of the key, if a member may have it.
pub fn suggest_name(key_name: &str) -> Option<String> {
    protocol::is_circle_name(key_name).then(|| key_name.to_owned())
}

fn edit_error(error: ConfigEditError) -> CliError {
    let fix = match &error {
        ConfigEditError::NotForMembers { .. } => "to restrict it, set \"access\": \"members\" in circles.json",
        ConfigEditError::SharedMembers { .. } => "give the circle its own \"members\", or edit \"defaults\" yourself",
        ConfigEditError::NoRoles { .. } => "leave out --role, or add \"roles\" to the circle",
        ConfigEditError::NameMissing { .. } => "name the member: circles admit CIRCLE KEY --name NAME --role ROLE",
        ConfigEditError::RoleMissing { .. } => "choose a role: circles admit CIRCLE KEY --name NAME --role ROLE",
        ConfigEditError::NoSuchRole { .. } => {
            "choose one of the roles of the circle; circles roles CIRCLE shows their rights"
        }
        ConfigEditError::OtherMember { .. } => "choose another --name, or edit the member in the file",
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
