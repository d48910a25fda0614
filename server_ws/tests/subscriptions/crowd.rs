//! Many subscribers of one prefix.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use server_ws::{Limits, StoreLocation};
use tokio::{net::TcpStream, sync::Barrier};
use tokio_tungstenite::{client_async, tungstenite::Message};

use super::{
    Test,
    shop::{Shop, runtime},
    support::call,
};

pub(crate) const TESTS: &[Test] = &[("commit_reaches_a_crowd", commit_reaches_a_crowd)];

/// The number of subscribers: `CIRCLES_EVENTS_LONG` of them, or a few hundred. Each needs two file descriptors.
fn subscribers() -> usize {
    std::env::var("CIRCLES_EVENTS_LONG").ok().and_then(|count| count.parse().ok()).unwrap_or(300)
}

/// Number of commits that reach everyone, one after the other.
const ROUNDS: usize = 5;

fn commit_reaches_a_crowd() {
    let count = subscribers();
    let roles = json!({
        "roles": { "visitor": { "call": ["*"], "subscribe": ["*"] } },
        "anyone": "visitor",
        "members": [],
    });
    let data = "fn put(key, value) { store::put(key, value); }";
    let limits = Limits { connections: 2 * count as u64 + 10, ..Limits::default() };
    let shop =
        Shop::start_with(&[("data", data)], roles, |builder| builder.store(StoreLocation::Memory).limits(limits));
    let mut writer = shop.connect();
    let (ready, reached) = (Arc::new(Barrier::new(count + 1)), Arc::new(AtomicUsize::new(0)));
    for _ in 0..count {
        let (authority, ready, reached) = (shop.authority.clone(), ready.clone(), reached.clone());
        runtime().spawn(follow(authority, ready, reached));
    }
    runtime().block_on(ready.wait());
    let mut slowest = Duration::ZERO;
    for round in 1..=ROUNDS {
        let began = Instant::now();
        call(&mut writer, "put", json!(["stock/tea", round]));
        while reached.load(Ordering::Relaxed) < round * count {
            assert!(began.elapsed() < super::WAIT_TIMEOUT, "{} of {}", reached.load(Ordering::Relaxed), round * count);
            std::thread::yield_now();
        }
        slowest = slowest.max(began.elapsed());
    }
    println!("a commit reached {count} subscribers within {slowest:?}");
}

/// Follows a prefix, and counts the values.
async fn follow(authority: String, ready: Arc<Barrier>, reached: Arc<AtomicUsize>) {
    let stream = TcpStream::connect(&authority).await.expect("it listens");
    let (mut socket, _) = client_async(format!("ws://{authority}/"), stream).await.expect("it upgrades");
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "subscribe", "params": { "keys": "stock/" } });
    socket.send(Message::text(request.to_string())).await.expect("it takes text");
    let mut is_ready = false;
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let message: Value = serde_json::from_str(&text).expect("JSON");
        assert!(message.get("error").is_none(), "{message}");
        if message["params"]["snapshot"] == "end" {
            assert!(!std::mem::replace(&mut is_ready, true));
            ready.wait().await;
        } else if message["params"].get("entries").is_some() {
            reached.fetch_add(1, Ordering::Relaxed);
        }
    }
}
