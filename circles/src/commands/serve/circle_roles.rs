//! Roles and members in the arguments of a circle.

use functions::roles::{AccessControl, AccessDefinition};
use keys::PublicKey;
use server_ws::Access;

use frontend::error::CliError;

/// Roles of a circle, and who has them; valid.
pub(super) struct CircleRoles {
    pub(super) definition: AccessDefinition<PublicKey>,
    /// The widest group that may play.
    pub(super) access: Access,
}

impl CircleRoles {
    /// Parses `--roles`.
    pub(super) fn parse(text: &str) -> Result<Self, CliError> {
        let invalid = |why: String| {
            let fix = "give an object with roles, and with anyone, authenticated and members as in circles.json";
            CliError::usage("invalid --roles", why, fix)
        };
        let definition: AccessDefinition<String> =
            serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        let definition = definition.try_map_keys(|member, index, key| {
            key.parse().map_err(|error| invalid(format!("members[{member}].keys[{index}]: {error}")))
        })?;
        let control = AccessControl::new(definition.clone()).map_err(|faults| {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            invalid(faults.join("\n"))
        })?;
        Ok(Self { access: launcher::playing_access(&control), definition })
    }
}
