use super::*;
use crate::circle::{build_error::BuildError, reconfigure::ReconfigureError};

#[test]
fn circle_without_workers_is_rejected() {
    assert!(matches!(Circle::builder("a").build(), Err(BuildError::NoWorkers)));
}

#[test]
fn members_imply_members_access() {
    let builder = || Circle::builder("a").workers(Workers::TrustedThreads);
    let access = |builder: CircleBuilder| builder.build().expect("a circle").settings().rights.access();
    assert_eq!(access(builder()), Access::Open);
    assert_eq!(access(builder().members([])), Access::Members);
    assert_eq!(access(builder().members([]).access(Access::Open)), Access::Open);
    assert_eq!(access(builder().access(Access::Authenticated).members([])), Access::Authenticated);
}

#[test]
fn threads_have_no_sandbox() {
    let builder = || Circle::builder("a").workers(Workers::TrustedThreads);
    assert!(builder().build().is_ok());
    assert!(matches!(builder().sandbox(Sandbox::Required).build(), Err(BuildError::NoSandbox)));
}

#[test]
fn invalid_circle_name_is_rejected() {
    for name in ["", "9001", "A", "a b", "a/b", &"a".repeat(65)] {
        let built = Circle::builder(name).workers(Workers::Process { program: "x".into() }).build();
        assert!(matches!(built, Err(BuildError::BadName { .. })), "{name}");
    }
    assert!(Circle::builder("team-1").workers(Workers::Process { program: "x".into() }).build().is_ok());
}

#[test]
fn circle_beyond_loopback_needs_explicit_choices() {
    let builder = || Circle::builder("a").workers(Workers::TrustedThreads);
    let serves = |builder: CircleBuilder, address: &str| {
        builder.build().expect("a circle").check_address(address.parse().expect("an address")).is_ok()
    };
    let chosen = || builder().sandbox(Sandbox::BestEffort);
    for address in ["0.0.0.0", "192.0.2.1", "::", "2001:db8::1", "::ffff:192.0.2.1"] {
        assert!(!serves(chosen(), address) && serves(chosen().allow_open(true), address), "{address}");
        assert!(!serves(builder().members([]), address) && serves(chosen().members([]), address), "{address}");
    }
    for address in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
        assert!(serves(builder(), address), "{address}");
    }
}

#[tokio::test]
async fn roles_open_no_circle_beyond_loopback() {
    let definition = |may_play: bool| -> AccessDefinition<PublicKey> {
        let json = format!(r#"{{ "roles": {{ "visitor": {{ "play": {may_play} }} }}, "anyone": "visitor" }}"#);
        let definition: AccessDefinition<String> = serde_json::from_str(&json).expect("a definition");
        definition.try_map_keys(|_, _, _| Err("no key")).expect("no keys")
    };
    let built = |may_play, allow_open| {
        let builder = Circle::builder("a").workers(Workers::TrustedThreads).sandbox(Sandbox::BestEffort);
        builder.roles(definition(may_play)).allow_open(allow_open).build().expect("a circle")
    };
    for (address, allow_open, may_open) in
        [("192.0.2.1", false, false), ("192.0.2.1", true, true), ("127.0.0.1", false, true)]
    {
        let circle = built(false, allow_open);
        circle.check_address(address.parse().expect("an address")).expect("nobody may play");
        let changed = circle.set_roles(definition(true));
        assert_eq!(matches!(changed, Err(ReconfigureError::Open)), !may_open, "{address}");
        assert_eq!(circle.settings().rights.access() == Access::Open, may_open, "{address}");

        let circle = built(false, false);
        circle.check_address(address.parse().expect("an address")).expect("nobody may play");
        let changed = circle.reconfigure(built(true, allow_open)).await;
        assert_eq!(matches!(changed, Err(ReconfigureError::Open)), !may_open, "{address}: {changed:?}");
        assert_eq!(circle.settings().rights.access() == Access::Open, may_open, "{address}");
    }
}
