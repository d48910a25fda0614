use keys::KeyPair;

use super::*;

fn key(number: u8) -> PublicKey {
    KeyPair::from_secret_hex(&format!("{number:064x}")).expect("a secret key").public_key()
}

/// The decision, in a word.
fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Accept => "accept",
        Decision::AcceptAndRemember(_) => "remember",
        Decision::Warn(_) => "warn",
        Decision::Refuse(IdentityRejection::KnownMismatch { .. }) => "not as known",
        Decision::Refuse(IdentityRejection::OwnMismatch { .. }) => "not own",
        Decision::Refuse(IdentityRejection::Ephemeral { .. }) => "ephemeral",
        // The check finds a changed identity before it decides.
        Decision::Refuse(IdentityRejection::Changed { .. }) => "changed",
    }
}

/// Each row: the known identity, the identity of the user's own circle, whether the identity is persistent, on
/// loopback, `--accept-ephemeral`, at a system-assigned port, and the decision. The circle always shows the key 1.
#[test]
fn decision_depends_on_what_is_known_and_on_own_circles() {
    const ANY: [bool; 2] = [false, true];
    type Row<'a> = (&'a [Option<u8>], &'a [Own], &'a [bool], &'a [bool], &'a [bool], &'a [bool], &'a str);
    let anything: &[Option<u8>] = &[None, Some(1), Some(2)];
    let (stated, confirmed) = (Own::Stated(key(1)), Own::Confirmed(key(1)));
    let unconfirmed = [Own::None, Own::Unstarted, stated];
    let rows: [Row; 19] = [
        // The identity of the user's own circle overrides the known one.
        (anything, &[confirmed], &ANY, &ANY, &ANY, &ANY, "accept"),
        (anything, &[Own::Confirmed(key(2)), Own::Stated(key(2))], &ANY, &ANY, &ANY, &ANY, "not own"),
        // An identity file that circles.json names does not override a known identity.
        (&[None], &[stated], &ANY, &ANY, &ANY, &ANY, "accept"),
        // First use.
        (&[None], &[Own::None], &[true], &ANY, &ANY, &[false], "remember"),
        (&[None], &[Own::Unstarted], &[true], &ANY, &ANY, &[false], "warn"),
        (&[None], &unconfirmed[..2], &[true], &ANY, &ANY, &[true], "accept"),
        // The known identity.
        (&[Some(1)], &unconfirmed, &[true], &ANY, &ANY, &[false], "accept"),
        (&[Some(1)], &unconfirmed, &[false], &ANY, &ANY, &[false], "accept"),
        // A different identity.
        (&[Some(2)], &unconfirmed, &[true], &ANY, &ANY, &[false], "not as known"),
        (&[Some(2)], &unconfirmed, &[false], &[false], &ANY, &[false], "not as known"),
        (&[Some(2)], &unconfirmed, &[false], &[true], &ANY, &[false], "warn"),
        // At a system-assigned port, a known identity is that of a different circle.
        (&[Some(1), Some(2)], &unconfirmed, &[true], &ANY, &ANY, &[true], "accept"),
        (&[Some(1), Some(2)], &unconfirmed, &[false], &[true], &ANY, &[true], "accept"),
        (&[Some(1), Some(2)], &unconfirmed, &[false], &[false], &[false], &[true], "ephemeral"),
        (&[Some(1), Some(2)], &unconfirmed, &[false], &[false], &[true], &[true], "accept"),
        // An ephemeral identity at first use.
        (&[None], &[Own::None], &[false], &[true], &ANY, &ANY, "accept"),
        (&[None], &[Own::Unstarted], &[false], &[true], &ANY, &[true], "accept"),
        (&[None], &[Own::Unstarted], &[false], &[true], &ANY, &[false], "warn"),
        (&[None], &unconfirmed[..2], &[false], &[false], &[true], &ANY, "accept"),
    ];
    let last: [Row; 1] = [(&[None], &unconfirmed[..2], &[false], &[false], &[false], &ANY, "ephemeral")];
    let authority = "circle.example:9001".parse().expect("an authority");
    let mut seen = std::collections::BTreeSet::new();
    for (all_known, all_own, persistent, loopback, accepts, system, expected) in rows.into_iter().chain(last) {
        for known in all_known {
            for own in all_own {
                for bits in 0..16 {
                    let [is_persistent, is_loopback, accepts_ephemeral, is_port_of_system] =
                        [1, 2, 4, 8].map(|bit| bits & bit != 0);
                    let is_row = persistent.contains(&is_persistent)
                        && loopback.contains(&is_loopback)
                        && accepts.contains(&accepts_ephemeral)
                        && system.contains(&is_port_of_system);
                    if !is_row {
                        continue;
                    }
                    let input = DecisionInput {
                        authority: &authority,
                        shown: VerifiedIdentity { public_key: key(1), is_persistent },
                        known: known.map(key),
                        own: *own,
                        is_loopback,
                        accepts_ephemeral,
                        is_system_assigned_port: is_port_of_system,
                    };
                    assert_eq!(word(&decide(&input)), expected, "{input:?}");
                    assert!(seen.insert((*known, format!("{own:?}"), bits)), "two rows: {input:?}");
                }
            }
        }
    }
    assert_eq!(seen.len(), 3 * 6 * 16, "each case has a row");
}

#[test]
fn refusal_says_what_it_means_and_how_to_accept_it() {
    let authority: Authority = "10.0.0.1:9001".parse().expect("an authority");
    let input = DecisionInput {
        authority: &authority,
        shown: VerifiedIdentity { public_key: key(1), is_persistent: true },
        known: Some(key(2)),
        own: Own::None,
        is_loopback: false,
        accepts_ephemeral: false,
        is_system_assigned_port: false,
    };
    let Decision::Refuse(refusal) = decide(&input) else { panic!("another identity") };
    let text = refusal.to_string();
    for part in [&key(1).to_hex(), &key(2).to_hex(), "impostor", "circles known forget 10.0.0.1:9001"] {
        assert!(text.contains(part), "{text}");
    }
    let Decision::Refuse(refusal) = decide(&DecisionInput { own: Own::Confirmed(key(2)), ..input }) else {
        panic!("another identity");
    };
    assert!(!refusal.to_string().contains("forget"), "forgetting does not help here: {refusal}");
    let ephemeral = VerifiedIdentity { is_persistent: false, ..input.shown };
    let Decision::Refuse(refusal) = decide(&DecisionInput { shown: ephemeral, known: None, ..input }) else {
        panic!("it is ephemeral");
    };
    assert!(refusal.to_string().contains("--accept-ephemeral"), "{refusal}");
    let Decision::AcceptAndRemember(text) = decide(&DecisionInput { known: None, ..input }) else {
        panic!("first use")
    };
    assert!(text.contains("10.0.0.1:9001") && text.contains(&key(1).to_hex()), "{text}");
}

#[test]
fn loopback_is_this_machine_and_nothing_else() {
    let cases = [
        ("127.0.0.1:9001", true),
        ("127.9.9.9", true),
        ("localhost:9001", true),
        ("LOCALHOST", true),
        ("[::1]:9001", true),
        ("[::1]", true),
        ("[::ffff:127.0.0.1]:1", true),
        ("[::2]:9001", false),
        ("10.0.0.1:9001", false),
        ("localhost.example:9001", false),
        ("127.0.0.1.example:9001", false),
        ("128.0.0.1:9001", false),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Authority>().expect("an authority").is_loopback(), expected, "{text}");
    }
}
