//! Roles and members in circles.json.

use super::*;

const KEYS: [&str; 3] = [
    "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
    "02f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9",
];

/// Parses the fields of a circle; `K1` and `K2` are keys.
fn circle(fields: &str) -> Result<CircleConfig, ConfigError> {
    file(&format!("{{ \"circles\": [{{ \"name\": \"a\", \"port\": 1, {fields} }}] }}"))
        .map(|mut circles| circles.remove(0))
}

fn file(text: &str) -> Result<Vec<CircleConfig>, ConfigError> {
    parse_text(&text.replace("K1", KEYS[0]).replace("K2", KEYS[1]).replace("K3", KEYS[2]))
}

const SHOP: &str = r#""roles": { "visitor": { "call": ["price"] }, "player": { "play": true, "per_minute": 9 } },
    "members": [{ "name": "alice", "keys": ["K1", "K2"], "role": "player" },
                { "name": "bot", "keys": ["K3"], "role": "visitor" }]"#;

#[test]
fn access_is_that_of_the_widest_group_that_may_play() {
    let cases: [(&str, Access, &[&str]); 7] = [
        ("", Access::Members, &KEYS[..2]),
        (r#", "anyone": "visitor""#, Access::Members, &KEYS[..2]),
        (r#", "anyone": "player""#, Access::Open, &[]),
        (r#", "anyone": "player", "authenticated": "visitor""#, Access::Open, &[]),
        (r#", "authenticated": "player""#, Access::Authenticated, &[]),
        (r#", "anyone": "visitor", "authenticated": "player""#, Access::Authenticated, &[]),
        (r#", "allow_open": true, "host": "0.0.0.0", "anyone": "player""#, Access::Open, &[]),
    ];
    for (fields, access, members) in cases {
        let circle = circle(&format!("{SHOP}{fields}")).expect(fields);
        let keys: Vec<String> = circle.members.iter().map(PublicKey::to_hex).collect();
        assert_eq!(
            (circle.access, &*keys),
            (access, &*members.iter().map(ToString::to_string).collect::<Vec<_>>()),
            "{fields}"
        );
        let roles = circle.roles.expect("roles");
        assert_eq!((roles.roles.len(), roles.members.len(), roles.members[0].keys.len()), (2, 2, 2));
        assert_eq!(roles.roles["player"].per_minute, Some(9));
    }
    let nobody = circle(r#""roles": {}"#).expect("valid");
    assert_eq!((nobody.access, nobody.members.len(), nobody.roles.is_some()), (Access::Members, 0, true));
    assert!(circle(r#""access": "open""#).expect("valid").roles.is_none());
}

/// Fields with a mark where the error is, and a piece of the message.
#[test]
fn error_of_roles_has_line_and_column() {
    let cases = [
        // Roles.
        (r#""roles": { "a": { "extends": §"b" } }"#, "no role 'b'"),
        (r#""roles": { "a": {}, "ab": { "extends": §"aa" } }"#, "did you mean"),
        (r#""roles": { "b": { "extends": "a" }, "a": { "extends": §"b" } }"#, "in a cycle, a → b → a"),
        (r#""roles": { "a": { "call": ["x", §"X"] } }"#, "not a pattern of functions"),
        (r#""roles": { "a": { "use": ["store::get:a/", §"store::get:a"] } }"#, "does not end in '/'"),
        (r#""roles": { "a": { "subscribe": ["topic:a", §"keys:a"] } }"#, "does not end in '/'"),
        (r#""roles": { "a": { "per_minute": §0 } }"#, "at least 1"),
        (r#""roles": { "A": §{} }"#, "not a name of a role"),
        ("\"roles\": { \"a\":\n { \"calls§\": [] } }", "unknown field `calls`"),
        ("\"roles\": { \"a\": {},\n \"a§\": {} }", "duplicate role `a`"),
        (r#""roles": {}, "anyone": §"a""#, "no role 'a'"),
        (r#""roles": {}, "authenticated": §"a""#, "no role 'a'"),
        // Members.
        (r#""roles": { "a": {} }, "members": [{ "name": "a", "keys": §[], "role": "a" }]"#, "no key"),
        (
            r#""roles": { "a": {} }, "members": [{ "name": "a", "keys": ["K1"], "role": "a" },
                { "name": "b", "keys": ["K2", §"K1"], "role": "a" }]"#,
            "of member 'a', too",
        ),
        (
            r#""roles": { "a": {} }, "members": [{ "name": "a", "keys": ["K1"], "role": "a" },
                { "name": §"a", "keys": ["K2"], "role": "a" }]"#,
            "already called 'a'",
        ),
        (r#""roles": { "a": {} }, "members": [{ "name": "a", "keys": ["K1"], "role": §"b" }]"#, "no role 'b'"),
        (r#""roles": { "a": {} }, "members": [{ "name": "a", "keys": ["K1", §"02ff"], "role": "a" }]"#, "66"),
        ("\"roles\": {}, \"members\": [\n{ \"name\": \"a\", \"keys\": [] §}]", "missing field `role`"),
        ("\"roles\": {}, \"members\": [\n§1]", "an object with name, keys and role"),
        (r#""roles": { "a": {} }, "members": [§"K1"]"#, r#"write { "name": "NAME", "keys": ["02"#),
        // Fields that contradict each other.
        (r#""roles": {}, "access": §"open""#, "remove it"),
        (r#""functions": §"shop/""#, r#"add for example "roles": { "visitor": { "call": ["NAME"] } }, "anyone""#),
        (r#""anyone": §"a""#, "needs \"roles\""),
        (r#""authenticated": §"a""#, "needs \"roles\""),
        (r#""members": ["K1", §{ "name": "a", "keys": ["K2"], "role": "a" }]"#, "needs \"roles\""),
        (r#""roles": { "a": { "play": true } }, "host": "0.0.0.0", "anyone": §"a""#, "\"allow_open\": true"),
        (r#""roles": {}, "functions": §"nowhere/""#, "nowhere"),
    ];
    for (marked, piece) in cases {
        let fields = marked.replace('§', "");
        let ConfigError::Invalid { line, column, message, .. } = circle(&fields).expect_err(&fields) else {
            panic!("{fields}")
        };
        assert!(message.contains(piece), "{fields}: {message}");
        let before =
            format!("{{ \"circles\": [{{ \"name\": \"a\", \"port\": 1, {}", marked.split('§').next().expect("a part"));
        let before = before.replace("K1", KEYS[0]).replace("K2", KEYS[1]);
        let last = before.rsplit('\n').next().unwrap_or_default();
        assert_eq!((line, column), (before.matches('\n').count() + 1, last.chars().count() + 1), "{marked}: {message}");
    }
}

#[test]
fn printed_suggestion_for_a_bare_key_is_valid() {
    let bare = r#""roles": { "ROLE": {} }, "members": ["K1"]"#.replace("ROLE", "clerk");
    let message = circle(&bare).expect_err("a bare key").to_string();
    let object =
        message.split_once("write ").expect("a suggestion").1.replace("ROLE", "clerk").replace("NAME", "alice");
    let fixed = circle(&bare.replace("\"K1\"", &object)).expect("valid");
    assert_eq!(fixed.roles.expect("roles").members[0].name, "alice");
}

#[test]
fn roles_in_defaults_apply_to_circles_without_access() {
    let text = r#"{ "defaults": { "roles": { "a": { "play": true }, "b": {} }, "anyone": "b", "functions": ".",
            "members": [{ "name": "alice", "keys": ["K1"], "role": "a" }] },
        "circles": [
            { "name": "a", "port": 1 },
            { "name": "b", "port": 2, "anyone": "a" },
            { "name": "c", "port": 3, "access": "open" },
            { "name": "d", "port": 4, "access": "members", "members": ["K2"] },
            { "name": "e", "port": 5, "roles": { "a": {}, "b": {} }, "members": [] } ] }"#;
    let circles = file(text).expect("valid");
    let summary = |circle: &CircleConfig| {
        let members = circle.roles.as_ref().map(|roles| roles.members.len());
        (circle.access, circle.members.len(), members, circle.functions.is_some())
    };
    assert_eq!(
        circles.iter().map(summary).collect::<Vec<_>>(),
        [
            (Access::Members, 1, Some(1), true),
            (Access::Open, 0, Some(1), true),
            (Access::Open, 0, None, false),
            (Access::Members, 1, None, false),
            (Access::Members, 0, Some(0), true),
        ]
    );
    // Roles of the circle's own replace an `access` in `defaults`, and at the same level they contradict each other.
    let text = r#"{ "defaults": { "access": "authenticated" }, "circles": [{ "name": "a", "port": 1, "roles": {} }] }"#;
    assert_eq!(file(text).expect("valid")[0].access, Access::Members);
    let text = r#"{ "defaults": { "access": "open", "roles": {} }, "circles": [{ "name": "a", "port": 1 }] }"#;
    assert!(file(text).expect_err("both").to_string().contains("circles.json:1:27: \"access\" has no effect"));
}

#[test]
fn keys_of_members_with_roles_are_bounded() {
    // Duplicate keys are the second fault: the number comes first.
    let keys = vec!["\"K1\""; 10_001].join(",");
    let text = format!(r#""roles": {{ "a": {{}} }}, "members": [{{ "name": "a", "keys": [{keys}], "role": "a" }}]"#);
    let error = circle(&text).expect_err("one too many").to_string();
    assert!(error.contains("at most 10000 keys"), "{error}");
}
