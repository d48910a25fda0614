use keys::{KeyPair, identity_file};
use tempfile::TempDir;

use super::*;
use crate::circle_target::CircleTarget;

fn identity() -> VerifiedIdentity {
    VerifiedIdentity { public_key: KeyPair::generate().expect("random bytes").public_key(), is_persistent: true }
}

/// The files of a test user, and the directory that they are in.
fn user() -> (UserFiles, TempDir) {
    let root = tempfile::tempdir().expect("a directory");
    let known_circles = Some(KnownCircles::at(root.path().join("circles")));
    let [run, state] = ["run", "state"].map(|name| root.path().join(name));
    (UserFiles { known_circles, directories: Directories { run, state } }, root)
}

#[test]
fn first_identity_is_remembered_and_another_one_refused() {
    let (user, _root) = user();
    let circles = || user.known_circles.clone().expect("they are there");
    let (authority, first) = ("127.0.0.1:9001".parse().expect("an authority"), identity());
    let check = IdentityCheck::new(user.clone(), &ConnectOptions::default(), None);
    check.clone().without_recording().decide_and_record(&authority, first, Own::None).expect("it is new");
    assert_eq!((check.notes().take(), circles().get(&authority).expect("read")), (Vec::new(), None));
    check.decide_and_record(&authority, first, Own::None).expect("it is new");
    assert!(matches!(&check.notes().take()[..], [IdentityNote::FirstUse(_)]));
    check.decide_and_record(&authority, first, Own::None).expect("it is known");
    assert_eq!(check.notes().take(), []);
    let error = check.decide_and_record(&authority, identity(), Own::None).expect_err("it is another");
    assert_eq!((error.exit_code(), &*error.parts().what), (4, "will not use the circle at 127.0.0.1:9001"));
    // The supervisor's answer overrides the known circles, and is not recorded.
    let own = identity();
    check.decide_and_record(&authority, own, Own::Confirmed(own.public_key)).expect("it is the user's own");
    check.decide_and_record(&authority, first, Own::Confirmed(own.public_key)).expect_err("it is not the user's own");
    assert_eq!(circles().get(&authority).expect("read"), Some(first.public_key));
    // Nothing is recorded about a scratch circle.
    let own = IdentityCheck { files: user.clone(), ..IdentityCheck::for_scratch_circle() };
    own.decide_and_record(&authority, identity(), Own::None).expect("it is its own");
}

#[test]
fn identity_that_cannot_be_remembered_is_a_warning() {
    let (authority, shown) = ("127.0.0.1:9001".parse().expect("an authority"), identity());
    let (user, _root) = user();
    let homeless = UserFiles { known_circles: None, ..user };
    let check = IdentityCheck::new(homeless, &ConnectOptions::default(), None);
    check.decide_and_record(&authority, shown, Own::None).expect("there is no home directory");
    assert!(matches!(&check.notes().take()[..], [IdentityNote::Warning(_)]));
}

#[test]
fn tunnel_to_a_loopback_authority_is_not_loopback() {
    let (user, _root) = user();
    let authority: Authority = "127.0.0.1:9001".parse().expect("an authority");
    let ephemeral = VerifiedIdentity { is_persistent: false, ..identity() };
    let through = |authority: Option<Authority>| {
        let check = IdentityCheck::new(user.clone(), &ConnectOptions { authority, ..ConnectOptions::default() }, None);
        check.decide_and_record(&"127.0.0.1:9001".parse().expect("an authority"), ephemeral, Own::None)
    };
    through(None).expect("it is on this machine");
    let refused = through(Some(authority.clone())).expect_err("it is elsewhere");
    let target = CircleTarget::from_address("9001", "ws://127.0.0.1:9001".into());
    let error = CliError::Client { target, error: ClientError::IdentityRefused(refused.into()) };
    assert_eq!(IdentityError::refused_ephemeral(&error), Some(ephemeral.public_key));
    let check = IdentityCheck::new(
        user.clone(),
        &ConnectOptions { authority: Some(authority.clone()), ..ConnectOptions::default() },
        None,
    );
    check.decide_and_record(&authority, ephemeral, Own::None).expect_err("nobody has accepted it");
    check.accept_ephemeral();
    check.decide_and_record(&authority, ephemeral, Own::None).expect("the user accepts it");
    // Accepting one ephemeral identity does not accept another.
    let other = VerifiedIdentity { is_persistent: false, ..identity() };
    check.decide_and_record(&authority, other, Own::None).expect_err("it has changed");
    check.decide_and_record(&authority, other, Own::None).expect_err("it is not the one that the user accepts");
}

#[test]
fn identity_that_changes_between_connections_is_refused_once() {
    let (user, _root) = user();
    let authority = "127.0.0.1:9001".parse().expect("an authority");
    let check = IdentityCheck::new(user, &ConnectOptions::default(), None);
    let ephemeral = || VerifiedIdentity { is_persistent: false, ..identity() };
    // A circle without a persistent identity has a new one after each start.
    check.decide_and_record(&authority, ephemeral(), Own::None).expect("it is on this machine");
    assert_eq!(check.notes().take(), []);
    check.decide_and_record(&authority, ephemeral(), Own::None).expect("it is on this machine");
    assert!(matches!(&check.notes().take()[..], [IdentityNote::Warning(_)]));
    let lasting = identity();
    check.decide_and_record(&authority, lasting, Own::None).expect("it is new");
    let other = ephemeral();
    let error = check.decide_and_record(&authority, other, Own::None).expect_err("it has changed");
    assert!(error.to_string().contains("has changed since the last connection"), "{error}");
    check.decide_and_record(&authority, other, Own::None).expect("the user was warned, and tries again");
    // The identity of the user's own circle may have been rotated.
    let own = identity();
    check.decide_and_record(&authority, own, Own::Confirmed(own.public_key)).expect("it is the user's own");
    let rotated = identity();
    check.decide_and_record(&authority, rotated, Own::Confirmed(rotated.public_key)).expect("it is the user's own");
}

#[tokio::test]
async fn own_circle_is_identified_by_its_file_even_while_it_is_down() {
    let (user, root) = user();
    let config = root.path().join("circles.json");
    std::fs::write(&config, r#"{ "circles": [{ "name": "a", "port": 9001, "identity": "id" }] }"#).expect("written");
    let check = IdentityCheck::new(user.clone(), &ConnectOptions::default(), Some(&config));
    let (authority, elsewhere) = ("[::1]:9001".parse().expect("valid"), "127.0.0.1:9002".parse().expect("valid"));
    let stranger = identity().public_key;
    assert_eq!(check.find_own_identity(&authority, stranger).await.expect("read"), Own::Unstarted);
    let own = identity_file::load_or_create(&root.path().join("id")).expect("made").keypair.public_key();
    for shown in [own, stranger] {
        assert_eq!(check.find_own_identity(&authority, shown).await.expect("read"), Own::Stated(own));
        assert_eq!(check.find_own_identity(&elsewhere, shown).await.expect("read"), Own::None);
    }
    let elsewhere = r#"{ "circles": [{ "name": "a", "host": "198.51.100.7", "port": 9001, "identity": "id" }] }"#;
    std::fs::write(&config, elsewhere).expect("written");
    let remote = "198.51.100.7:9001".parse().expect("valid");
    assert_eq!(check.find_own_identity(&remote, own).await.expect("read"), Own::None, "it is not of this machine");
    std::fs::write(&config, r#"{ "circles": [{ "name": "a", "port": 9001, "identity": "id" }] }"#).expect("written");
    std::fs::write(root.path().join("id"), "nonsense").expect("written");
    check.find_own_identity(&authority, own).await.expect_err("it cannot be compared");
}
