//! Who has which role.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt::Display,
    sync::Arc,
};

use super::{
    definition::{AccessDefinition, MemberDefinition, RoleDefinition},
    fault::{FaultList, FaultPlace, MemberField, RoleFault},
    limits::MAX_MEMBERS,
    patterns::shorten,
    resolver::{RoleResolver, unknown_role},
    role::Role,
};

/// A member: one caller, whatever key of the member it authenticates with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<K> {
    /// Name, unique among the members.
    pub name: Arc<str>,
    /// Role.
    pub role: Arc<Role>,
    /// Index among the members of this definition; another definition may give the same index to another member.
    pub id: usize,
    /// Keys, at least one.
    pub keys: Vec<K>,
}

/// Roles and members, checked and resolved: who may do what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessControl<K> {
    roles: Vec<Arc<Role>>,
    anonymous: Option<Arc<Role>>,
    authenticated: Option<Arc<Role>>,
    members: Vec<Member<K>>,
    members_by_key: BTreeMap<K, usize>,
}

impl<K: Ord + Clone + Display> AccessControl<K> {
    /// Checks and resolves a definition.
    ///
    /// # Errors
    ///
    /// All faults of the definition, up to [`MAX_FAULTS`](super::MAX_FAULTS): those of the roles, then those of `anyone`
    /// and `authenticated`, then those of the members in their order.
    pub fn new(definition: AccessDefinition<K>) -> Result<Self, Vec<RoleFault>> {
        let mut faults = FaultList::default();
        let AccessDefinition { roles: definitions, anyone, authenticated, members } = definition;
        let roles = RoleResolver::resolve(&definitions, &mut faults);
        let lookup = RoleLookup { definitions: &definitions, roles: &roles };
        let anonymous = anyone.and_then(|name| lookup.find(&name, FaultPlace::Anyone, &mut faults));
        let authenticated = match authenticated {
            Some(name) => lookup.find(&name, FaultPlace::Authenticated, &mut faults),
            None => anonymous.clone(),
        };
        if members.len() > MAX_MEMBERS {
            faults.add(FaultPlace::Members, || {
                format!("{} members are too many: a circle has at most {MAX_MEMBERS}; remove some", members.len())
            });
        }
        let (members, members_by_key) = resolve_members(members, &lookup, &mut faults);
        let roles = roles.into_values().collect();
        faults.into_result(Self { roles, anonymous, authenticated, members, members_by_key })
    }

    /// Returns the role of an anonymous caller; `None` if an anonymous caller may do nothing.
    pub fn anonymous(&self) -> Option<&Arc<Role>> {
        self.anonymous.as_ref()
    }

    /// Returns the role of an authenticated caller who is no member: that of an anonymous caller, unless the definition
    /// gives another one. `None` if such a caller may do nothing.
    pub fn authenticated(&self) -> Option<&Arc<Role>> {
        self.authenticated.as_ref()
    }

    /// Returns the member that has a key.
    pub fn member(&self, key: &K) -> Option<&Member<K>> {
        self.members_by_key.get(key).and_then(|index| self.members.get(*index))
    }

    /// Returns the role of a caller who has authenticated with a key: that of the member, or else that of an
    /// authenticated caller.
    pub fn role_of(&self, key: &K) -> Option<&Arc<Role>> {
        self.member(key).map(|member| &member.role).or(self.authenticated.as_ref())
    }

    /// Returns the roles in alphabetical order.
    pub fn roles(&self) -> impl Iterator<Item = &Arc<Role>> {
        self.roles.iter()
    }

    /// Returns the members in the order of the definition.
    pub fn members(&self) -> impl Iterator<Item = &Member<K>> {
        self.members.iter()
    }
}

/// Finds roles by name.
struct RoleLookup<'a> {
    definitions: &'a BTreeMap<String, RoleDefinition>,
    /// The roles without a fault.
    roles: &'a BTreeMap<&'a str, Arc<Role>>,
}

impl RoleLookup<'_> {
    /// Returns a role, unless it is unknown, or has a fault of its own.
    fn find(&self, name: &str, place: FaultPlace, faults: &mut FaultList) -> Option<Arc<Role>> {
        if !self.definitions.contains_key(name) {
            faults.add(place, || unknown_role(name, self.definitions));
        }
        self.roles.get(name).cloned()
    }
}

/// Resolves members, and finds out whose the keys are. A member with a fault may be absent from the result.
fn resolve_members<K: Ord + Clone + Display>(
    definitions: Vec<MemberDefinition<K>>,
    lookup: &RoleLookup,
    faults: &mut FaultList,
) -> (Vec<Member<K>>, BTreeMap<K, usize>) {
    let (mut members, mut indexes) = (Vec::with_capacity(definitions.len()), BTreeMap::new());
    let (mut names, mut owners) = (BTreeMap::<Arc<str>, usize>::new(), BTreeMap::<K, Arc<str>>::new());
    for (index, MemberDefinition { name, keys, role }) in definitions.into_iter().enumerate() {
        let place = |field, key| FaultPlace::Member { index, field, key };
        let name: Arc<str> = name.into();
        if !is_member_name(&name) {
            faults.add(place(MemberField::Name, None), || {
                format!(
                    "'{}' is not a name of a member: use up to {MAX_MEMBER_NAME_BYTES} lower-case letters, digits and \
                     dashes, with at least one letter",
                    shorten(&name)
                )
            });
        }
        match names.entry(name.clone()) {
            Entry::Vacant(vacant) => _ = vacant.insert(index),
            Entry::Occupied(first) => faults.add(place(MemberField::Name, None), || {
                format!(
                    "member {} is already called '{}': use another name, or list all keys in \"keys\" of one member",
                    first.get() + 1,
                    shorten(&name)
                )
            }),
        }
        if keys.is_empty() {
            faults.add(place(MemberField::Keys, None), || {
                format!("member '{}' has no key: list at least one public key, or remove the member", shorten(&name))
            });
        }
        for (number, key) in keys.iter().enumerate() {
            match owners.entry(key.clone()) {
                Entry::Vacant(vacant) => {
                    vacant.insert(name.clone());
                    indexes.insert(key.clone(), index);
                }
                Entry::Occupied(_) if indexes.get(key) == Some(&index) => {
                    faults.add(place(MemberField::Keys, Some(number)), || {
                        format!("member '{}' has the key {key} twice: list it once", shorten(&name))
                    });
                }
                Entry::Occupied(owner) => faults.add(place(MemberField::Keys, Some(number)), || {
                    let owner = shorten(owner.get());
                    format!("the key {key} is that of member '{owner}', too: give it to one of the two members")
                }),
            }
        }
        if let Some(role) = lookup.find(&role, place(MemberField::Role, None), faults) {
            members.push(Member { name, role, id: index, keys });
        }
    }
    (members, indexes)
}

/// Bytes of the name of a member.
const MAX_MEMBER_NAME_BYTES: usize = 64;

/// Returns whether a member may have this name; the rule is that for names of circles.
fn is_member_name(name: &str) -> bool {
    name.len() <= MAX_MEMBER_NAME_BYTES
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && name.bytes().any(|byte| byte.is_ascii_lowercase())
}
