//! Roles and members as an operator writes them.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor},
};

use super::patterns::shorten;

/// A role: what its callers may do. What no field grants, the circle refuses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct RoleDefinition {
    /// Another role, all of whose rights this role has, too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// Functions that the role may call: names (`order.place`), all functions below a name (`order.*`), or `*` for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub call: Vec<String>,
    /// Whether the role may play scripts; by default it may if the role that it extends may.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub play: Option<bool>,
    /// Host modules (`stock`) and functions of host modules (`stock::count`) that plays of the role may use, functions of
    /// the store for the keys with a prefix (`store::get:orders/`), events of a topic (`events::publish:orders`), or `*`
    /// for all. In a prefix or topic, `{key}` stands for the public key of the caller, and `{name}` for the name of the
    /// member; a caller without it is granted nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub r#use: Vec<String>,
    /// Changes and events of the store to which the role may subscribe: the keys with a prefix (`keys:orders/`), a topic
    /// (`topic:orders`), or `*` for all; `{key}` and `{name}` stand for the caller as in `use`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subscribe: Vec<String>,
    /// Calls and plays that one caller may start in a minute; at least 1. By default, that of the role that it extends,
    /// or else no limit. The limit `per_minute` of the circle, which counts requests, applies besides.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub per_minute: Option<u64>,
}

/// A member: one caller with one or several keys, and a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MemberDefinition<K> {
    /// Name: lower-case letters, digits and dashes, with at least one letter; unique.
    pub name: String,
    /// Public keys, with any of which the member authenticates.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub keys: Vec<K>,
    /// Role of the member.
    pub role: String,
}

/// Roles of a circle, and who has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AccessDefinition<K> {
    /// Roles by name.
    #[serde(deserialize_with = "deserialize_roles")]
    pub roles: BTreeMap<String, RoleDefinition>,
    /// Role of an anonymous caller; without it, an anonymous caller may do nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anyone: Option<String>,
    /// Role of a caller whose key is that of no member; without it, that of `anyone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticated: Option<String>,
    /// Members.
    #[serde(default = "no_members::<K>", skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberDefinition<K>>,
}

/// Deserializes roles by name, and refuses two of one name: the rights of one of them would be lost.
///
/// # Errors
///
/// Those of the deserializer, and a name that occurs twice.
pub fn deserialize_roles<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, RoleDefinition>, D::Error> {
    struct RolesVisitor;

    impl<'de> Visitor<'de> for RolesVisitor {
        type Value = BTreeMap<String, RoleDefinition>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of roles by name")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut roles = BTreeMap::new();
            while let Some(name) = map.next_key::<String>()? {
                if roles.contains_key(&name) {
                    return Err(A::Error::custom(format!("duplicate role `{}`", shorten(&name))));
                }
                roles.insert(name, map.next_value()?);
            }
            Ok(roles)
        }
    }

    deserializer.deserialize_map(RolesVisitor)
}

/// A default without `K: Default`, which serde would demand.
fn no_members<K>() -> Vec<MemberDefinition<K>> {
    Vec::new()
}

impl<K> Default for AccessDefinition<K> {
    fn default() -> Self {
        Self { roles: BTreeMap::new(), anyone: None, authenticated: None, members: Vec::new() }
    }
}

impl<K> AccessDefinition<K> {
    /// Converts the keys. `convert` receives the index of the member, the index of the key, and the key.
    ///
    /// # Errors
    ///
    /// The first error of `convert`.
    pub fn try_map_keys<T, E>(
        self,
        mut convert: impl FnMut(usize, usize, K) -> Result<T, E>,
    ) -> Result<AccessDefinition<T>, E> {
        let members = self
            .members
            .into_iter()
            .enumerate()
            .map(|(member, MemberDefinition { name, keys, role })| {
                let keys = keys.into_iter().enumerate().map(|(index, key)| convert(member, index, key));
                Ok(MemberDefinition { name, keys: keys.collect::<Result<_, E>>()?, role })
            })
            .collect::<Result<_, E>>()?;
        Ok(AccessDefinition { roles: self.roles, anyone: self.anyone, authenticated: self.authenticated, members })
    }
}
