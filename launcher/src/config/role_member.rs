//! Adds members to circles with roles.

use functions::roles::AccessDefinition;
use keys::PublicKey;

use super::{
    ConfigLocator,
    editor::{ConfigEditError, MemberIdentity, insert_into_list, insert_member},
};

/// Returns the text with another member, or with another key of the member; `None` if the key is that of the member
/// already.
pub(super) fn with_role_member(
    locator: &ConfigLocator,
    circle: &str,
    definition: &AccessDefinition<PublicKey>,
    key: &PublicKey,
    identity: &MemberIdentity,
) -> Result<Option<String>, ConfigEditError> {
    let circle_name = circle.to_owned();
    let roles = || definition.roles.keys().cloned().collect();
    if let Some(role) = identity.role.as_ref().filter(|role| !definition.roles.contains_key(*role)) {
        return Err(ConfigEditError::NoSuchRole { circle: circle_name, role: role.clone(), roles: roles() });
    }
    let owner = definition.members.iter().find(|member| member.keys.contains(key));
    let named = identity.name.as_ref().and_then(|name| definition.members.iter().find(|member| member.name == *name));
    if let Some(member) = owner.or(named) {
        let is_other_name = identity.name.as_ref().is_some_and(|name| *name != member.name);
        if is_other_name || identity.role.as_ref().is_some_and(|role| *role != member.role) {
            return Err(ConfigEditError::OtherMember {
                circle: circle_name,
                member: member.name.clone(),
                role: member.role.clone(),
                has_key: owner.is_some(),
            });
        }
        if owner.is_some() {
            return Ok(None);
        }
        let index = definition.members.iter().position(|other| other.name == member.name);
        let keys = index.and_then(|index| {
            let list = locator.own_field(circle, "members")?;
            locator.field_of(locator.items(&list).get(index)?, "keys")
        });
        let keys = keys.ok_or(ConfigEditError::SharedMembers { circle: circle_name })?;
        return Ok(Some(insert_into_list(locator, &keys, &format!("\"{key}\""))));
    }
    let name = identity.name.as_ref().ok_or_else(|| ConfigEditError::NameMissing { circle: circle_name.clone() })?;
    let role = identity.role.as_ref();
    let role = role.ok_or_else(|| ConfigEditError::RoleMissing { circle: circle_name, roles: roles() })?;
    // The name is text of a user; the parser checks the result before it is written.
    let item = format!(
        "{{ \"name\": {}, \"keys\": [\"{key}\"], \"role\": \"{role}\" }}",
        serde_json::Value::from(name.as_str())
    );
    insert_member(locator, circle, &item, !definition.members.is_empty()).map(Some)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use keys::KeyPair;

    use super::*;
    use crate::{CircleConfig, parse};

    fn circle(text: &str) -> CircleConfig {
        parse(text, Path::new("circles.json")).expect(text).remove(0)
    }

    fn add(text: &str, key: &PublicKey, name: Option<&str>, role: Option<&str>) -> Result<Option<String>, String> {
        let roles = circle(text).roles.expect("roles");
        let locator = ConfigLocator { text: text.to_owned(), path: "circles.json".into() };
        let identity = MemberIdentity { name: name.map(str::to_owned), role: role.map(str::to_owned) };
        with_role_member(&locator, "shop", &roles, key, &identity).map_err(|error| error.to_string())
    }

    fn keys<const N: usize>() -> [PublicKey; N] {
        std::array::from_fn(|_| KeyPair::generate().expect("a key").public_key())
    }

    #[test]
    fn members_and_keys_are_added_and_everything_else_stays() {
        let [one, two, three] = keys();
        let shorten = |text: &str| {
            [(&one, "1"), (&two, "2"), (&three, "3")]
                .iter()
                .fold(text.to_owned(), |text, (key, short)| text.replace(&key.to_string(), short))
        };
        let start = "{ \"circles\": [\n  { \"name\": \"shop\", \"port\": 1,\n    \"roles\": { \"clerk\": {}, \"bot\": {} },\n    \"members\": [\n    ] }] }";
        let text = add(start, &one, Some("alice"), Some("clerk")).expect("added").expect("a change");
        let text = add(&text, &two, Some("bot"), Some("bot")).expect("added").expect("a change");
        assert!(shorten(&text).contains(
            "\"members\": [{ \"name\": \"alice\", \"keys\": [\"1\"], \"role\": \"clerk\" }, { \"name\": \"bot\", \"keys\": [\"2\"], \"role\": \"bot\" }\n    ] }] }"
        ), "{text}");
        // Another key of a member; the role need not be repeated.
        let text = add(&text, &three, Some("alice"), None).expect("added").expect("a change");
        assert!(shorten(&text).contains("\"keys\": [\"1\", \"3\"], \"role\": \"clerk\""), "{text}");
        assert_eq!(circle(&text).roles.expect("roles").members[0].keys, [one, three]);
        for (name, role) in [(Some("alice"), Some("clerk")), (Some("alice"), None), (None, Some("clerk")), (None, None)]
        {
            assert_eq!(add(&text, &three, name, role), Ok(None));
        }
        // Each member on a line of its own.
        let lines = text.replace("[{ \"name\"", "[\n      { \"name\"").replace(" }, {", " },\n      {");
        let [four] = keys();
        let text = add(&lines, &four, Some("carol"), Some("bot")).expect("added").expect("a change");
        assert!(text.contains("\"role\": \"bot\" },\n      { \"name\": \"carol\""), "{text}");
        // Without a list, after the roles.
        let text = start.replace(",\n    \"members\": [\n    ]", "");
        let text = add(&text, &one, Some("alice"), Some("bot")).expect("added").expect("a change");
        assert!(text.contains("\"bot\": {} }, \"members\": [{ \"name\""), "{text}");
        circle(&text);
    }

    #[test]
    fn name_and_role_must_fit_the_circle() {
        let [one, two] = keys();
        let text = format!(
            "{{ \"circles\": [{{ \"name\": \"shop\", \"port\": 1, \"roles\": {{ \"clerk\": {{}}, \"bot\": {{}} }},
                \"members\": [{{ \"name\": \"alice\", \"keys\": [\"{one}\"], \"role\": \"clerk\" }}] }}] }}"
        );
        let refused = |key, name, role| add(&text, key, name, role).expect_err("refused");
        assert_eq!(refused(&two, None, Some("bot")), "the circle 'shop' has roles, so its members have names");
        assert_eq!(
            refused(&two, Some("bob"), None),
            "the circle 'shop' has roles, so its members have a role: bot, clerk"
        );
        assert_eq!(refused(&two, Some("bob"), Some("boss")), "the circle 'shop' has no role 'boss': bot, clerk");
        assert_eq!(refused(&two, Some("alice"), Some("bot")), "member 'alice' of 'shop' exists with the role 'clerk'");
        for (name, role) in [(Some("bob"), Some("clerk")), (Some("alice"), Some("bot"))] {
            assert_eq!(
                refused(&one, name, role),
                "member 'alice' of 'shop' has the key, and is a member with the role 'clerk'"
            );
        }
        let shared = text
            .replace("\"circles\": [{ \"name\": \"shop\", \"port\": 1, ", "\"defaults\": { ")
            .replace("}] }] }", "}] }, \"circles\": [{ \"name\": \"shop\", \"port\": 1 }] }");
        for (name, role) in [(Some("bob"), Some("clerk")), (Some("alice"), None)] {
            assert!(add(&shared, &two, name, role).expect_err("refused").contains("\"defaults\""));
        }
    }
}
