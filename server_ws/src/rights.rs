//! The rights of callers: by roles, or by the access of a circle without roles. Pure.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use functions::roles::{AccessControl, CallerPlaceholders, Role, RoleFault};
use keys::PublicKey;
use protocol::methods::Access;
use store::Filter;

/// Who may do what.
#[derive(Debug, Clone)]
pub(crate) enum Rights {
    /// Whoever the access admits may play and use everything.
    Access {
        access: Access,
        members: BTreeSet<PublicKey>,
        /// The rights of everyone who is admitted.
        everything: Arc<Role>,
    },
    /// The roles say who may do what.
    Roles {
        control: Arc<AccessControl<PublicKey>>,
        /// The widest group that may play.
        access: Access,
        /// Differs for other roles.
        digest: u64,
    },
}

/// The rights of one caller.
#[derive(Debug, Clone)]
pub(crate) struct CallerRights {
    /// The role; `None` if the caller may do nothing.
    pub(crate) role: Option<Arc<Role>>,
    /// The name of the member.
    pub(crate) name: Option<Arc<str>>,
    /// The group of callers, which share the workers of functions.
    pub(crate) group: CallerGroup,
    has_roles: bool,
}

/// The number of groups of callers. Each group has `function_workers` of its own.
pub const CALLER_GROUPS: usize = 3;

/// A group of callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CallerGroup {
    Anonymous,
    Authenticated,
    Members,
}

impl CallerRights {
    /// Returns the name of the role, if the circle has roles.
    pub(crate) fn role_name(&self) -> Option<&Arc<str>> {
        self.role.as_ref().filter(|_| self.has_roles).map(|role| role.name())
    }

    /// Whether the role grants something of the store to its caller, who has this key.
    pub(crate) fn grant(
        &self,
        key: Option<&PublicKey>,
        grants: impl FnOnce(&Role, &CallerPlaceholders<'_>) -> bool,
    ) -> bool {
        let key = key.map(PublicKey::to_hex);
        let caller = CallerPlaceholders { key: key.as_deref(), name: self.name.as_deref() };
        self.role.as_deref().is_some_and(|role| grants(role, &caller))
    }

    /// Whether the caller may play scripts.
    pub(crate) fn may_play(&self) -> bool {
        self.role.as_ref().is_some_and(|role| role.may_play())
    }
}

impl Rights {
    /// Makes the rights of a circle without roles.
    pub(crate) fn of_access(access: Access, members: BTreeSet<PublicKey>) -> Self {
        Self::Access { access, members, everything: Arc::new(Role::everything("everything")) }
    }

    /// Makes the rights of a circle with roles.
    pub(crate) fn of_roles(control: AccessControl<PublicKey>) -> Self {
        let may_play = |role: Option<&Arc<Role>>| role.is_some_and(|role| role.may_play());
        let access = if may_play(control.anonymous()) {
            Access::Open
        } else if may_play(control.authenticated()) {
            Access::Authenticated
        } else {
            Access::Members
        };
        let mut hasher = DefaultHasher::new();
        control.roles().for_each(|role| format!("{role:?}").hash(&mut hasher));
        Self::Roles { control: Arc::new(control), access, digest: hasher.finish() }
    }

    /// Whether the circle has roles.
    pub(crate) fn have_roles(&self) -> bool {
        matches!(self, Self::Roles { .. })
    }

    /// Returns a number that differs for other roles.
    pub(crate) fn digest(&self) -> u64 {
        match self {
            Self::Roles { digest, .. } => *digest,
            Self::Access { .. } => 0,
        }
    }

    /// Returns the widest group that may play.
    pub(crate) fn access(&self) -> Access {
        match self {
            Self::Access { access, .. } | Self::Roles { access, .. } => *access,
        }
    }

    /// Whether an anonymous caller may do anything.
    pub(crate) fn admits_anonymous(&self) -> bool {
        self.role(None).is_some()
    }

    /// Returns the role of a caller with this key, or of an anonymous caller.
    pub(crate) fn role(&self, key: Option<&PublicKey>) -> Option<&Arc<Role>> {
        match (self, key) {
            (Self::Access { access, members, everything }, key) => {
                let is_admitted = match access {
                    Access::Open => true,
                    Access::Authenticated => key.is_some(),
                    _ => key.is_some_and(|key| members.contains(key)),
                };
                is_admitted.then_some(everything)
            }
            (Self::Roles { control, .. }, None) => control.anonymous(),
            (Self::Roles { control, .. }, Some(key)) => control.role_of(key),
        }
    }

    /// Returns the rights of a caller with this key, or of an anonymous caller.
    pub(crate) fn of_caller(&self, key: Option<&PublicKey>) -> CallerRights {
        let member = match self {
            Self::Roles { control, .. } => key.and_then(|key| control.member(key)),
            Self::Access { .. } => None,
        };
        let group = match (self, key) {
            (_, None) => CallerGroup::Anonymous,
            (Self::Access { access: Access::Members, .. }, Some(_)) => CallerGroup::Members,
            _ if member.is_some() => CallerGroup::Members,
            _ => CallerGroup::Authenticated,
        };
        let name = member.map(|member| member.name.clone());
        CallerRights { role: self.role(key).cloned(), name, group, has_roles: self.have_roles() }
    }

    /// Returns the key to which quotas count the caller with this key: all keys of a member are one caller.
    pub(crate) fn quota_key(&self, key: PublicKey) -> PublicKey {
        match self {
            Self::Roles { control, .. } => {
                control.member(&key).and_then(|member| member.keys.first()).copied().unwrap_or(key)
            }
            Self::Access { .. } => key,
        }
    }
}

/// Whether a caller may follow these keys or this topic.
pub(crate) fn may_subscribe(rights: &CallerRights, key: Option<&PublicKey>, filter: &Filter) -> bool {
    rights.grant(key, |role, caller| match filter {
        Filter::Prefix(prefix) => role.may_subscribe_keys(prefix.as_str(), caller),
        Filter::Key(key) => role.may_subscribe_keys(key.as_str(), caller),
        Filter::Topic(topic) => role.may_subscribe_topic(topic, caller),
    })
}

/// Joins the faults of roles to one line.
pub(crate) fn list(faults: &[RoleFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use functions::roles::AccessDefinition;
    use keys::KeyPair;

    use super::*;

    fn key(number: u8) -> PublicKey {
        KeyPair::from_secret_hex(&format!("{number:064x}")).expect("a key").public_key()
    }

    fn roles(json: &str) -> Rights {
        let definition: AccessDefinition<String> = serde_json::from_str(json).expect("a definition");
        let definition = definition
            .try_map_keys(|_, _, number| number.parse().map(key).map_err(|_| "no number"))
            .expect("numbers of keys");
        Rights::of_roles(AccessControl::new(definition).expect("valid"))
    }

    #[test]
    fn access_admits_as_without_roles() {
        let members: BTreeSet<_> = [key(1)].into();
        for (access, anonymous, other, member) in [
            (Access::Open, true, true, true),
            (Access::Authenticated, false, true, true),
            (Access::Members, false, false, true),
        ] {
            let rights = Rights::of_access(access, members.clone());
            assert_eq!(rights.of_caller(None).may_play(), anonymous);
            assert_eq!(rights.of_caller(Some(&key(2))).may_play(), other);
            assert_eq!(rights.of_caller(Some(&key(1))).may_play(), member);
            assert_eq!((rights.access(), rights.admits_anonymous()), (access, anonymous));
        }
    }

    #[test]
    fn keys_of_a_member_are_one_caller() {
        let rights = roles(
            r#"{ "roles": { "visitor": { "call": ["price"] }, "clerk": { "play": true } }, "anyone": "visitor",
                "members": [{ "name": "alice", "keys": ["1", "2"], "role": "clerk" }] }"#,
        );
        assert_eq!(rights.quota_key(key(2)), key(1));
        assert_eq!(rights.quota_key(key(3)), key(3));
        let alice = rights.of_caller(Some(&key(2)));
        assert_eq!((alice.name.as_deref(), alice.group, alice.may_play()), (Some("alice"), CallerGroup::Members, true));
        let other = rights.of_caller(Some(&key(3)));
        assert_eq!((other.name, other.group), (None, CallerGroup::Authenticated));
        assert!(other.role.is_some_and(|role| role.may_call(&"price".parse().expect("a name")) && !role.may_play()));
        assert_eq!((rights.access(), rights.admits_anonymous()), (Access::Members, true));
    }
}
