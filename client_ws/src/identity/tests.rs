use keys::KeyPair;

use super::*;

const REMOTE_AUTHORITY: &str = "team.example.org:9001";

fn circle() -> KeyPair {
    KeyPair::generate().expect("random bytes")
}

fn authority(text: &str) -> Authority {
    text.parse().expect("an authority")
}

fn answer(circle: &KeyPair, statement: &IdentityStatement, persistent: bool) -> IdentifyResult {
    IdentifyResult {
        pubkey: circle.public_key().to_hex(),
        persistent,
        signature: circle.sign_identity(statement).to_string(),
    }
}

#[test]
fn identity_requires_signature_for_authority_and_challenge() {
    let (circle, target) = (circle(), authority("127.0.0.1:9001"));
    let challenge = Challenge::generate().expect("random bytes");
    let statement = IdentityStatement::new(&target, challenge, true);
    let identity = verify_identity(&answer(&circle, &statement, true), &target, challenge).expect("it is valid");
    assert_eq!(identity, VerifiedIdentity { public_key: circle.public_key(), is_persistent: true });

    let earlier = Challenge::generate().expect("random bytes");
    for (statement, persistent) in [
        // A forwarded answer of another circle, an answer of an earlier connection, and a modified one.
        (IdentityStatement::new(&authority("127.0.0.1:9002"), challenge, true), true),
        (IdentityStatement::new(&target, earlier, true), true),
        (IdentityStatement::new(&target, challenge, false), true),
    ] {
        verify_identity(&answer(&circle, &statement, persistent), &target, challenge).expect_err("it is not valid");
    }
    let mut forged = answer(&circle, &statement, true);
    forged.pubkey = self::circle().public_key().to_hex();
    verify_identity(&forged, &target, challenge).expect_err("it is not valid");
    for (pubkey, signature) in [("", "00"), ("02", &*"0".repeat(128)), (&circle.public_key().to_hex(), "")] {
        let answer = IdentifyResult { pubkey: pubkey.into(), persistent: true, signature: signature.into() };
        verify_identity(&answer, &target, challenge).expect_err("it is not valid");
    }
}

/// Whether the rules accept an identity.
async fn is_accepted(rules: &IdentityRules, url: &str, target: &str, identity: VerifiedIdentity) -> bool {
    let url = CircleUrl::parse(url).expect("a URL");
    rules.verify(&url, &authority(target), identity).await.is_ok()
}

#[tokio::test]
async fn ephemeral_identity_is_refused_off_loopback_unless_accepted() {
    let ephemeral = VerifiedIdentity { public_key: circle().public_key(), is_persistent: false };
    let persistent = VerifiedIdentity { is_persistent: true, ..ephemeral };
    let remote = format!("ws://{REMOTE_AUTHORITY}");
    let rules = IdentityRules::default();
    assert!(is_accepted(&rules, "ws://127.0.0.1:9001", "127.0.0.1:9001", ephemeral).await);
    assert!(is_accepted(&rules, "ws://localhost:9001", "[::1]:9001", ephemeral).await);
    assert!(is_accepted(&rules, &remote, REMOTE_AUTHORITY, persistent).await);
    assert!(!is_accepted(&rules, &remote, REMOTE_AUTHORITY, ephemeral).await);
    // Tunnels: one that begins at loopback, and one that ends there.
    assert!(!is_accepted(&rules, "ws://127.0.0.1:8000", REMOTE_AUTHORITY, ephemeral).await);
    assert!(!is_accepted(&rules, &remote, "127.0.0.1:9001", ephemeral).await);
    let accepting = IdentityRules { accepts_ephemeral: true, ..IdentityRules::default() };
    assert!(is_accepted(&accepting, &remote, REMOTE_AUTHORITY, ephemeral).await);
    let expecting = IdentityRules { expected: Some(ephemeral.public_key), ..IdentityRules::default() };
    assert!(is_accepted(&expecting, &remote, REMOTE_AUTHORITY, ephemeral).await);
}

#[tokio::test]
async fn unexpected_identity_is_refused_before_check() {
    let identity = VerifiedIdentity { public_key: circle().public_key(), is_persistent: true };
    let mut rules = IdentityRules { expected: Some(circle().public_key()), accepts_ephemeral: true, check: None };
    rules.set_check(|_, _| async { Ok::<_, IdentityRefusal>(()) });
    assert!(!is_accepted(&rules, "ws://127.0.0.1:9001", "127.0.0.1:9001", identity).await);
}

#[tokio::test]
async fn custom_check_decides() {
    let known = VerifiedIdentity { public_key: circle().public_key(), is_persistent: false };
    let mut rules = IdentityRules::default();
    rules.set_check(move |authority, identity| async move {
        if authority.as_str() == REMOTE_AUTHORITY && identity == known { Ok(()) } else { Err("not known") }
    });
    let remote = format!("ws://{REMOTE_AUTHORITY}");
    assert!(is_accepted(&rules, &remote, REMOTE_AUTHORITY, known).await);
    let other = VerifiedIdentity { public_key: circle().public_key(), is_persistent: true };
    let url = CircleUrl::parse(&remote).expect("a URL");
    let error = rules.verify(&url, &authority(REMOTE_AUTHORITY), other).await.expect_err("it is not known");
    assert_eq!(error.to_string(), "the identity check refused the circle: not known");
}
