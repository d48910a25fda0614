//! Resolution against a model without maps, and each fault.

mod faults;
mod model;
mod placeholders;

use super::*;
use crate::signature::FunctionName;

/// Parses a definition with text keys.
fn definition(json: &serde_json::Value) -> AccessDefinition<String> {
    serde_json::from_value(json.clone()).expect("a definition")
}

fn control(json: &serde_json::Value) -> AccessControl<String> {
    AccessControl::new(definition(json)).expect("valid")
}

fn function(name: &str) -> FunctionName {
    name.parse().expect("a name")
}

fn shop() -> serde_json::Value {
    serde_json::json!({
        "roles": {
            "visitor": { "call": ["price", "catalog.*"] },
            "customer": { "extends": "visitor", "call": ["order.*", "order.place", "catalog.new.*"] },
            "clerk": { "extends": "customer", "call": ["*"], "play": true, "use": ["stock::count", "stock::count", "log"] },
            "agent": { "extends": "clerk", "use": ["stock", "mail::send"], "per_minute": 120 },
            "owner": { "extends": "agent", "use": ["*"] },
        },
        "anyone": "visitor",
        "authenticated": "customer",
        "members": [
            { "name": "alice", "keys": ["k1", "k2"], "role": "clerk" },
            { "name": "bot", "keys": ["k3"], "role": "owner" },
        ],
    })
}

#[test]
fn role_has_its_own_rights_and_inherited_ones() {
    let control = control(&shop());
    let rights: Vec<_> = control
        .roles()
        .map(|role| {
            (
                role.name().to_string(),
                role.call_patterns().join(" "),
                role.may_play(),
                role.used().join(" "),
                role.per_minute(),
            )
        })
        .collect();
    let expected = [
        ("agent", "*", true, "log mail::send stock", Some(120)),
        ("clerk", "*", true, "log stock::count", None),
        ("customer", "catalog.* order.* price", false, "", None),
        ("owner", "*", true, "*", Some(120)),
        ("visitor", "catalog.* price", false, "", None),
    ];
    assert_eq!(
        rights,
        expected.map(|(name, call, play, used, rate)| (name.into(), call.into(), play, used.into(), rate))
    );
}

#[test]
fn pattern_below_a_name_does_not_match_the_name() {
    let control = control(&shop());
    let role = control.authenticated().expect("a role");
    for name in ["price", "order.place", "order.a.b", "catalog.new.x", "catalog.x"] {
        assert!(role.may_call(&function(name)), "{name}");
    }
    for name in ["order", "catalog", "price.x", "orders.place", "orde", "other"] {
        assert!(!role.may_call(&function(name)), "{name}");
    }
}

#[test]
fn used_module_includes_its_functions() {
    let control = control(&shop());
    let role = |key: &str| control.member(&key.to_owned()).map(|member| member.role.clone()).expect("a member");
    let clerk = role("k2");
    assert!(clerk.may_use("stock", "count") && clerk.may_use("log", "info") && clerk.may_use_any("stock"));
    assert!(!clerk.may_use("stock", "set") && !clerk.may_use("mail", "send") && !clerk.may_use_any("mail"));
    assert!(role("k3").may_use("anything", "at_all") && role("k3").may_use_any("anything"));
    let visitor = control.anonymous().expect("a role");
    assert!(!visitor.may_use("stock", "count") && !visitor.may_use_any("stock") && !visitor.may_play());
}

#[test]
fn callers_have_the_role_of_their_key() {
    let mut json = shop();
    let name = |role: Option<&std::sync::Arc<Role>>| role.map(|role| role.name().to_string());
    let of = |json: &serde_json::Value| {
        let control = control(json);
        let member = control.member(&"k2".into()).expect("a member");
        assert_eq!((&*member.name, member.id, &member.keys[..]), ("alice", 0, &["k1".to_owned(), "k2".into()][..]));
        assert_eq!(control.member(&"k1".into()), control.member(&"k2".into()));
        assert_eq!(name(control.role_of(&"k3".into())), Some("owner".into()));
        assert_eq!(name(control.role_of(&"k4".into())), name(control.authenticated()));
        assert!(control.member(&"k4".into()).is_none());
        (name(control.anonymous()), name(control.authenticated()))
    };
    let [visitor, customer] = ["visitor", "customer"].map(|name| Some(name.to_owned()));
    assert_eq!(of(&json), (visitor.clone(), customer.clone()));
    // Nobody loses rights by authenticating.
    json.as_object_mut().expect("an object").remove("authenticated");
    assert_eq!(of(&json), (visitor.clone(), visitor));
    json.as_object_mut().expect("an object").remove("anyone");
    assert_eq!(of(&json), (None, None));
    json["authenticated"] = "customer".into();
    assert_eq!(of(&json), (None, customer));
}

#[test]
fn role_of_circles_without_roles_has_every_right() {
    let role = Role::everything("everyone");
    assert!(role.may_call(&function("a.b")) && role.may_call_all() && role.may_play());
    assert!(role.may_use("stock", "count") && role.may_use_any("stock"));
    let nobody = CallerPlaceholders::default();
    assert!(role.may_use_key("put", "a", &nobody) && role.may_use_prefix("list", "a/", &nobody));
    assert!(role.may_publish("a", &nobody) && role.may_subscribe_topic("a", &nobody));
    assert!(role.may_subscribe_keys("a", &nobody) && role.may_subscribe_keys("", &nobody));
    let all = || vec!["*".to_owned()];
    assert_eq!((role.call_patterns(), role.used(), role.subscribe_patterns()), (all(), all(), all()));
    assert_eq!(role.per_minute(), None);
}

#[test]
fn definition_survives_json_and_refuses_unknown_fields() {
    let shop = definition(&shop());
    let text = serde_json::to_string(&shop).expect("JSON");
    assert_eq!(serde_json::from_str::<AccessDefinition<String>>(&text).expect("read"), shop);
    for text in [
        r#"{ "roles": { "a": { "calls": [] } } }"#,
        r#"{ "roles": {}, "members": [{ "name": "a", "keys": [], "role": "a", "key": "" }] }"#,
        r#"{ "roles": {}, "everyone": "a" }"#,
    ] {
        let error = serde_json::from_str::<AccessDefinition<String>>(text).expect_err("unknown");
        assert!(error.to_string().starts_with("unknown field"), "{error}");
    }
    let error = serde_json::from_str::<AccessDefinition<String>>(r#"{ "roles": { "a": {}, "a": {} } }"#);
    assert!(error.expect_err("twice").to_string().starts_with("duplicate role `a`"));
    let numbered = shop.try_map_keys(|member, key, text| Ok::<_, ()>(format!("{member}{key}{text}"))).expect("mapped");
    assert_eq!(numbered.members[0].keys, ["00k1", "01k2"]);
    assert_eq!(numbered.clone().try_map_keys(|member, key, _| (member < 1).then_some(0).ok_or(key)), Err(0));
}

#[test]
fn hundred_thousand_members_resolve() {
    let members = (0..MAX_MEMBERS).map(|number| MemberDefinition {
        name: format!("m{number}"),
        keys: vec![number * 2, number * 2 + 1],
        role: "member".into(),
    });
    let roles = [("member".to_owned(), RoleDefinition { play: Some(true), ..RoleDefinition::default() })].into();
    let mut definition = AccessDefinition { roles, members: members.collect(), ..AccessDefinition::default() };
    let control = AccessControl::new(definition.clone()).expect("valid");
    assert_eq!(control.member(&199_999).map(|member| member.id), Some(99_999));
    assert_eq!(control.members().count(), MAX_MEMBERS);
    definition.members.push(MemberDefinition { name: "one-more".into(), keys: vec![200_000], role: "member".into() });
    let faults = AccessControl::new(definition.clone()).expect_err("too many");
    assert_eq!((faults.len(), &faults[0].place), (1, &FaultPlace::Members));
    // As many faults as members: the check reports the first of them.
    definition.members.iter_mut().for_each(|member| member.role = "membre".into());
    assert_eq!(AccessControl::new(definition).expect_err("unknown roles").len(), MAX_FAULTS);
}
