//! Authority of a circle: the address that a client dials and signs for.

use std::{
    net::TcpListener,
    sync::{Arc, OnceLock, mpsc::Receiver},
};

use serde_json::{Value, json};

use crate::support::{Home, fake, free_port, process::ServeProcess, skip};

/// Starts a fake circle that issues nonces of the `claimed` authority. Returns its own authority and the requests to it.
fn serve_nonces_of(claimed: impl Fn() -> String + Clone + Send + 'static) -> (String, Receiver<Value>) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let liar = fake::serve_websocket(move |text| {
        let call: Value = serde_json::from_str(text).expect("JSON");
        sender.send(call["method"].clone()).expect("the test listens");
        let result = if call["method"] == "describe" {
            json!({
                "name": "liar", "version": "1", "protocol": 1, "access": "authenticated", "modules": [],
                "you": { "public_key": null, "admitted": false }, "sandbox": [],
                // Clients ignore fields of a later version.
                "limits": { "play_ms": 30000, "idle_s": 600 },
            })
        } else {
            let (circle, rnd) = (fake::identity().public_key(), "0".repeat(64));
            let nonce = format!("circles.auth.v2 aud={} circle={circle} exp=99999999999 rnd={rnd}", claimed());
            json!({ "nonce": nonce })
        };
        json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }).to_string()
    });
    (liar, receiver)
}

/// A circle that issues another circle's nonces could use the signatures there.
#[test]
fn nonce_of_another_authority_is_not_signed() {
    let (liar, receiver) = serve_nonces_of(|| "bank.example:9001".into());
    let home = Home::new();
    home.add_key("alice");
    let ran = home.run(&["play", "--circle", &liar, "-e", "1"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("bank.example:9001") && ran.stderr.contains("--authority"), "{ran:?}");
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), ["describe", "fetch_nonce"]);
}

/// Both loopback addresses are `localhost`, and another user of the machine can listen on one of them.
#[test]
fn nonce_of_localhost_is_not_signed() {
    let known = Arc::new(OnceLock::new());
    let (liar, receiver) = serve_nonces_of({
        let known = known.clone();
        move || String::clone(known.get().expect("it is known"))
    });
    let localhost = liar.replace("127.0.0.1", "localhost");
    known.set(localhost.clone()).expect("once");
    let home = Home::new();
    home.add_key("alice");
    let ran = home.run(&["play", "--circle", &localhost, "-e", "1"]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains(&liar) && ran.stderr.contains(&localhost), "{ran:?}");
    assert_eq!(receiver.try_iter().collect::<Vec<_>>(), ["describe", "fetch_nonce"]);
}

#[test]
fn localhost_is_reached_and_authenticated_to_at_either_loopback_address() {
    let home = Home::new();
    home.add_key("alice");
    for host in ["127.0.0.1", "::1"] {
        if TcpListener::bind((host, 0)).is_err() {
            skip("this machine has no loopback address of IPv6");
            continue;
        }
        // Not a port of the system's choice: another test could have the same one at the other address.
        let server = ServeProcess::start_on(free_port(), &["--host", host, "--access", "authenticated"]);
        let ran = home.run(&["play", "--circle", &format!("localhost:{}", server.port()), "-e", "40 + 2"]);
        assert_eq!(ran.stdout, "42\n", "{host}: {ran:?}");
    }
}

#[test]
fn explicit_authority_works_through_a_tunnel() {
    let home = Home::new();
    home.add_key("alice");
    let server = ServeProcess::start(&["--access", "authenticated", "--hosts", "circle.example"]);
    let through = ["play", "--circle", &server.url, "--authority", "circle.example", "-e", "1"];
    // Through a tunnel, nothing distinguishes a circle without a persistent identity from an impostor.
    let ran = home.run(&through);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(ran.stderr.contains("--accept-ephemeral"), "{ran:?}");
    let ran = home.run(&[&through[..], &["--accept-ephemeral"]].concat());
    assert_eq!(ran.stdout, "1\n", "{ran:?}");
    let ran = home.run(&["play", "--circle", &server.url, "--authority", "other.example", "-e", "1"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("does not answer to the host 'other.example'"), "{ran:?}");
}
