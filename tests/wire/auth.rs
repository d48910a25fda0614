//! Authentication with a key.

use keys::{Challenge, IdentityStatement, KeyPair, Nonce, PublicKey};
use serde_json::{Value, json};

use crate::support::process::ServeProcess;

fn code(answer: &Value) -> i64 {
    answer["error"]["code"].as_i64().unwrap_or_default()
}

/// `identify` works before authentication, and the nonce names the identity key.
#[test]
fn identify_signs_the_challenge_for_the_dialled_authority() {
    let server = ServeProcess::start(&["--access", "authenticated"]);
    let mut wire = server.connect();
    let challenge = "AB".repeat(32);
    let shown = wire.call("identify", json!({ "challenge": challenge }))["result"].clone();
    let circle: PublicKey = shown["pubkey"].as_str().expect("text").parse().expect("a key");
    assert_eq!(shown["persistent"], false);
    let signature = shown["signature"].as_str().expect("text").parse().expect("a signature");
    let challenge: Challenge = challenge.parse().expect("hex");
    let dialled = server.authority().parse().expect("an authority");
    assert!(circle.verify_identity(&IdentityStatement::new(&dialled, challenge, false), &signature));
    assert!(!circle.verify_identity(&IdentityStatement::new(&dialled, challenge, true), &signature));
    for challenge in [json!(""), json!("0".repeat(63)), json!("g".repeat(64)), json!(1), Value::Null] {
        let refused = wire.call("identify", json!([challenge]));
        assert_eq!((code(&refused), &refused["error"]["data"]["param"]), (-32602, &json!("challenge")), "{challenge}");
    }
    let key = KeyPair::generate().expect("a key").public_key().to_hex();
    let nonce = wire.call("fetch_nonce", json!([key]))["result"]["nonce"].clone();
    assert_eq!(Nonce::parse(nonce.as_str().expect("text")).expect("a nonce").circle(), circle);
}

#[test]
fn protected_methods_require_authentication() {
    let alice = KeyPair::generate().expect("a key");
    let server = ServeProcess::start(&["--access", "authenticated"]);
    let mut wire = server.connect();
    for (method, params) in [("play", json!(["1"])), ("cancel", json!([1])), ("reset", json!([])), ("play", json!([]))]
    {
        assert_eq!(code(&wire.call(method, params)), -32001, "{method}");
    }
    assert_eq!(server.workers(), []);
    assert_eq!(wire.authenticate(&alice)["result"], json!({ "authenticated": true }));
    assert_eq!(wire.value("CALLER_PUBLIC_KEY"), alice.public_key().to_hex());
    let you = wire.call("describe", json!([]))["result"]["you"].clone();
    assert_eq!(
        you,
        json!({
            "public_key": alice.public_key().to_hex(), "admitted": true, "may": { "play": true, "use": ["*"] },
        })
    );
    // Each connection authenticates separately.
    assert_eq!(code(&server.connect().play("1")), -32001);
}

#[test]
fn nonce_names_its_purpose() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let alice = KeyPair::generate().expect("a key");
    let (first, second) = (wire.request_nonce(&alice), wire.request_nonce(&alice));
    assert_eq!(first.authority().as_str(), server.authority());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    assert!(first.expires_unix().abs_diff(now + 60) <= 10, "{first}");
    assert_ne!(first.as_str(), second.as_str());
}

#[test]
fn caller_is_fixed_at_admission() {
    let alice = KeyPair::generate().expect("a key");
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let nonce = wire.request_nonce(&alice);
    let running = wire.request("play", json!(["print(`begun`); let n = 0; while n < 300000 { n += 1; } n"]));
    let before = wire.request("play", json!(["type_of(CALLER_PUBLIC_KEY)"]));
    let proof =
        wire.request("authenticate", json!([alice.public_key().to_hex(), alice.sign_nonce(&nonce).to_string()]));
    let after = wire.request("play", json!(["CALLER_PUBLIC_KEY"]));
    assert_eq!(wire.answer(&proof)["result"]["authenticated"], true);
    assert_eq!(wire.answer(&running)["result"]["value"], 300_000);
    assert_eq!(wire.answer(&before)["result"]["value"], "()");
    assert_eq!(wire.answer(&after)["result"]["value"], alice.public_key().to_hex());
}

/// Makes an invalid signature from a valid one and its nonce.
type ForgedSignature<'a> = &'a dyn Fn(&str, &Nonce) -> String;

#[test]
fn invalid_signatures_get_one_error_and_consume_the_nonce() {
    let (alice, bob) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let key = alice.public_key().to_hex();
    let server = ServeProcess::open();
    let high_s = |signature: &str| {
        // n − s, in hex, for the secp256k1 group order n.
        let order = hex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
        let s = hex(&signature[64..]);
        let (mut out, mut borrow) = ([0_u8; 32], 0_i16);
        for index in (0..32).rev() {
            let digit = i16::from(order[index]) - i16::from(s[index]) - borrow;
            borrow = i16::from(digit < 0);
            out[index] = u8::try_from(digit.rem_euclid(256)).expect("a byte");
        }
        out.iter().fold(signature[..64].to_owned(), |text, byte| format!("{text}{byte:02x}"))
    };
    let forgeries: [(&str, ForgedSignature<'_>); 6] = [
        ("of another key", &|_, nonce| bob.sign_nonce(nonce).to_string()),
        ("high s", &|right, _| high_s(right)),
        ("DER", &|right, _| format!("3044022000{}0220{}", &right[2..64], &right[64..])),
        ("too short", &|right, _| right[..126].to_owned()),
        ("nothing", &|_, _| String::new()),
        ("zeros", &|_, _| "0".repeat(128)),
    ];
    for (what, forge) in forgeries {
        let mut wire = server.connect();
        let nonce = wire.request_nonce(&alice);
        let right = alice.sign_nonce(&nonce).to_string();
        let forged = forge(&right, &nonce);
        for signature in [forged, right] {
            let answer = wire.call("authenticate", json!([key, signature]));
            assert_eq!(answer["error"], json!({ "code": -32002, "message": "Invalid Credentials" }), "{what}");
        }
        assert_eq!(wire.authenticate(&alice)["result"]["authenticated"], true, "{what}");
    }
    let mut wire = server.connect();
    for key in ["", "no key", &"02".repeat(33), &format!("04{}", "11".repeat(64))] {
        assert_eq!(code(&wire.call("authenticate", json!([key, "00"]))), -32002, "{key}");
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hex")).collect()
}

#[test]
fn signature_for_another_circle_is_rejected() {
    let alice = KeyPair::generate().expect("a key");
    let (here, there) = (ServeProcess::open(), ServeProcess::open());
    let (mut here, mut there) = (here.connect(), there.connect());
    here.request_nonce(&alice);
    let nonce = there.request_nonce(&alice);
    let signature = alice.sign_nonce(&nonce).to_string();
    assert_eq!(code(&here.call("authenticate", json!([alice.public_key().to_hex(), signature]))), -32002);
}

#[test]
fn connection_closes_after_five_failed_authentications() {
    let alice = KeyPair::generate().expect("a key");
    let server = ServeProcess::open();
    let mut wire = server.connect();
    for _ in 0..5 {
        assert_eq!(code(&wire.call("authenticate", json!([alice.public_key().to_hex(), "00"]))), -32002);
    }
    assert_eq!(wire.close_code(), 1008);
}

#[test]
fn requests_after_five_failures_are_not_processed() {
    let alice = KeyPair::generate().expect("a key");
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let nonce = wire.request_nonce(&alice);
    let proof = |signature: String, id: u64| {
        let key = if id == 6 { alice.public_key().to_hex() } else { "none".into() };
        json!({ "jsonrpc": "2.0", "id": id, "method": "authenticate", "params": [key, signature] })
    };
    let mut batch: Vec<_> = (1..=5).map(|id| proof("00".into(), id)).collect();
    batch.push(proof(alice.sign_nonce(&nonce).to_string(), 6));
    let answers = wire.exchange(&json!(batch).to_string());
    assert!(answers.as_array().expect("an array").iter().all(|answer| code(answer) == -32002), "{answers}");
    assert_eq!(wire.close_code(), 1008);
}

#[test]
fn session_has_one_identity() {
    let (alice, bob) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.authenticate(&alice);
    assert_eq!(code(&wire.authenticate(&bob)), -32003);
    assert_eq!(wire.authenticate(&alice)["result"]["authenticated"], true);
    assert_eq!(wire.value("CALLER_PUBLIC_KEY"), alice.public_key().to_hex());
}

#[test]
fn members_circle_admits_only_members() {
    let (alice, bob) = (KeyPair::generate().expect("a key"), KeyPair::generate().expect("a key"));
    let server = ServeProcess::start(&["--member", &alice.public_key().to_hex()]);
    let mut wire = server.connect();
    assert_eq!(code(&wire.authenticate(&bob)), -32003);
    assert_eq!(code(&wire.play("1")), -32001);
    wire.authenticate(&alice);
    assert_eq!(wire.value("1"), 1);
}
