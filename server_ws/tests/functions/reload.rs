//! Reloads: calls of all generations succeed, and no connection is lost.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use super::{
    Test,
    shop::{Shop, builder, runtime, write},
};

pub(crate) const TESTS: &[Test] = &[
    ("reloads_fail_no_call", reloads_fail_no_call),
    ("reload_with_mistake_changes_nothing", reload_with_mistake_changes_nothing),
    ("changed_module_reaches_functions", changed_module_reaches_functions),
];

/// Number of reloads.
fn reloads() -> u64 {
    std::env::var("CIRCLES_RELOADS").ok().and_then(|reloads| reloads.parse().ok()).unwrap_or(100)
}

fn roles() -> Value {
    json!({
        "roles": { "visitor": { "call": ["*"] } },
        "anyone": "visitor",
        "members": [{ "name": "alice", "keys": [1], "role": "visitor" }],
    })
}

pub(crate) fn source(generation: u64) -> String {
    format!("fn generation() {{ {generation} }}")
}

impl Shop {
    /// Applies the files as they are now. The error is that of the files.
    fn reload(&self) -> Result<(), String> {
        self.reload_with(roles())
    }

    /// Applies the files as they are now, and these roles.
    pub(crate) fn reload_with(&self, roles: Value) -> Result<(), String> {
        let new = builder(self.directory.path(), roles).build().map_err(|error| error.to_string())?;
        runtime().block_on(self.circle.reconfigure(new)).map_err(|error| error.to_string())
    }
}

fn reloads_fail_no_call() {
    let shop = Shop::start_with(&[("generation", &source(0))], roles(), |circle| circle);
    // A generation exists from its begun reload on, until the reload of the next one is done.
    let (begun, done, is_over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let wires = [shop.connect_as(1), shop.connect_as(1), shop.connect_as(9), shop.connect()];
    std::thread::scope(|scope| {
        for mut wire in wires {
            let (begun, done, is_over) = (&begun, &done, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    let oldest = done.load(Ordering::SeqCst);
                    let answer = wire.call("fn.generation", json!([]));
                    let newest = begun.load(Ordering::SeqCst);
                    let generation = answer["result"].as_u64().unwrap_or_else(|| panic!("{answer}"));
                    assert!((oldest..=newest).contains(&generation), "{generation} of {oldest} to {newest}");
                }
            });
        }
        for generation in 1..=reloads() {
            write(shop.directory.path(), &[("generation", &source(generation))]);
            begun.store(generation, Ordering::SeqCst);
            let reloaded = shop.reload();
            if reloaded.is_err() {
                is_over.store(true, Ordering::SeqCst);
            }
            reloaded.expect("it reloads");
            done.store(generation, Ordering::SeqCst);
        }
        is_over.store(true, Ordering::SeqCst);
    });
    assert_eq!(shop.connect().call("fn.generation", json!([]))["result"], reloads());
}

fn reload_with_mistake_changes_nothing() {
    let shop = Shop::start_with(&[("generation", &source(7))], roles(), |circle| circle);
    let mut wire = shop.connect();
    let before = wire.call("rpc.discover", json!({}));
    for (mistake, place) in [
        ("fn generation() { 8 }\nfn other( {}", "generation.rhai:2:11: "),
        ("/// @retruns {int}\nfn generation() { 8 }", "generation.rhai:1:5: "),
        ("let x = nowhere;\nfn generation() { 8 }", "generation.rhai:1:9: "),
    ] {
        write(shop.directory.path(), &[("generation", mistake)]);
        let error = shop.reload().expect_err("a mistake");
        assert!(error.contains(place), "{error}");
        assert_eq!(wire.call("fn.generation", json!([]))["result"], 7);
        assert_eq!(wire.call("rpc.discover", json!({}))["result"], before["result"]);
    }
}

/// Functions keep what they have imported until a reload finds a changed module.
fn changed_module_reaches_functions() {
    let modules = tempfile::tempdir().expect("a directory");
    write(modules.path(), &[("shared", "fn number() { 1 }")]);
    let source = "import \"shared\" as library;\nfn number() { library::number() }";
    let shop = Shop::start_with(&[("number", source)], roles(), |circle| circle.modules(modules.path()));
    let mut wire = shop.connect();
    assert_eq!(wire.call("fn.number", json!([]))["result"], 1);
    write(modules.path(), &[("shared", "fn number() { 2 }")]);
    assert_eq!(wire.call("fn.number", json!([]))["result"], 1);
    let new = builder(shop.directory.path(), roles()).modules(modules.path()).build().expect("a circle");
    runtime().block_on(shop.circle.reconfigure(new)).expect("it reloads");
    assert_eq!(wire.call("fn.number", json!([]))["result"], 2);
}
