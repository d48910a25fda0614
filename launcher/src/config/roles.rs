//! The fields `roles`, `anyone`, `authenticated` and `functions`, and members with roles.

use functions::roles::{AccessDefinition, FaultPlace, MemberDefinition, RoleFault};
use keys::PublicKey;
use serde_json::value::RawValue;

use super::{FieldSpans, access::parse_key, circle_resolver::CircleResolver};
use crate::{
    config_error::ConfigError,
    fields::{CircleFields, MemberEntry},
};

/// A smallest set of roles, for messages.
const EXAMPLE: &str = r#""roles": { "visitor": { "call": ["NAME"] } }, "anyone": "visitor""#;

impl CircleResolver<'_, '_> {
    /// Returns an error if a field has an effect only beside `roles`. A circle that replaces the roles of `defaults` by
    /// an `access` of its own ignores those in `defaults`.
    pub(super) fn check_for_fields_of_roles(&self) -> Result<(), ConfigError> {
        let own = &self.entry.fields;
        let is_set = |has: fn(&CircleFields) -> bool| {
            has(own) || (self.defaults.fields.roles.is_none() && has(&self.defaults.fields))
        };
        if is_set(|fields| fields.functions.is_some()) {
            let message = format!(
                "\"functions\" needs \"roles\", because nobody may call what no role names: add for example {EXAMPLE}"
            );
            return Err(self.error_at("functions", message));
        }
        let field = if is_set(|fields| fields.anyone.is_some()) {
            Some("anyone")
        } else if is_set(|fields| fields.authenticated.is_some()) {
            Some("authenticated")
        } else {
            None
        };
        if let Some(field) = field {
            let message = format!("\"{field}\" needs \"roles\": add for example {EXAMPLE}, or remove \"{field}\"");
            return Err(self.error_at(field, message));
        }
        let members = own.members.as_ref().or(self.defaults.fields.members.as_ref());
        let is_object = |entry: &MemberEntry| matches!(entry, MemberEntry::Member(_));
        if is_set(|fields| fields.members.is_some())
            && let Some(index) = members.into_iter().flatten().position(is_object)
        {
            let message =
                "a member with a name and a role needs \"roles\": add \"roles\", or list the public keys alone";
            return Err(self.error_in("members", &[&index], message));
        }
        Ok(())
    }

    /// Returns roles and members as they are written, with parsed keys.
    pub(super) fn role_definition(&self) -> Result<AccessDefinition<PublicKey>, ConfigError> {
        let to_member = |(index, entry)| match entry {
            MemberEntry::Member(member) => Ok(member),
            MemberEntry::Key(key) => {
                let message = format!(
                    "beside \"roles\", a member has a name and a role: write {{ \"name\": \"NAME\", \"keys\": [\"{key}\"], \
                     \"role\": \"ROLE\" }}"
                );
                Err(self.error_in("members", &[&index], message))
            }
        };
        let members = self.field(|fields| &fields.members).into_iter().flatten().enumerate().map(to_member);
        let definition = AccessDefinition {
            roles: self.field(|fields| &fields.roles).unwrap_or_default().0,
            anyone: self.field(|fields| &fields.anyone),
            authenticated: self.field(|fields| &fields.authenticated),
            members: members.collect::<Result<Vec<MemberDefinition<String>>, ConfigError>>()?,
        };
        definition.try_map_keys(|member, index, key| {
            parse_key(&key).map_err(|message| self.error_in("members", &[&member, &"keys", &index], message))
        })
    }

    /// Converts the first fault of roles and members.
    pub(super) fn role_error(&self, faults: Vec<RoleFault>) -> ConfigError {
        let Some(RoleFault { place, message }) = faults.into_iter().next() else {
            return self.error_at("roles", "invalid roles");
        };
        match place {
            FaultPlace::Anyone => self.error_at("anyone", message),
            FaultPlace::Authenticated => self.error_at("authenticated", message),
            FaultPlace::Members => self.error_at("members", message),
            FaultPlace::Role { name, field, index } => {
                let mut path: Vec<&dyn PathStep> = vec![&name];
                let field = field.map(functions::roles::RoleField::as_str);
                path.extend(field.iter().map(|field| field as &dyn PathStep));
                path.extend(index.iter().map(|index| index as &dyn PathStep));
                self.error_in("roles", &path, message)
            }
            FaultPlace::Member { index, field, key } => {
                let field = field.as_str();
                let mut path: Vec<&dyn PathStep> = vec![&index, &field];
                path.extend(key.iter().map(|key| key as &dyn PathStep));
                self.error_in("members", &path, message)
            }
            _ => self.error_at("roles", message),
        }
    }

    /// Returns an error at a value below a field; at the nearest value around it if it is not there.
    fn error_in(&self, field: &str, path: &[&dyn PathStep], message: impl Into<String>) -> ConfigError {
        let Some(mut span) = self.span(field) else { return self.error_at(field, message) };
        for step in path {
            let Some(inner) = step.find_in(span) else { break };
            span = inner;
        }
        self.source.error_at(span.get(), message)
    }
}

/// A step into a JSON value.
trait PathStep {
    /// Returns the value that the step leads to.
    fn find_in<'a>(&self, value: &'a RawValue) -> Option<&'a RawValue>;
}

impl PathStep for usize {
    fn find_in<'a>(&self, value: &'a RawValue) -> Option<&'a RawValue> {
        serde_json::from_str::<Vec<&RawValue>>(value.get()).ok()?.get(*self).copied()
    }
}

impl PathStep for &str {
    fn find_in<'a>(&self, value: &'a RawValue) -> Option<&'a RawValue> {
        serde_json::from_str::<FieldSpans>(value.get()).ok()?.get(*self).copied()
    }
}

impl PathStep for String {
    fn find_in<'a>(&self, value: &'a RawValue) -> Option<&'a RawValue> {
        self.as_str().find_in(value)
    }
}
