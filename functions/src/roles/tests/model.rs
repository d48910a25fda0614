//! A naive model: rights by definition, without maps or sets of patterns.

use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

const ROLES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const FUNCTIONS: [&str; 8] = ["x", "y", "x.y", "x.z", "x.y.z", "y.x", "xy", "x.yy.z"];
const MODULES: [&str; 3] = ["m", "n", "mn"];

type Definition = AccessDefinition<u8>;

fn roles() -> impl Strategy<Value = RoleDefinition> {
    let call = select(vec!["*", "x", "y", "x.*", "y.*", "x.y", "x.y.*", "xy.*", "x.", "X", "*.x"]);
    let used = select(vec!["*", "m", "n", "m::f", "m::g", "n::f", "mn::f", "m::", "m::f:p/"]);
    let subscribe = select(vec!["*", "keys:p/", "keys:p/{name}/", "keys:q/", "topic:t", "topic:p", "keys:p", "t"]);
    let extends = prop_oneof![2 => Just(None), 5 => select(ROLES.to_vec()).prop_map(Some), 1 => Just(Some("unknown"))];
    let texts = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect();
    let rate = prop_oneof![3 => Just(None), 3 => (1_u64..5).prop_map(Some), 1 => Just(Some(0))];
    (extends, vec(call, 0..3), prop::option::of(any::<bool>()), vec(used, 0..3), vec(subscribe, 0..3), rate).prop_map(
        move |(extends, call, play, used, subscribe, per_minute)| RoleDefinition {
            extends: extends.map(str::to_owned),
            call: texts(call),
            play,
            r#use: texts(used),
            subscribe: texts(subscribe),
            per_minute,
        },
    )
}

fn definitions() -> impl Strategy<Value = Definition> {
    let name = || prop_oneof![9 => select(ROLES.to_vec()), 1 => Just("unknown")].prop_map(str::to_owned);
    let member = ((0_u8..9), vec(0_u8..20, 0..4), name()).prop_map(|(name, keys, role)| MemberDefinition {
        name: format!("m{name}"),
        keys,
        role,
    });
    let members = vec(member, 0..4);
    (vec(roles(), 6), prop::option::of(name()), prop::option::of(name()), members, any::<bool>()).prop_map(
        |(roles, anyone, authenticated, members, is_clean)| {
            let roles = ROLES.iter().map(ToString::to_string).zip(roles).collect();
            let definition = Definition { roles, anyone, authenticated, members };
            if is_clean { clean(definition) } else { definition }
        },
    )
}

/// Removes every fault, without another look at the rest.
fn clean(mut definition: Definition) -> Definition {
    for (name, role) in &mut definition.roles {
        // No cycle: a role extends an earlier one.
        role.extends = role.extends.take().filter(|base| base < name);
        role.call.retain(|text| is_call_pattern(text));
        role.r#use.retain(|text| is_use_pattern(text));
        role.subscribe.retain(|text| is_subscribe_pattern(text));
        role.play = role.play.filter(|play| *play);
        role.per_minute = role.per_minute.filter(|rate| *rate > 0);
    }
    let is_known = |name: &String| name != "unknown";
    definition.anyone = definition.anyone.filter(is_known);
    definition.authenticated = definition.authenticated.filter(is_known);
    for (index, member) in (0_u8..).zip(&mut definition.members) {
        member.name = format!("m{index}");
        member.keys.truncate(1);
        member.keys.iter_mut().for_each(|key| *key = *key % 5 + 5 * index);
    }
    definition.members.retain(|member| is_known(&member.role) && !member.keys.is_empty());
    definition
}

fn is_call_pattern(text: &str) -> bool {
    !matches!(text, "x." | "X" | "*.x")
}

fn is_use_pattern(text: &str) -> bool {
    !matches!(text, "m::" | "m::f:p/")
}

fn is_subscribe_pattern(text: &str) -> bool {
    !matches!(text, "keys:p" | "t")
}

/// Returns the role and those that it extends, nearest first, and whether the chain ends.
fn chain<'a>(definition: &'a Definition, name: &'a str) -> (Vec<&'a str>, bool) {
    let mut names = vec![name];
    loop {
        let Some(base) = definition.roles[names[names.len() - 1]].extends.as_deref() else { return (names, true) };
        if !ROLES.contains(&base) {
            return (names, true);
        }
        if names.contains(&base) {
            return (names, false);
        }
        names.push(base);
    }
}

fn matches_call(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

fn matches_use(pattern: &str, module: &str, function: &str) -> bool {
    pattern == "*" || pattern == module || pattern == format!("{module}::{function}")
}

fn matches_subscribe(pattern: &str, wanted: &str) -> bool {
    let pattern = pattern.replace("{name}", "alice");
    pattern == "*" || pattern == wanted || pattern.starts_with("keys:") && wanted.starts_with(&pattern)
}

/// Returns the faults, as sorted places.
fn model_faults(definition: &Definition) -> Vec<String> {
    let mut places = Vec::new();
    for (name, role) in &definition.roles {
        let bad = |field: &str, list: &[String], is_valid: fn(&str) -> bool| {
            let bad = list.iter().enumerate().filter(|(_, text)| !is_valid(text));
            bad.map(|(index, _)| format!("roles.{name}.{field}[{index}]")).collect::<Vec<_>>()
        };
        places.extend(bad("call", &role.call, is_call_pattern));
        places.extend(bad("use", &role.r#use, is_use_pattern));
        places.extend(bad("subscribe", &role.subscribe, is_subscribe_pattern));
        if role.per_minute == Some(0) {
            places.push(format!("roles.{name}.per_minute"));
        }
        let (names, ends) = chain(definition, name);
        let is_in_cycle = !ends && definition.roles[names[names.len() - 1]].extends.as_ref() == Some(name);
        let is_unknown = role.extends.as_deref() == Some("unknown");
        if is_unknown || is_in_cycle && names.iter().min() == Some(&name.as_str()) {
            places.push(format!("roles.{name}.extends"));
        }
        if role.play == Some(false) && ends && is_sound(definition, name) {
            let inherits_play = names[1..].iter().any(|base| definition.roles[*base].play == Some(true));
            places.extend(inherits_play.then(|| format!("roles.{name}.play")));
        }
    }
    places.extend((definition.anyone.as_deref() == Some("unknown")).then(|| "anyone".to_owned()));
    places.extend((definition.authenticated.as_deref() == Some("unknown")).then(|| "authenticated".to_owned()));
    for (index, member) in definition.members.iter().enumerate() {
        let before = &definition.members[..index];
        if before.iter().any(|other| other.name == member.name) {
            places.push(format!("members[{index}].name"));
        }
        if member.keys.is_empty() {
            places.push(format!("members[{index}].keys"));
        }
        for (number, key) in member.keys.iter().enumerate() {
            if member.keys[..number].contains(key) || before.iter().any(|other| other.keys.contains(key)) {
                places.push(format!("members[{index}].keys[{number}]"));
            }
        }
        if member.role == "unknown" {
            places.push(format!("members[{index}].role"));
        }
    }
    places.sort();
    places
}

/// Returns whether neither the role, but for its own `play`, nor any that it extends has a fault.
fn is_sound(definition: &Definition, name: &str) -> bool {
    let (names, ends) = chain(definition, name);
    ends && names.iter().enumerate().all(|(depth, name)| {
        let role = &definition.roles[*name];
        let takes_play = role.play == Some(false)
            && names[depth + 1..].iter().any(|base| definition.roles[*base].play == Some(true));
        role.extends.as_deref() != Some("unknown")
            && role.per_minute != Some(0)
            && role.call.iter().all(|text| is_call_pattern(text))
            && role.r#use.iter().all(|text| is_use_pattern(text))
            && role.subscribe.iter().all(|text| is_subscribe_pattern(text))
            && (depth == 0 || !takes_play)
    })
}

/// Asserts that a resolved role has exactly the rights of the model.
fn assert_role(definition: &Definition, role: &Role) {
    let (names, _) = chain(definition, role.name());
    let chain: Vec<_> = names.iter().map(|name| &definition.roles[*name]).collect();
    for name in FUNCTIONS {
        let is_granted = chain.iter().any(|role| role.call.iter().any(|pattern| matches_call(pattern, name)));
        assert_eq!(role.may_call(&function(name)), is_granted, "{name}");
        // The fewest patterns grant the same.
        assert_eq!(role.call_patterns().iter().any(|pattern| matches_call(pattern, name)), is_granted, "{name}");
    }
    for module in MODULES {
        for function in ["f", "g", "h"] {
            let matches = |pattern: &String| matches_use(pattern, module, function);
            let is_granted = chain.iter().any(|role| role.r#use.iter().any(matches));
            assert_eq!(role.may_use(module, function), is_granted, "{module}::{function}");
            assert_eq!(role.used().iter().any(matches), is_granted, "{module}::{function}");
        }
        let starts = |pattern: &String| pattern == "*" || pattern.split("::").next() == Some(module);
        assert_eq!(role.may_use_any(module), chain.iter().any(|role| role.r#use.iter().any(starts)), "{module}");
    }
    let alice = CallerPlaceholders { key: None, name: Some("alice") };
    for wanted in ["keys:p/", "keys:p/x", "keys:p/alice/", "keys:p/alice/x", "keys:q/", "keys:r/", "topic:t", "topic:p"]
    {
        let matches = |pattern: &String| matches_subscribe(pattern, wanted);
        let is_granted = chain.iter().any(|role| role.subscribe.iter().any(matches));
        let found = match wanted.strip_prefix("keys:") {
            Some(keys) => role.may_subscribe_keys(keys, &alice),
            None => role.may_subscribe_topic(&wanted["topic:".len()..], &alice),
        };
        assert_eq!(found, is_granted, "{wanted}");
        assert_eq!(role.subscribe_patterns().iter().any(matches), is_granted, "{wanted}");
    }
    assert_eq!(role.may_play(), chain.iter().any(|role| role.play == Some(true)));
    assert_eq!(role.per_minute(), chain.iter().find_map(|role| role.per_minute));
    for patterns in [role.call_patterns(), role.used(), role.subscribe_patterns()] {
        let mut unique = patterns.clone();
        unique.dedup();
        assert_eq!(patterns, unique);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn roles_and_members_are_those_of_the_model(definition in definitions()) {
        let expected = model_faults(&definition);
        match AccessControl::new(definition.clone()) {
            Err(faults) => {
                prop_assert!(!faults.is_empty());
                let mut places: Vec<_> = faults.iter().map(|fault| fault.place.to_string()).collect();
                places.sort();
                prop_assert_eq!(places, expected);
            }
            Ok(control) => {
                prop_assert!(expected.is_empty(), "{:?}", expected);
                prop_assert_eq!(control.roles().map(|role| role.name().to_string()).collect::<Vec<_>>(), ROLES);
                control.roles().for_each(|role| assert_role(&definition, role));
                let named = |role: Option<&std::sync::Arc<Role>>| role.map(|role| role.name().to_string());
                prop_assert_eq!(named(control.anonymous()), definition.anyone.clone());
                let authenticated = definition.authenticated.clone().or(definition.anyone.clone());
                prop_assert_eq!(named(control.authenticated()), authenticated);
                for key in 0..20 {
                    let owner = definition.members.iter().find(|member| member.keys.contains(&key));
                    let found = control.member(&key);
                    prop_assert_eq!(found.map(|member| member.name.to_string()), owner.map(|member| member.name.clone()));
                    prop_assert_eq!(found.map(|member| member.role.name().to_string()), owner.map(|owner| owner.role.clone()));
                    prop_assert_eq!(found.map(|member| &definition.members[member.id]), owner);
                }
            }
        }
    }
}
