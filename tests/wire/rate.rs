//! Rate limits: `per_minute`, and the limit of unauthenticated clients.

use keys::KeyPair;
use serde_json::{Value, json};

use crate::support::{process::ServeProcess, wire::WireClient};

/// `retry_after_ms` of an answer that rejects a request.
fn retry_after_ms(answer: &Value) -> Option<u64> {
    (answer["error"]["code"] == -32007).then(|| answer["error"]["data"]["retry_after_ms"].as_u64().expect("a number"))
}

#[test]
fn requests_per_minute_of_a_caller_are_bounded() {
    // The next request is accepted half a minute after the first.
    let server = ServeProcess::start(&["--limit", "per_minute=2"]);
    let mut wire = server.connect();
    assert_eq!(wire.call("describe", json!([]))["result"]["limits"]["per_minute"], 2);
    let running = wire.request("play", json!(["print(`begun`); loop {}"]));
    wire.expect_print("begun");
    let mut same = server.connect();
    let refused = same.play("1");
    assert!((1..=30_000).contains(&retry_after_ms(&refused).expect("it is refused")), "{refused}");
    // Each member of a batch counts, and so does a notification.
    same.send(json!({ "jsonrpc": "2.0", "method": "play", "params": ["1"] }).to_string());
    let batch =
        same.exchange(r#"[{"jsonrpc":"2.0","id":8,"method":"scope"},{"jsonrpc":"2.0","id":9,"method":"play"}]"#);
    assert!(batch.as_array().expect("a batch").iter().all(|answer| retry_after_ms(answer).is_some()), "{batch}");
    // A running play can be cancelled.
    assert_eq!(wire.call("cancel", json!([running]))["result"]["cancelled"], true);
    assert_eq!(wire.answer(&running)["error"]["code"], -32005);
    let key = KeyPair::generate().expect("a key");
    assert!(retry_after_ms(&same.call("fetch_nonce", json!([key.public_key().to_hex()]))).is_some());
}

#[test]
fn keys_are_separate_callers() {
    let server = ServeProcess::start(&["--access", "authenticated", "--limit", "per_minute=3"]);
    let mut wires = [(); 2].map(|()| server.connect());
    for wire in &mut wires {
        wire.authenticate(&KeyPair::generate().expect("a key"));
        for _ in 0..3 {
            wire.value("1");
        }
        assert!(retry_after_ms(&wire.play("1")).is_some());
    }
}

#[test]
fn anonymous_clients_share_a_limit_and_block_no_other() {
    let server = ServeProcess::start(&["--access", "authenticated"]);
    let mut stranger = server.connect();
    let refuse = |stranger: &mut WireClient| {
        for answered in 0..100_000 {
            if retry_after_ms(&stranger.call("describe", json!([]))).is_some() {
                return answered;
            }
        }
        panic!("no request is refused");
    };
    assert!(refuse(&mut stranger) >= 608);
    // The circle reads again after a second, when it accepts requests again, so it does not reject this one.
    assert!(stranger.call("describe", json!([]))["result"].is_object());
    refuse(&mut stranger);
    // A member at the same address is not limited.
    let mut member = server.connect();
    assert!(member.authenticate(&KeyPair::generate().expect("a key"))["result"].is_object());
    for _ in 0..1000 {
        assert!(member.call("describe", json!([]))["result"].is_object());
    }
    assert_eq!(member.value("40 + 2"), 42);
}
