//! The live tree of a real circle's store.

use serde_json::{Value, json};

use super::free_port;
use crate::support::{background::BackgroundCircles, pty::Terminal};

/// The key F6.
const DATA: &str = "\x1b[17~";

/// A circle with a store and a function that writes, whose callers may follow `stock/`; one whose callers may do
/// everything; and one without a store.
fn circles() -> BackgroundCircles {
    let visitor = json!({ "visitor": { "call": ["*"], "subscribe": ["keys:stock/"] } });
    let shop = json!({
        "name": "shop", "port": free_port(), "store": "shop.redb", "functions": "functions/", "roles": visitor,
        "anyone": "visitor",
    });
    let open = json!({ "name": "open", "port": free_port(), "store": ":memory:" });
    let plain = json!({ "name": "plain", "port": free_port() });
    let background = BackgroundCircles::start(&json!({ "circles": [shop, open, plain] }).to_string());
    let functions = background.home.path().join("functions");
    std::fs::create_dir(&functions).expect("a directory");
    std::fs::write(functions.join("data.rhai"), "fn put(key, value) { store::put(key, value); }").expect("written");
    background.run_ok(&["up"]);
    background
}

fn put(background: &BackgroundCircles, key: &str, value: &Value) {
    let args = json!({ "key": key, "value": value }).to_string();
    background.run_ok(&["call", "data.put", "--circle", "shop", "--args", &args]);
}

#[test]
fn tree_follows_the_store_of_a_circle_over_a_restart() {
    let background = circles();
    put(&background, "stock/tea", &json!(1771));
    put(&background, "stock/new/cake", &json!({ "left": 1772 }));
    put(&background, "hidden/x", &json!(1773));
    let command = background.home.command();
    let mut terminal = Terminal::run_command(&background.home, &command, &["tui", "shop"]);
    terminal.wait_for_screen("connected to shop");
    terminal.keys(DATA);
    terminal.wait_for_screen("5 Data shop");
    terminal.wait_for_screen("▾ stock/ 2");
    terminal.wait_for_screen("1771");
    terminal.wait_for_screen("▸ new/ 1");
    // A change of the value that is shown, and one in a folder.
    put(&background, "stock/tea", &json!("\u{1b}[2J1774"));
    terminal.wait_for_screen("\"\\u001b[2J1774");
    put(&background, "stock/new/pie", &json!(1775));
    terminal.keys("\x1b[B\x1b[C");
    terminal.wait_for_screen("▾ new/ 2");
    terminal.wait_for_screen("1772");
    terminal.wait_for_screen("1775");
    // The tree is there again after a restart.
    background.run_ok(&["restart", "shop"]);
    put(&background, "stock/new/pie", &json!(1776));
    terminal.wait_for_screen("1776");
    terminal.keys("\x1b");
    terminal.wait_for_screen("n new key");
    // A role that grants all keys has no list of their folders.
    terminal.keys("\x1b[B\r");
    terminal.wait_for_screen("connected to open");
    terminal.wait_for_screen("your role grants all keys");
    terminal.keys(DATA);
    terminal.keys("/a/b/\r");
    terminal.wait_for_screen("no keys");
    background.run_ok(&["store", "put", "--circle", "open", "a/b/c", "1777"]);
    terminal.wait_for_screen("1777");
    terminal.keys("\x1b");
    terminal.wait_for_screen("n new key");
    terminal.keys("\x1b[B\r");
    terminal.wait_for_screen("connected to plain");
    terminal.wait_for_screen("the circle has no store");
    terminal.keys("\x1b");
    terminal.wait_for_screen("n new key");
    terminal.keys("q");
    assert_eq!(terminal.end(), Some(0));
}
