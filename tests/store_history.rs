//! Histories of a circle's store, recorded by its clients, for the checker of strict serializability.
//!
//! Clients call functions and play scripts, some with `once`, cancel requests and disconnect. Meanwhile workers and the
//! circle's process are killed. What the clients saw has no anomaly: no acknowledged write is lost, nothing is half
//! done, nothing with `once` happens twice, and nothing that was cancelled happens. With a fault in the store, the
//! checker finds one.
//!
//! A normal run sends some thousand requests in seconds. `CIRCLES_STORE_LONG=N` sends N times 200,000 requests, to a
//! new circle after each 5,000. `CIRCLES_STORE_SEED` chooses other requests; their timing differs from run to run.

mod client;
mod faults;
mod request;
mod steps;
mod victims;
mod workload;

use std::{
    fs,
    time::{Duration, Instant},
};

use history::{Random, check, rounds, seed};
use serde_json::json;

use crate::support::{background::BackgroundCircles, free_port};
use steps::FUNCTIONS;
use victims::BackgroundVictims;
use workload::{Totals, Workload};

/// Requests to one circle, in a long run.
const REQUESTS_OF_A_CIRCLE: usize = 5_000;

/// What every run has.
const KINDS: [&str; 13] = [
    "cancelled",
    "committed",
    "disconnects",
    "drops",
    "kills of the circle",
    "kills of workers",
    "late cancels",
    "lost workers",
    "recorded results",
    "repeated",
    "sent twice at once",
    "unknown",
    "without an effect",
];

/// A circle with the functions of the workload, and a store in a file.
fn start_circle() -> BackgroundCircles {
    let circle = json!({
        "name": "shop", "port": free_port(), "store": "shop.redb", "functions": "functions/",
        "roles": { "owner": { "call": ["*"], "play": true, "use": ["store"] } }, "anyone": "owner",
    });
    let background = BackgroundCircles::start(&json!({ "circles": [circle] }).to_string());
    let functions = background.home.path().join("functions");
    fs::create_dir(&functions).expect("a directory");
    for (name, source) in FUNCTIONS {
        fs::write(functions.join(format!("{name}.rhai")), source).expect("written");
    }
    background.run_ok(&["up"]);
    background
}

#[test]
fn killed_circle_is_strictly_serializable_for_its_clients() {
    let requests = usize::try_from(rounds(5_000, 200_000)).expect("a small number");
    let (mut totals, start, mut random) = (Totals::default(), Instant::now(), Random::new(seed()));
    while totals.get("requests") < requests {
        let of_this_circle = REQUESTS_OF_A_CIRCLE.min(requests - totals.get("requests"));
        let background = start_circle();
        let url = background.status("shop")["url"].as_str().expect("a URL").to_owned();
        let victims = BackgroundVictims::new(&background, "shop");
        let (history, of_circle) = Workload::new(url, of_this_circle).run(&victims, &mut random);
        let anomalies = check(&history);
        assert!(anomalies.is_empty(), "{anomalies:#?}");
        background.run_ok(&["down", "shop"]);
        background.run_ok(&["store", "check", "--circle", "shop"]);
        totals.add(&of_circle);
        println!("{totals}, {:.0?}", Duration::from_secs(start.elapsed().as_secs()));
    }
    for kind in KINDS {
        assert!(totals.get(kind) > 0, "the workload has no '{kind}'");
    }
}
