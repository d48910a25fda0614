//! The text forms of nonces and authorities, and the nonces that a client refuses to sign.

use keys::{
    AUTHORITY_MAX_BYTES, Authority, AuthorityError, KeyPair, NONCE_LAPSED_TOLERANCE_S, NONCE_LIFETIME_S,
    NONCE_MAX_AHEAD_S, NONCE_MAX_BYTES, Nonce, NonceError, NonceRejection, PublicKey,
};
use proptest::prelude::*;

/// The public key of the secret key 1, used as the identity of a circle.
const CIRCLE: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";

const RND: &str = "00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff";

fn authority(text: &str) -> Authority {
    text.parse().expect("an authority")
}

fn circle() -> PublicKey {
    CIRCLE.parse().expect("a public key")
}

#[test]
fn authority_is_lower_cased() {
    for (text, expected) in [
        ("127.0.0.1:9001", "127.0.0.1:9001"),
        ("Circles.Example.ORG", "circles.example.org"),
        ("example.org:80", "example.org:80"),
        ("[::1]:9001", "[::1]:9001"),
        ("[FE80::1]", "[fe80::1]"),
        ("localhost:0", "localhost:0"),
        ("under_score.example", "under_score.example"),
    ] {
        assert_eq!(authority(text).as_str(), expected);
    }
    assert_eq!(authority(&"a".repeat(AUTHORITY_MAX_BYTES)).as_str().len(), AUTHORITY_MAX_BYTES);
}

#[test]
fn invalid_authority_is_rejected() {
    use AuthorityError::{Character, Empty, Ipv6, Port, TooLong};
    let cases = [
        ("", Empty),
        (":9001", Empty),
        ("a b", Character { position: 2 }),
        ("a\t", Character { position: 2 }),
        ("a\r\nHost: b", Character { position: 2 }),
        ("a\0", Character { position: 2 }),
        ("a\u{7f}", Character { position: 2 }),
        ("bücher.example", Character { position: 2 }),
        ("a/b", Character { position: 2 }),
        ("a?b", Character { position: 2 }),
        ("a#b", Character { position: 2 }),
        ("me@a", Character { position: 3 }),
        ("a\\b", Character { position: 2 }),
        ("a%20b", Character { position: 2 }),
        ("a,b:c", Port),
        ("a:", Port),
        ("a:+1", Port),
        ("a:080", Port),
        ("a:65536", Port),
        ("a:9001/", Port),
        ("::1", Ipv6),
        ("a:1:2", Ipv6),
        ("[::1", Ipv6),
        ("[]", Ipv6),
        ("[a]", Ipv6),
        ("[127.0.0.1]", Ipv6),
        ("[fe80::1%25eth0]", Ipv6),
        ("[::1]9001", Port),
        ("::1]", Ipv6),
        ("a]", Character { position: 2 }),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Authority>(), Err(expected), "{text:?}");
    }
    assert_eq!("a".repeat(301).parse::<Authority>(), Err(TooLong { bytes: 301 }));
}

#[test]
fn authority_is_built_from_host_and_port() {
    let made = |host, port| Authority::new(host, port).map(|authority| authority.to_string());
    assert_eq!(made("Example.org", None).as_deref(), Ok("example.org"));
    assert_eq!(made("example.org", Some(9001)).as_deref(), Ok("example.org:9001"));
    assert_eq!(made("[::1]", Some(9001)).as_deref(), Ok("[::1]:9001"));
    for host in ["example.org:1", "[::1]:1", "::1", "[::1"] {
        assert_eq!(made(host, None), Err(AuthorityError::Ipv6), "{host}");
    }
    assert_eq!(made("", Some(1)), Err(AuthorityError::Empty));
}

#[test]
fn authority_is_built_from_address() {
    for (address, default_port, expected) in [
        ("127.0.0.1:9001", 80, "127.0.0.1:9001"),
        ("127.0.0.1:80", 80, "127.0.0.1"),
        ("127.0.0.1:80", 443, "127.0.0.1:80"),
        ("[::1]:9001", 80, "[::1]:9001"),
        ("[::1]:443", 443, "[::1]"),
        ("[2001:DB8:0:0:0:0:0:1]:9001", 80, "[2001:db8::1]:9001"),
        ("[::ffff:127.0.0.1]:9001", 80, "127.0.0.1:9001"),
        ("[fe80::1%3]:9001", 80, "[fe80::1]:9001"),
    ] {
        let made = Authority::from_socket_addr(address.parse().expect("an address"), default_port);
        assert_eq!(made.as_str(), expected);
        assert_eq!(authority(made.as_str()), made);
    }
}

#[test]
fn nonce_has_protocol_form() {
    let nonce = Nonce::new(&authority("127.0.0.1:9001"), circle(), 1_795_500_000, [0xab; 32]);
    let text = format!("circles.auth.v2 aud=127.0.0.1:9001 circle={CIRCLE} exp=1795500000 rnd={}", "ab".repeat(32));
    assert_eq!(nonce.as_str(), text);
    assert_eq!(nonce.to_string(), text);
    let parsed = Nonce::parse(&text).expect("a nonce");
    let fields = (parsed.authority().as_str(), parsed.circle(), parsed.expires_unix());
    assert_eq!(fields, ("127.0.0.1:9001", circle(), 1_795_500_000));
}

#[test]
fn nonce_of_other_form_is_rejected() {
    use NonceError::{Authority as Aud, AuthorityCase, Circle, Expiry, Field, Purpose, Random, Trailing};
    let (aud, circle, exp, rnd) =
        (Field { name: "aud" }, Field { name: "circle" }, Field { name: "exp" }, Field { name: "rnd" });
    let fields = |aud: &str, circle: &str, exp: &str, rnd: &str| {
        format!("circles.auth.v2 aud={aud} circle={circle} exp={exp} rnd={rnd}")
    };
    let nonce = |aud: &str, exp: &str, rnd: &str| fields(aud, CIRCLE, exp, rnd);
    let named = |circle: &str| fields("a", circle, "1", RND);
    let cases = [
        (String::new(), Purpose),
        ("circles.auth.v2".to_owned(), aud.clone()),
        (format!("circles.auth.v1 aud=a exp=1 rnd={RND}"), Purpose),
        (format!("circles.identity.v1 aud=a circle={CIRCLE} exp=1 rnd={RND}"), Purpose),
        (format!("Circles.auth.v2 aud=a circle={CIRCLE} exp=1 rnd={RND}"), Purpose),
        (format!(" circles.auth.v2 aud=a circle={CIRCLE} exp=1 rnd={RND}"), Purpose),
        (format!("circles.auth.v2\taud=a circle={CIRCLE} exp=1 rnd={RND}"), Purpose),
        (format!("circles.auth.v2  aud=a circle={CIRCLE} exp=1 rnd={RND}"), aud.clone()),
        (format!("circles.auth.v2 circle={CIRCLE} aud=a exp=1 rnd={RND}"), aud.clone()),
        (format!("circles.auth.v2 AUD=a circle={CIRCLE} exp=1 rnd={RND}"), aud),
        (format!("circles.auth.v2 aud=a exp=1 rnd={RND}"), circle.clone()),
        (format!("circles.auth.v2 aud=a exp=1 circle={CIRCLE} rnd={RND}"), circle.clone()),
        (format!("circles.auth.v2 aud=a  circle={CIRCLE} exp=1 rnd={RND}"), circle),
        (format!("circles.auth.v2 aud=a circle={CIRCLE} rnd={RND} exp=1"), exp.clone()),
        (format!("circles.auth.v2 aud=a circle={CIRCLE} rnd={RND}"), exp),
        (format!("circles.auth.v2 aud=a circle={CIRCLE} exp=1"), rnd.clone()),
        (format!("circles.auth.v2 aud=a circle={CIRCLE} exp=1 nbf=1 rnd={RND}"), rnd),
        (named(""), Circle),
        (named(&CIRCLE[1..]), Circle),
        (named(&CIRCLE.to_uppercase()), Circle),
        (named(&format!("04{}", &CIRCLE[2..])), Circle),
        (named(&format!("02{}", "f".repeat(64))), Circle),
        (nonce("a", "1", &format!("{RND} ")), Trailing),
        (nonce("a", "1", &format!("{RND} more=1")), Trailing),
        (nonce("a", "1", &format!("{RND}\n")), Random),
        (nonce("a", "1", &RND[1..]), Random),
        (nonce("a", "1", &format!("{RND}0")), Random),
        (nonce("a", "1", &RND.to_uppercase()), Random),
        (nonce("a", "1", &"g".repeat(64)), Random),
        (nonce("a", "", RND), Expiry),
        (nonce("a", "+1", RND), Expiry),
        (nonce("a", "-1", RND), Expiry),
        (nonce("a", "01", RND), Expiry),
        (nonce("a", "1.0", RND), Expiry),
        (nonce("a", "1e9", RND), Expiry),
        (nonce("a", "18446744073709551616", RND), Expiry),
        (nonce("a", "١", RND), Expiry),
        (nonce("A", "1", RND), AuthorityCase),
        (nonce("", "1", RND), Aud(AuthorityError::Empty)),
        (nonce("a/b", "1", RND), Aud(AuthorityError::Character { position: 2 })),
        (nonce("a:1:2", "1", RND), Aud(AuthorityError::Ipv6)),
    ];
    for (text, expected) in cases {
        assert_eq!(Nonce::parse(&text), Err(expected), "{text:?}");
    }
}

#[test]
fn nonce_length_is_bounded() {
    let longest = Nonce::new(&authority(&"a".repeat(AUTHORITY_MAX_BYTES)), circle(), u64::MAX, [0; 32]);
    assert_eq!(longest.as_str().len(), NONCE_MAX_BYTES);
    assert_eq!(Nonce::parse(longest.as_str()).as_ref(), Ok(&longest));
    let longer = format!("{longest}0");
    assert_eq!(Nonce::parse(&longer), Err(NonceError::TooLong { bytes: NONCE_MAX_BYTES + 1 }));
}

#[test]
fn nonce_for_other_authority_is_rejected() {
    let nonce = Nonce::new(&authority("evil.example"), circle(), 1000, [0; 32]);
    let target = authority("127.0.0.1:9001");
    let refused = nonce.check(&target, circle(), 1000).expect_err("another authority");
    assert_eq!(refused, NonceRejection::Authority { expected: target, claimed: authority("evil.example") });
    assert!(
        refused
            .to_string()
            .contains("connected to 127.0.0.1:9001, but the circle asked for a signature for evil.example")
    );
    // The port is part of the authority.
    assert!(Nonce::new(&authority("a:1"), circle(), 1000, [0; 32]).check(&authority("a"), circle(), 1000).is_err());
}

#[test]
fn nonce_for_other_circle_is_rejected() {
    let target = authority("127.0.0.1:9001");
    let identified = KeyPair::generate().expect("random bytes").public_key();
    let refused = Nonce::new(&target, circle(), 1000, [0; 32]).check(&target, identified, 1000).expect_err("another");
    assert_eq!(refused, NonceRejection::Circle { identified: identified.into(), claimed: circle().into() });
    assert!(refused.to_string().contains(&format!("asked for a signature for the circle {CIRCLE}")), "{refused}");
}

#[test]
fn nonce_time_bounds_hold_to_the_second() {
    let (target, expires) = (authority("a"), 1_795_500_000);
    let check = |now| Nonce::new(&target, circle(), expires, [0; 32]).check(&target, circle(), now);
    for now in [expires + NONCE_LAPSED_TOLERANCE_S, expires, expires - NONCE_LIFETIME_S, expires - NONCE_MAX_AHEAD_S] {
        assert_eq!(check(now), Ok(()), "{now}");
    }
    assert_eq!(check(expires + 301), Err(NonceRejection::Lapsed { lapsed_s: 301, clocks_differ_s: 361 }));
    assert_eq!(check(expires - 3601), Err(NonceRejection::TooFarAhead { ahead_s: 3601, clocks_differ_s: 3541 }));
    let message = check(expires + 301).expect_err("lapsed").to_string();
    assert!(message.contains("the clocks of this machine and of the circle differ by about 361 s"), "{message}");
    assert!(check(u64::MAX).is_err());
    assert!(Nonce::new(&target, circle(), 0, [0; 32]).check(&target, circle(), u64::MAX).is_err());
    assert!(Nonce::new(&target, circle(), u64::MAX, [0; 32]).check(&target, circle(), 0).is_err());
}

proptest! {
    #[test]
    fn nonce_round_trips(
        host in r"[a-z0-9][a-z0-9._-]{0,60}|\[[0-9a-f]{1,4}::[0-9a-f]{1,4}\]",
        port: Option<u16>,
        expires: u64,
        random: [u8; 32],
    ) {
        let made = Nonce::new(&Authority::new(&host, port).expect("an authority"), circle(), expires, random);
        prop_assert_eq!(Nonce::parse(made.as_str()), Ok(made));
    }

    #[test]
    fn parsers_never_panic(text in any::<String>()) {
        prop_assert!(Nonce::parse(&text).is_err());
        // Parsing the text of an authority returns the same authority.
        if let Ok(authority) = text.parse::<Authority>() {
            prop_assert_eq!(authority.as_str().parse(), Ok(authority));
        }
    }

    #[test]
    fn parsed_nonce_has_canonical_form(
        text in r"circles\.auth\.v2 aud=[ -~é]{0,12} circle=0[1-4](79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798|[0-9a-f]{63,65}) exp=[+0-9]{0,21} rnd=[0-9a-f]{63,65}",
    ) {
        if let Ok(nonce) = Nonce::parse(&text) {
            let random: [u8; 32] = hex::decode(&text[text.len() - 64..]).expect("hex").try_into().expect("32 bytes");
            prop_assert_eq!(Nonce::new(nonce.authority(), nonce.circle(), nonce.expires_unix(), random).to_string(), text);
        }
    }
}
