//! The text forms of keys and signatures, and signatures against independent vectors.

use keys::{
    Authority, Challenge, IdentityStatement, KeyPair, KeyParseError, Nonce, PublicKey, Signature, SignatureParseError,
};

/// The public key of the secret key 1: the curve's generator (SEC 2 §2.4.1).
const GENERATOR: &str = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
const SATOSHI: &str = "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8\
                       2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5";
/// The same r, with s subtracted from the order of the curve.
const SATOSHI_HIGH_S: &str = "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8\
                              dbbd3162d46e9f9bef7feb87c16dc13b4f6568a87f4e83f728e2443ba586675c";
const SATOSHI_DER: &str = "3045022100934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8\
                           02202442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5";
const ORDER: &str = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";

fn public(text: &str) -> PublicKey {
    text.parse().expect("a public key")
}

fn secret(text: &str) -> KeyPair {
    KeyPair::from_secret_hex(text).expect("a secret key")
}

#[test]
fn published_vector_verifies() {
    let signature: Signature = SATOSHI.parse().expect("a signature");
    assert!(public(GENERATOR).verify_nonce("Satoshi Nakamoto", &signature));
    assert!(!public(GENERATOR).verify_nonce("Satoshi Nakamoto ", &signature));
    let other = secret(&format!("{:064x}", 2)).public_key();
    assert!(!other.verify_nonce("Satoshi Nakamoto", &signature));
    let mut changed = SATOSHI.to_owned();
    changed.replace_range(127..128, "6");
    let changed: Signature = changed.parse().expect("still in range");
    assert!(!public(GENERATOR).verify_nonce("Satoshi Nakamoto", &changed));
}

/// The expected values come from RFC 6979 §3.2 written out with Python's integers and hmac.
#[test]
fn nonce_signature_is_deterministic() {
    let pair = secret("c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0fe");
    assert_eq!(pair.public_key().to_hex(), "021905fb98c642e2c4505d7f493e07b3ec9f980fa95258267c72c4b33781b8c73f");
    let rnd = "0123456789abcdef".repeat(4);
    let circle = "0205c702fd70b14d34f195d3304d66097dc369a9691daf87400c77140156fc1dee";
    let text = format!("circles.auth.v2 aud=127.0.0.1:9001 circle={circle} exp=1795500000 rnd={rnd}");
    let nonce = Nonce::parse(&text).expect("a nonce");
    let signature = pair.sign_nonce(&nonce);
    assert_eq!(
        signature.to_string(),
        "9f6de7f305d69168f21f3014b01ee40f809f405ea703b4405ee559b42a14a0cf\
         5ea6122a8e59d5c9e2459e4a42a229cc869492a372f07f08252f3deeb09f6718"
    );
    assert!(pair.public_key().verify_nonce(nonce.as_str(), &signature));
}

/// The expected values are computed like those of the nonce signature.
#[test]
fn identity_signature_binds_challenge_and_authority() {
    let circle = secret(&"1dea".repeat(16));
    assert_eq!(circle.public_key().to_hex(), "0205c702fd70b14d34f195d3304d66097dc369a9691daf87400c77140156fc1dee");
    let challenge: Challenge = "fedcba9876543210".repeat(4).to_uppercase().parse().expect("hex of either case");
    let target: Authority = "127.0.0.1:9001".parse().expect("an authority");
    let statement = IdentityStatement::new(&target, challenge, true);
    let text = format!("circles.identity.v1 aud=127.0.0.1:9001 challenge={challenge} persistent=true");
    assert_eq!((statement.as_str(), challenge.to_string()), (text.as_str(), "fedcba9876543210".repeat(4)));
    let signature = circle.sign_identity(&statement);
    assert_eq!(
        signature.to_string(),
        "27d83248d5031d4bf674368f2352927caf36b4548348261f861b29138a636001\
         6a010a1ac387709cd7dc4852d242fecaa309f2bdc5e87ba2aea1e4e58ebeb7e5"
    );
    let verifies = |statement: &IdentityStatement| circle.public_key().verify_identity(statement, &signature);
    assert!(verifies(&statement));
    assert!(!secret(&"1".repeat(64)).public_key().verify_identity(&statement, &signature));
    let other_challenge = Challenge::generate().expect("random bytes");
    let elsewhere = "127.0.0.1:9002".parse().expect("an authority");
    for other in [
        IdentityStatement::new(&target, challenge, false),
        IdentityStatement::new(&target, other_challenge, true),
        IdentityStatement::new(&elsewhere, challenge, true),
    ] {
        assert!(!verifies(&other), "{other:?}");
    }
    // A statement is not a nonce.
    assert!(Nonce::parse(statement.as_str()).is_err());
}

#[test]
fn challenge_of_other_form_is_rejected() {
    for text in [String::new(), "0".repeat(63), "0".repeat(65), "g".repeat(64), format!(" {}", "0".repeat(63))] {
        assert!(text.parse::<Challenge>().is_err(), "{text:?}");
    }
}

#[test]
fn signature_of_other_form_is_rejected() {
    let half = &SATOSHI[..64];
    let zero = "0".repeat(64);
    let cases = [
        (SATOSHI_DER.to_owned(), SignatureParseError::Length { found: 142 }),
        (SATOSHI_HIGH_S.to_owned(), SignatureParseError::HighS),
        (String::new(), SignatureParseError::Length { found: 0 }),
        (SATOSHI[1..].to_owned(), SignatureParseError::Length { found: 127 }),
        (format!(" {}", &SATOSHI[1..]), SignatureParseError::NotHex { position: 1 }),
        (format!("{}é", &SATOSHI[..126]), SignatureParseError::NotHex { position: 127 }),
        (format!("{half}{zero}"), SignatureParseError::OutOfRange),
        (format!("{zero}{half}"), SignatureParseError::OutOfRange),
        (format!("{half}{ORDER}"), SignatureParseError::OutOfRange),
        (format!("{ORDER}{half}"), SignatureParseError::OutOfRange),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<Signature>(), Err(expected), "{text}");
    }
    let upper: Signature = SATOSHI.to_uppercase().parse().expect("hex of either case");
    assert_eq!(upper.to_string(), SATOSHI);
}

#[test]
fn public_key_is_compressed_and_lower_case() {
    let key = public(&GENERATOR.to_uppercase());
    assert_eq!(
        (key.to_string(), format!("{key:?}"), key.short()),
        (GENERATOR.into(), GENERATOR.into(), "0279…1798".into())
    );

    let x = &GENERATOR[2..];
    let uncompressed = format!("04{x}{}", "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8");
    let length = |found| KeyParseError::Length { what: "a compressed public key", digits: 66, found };
    let cases = [
        (uncompressed, length(130)),
        (x.to_owned(), length(64)),
        (String::new(), length(0)),
        (format!("0x{x}"), KeyParseError::NotHex { position: 2 }),
        (format!("04{x}"), KeyParseError::NotAPoint),
        (format!("06{x}"), KeyParseError::NotAPoint),
        (format!("02{}", "f".repeat(64)), KeyParseError::NotAPoint),
        // x = 5 has no y on this curve.
        (format!("02{:064x}", 5), KeyParseError::NotAPoint),
    ];
    for (text, expected) in cases {
        assert_eq!(text.parse::<PublicKey>(), Err(expected), "{text}");
    }
    let message = "x".repeat(10_000).parse::<PublicKey>().expect_err("no key").to_string();
    assert_eq!(message, "a compressed public key is 66 hex digits, not 10000 characters");
}

#[test]
fn public_keys_order_as_their_texts() {
    let mut keys: Vec<PublicKey> = (1..20).map(|n| secret(&format!("{n:064x}")).public_key()).collect();
    let mut texts: Vec<String> = keys.iter().map(PublicKey::to_hex).collect();
    keys.sort();
    texts.sort();
    assert_eq!(keys.iter().map(PublicKey::to_hex).collect::<Vec<_>>(), texts);
}

#[test]
fn secret_key_round_trips_and_invalid_one_is_rejected() {
    let pair = KeyPair::generate().expect("random bytes");
    let again = secret(&pair.secret_hex());
    assert_eq!(again.public_key(), pair.public_key());
    assert_eq!(again.secret_hex(), pair.secret_hex());
    assert_ne!(KeyPair::generate().expect("random bytes").public_key(), pair.public_key());

    let refused = |text: &str| KeyPair::from_secret_hex(text).expect_err("no secret key");
    assert_eq!(refused(&"0".repeat(64)), KeyParseError::NotASecret);
    assert_eq!(refused(ORDER), KeyParseError::NotASecret);
    assert_eq!(refused("12"), KeyParseError::Length { what: "a secret key", digits: 64, found: 2 });
    assert_eq!(refused(&"g".repeat(64)), KeyParseError::NotHex { position: 1 });
}

#[test]
fn key_pair_debug_shows_no_secret() {
    let pair = KeyPair::generate().expect("random bytes");
    let shown = format!("{pair:?} {pair:#?}");
    assert!(shown.contains(&pair.public_key().to_hex()));
    let secret = pair.secret_hex();
    assert!(secret.as_bytes().windows(8).all(|piece| !shown.as_bytes().windows(8).any(|part| part == piece)));
}
