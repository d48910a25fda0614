//! Each fault, with its place and its message.

use serde_json::{Value, json};

use super::*;

/// Returns the faults of a definition, one a line.
fn faults(json: &Value) -> Vec<String> {
    let faults = AccessControl::new(definition(json)).expect_err("a fault");
    faults.iter().map(ToString::to_string).collect()
}

/// Returns the only fault of a circle with one role `a`.
fn fault_of_role(role: &Value) -> String {
    let faults = faults(&json!({ "roles": { "a": role } }));
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults[0].clone()
}

#[test]
fn every_fault_is_reported_at_its_place() {
    let faults = faults(&json!({
        "roles": {
            "Big": {},
            "clerk": { "extends": "custmer", "call": ["price", "Order.*"], "use": ["*", "stock:count"], "per_minute": 0 },
            "customer": { "extends": "clerk" },
        },
        "anyone": "custome",
        "authenticated": "nobody",
        "members": [
            { "name": "alice", "keys": [], "role": "customer" },
            { "name": "Bob", "keys": ["k1", "k1"], "role": "clrk" },
            { "name": "alice", "keys": ["k2", "k1"], "role": "clerk" },
        ],
    }));
    let expected = [
        "roles.Big: 'Big' is not a name of a role: use up to 48 lower-case letters, digits, dashes and _, and start with a \
         letter",
        "roles.clerk.per_minute: per_minute is 0: use at least 1, or grant the role nothing in \"call\" and \"play\"",
        "roles.clerk.call[1]: 'Order.*' is not a pattern of functions: write a name such as \"order.place\", \"order.*\" for \
         all functions below a name, or \"*\" for all functions",
        "roles.clerk.use[1]: 'stock:count' is not a pattern of host modules: write a module such as \"stock\", a function \
         such as \"stock::count\", a function of the store with a prefix such as \"store::get:orders/\", or \"*\" for all \
         host modules",
        "roles.clerk.extends: no role 'custmer'; did you mean 'customer'?",
        "anyone: no role 'custome'; did you mean 'customer'?",
        "authenticated: no role 'nobody': define it in \"roles\", or use one of Big, clerk, customer",
        "members[0].keys: member 'alice' has no key: list at least one public key, or remove the member",
        "members[1].name: 'Bob' is not a name of a member: use up to 64 lower-case letters, digits and dashes, with at least \
         one letter",
        "members[1].keys[1]: member 'Bob' has the key k1 twice: list it once",
        "members[1].role: no role 'clrk'; did you mean 'clerk'?",
        "members[2].name: member 1 is already called 'alice': use another name, or list all keys in \"keys\" of one member",
        "members[2].keys[1]: the key k1 is that of member 'Bob', too: give it to one of the two members",
    ];
    assert_eq!(faults, expected);
}

#[test]
fn cycle_is_reported_once_with_all_of_its_roles() {
    let json = json!({ "roles": {
        "z": { "extends": "c" }, "a": { "extends": "z" },
        "d": { "extends": "b" }, "c": { "extends": "d" }, "b": { "extends": "c" },
        "self": { "extends": "self" },
    } });
    let expected = [
        "roles.b.extends: roles extend each other in a cycle, b → c → d → b: remove one \"extends\"",
        "roles.self.extends: roles extend each other in a cycle, self → self: remove one \"extends\"",
    ];
    assert_eq!(faults(&json), expected);
}

#[test]
fn patterns_are_names_and_wildcards() {
    for pattern in ["", "a.", ".*", "*.a", "a.*.b", "a*", "**", "a.**", " a", "A", "a-b", "order .*", &"a".repeat(49)] {
        assert!(fault_of_role(&json!({ "call": [pattern] })).contains("is not a pattern of functions"), "{pattern}");
    }
    for pattern in ["", "a::", "::a", "a::b::c", "a.b", "a::*", "1a", "a b", "é", "a:b", "*::a", &"a".repeat(129)] {
        assert!(fault_of_role(&json!({ "use": [pattern] })).contains("is not a pattern of host modules"), "{pattern}");
    }
    let long = fault_of_role(&json!({ "call": ["x".repeat(10_000)] }));
    assert!(long.len() < 400 && long.contains('…'), "{long}");
}

#[test]
fn faults_of_prefixes_and_topics_say_what_to_write() {
    let long = "a".repeat(512);
    let cases = [
        ("store::get:orders", "has a prefix that does not end in '/': add the '/'"),
        ("store::get:", "has no prefix after the ':': write the prefix"),
        ("store::list:orders/*", "has '*' in its prefix, which is no wildcard there: remove it"),
        ("store::put:orders/{user}/", "has a brace that belongs to no placeholder: write {key} for"),
        ("store::put:orders/}/", "has a brace that belongs to no placeholder"),
        ("store::put:orders/{key/", "has a brace that belongs to no placeholder"),
        ("store::set:orders/", "has a prefix, but 'store' has no function 'set': use one of get, get_all, has, put"),
        (
            "stock::count:orders/",
            "which only the functions of 'store' and 'events::publish' have: write \"stock::count\" for",
        ),
        ("events::listen:orders", "write \"events::listen\" for the whole function"),
        ("events::publish:", "has no topic after the ':': write the topic"),
        (&format!("store::get:{long}/"), "has a prefix of 513 bytes: use at most 512"),
        (&format!("events::publish:{long}a"), "has a topic of 513 bytes: use at most 512"),
    ];
    for (pattern, expected) in cases {
        let fault = fault_of_role(&json!({ "use": [pattern] }));
        assert!(fault.starts_with("roles.a.use[0]: '") && fault.contains(expected) && fault.len() < 400, "{fault}");
    }
    let cases = [
        ("orders/", "is not a pattern of subscriptions: write \"keys:orders/\" for"),
        ("keys:", "has no prefix after the ':'"),
        ("keys:orders", "does not end in '/': add the '/'"),
        ("keys:*", "has '*' in its prefix"),
        ("topic:", "has no topic after the ':'"),
        ("topic:{Name}", "has a brace that belongs to no placeholder"),
        ("key:orders/", "is not a pattern of subscriptions"),
        ("", "'' is not a pattern of subscriptions"),
    ];
    for (pattern, expected) in cases {
        let fault = fault_of_role(&json!({ "subscribe": [pattern] }));
        assert!(fault.starts_with("roles.a.subscribe[0]: '") && fault.contains(expected), "{fault}");
    }
    let longest = json!({ "roles": { "a": { "subscribe": [format!("topic:{long}")] } } });
    assert!(AccessControl::new(definition(&longest)).is_ok());
}

#[test]
fn play_that_is_inherited_cannot_be_taken_away() {
    let json =
        json!({ "roles": { "a": { "play": true }, "b": { "extends": "a", "play": false }, "c": { "play": false } } });
    let expected = "roles.b.play: \"play\": false has no effect, because 'a', which this role extends, may play: extend a \
                    role that may not play, or remove \"play\"";
    assert_eq!(faults(&json), [expected]);
}

#[test]
fn names_of_roles_have_a_limit() {
    for name in ["a", "a_b-c1", &"a".repeat(48)] {
        assert!(AccessControl::new(definition(&json!({ "roles": { name: {} } }))).is_ok(), "{name}");
    }
    for name in ["", "1a", "-a", "_a", "aB", "a.b", "ä", &"a".repeat(49)] {
        assert!(faults(&json!({ "roles": { name: {} } }))[0].contains("is not a name of a role"), "{name}");
    }
}

#[test]
fn names_of_members_have_a_limit() {
    let with = |name: &str| {
        definition(&json!({ "roles": { "a": {} }, "members": [{ "name": name, "keys": ["k"], "role": "a" }] }))
    };
    for name in ["a", "1a-", &"a".repeat(64)] {
        assert!(AccessControl::new(with(name)).is_ok(), "{name}");
    }
    for name in ["", "1", "a_b", "A", "a b", "ä", &"a".repeat(65)] {
        let faults = AccessControl::new(with(name)).expect_err(name);
        assert_eq!(faults[0].place, FaultPlace::Member { index: 0, field: MemberField::Name, key: None });
    }
}

#[test]
fn chain_of_roles_has_a_limit() {
    let chain = |length: usize| {
        let role = |number: usize| {
            let extends = number.checked_sub(1).map(|base| format!("r{base:03}"));
            (format!("r{number:03}"), RoleDefinition { extends, ..RoleDefinition::default() })
        };
        AccessDefinition::<String> { roles: (0..length).map(role).collect(), ..AccessDefinition::default() }
    };
    assert!(AccessControl::new(chain(MAX_EXTENDS)).is_ok());
    // Roles that extend the one with the fault have no fault of their own.
    let faults = AccessControl::new(chain(MAX_EXTENDS + 9)).expect_err("too long");
    assert_eq!(faults.len(), 1);
    assert_eq!(
        faults[0].to_string(),
        "roles.r064.extends: the chain of \"extends\" has 65 roles, and at most 64 are allowed: extend fewer"
    );
}

#[test]
fn numbers_of_roles_and_patterns_have_a_limit() {
    let patterns = |count: usize| (0..count).map(|number| format!("f{number}")).collect::<Vec<_>>();
    let two = |call: usize, r#use: usize| {
        let own = RoleDefinition { extends: Some("a".into()), r#use: patterns(r#use), ..RoleDefinition::default() };
        let base = RoleDefinition { call: patterns(call), ..RoleDefinition::default() };
        let roles = [("a".to_owned(), base), ("b".to_owned(), own)].into();
        AccessDefinition::<String> { roles, ..AccessDefinition::default() }
    };
    assert!(AccessControl::new(two(600, MAX_PATTERNS - 600)).is_ok());
    let faults = AccessControl::new(two(600, MAX_PATTERNS - 599)).expect_err("too many");
    assert_eq!(faults.len(), 1);
    assert!(faults[0].to_string().starts_with("roles.b: the role has 1001 patterns"), "{faults:?}");
    let mut definition = two(600, MAX_PATTERNS - 600);
    let subscribe = RoleDefinition { subscribe: vec!["topic:a".into()], ..RoleDefinition::default() };
    definition.roles.get_mut("a").expect("a role").extends = Some("c".into());
    definition.roles.insert("c".into(), subscribe);
    assert!(
        AccessControl::new(definition).expect_err("too many")[0].to_string().starts_with("roles.b: the role has 1001")
    );

    let roles = |count: usize| AccessDefinition::<String> {
        roles: (0..count).map(|number| (format!("r{number}"), RoleDefinition::default())).collect(),
        ..AccessDefinition::default()
    };
    assert!(AccessControl::new(roles(MAX_ROLES)).is_ok());
    let faults = AccessControl::new(roles(MAX_ROLES + 1)).expect_err("too many");
    assert_eq!(faults.iter().map(|fault| &fault.place).collect::<Vec<_>>(), [&FaultPlace::Roles]);
}
