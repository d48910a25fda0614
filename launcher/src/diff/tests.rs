use proptest::prelude::*;

use super::*;

const KEYS: [&str; 2] = [
    "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5",
];

fn definition() -> CircleDefinition {
    let text = format!(
        r#"{{ "circles": [{{ "name": "a", "port": 1, "access": "members", "members": ["{}"],
        "hosts": ["a.example", "b.example"], "origins": ["https://a.example"] }}] }}"#,
        KEYS[0]
    );
    let circle = crate::parse(&text, std::path::Path::new("circles.json")).expect("valid").remove(0);
    let mut circle = circle;
    circle.tls = Some(crate::TlsFiles { cert: "cert.pem".into(), key: "key.pem".into() });
    CircleDefinition { circle, contents: ContentDigests::default() }
}

/// Each field with a way to change it and nothing else.
type FieldMutation = (CircleField, ReloadAction, fn(&mut CircleDefinition));
const FIELD_MUTATIONS: [FieldMutation; 25] = [
    (CircleField::Host, ReloadAction::Restart, |it| it.circle.address.set_ip("::1".parse().expect("an address"))),
    (CircleField::Port, ReloadAction::Restart, |it| it.circle.address.set_port(2)),
    (CircleField::Access, ReloadAction::Restart, |it| {
        (it.circle.access, it.circle.members) = (Access::Authenticated, vec![]);
    }),
    (CircleField::Sandbox, ReloadAction::Restart, |it| it.circle.sandbox = crate::Sandbox::Required),
    (CircleField::AllowOpen, ReloadAction::Change, |it| it.circle.allow_open = true),
    (CircleField::Description, ReloadAction::Change, |it| it.circle.description = Some("ours".into())),
    (CircleField::Members, ReloadAction::Change, |it| it.circle.members.push(KEYS[1].parse().expect("a key"))),
    (CircleField::Hosts, ReloadAction::Change, |it| it.circle.hosts.truncate(1)),
    (CircleField::Origins, ReloadAction::Change, |it| it.circle.origins.clear()),
    (CircleField::TrustedProxies, ReloadAction::Change, |it| it.circle.trusted_proxies.push([10, 0, 0, 1].into())),
    (CircleField::Console, ReloadAction::Change, |it| it.circle.console = false),
    (CircleField::Certificate, ReloadAction::Change, |it| {
        it.circle.tls = Some(crate::TlsFiles { cert: "new.pem".into(), key: "key.pem".into() });
    }),
    (CircleField::Certificate, ReloadAction::Change, |it| it.contents.tls = Some([[1; 32]; 2])),
    (CircleField::Init, ReloadAction::Change, |it| it.circle.init = Some("a.rhai".into())),
    (CircleField::Init, ReloadAction::Change, |it| it.contents.init = Some([1; 32])),
    (CircleField::Modules, ReloadAction::Change, |it| it.circle.modules = Some("scripts".into())),
    (CircleField::Modules, ReloadAction::Change, |it| it.contents.modules = Some([1; 32])),
    (CircleField::Functions, ReloadAction::Change, |it| it.circle.functions = Some("functions".into())),
    (CircleField::Functions, ReloadAction::Change, |it| it.contents.functions = Some([1; 32])),
    (CircleField::Identity, ReloadAction::Restart, |it| it.circle.identity = Some("a.identity".into())),
    (CircleField::Store, ReloadAction::Restart, |it| it.circle.store = Some(crate::StoreConfig::Memory)),
    (CircleField::WorkerPool, ReloadAction::Restart, |it| {
        let servers = "nats://n1:4222".into();
        it.circle.worker_pool = Some(worker_nats::config::NatsSettings { servers, ..Default::default() });
    }),
    (CircleField::Limits, ReloadAction::Change, |it| it.circle.limits.play_ms = 1),
    (CircleField::Restart, ReloadAction::Change, |it| it.circle.restart = crate::RestartPolicy::Never),
    // The last, because a circle without TLS has no certificate.
    (CircleField::Tls, ReloadAction::Restart, |it| it.circle.tls = None),
];

#[test]
fn plan_names_changed_field_and_restarts_only_if_needed() {
    let before = definition();
    for (field, action, mutate) in FIELD_MUTATIONS {
        let mut after = before.clone();
        mutate(&mut after);
        let found = plan_change(Some((EntryStatus::Up, &before)), Some(&after), NewCirclePolicy::Start);
        let fields = if field == CircleField::Access { vec![field, CircleField::Members] } else { vec![field] };
        assert_eq!(found, CircleChange { name: "a".into(), action, fields });
    }
}

#[test]
fn changed_fields_ignores_differences_without_effect() {
    let mut before = definition();
    let mut after = before.clone();
    after.circle.hosts.reverse();
    after.circle.hosts.push(after.circle.hosts[0].clone());
    assert_eq!(changed_fields(&before, &after), []);
    // The list of members has no effect where others may play, too.
    (before.circle.access, after.circle.access) = (Access::Authenticated, Access::Authenticated);
    after.circle.members.clear();
    assert_eq!(changed_fields(&before, &after), []);
}

/// Returns the definition of a circle with roles; `changes` replaces parts of its text.
fn with_roles(changes: &[(&str, &str)]) -> CircleDefinition {
    let text = format!(
        r#"{{ "circles": [{{ "name": "a", "port": 1, "roles": {{ "a": {{ "call": ["x"] }}, "b": {{ "play": true }} }},
        "anyone": "a", "members": [
        {{ "name": "alice", "keys": ["{}"], "role": "a" }}, {{ "name": "bob", "keys": ["{}"], "role": "a" }}] }}] }}"#,
        KEYS[0], KEYS[1]
    );
    let text = changes.iter().fold(text, |text, (before, after)| {
        assert!(text.contains(before), "{before}");
        text.replacen(before, after, 1)
    });
    let circle = crate::parse(&text, std::path::Path::new("circles.json")).expect("valid").remove(0);
    CircleDefinition { circle, contents: ContentDigests::default() }
}

/// Replacements in the text of a circle, and the fields that they change.
type RoleChange<'a> = (&'a [(&'a str, &'a str)], &'a [CircleField]);

#[test]
fn changed_roles_and_members_apply_while_the_circle_runs() {
    use CircleField::{Anyone, Authenticated, Members, Roles};
    let before = with_roles(&[]);
    let bob = format!(r#", {{ "name": "bob", "keys": ["{}"], "role": "a" }}"#, KEYS[1]);
    let (one, other) = (format!("\"{}\"", KEYS[0]), format!("\"{}\"", KEYS[1]));
    let cases: &[RoleChange] = &[
        (&[(r#"["x"]"#, r#"["y"]"#)], &[Roles]),
        // The widest group that may play changes, too, and that needs no restart.
        (&[(r#""call": ["x"]"#, r#""play": true"#)], &[Roles]),
        (&[(r#""anyone": "a""#, r#""anyone": "b""#)], &[Anyone]),
        (&[(r#""anyone": "a","#, "")], &[Anyone]),
        (&[(r#""anyone": "a","#, r#""anyone": "a", "authenticated": "b","#)], &[Authenticated]),
        (&[(&bob, "")], &[Members]),
        (&[(r#"alice", "keys": ["#, r#"carol", "keys": ["#)], &[Members]),
        (&[(r#""role": "a" }, {"#, r#""role": "b" }, {"#)], &[Members]),
        (&[(&*one, "KEY"), (&*other, &*one), ("KEY", &*other)], &[Members]),
        (
            &[
                (r#""roles": {"#, r#""roles": { "c": { "extends": "a" },"#),
                ("\"role\": \"a\" }, {", "\"role\": \"c\" }, {"),
            ],
            &[Members, Roles],
        ),
    ];
    for (changes, fields) in cases {
        let found = plan_change(Some((EntryStatus::Up, &before)), Some(&with_roles(changes)), NewCirclePolicy::Start);
        assert_eq!((found.action, &*found.fields), (ReloadAction::Change, *fields), "{changes:?}");
    }
    // The order of members has no effect.
    let mut swapped = before.clone();
    swapped.circle.roles.iter_mut().for_each(|roles| roles.members.reverse());
    assert_eq!(changed_fields(&before, &swapped), []);
}

#[test]
fn first_roles_restart_the_circle_if_they_change_its_access() {
    let without = |fields: &str| {
        let text = format!(r#"{{ "circles": [{{ "name": "a", "port": 1 {fields} }}] }}"#);
        let circle = crate::parse(&text, std::path::Path::new("circles.json")).expect("valid").remove(0);
        CircleDefinition { circle, contents: ContentDigests::default() }
    };
    let plan = |before: &CircleDefinition, after: &CircleDefinition| {
        plan_change(Some((EntryStatus::Up, before)), Some(after), NewCirclePolicy::Start)
    };
    let (open, members) = (without(""), without(r#", "access": "members""#));
    assert_eq!(plan(&open, &with_roles(&[])).action, ReloadAction::Restart);
    assert_eq!(plan(&with_roles(&[]), &open).action, ReloadAction::Restart);
    assert_eq!(plan(&members, &with_roles(&[])).action, ReloadAction::Change);
}

/// Status of the circle, whether its definition is changed (`None`: it is not in the file), and the actions.
#[test]
fn action_depends_on_entry_status() {
    use ReloadAction::{Change, Drain, Forget, Later, Nothing, Start};
    let before = definition();
    let mut other = before.clone();
    other.circle.description = Some("ours".into());
    let cases = [
        (None, Some(false), Start, Later),
        (Some(EntryStatus::New), Some(false), Start, Later),
        (Some(EntryStatus::New), Some(true), Start, Later),
        (Some(EntryStatus::New), None, Forget, Forget),
        (Some(EntryStatus::Up), Some(false), Nothing, Nothing),
        (Some(EntryStatus::Up), Some(true), Change, Change),
        (Some(EntryStatus::Up), None, Drain, Drain),
        // A circle that was taken down stays down.
        (Some(EntryStatus::Down), Some(false), Nothing, Nothing),
        (Some(EntryStatus::Down), Some(true), Later, Later),
        (Some(EntryStatus::Down), None, Forget, Forget),
    ];
    for (status, is_changed, with_all, with_names) in cases {
        let known = status.map(|status| (status, &before));
        let file = is_changed.map(|is_changed| if is_changed { &other } else { &before });
        for (policy, action) in [(NewCirclePolicy::Start, with_all), (NewCirclePolicy::Ignore, with_names)] {
            let found = plan_change(known, file, policy);
            assert_eq!((found.action, &*found.name), (action, "a"), "{status:?} {is_changed:?} {policy:?}");
        }
    }
}

proptest! {
    #[test]
    fn plan_names_all_changes_and_takes_strongest_action(
        mask in proptest::collection::vec(any::<bool>(), FIELD_MUTATIONS.len()),
    ) {
        let before = definition();
        let mut after = before.clone();
        let made: Vec<_> = FIELD_MUTATIONS.iter().zip(mask).filter_map(|(change, is_made)| is_made.then_some(change)).collect();
        for (_, _, mutate) in &made {
            mutate(&mut after);
        }
        let mut expected: BTreeSet<CircleField> = made.iter().map(|(field, ..)| *field).collect();
        if expected.contains(&CircleField::Tls) {
            expected.remove(&CircleField::Certificate);
        }
        if expected.contains(&CircleField::Access) {
            expected.insert(CircleField::Members);
        }
        let found = plan_change(Some((EntryStatus::Up, &before)), Some(&after), NewCirclePolicy::Start);
        prop_assert_eq!(found.fields.iter().copied().collect::<BTreeSet<_>>(), expected);
        let back = changed_fields(&after, &before);
        prop_assert_eq!(&back, &found.fields);
        let action = match made.iter().any(|(_, action, _)| *action == ReloadAction::Restart) {
            true => ReloadAction::Restart,
            false if made.is_empty() => ReloadAction::Nothing,
            false => ReloadAction::Change,
        };
        prop_assert_eq!(found.action, action);
        // After the change is applied there is nothing left to do.
        prop_assert_eq!(plan_change(Some((EntryStatus::Up, &after)), Some(&after), NewCirclePolicy::Start).action, ReloadAction::Nothing);
    }
}
