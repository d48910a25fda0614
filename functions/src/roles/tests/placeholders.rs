//! Prefixes, topics and placeholders.

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::json;

use super::*;

const KEY: &str = "02ab0f";

fn role(role: &serde_json::Value) -> std::sync::Arc<Role> {
    let control = control(&json!({ "roles": { "a": role }, "anyone": "a" }));
    control.anonymous().expect("a role").clone()
}

fn caller<'a>(key: impl Into<Option<&'a str>>, name: impl Into<Option<&'a str>>) -> CallerPlaceholders<'a> {
    CallerPlaceholders { key: key.into(), name: name.into() }
}

#[test]
fn prefix_grants_its_keys_and_prefixes_below() {
    let role = role(&json!({
        "use": ["store::get:stock/", "store::list:orders/{key}/", "store::put", "events::publish:{name}"],
    }));
    let nobody = CallerPlaceholders::default();
    for key in ["stock/", "stock/tea", "stock/a/b", "stock/../x"] {
        assert!(role.may_use_key("get", key, &nobody), "{key}");
        assert!(!role.may_use_key("has", key, &nobody), "{key}");
        assert!(role.may_use_key("put", key, &nobody), "{key}");
    }
    for key in ["", "stock", "stoc", "stockings/a", "orders/x", "STOCK/tea", "/stock/tea"] {
        assert!(!role.may_use_key("get", key, &nobody), "{key}");
    }
    let alice = caller(KEY, "alice");
    for prefix in ["orders/02ab0f/", "orders/02ab0f/x/"] {
        assert!(role.may_use_prefix("list", prefix, &alice), "{prefix}");
        assert!(!role.may_use_prefix("count", prefix, &alice), "{prefix}");
    }
    for prefix in
        ["", "orders/", "orders/02ab0f", "orders/02ab/", "orders/02ab0f0/", "orders//", "orders/{key}/", "stock/"]
    {
        assert!(!role.may_use_prefix("list", prefix, &alice), "{prefix}");
    }
    assert!(!role.may_use_prefix("list", "orders//", &nobody));
    assert!(role.may_publish("alice", &alice) && !role.may_publish("alice/", &alice) && !role.may_publish("", &nobody));
    assert!(!role.may_publish("alice", &caller(KEY, None)) && !role.may_publish("{name}", &alice));
    // Plays see the functions, whose arguments the circle checks.
    assert!(role.may_use("store", "get") && role.may_use("store", "list") && role.may_use("events", "publish"));
    assert!(!role.may_use("store", "delete") && !role.may_use("stock", "get") && role.may_use_any("events"));
    assert!(!role.may_use("events", "get") && !role.may_use("publish", "publish"));
}

#[test]
fn whole_function_includes_its_prefixes() {
    let nobody = CallerPlaceholders::default();
    for patterns in
        [json!(["store::get:a/", "store::get"]), json!(["store", "store::get:a/"]), json!(["*", "store::get:a/"])]
    {
        let role = role(&json!({ "use": patterns }));
        assert!(role.may_use_key("get", "b", &nobody), "{patterns}");
        assert_eq!(role.used().len(), 1, "{patterns}");
    }
    let role = role(&json!({
        "use": ["store::get:a/b/", "store::get:a/", "store::get:a/{name}/", "store::put:a/b/", "store::get:ab/",
                "events::publish:b", "events::publish:a", "events::publish:a", "mail"],
        "subscribe": ["topic:ab", "topic:a", "keys:{key}/", "keys:{key}/a/", "keys:a/"],
    }));
    let expected = "events::publish:a events::publish:b mail store::get:a/ store::get:ab/ store::put:a/b/";
    assert_eq!(role.used().join(" "), expected);
    assert_eq!(role.subscribe_patterns().join(" "), "keys:a/ keys:{key}/ topic:a topic:ab");
}

#[test]
fn subscriptions_have_rights_of_their_own() {
    let role = role(&json!({
        "use": ["store"], "subscribe": ["keys:orders/{name}/", "keys:stock/", "topic:orders", "topic:to-{key}"],
    }));
    let (alice, nobody) = (caller(KEY, "alice"), CallerPlaceholders::default());
    for keys in ["stock/", "stock/tea", "orders/alice/", "orders/alice/1"] {
        assert!(role.may_subscribe_keys(keys, &alice), "{keys}");
    }
    for keys in ["", "stock", "orders/", "orders/bob/", "orders/alice", "topic:orders"] {
        assert!(!role.may_subscribe_keys(keys, &alice), "{keys}");
    }
    assert!(!role.may_subscribe_keys("orders/alice/", &nobody) && !role.may_subscribe_keys("orders//", &nobody));
    assert!(role.may_subscribe_topic("orders", &nobody) && role.may_subscribe_topic("to-02ab0f", &alice));
    for topic in ["to-", "to-02ab0f/", "orders/", "", "stock/"] {
        assert!(!role.may_subscribe_topic(topic, &alice), "{topic}");
    }
    // The right to read is not the right to subscribe.
    let reader = self::role(&json!({ "use": ["*"] }));
    assert!(!reader.may_subscribe_keys("stock/", &alice) && !reader.may_subscribe_topic("orders", &alice));
}

/// Text for names and keys of callers that tries to reach out of a prefix.
fn value() -> impl Strategy<Value = Option<String>> {
    let part = select(vec!["a", "b", "-", "0", "/", "..", "{", "}", "{key}", "{name}", "", "\0", "*", "é", "A"]);
    prop_oneof![
        1 => Just(None),
        2 => vec(part, 0..4).prop_map(|parts| Some(parts.concat())),
        2 => "[ab0-]{1,3}".prop_map(Some),
    ]
}

/// Returns what a pattern grants to a caller; nothing if a value is absent or has other characters.
fn granted(pattern: &str, key: Option<&str>, name: Option<&str>) -> Option<String> {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let mut granted = pattern.to_owned();
    for (placeholder, value) in [("{key}", key), ("{name}", name)] {
        if pattern.contains(placeholder) {
            let value = value.filter(|value| !value.is_empty() && value.chars().all(is_letter))?;
            granted = granted.replace(placeholder, value);
        }
    }
    Some(granted)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn caller_stays_inside_of_its_prefix(
        parts in vec(select(vec!["a", "b", "/", "{key}", "{name}", "-"]), 0..5),
        key in value(),
        name in value(),
        tail in vec(select(vec!["a", "b", "0", "-", "/", "..", "\0"]), 0..4),
        other in vec(select(vec!["a", "b", "0", "-", "/", "..", "{", "{key}", "{name}"]), 0..6),
    ) {
        let (pattern, key, name) = (format!("{}/", parts.concat()), key.as_deref(), name.as_deref());
        let role = role(&json!({
            "use": [format!("store::get:{pattern}"), format!("events::publish:{pattern}")],
            "subscribe": [format!("keys:{pattern}"), format!("topic:{pattern}")],
        }));
        let granted = granted(&pattern, key, name);
        if let Some(granted) = &granted {
            // Values add no level.
            prop_assert_eq!(granted.matches('/').count(), pattern.matches('/').count());
        }
        let naive = pattern.replace("{key}", key.unwrap_or_default()).replace("{name}", name.unwrap_or_default());
        for text in [naive.clone(), naive + &tail.concat(), pattern.clone(), other.concat()] {
            let starts = granted.as_ref().is_some_and(|granted| text.starts_with(granted.as_str()));
            let equals = granted.as_ref() == Some(&text);
            let caller = caller(key, name);
            prop_assert_eq!(role.may_use_key("get", &text, &caller), starts, "{:?}", text);
            prop_assert_eq!(role.may_use_prefix("get", &text, &caller), starts, "{:?}", text);
            prop_assert_eq!(role.may_subscribe_keys(&text, &caller), starts, "{:?}", text);
            prop_assert_eq!(role.may_publish(&text, &caller), equals, "{:?}", text);
            prop_assert_eq!(role.may_subscribe_topic(&text, &caller), equals, "{:?}", text);
        }
    }
}
