use keys::KeyPair;

use super::*;

const ELSEWHERE: &str = "team.example.org:9001";

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
fn identity_is_that_of_who_signs_for_this_authority_and_challenge() {
    let (circle, dialled) = (circle(), authority("127.0.0.1:9001"));
    let challenge = Challenge::generate().expect("random bytes");
    let statement = IdentityStatement::new(&dialled, challenge, true);
    let identity = verified(&answer(&circle, &statement, true), &dialled, challenge).expect("it is valid");
    assert_eq!(identity, VerifiedIdentity { public_key: circle.public_key(), is_persistent: true });

    let earlier = Challenge::generate().expect("random bytes");
    for (statement, persistent) in [
        // Another circle's answer passed on, an answer of an earlier connection, and one that was changed.
        (IdentityStatement::new(&authority("127.0.0.1:9002"), challenge, true), true),
        (IdentityStatement::new(&dialled, earlier, true), true),
        (IdentityStatement::new(&dialled, challenge, false), true),
    ] {
        verified(&answer(&circle, &statement, persistent), &dialled, challenge).expect_err("it is not valid");
    }
    let mut of_another = answer(&circle, &statement, true);
    of_another.pubkey = self::circle().public_key().to_hex();
    verified(&of_another, &dialled, challenge).expect_err("it is not valid");
    for (pubkey, signature) in [("", "00"), ("02", &*"0".repeat(128)), (&circle.public_key().to_hex(), "")] {
        let answer = IdentifyResult { pubkey: pubkey.into(), persistent: true, signature: signature.into() };
        verified(&answer, &dialled, challenge).expect_err("it is not valid");
    }
}

/// Whether rules go on with an identity.
async fn is_accepted(rules: &IdentityRules, url: &str, dialled: &str, identity: VerifiedIdentity) -> bool {
    let url = CircleUrl::parse(url).expect("a URL");
    rules.judge(&url, &authority(dialled), identity).await.is_ok()
}

#[tokio::test]
async fn ephemeral_identity_is_refused_off_loopback_unless_it_is_accepted() {
    let ephemeral = VerifiedIdentity { public_key: circle().public_key(), is_persistent: false };
    let persistent = VerifiedIdentity { is_persistent: true, ..ephemeral };
    let remote = format!("ws://{ELSEWHERE}");
    let rules = IdentityRules::default();
    assert!(is_accepted(&rules, "ws://127.0.0.1:9001", "127.0.0.1:9001", ephemeral).await);
    assert!(is_accepted(&rules, "ws://localhost:9001", "[::1]:9001", ephemeral).await);
    assert!(is_accepted(&rules, &remote, ELSEWHERE, persistent).await);
    assert!(!is_accepted(&rules, &remote, ELSEWHERE, ephemeral).await);
    // Tunnels: one from here, and a name that says here.
    assert!(!is_accepted(&rules, "ws://127.0.0.1:8000", ELSEWHERE, ephemeral).await);
    assert!(!is_accepted(&rules, &remote, "127.0.0.1:9001", ephemeral).await);
    let accepting = IdentityRules { accepts_ephemeral: true, ..IdentityRules::default() };
    assert!(is_accepted(&accepting, &remote, ELSEWHERE, ephemeral).await);
    let expecting = IdentityRules { expected: Some(ephemeral.public_key), ..IdentityRules::default() };
    assert!(is_accepted(&expecting, &remote, ELSEWHERE, ephemeral).await);
}

#[tokio::test]
async fn identity_that_is_not_the_expected_one_is_refused_before_the_check() {
    let identity = VerifiedIdentity { public_key: circle().public_key(), is_persistent: true };
    let mut rules = IdentityRules { expected: Some(circle().public_key()), accepts_ephemeral: true, check: None };
    rules.set_check(|_, _| async { Ok::<_, IdentityRefusal>(()) });
    assert!(!is_accepted(&rules, "ws://127.0.0.1:9001", "127.0.0.1:9001", identity).await);
}

#[tokio::test]
async fn check_of_the_program_decides_by_itself() {
    let known = VerifiedIdentity { public_key: circle().public_key(), is_persistent: false };
    let mut rules = IdentityRules::default();
    rules.set_check(move |authority, identity| async move {
        if authority.as_str() == ELSEWHERE && identity == known { Ok(()) } else { Err("not known") }
    });
    let remote = format!("ws://{ELSEWHERE}");
    assert!(is_accepted(&rules, &remote, ELSEWHERE, known).await);
    let other = VerifiedIdentity { public_key: circle().public_key(), is_persistent: true };
    let url = CircleUrl::parse(&remote).expect("a URL");
    let error = rules.judge(&url, &authority(ELSEWHERE), other).await.expect_err("it is not known");
    assert_eq!(error.to_string(), "the identity of the circle is refused: not known");
}
