//! Who may play and call: `access` and bare keys, or roles and members.

use std::{fmt::Display, net::IpAddr};

use functions::roles::{AccessControl, AccessDefinition};
use keys::PublicKey;
use protocol::methods::Access;

use super::circle_resolver::CircleResolver;
use crate::{config_error::ConfigError, fields::MemberEntry};

/// A circle receives its members from its supervisor in one message.
const MAX_KEYS: usize = 10_000;

/// Access to a circle, as its fields say.
pub(super) struct CircleAccess {
    pub(super) access: Access,
    pub(super) allow_open: bool,
    pub(super) members: Vec<PublicKey>,
    pub(super) roles: Option<AccessDefinition<PublicKey>>,
}

/// Returns the widest group of callers whose roles let them play; [`Access::Members`] if nobody may.
pub fn playing_access<K: Ord + Clone + Display>(control: &AccessControl<K>) -> Access {
    if control.anonymous().is_some_and(|role| role.may_play()) {
        Access::Open
    } else if control.authenticated().is_some_and(|role| role.may_play()) {
        Access::Authenticated
    } else {
        Access::Members
    }
}

impl CircleResolver<'_, '_> {
    /// Resolves who may do what in the circle `name`, which listens on `host`.
    pub(super) fn access(&self, name: &str, host: IpAddr) -> Result<CircleAccess, ConfigError> {
        let allow_open = self.field(|fields| &fields.allow_open).unwrap_or_default();
        let (own, defaults) = (&self.entry.fields, &self.defaults.fields);
        // An `access` of its own replaces the roles of `defaults`.
        let access = if own.roles.is_some() || (defaults.roles.is_some() && own.access.is_none()) {
            self.access_by_roles(allow_open)?
        } else {
            self.access_without_roles(allow_open)?
        };
        if access.access != Access::Open || host.is_loopback() || allow_open {
            return Ok(access);
        }
        let role = access.roles.as_ref().and_then(|roles| roles.anyone.as_ref());
        let (field, message) = role.map_or_else(
            || {
                let message = format!(
                    "'{name}' would be open to anyone who can reach {host}: restrict it with \"access\", or confirm with \
                     \"allow_open\": true"
                );
                ("host", message)
            },
            |role| {
                let message = format!(
                    "'{name}' would let anyone who can reach {host} play, because the role '{role}' has \"play\": give \
                     anyone a role without \"play\", or confirm with \"allow_open\": true"
                );
                ("anyone", message)
            },
        );
        Err(self.error_at(field, message))
    }

    fn access_without_roles(&self, allow_open: bool) -> Result<CircleAccess, ConfigError> {
        let has_members = self.field(|fields| &fields.members).is_some();
        let access = self.field(|fields| &fields.access);
        self.check_for_fields_of_roles()?;
        if self.entry.fields.members.is_some() && access.is_some_and(|access| access != Access::Members) {
            return Err(
                self.error_at("members", "\"members\" has no effect with this \"access\": remove one of the two")
            );
        }
        // A list of members without `access` means members only.
        let access = access.unwrap_or(if has_members { Access::Members } else { Access::Open });
        let keys = self.field(|fields| &fields.members).into_iter().flatten().filter_map(|entry| match entry {
            MemberEntry::Key(key) => Some(key),
            MemberEntry::Member(_) => None,
        });
        let members = self.list("members", Some(keys.collect()), parse_key)?;
        self.check_number_of_keys(members.len())?;
        Ok(CircleAccess { access, allow_open, members, roles: None })
    }

    fn access_by_roles(&self, allow_open: bool) -> Result<CircleAccess, ConfigError> {
        let is_own = self.entry.fields.roles.is_some();
        let level = if is_own { self.entry } else { self.defaults };
        if level.fields.access.is_some() {
            let message = "\"access\" has no effect beside \"roles\": remove it; callers whose role has \"play\": true may \
                           play";
            return Err(self.error_at("access", message));
        }
        let definition = self.role_definition()?;
        self.check_number_of_keys(definition.members.iter().map(|member| member.keys.len()).sum())?;
        let control = AccessControl::new(definition.clone()).map_err(|faults| self.role_error(faults))?;
        let access = playing_access(&control);
        let players = control.members().filter(|member| access == Access::Members && member.role.may_play());
        let members = players.flat_map(|member| member.keys.iter().copied()).collect();
        Ok(CircleAccess { access, allow_open, members, roles: Some(definition) })
    }

    fn check_number_of_keys(&self, count: usize) -> Result<(), ConfigError> {
        if count <= MAX_KEYS {
            return Ok(());
        }
        let message = format!("too many members: at most {MAX_KEYS} keys are allowed, this list has {count}");
        Err(self.error_at("members", message))
    }
}

/// Parses the public key of a member.
pub(super) fn parse_key(key: &str) -> Result<PublicKey, String> {
    key.parse::<PublicKey>().map_err(|error| error.to_string())
}
