//! Faults of a definition, each with its place.

use super::limits::MAX_FAULTS;

/// A fault of an [`AccessDefinition`](super::AccessDefinition).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct RoleFault {
    /// Where the fault is.
    pub place: FaultPlace,
    /// What is wrong, and what to write.
    pub message: String,
}

/// The part of a definition that a fault is in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FaultPlace {
    /// All roles together.
    Roles,
    /// A role.
    Role {
        /// Name of the role.
        name: String,
        /// The field; `None` for the whole role.
        field: Option<RoleField>,
        /// The index in the list, if the field is one.
        index: Option<usize>,
    },
    /// The role of an anonymous caller.
    Anyone,
    /// The role of an authenticated caller who is no member.
    Authenticated,
    /// All members together.
    Members,
    /// A member.
    Member {
        /// The index of the member.
        index: usize,
        /// The field.
        field: MemberField,
        /// The index in `keys`.
        key: Option<usize>,
    },
}

/// A field of a [`RoleDefinition`](super::RoleDefinition).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named like the fields")]
pub enum RoleField {
    Extends,
    Call,
    Play,
    Use,
    Subscribe,
    PerMinute,
}

impl RoleField {
    /// Returns the name of the field in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Extends => "extends",
            Self::Call => "call",
            Self::Play => "play",
            Self::Use => "use",
            Self::Subscribe => "subscribe",
            Self::PerMinute => "per_minute",
        }
    }
}

/// A field of a [`MemberDefinition`](super::MemberDefinition).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named like the fields")]
pub enum MemberField {
    Name,
    Keys,
    Role,
}

impl MemberField {
    /// Returns the name of the field in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Keys => "keys",
            Self::Role => "role",
        }
    }
}

/// A path into the JSON of a definition, such as `roles.clerk.call[2]`.
impl std::fmt::Display for FaultPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (path, index) = match self {
            Self::Roles => ("roles".to_owned(), None),
            Self::Anyone => ("anyone".to_owned(), None),
            Self::Authenticated => ("authenticated".to_owned(), None),
            Self::Members => ("members".to_owned(), None),
            Self::Role { name, field: None, .. } => (format!("roles.{name}"), None),
            Self::Role { name, field: Some(field), index } => (format!("roles.{name}.{}", field.as_str()), *index),
            Self::Member { index, field, key } => (format!("members[{index}].{}", field.as_str()), *key),
        };
        f.write_str(&path)?;
        index.map_or(Ok(()), |index| write!(f, "[{index}]"))
    }
}

/// The faults that a check has found.
#[derive(Debug, Default)]
pub(super) struct FaultList(Vec<RoleFault>);

impl FaultList {
    /// Adds a fault, unless the list is full.
    pub(super) fn add(&mut self, place: FaultPlace, message: impl FnOnce() -> String) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(RoleFault { place, message: message() });
        }
    }

    /// Adds a fault of a role.
    pub(super) fn add_to_role(
        &mut self,
        name: &str,
        field: Option<RoleField>,
        index: Option<usize>,
        message: impl FnOnce() -> String,
    ) {
        self.add(FaultPlace::Role { name: name.to_owned(), field, index }, message);
    }

    pub(super) fn into_result<T>(self, value: T) -> Result<T, Vec<RoleFault>> {
        if self.0.is_empty() { Ok(value) } else { Err(self.0) }
    }
}
