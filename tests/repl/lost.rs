//! Lost connections, environments and answers.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{
    Home,
    background::BackgroundCircles,
    fake, free_port,
    process::{ServeProcess, children},
    pty::Terminal,
};

fn kill(server: &mut ServeProcess) {
    server.signal(Signal::KILL);
    server.wait();
}

#[test]
fn lost_connection_is_reported_above_the_line_and_restored() {
    let home = Home::new();
    let alice = home.add_key("alice").public_key().to_hex();
    let access = ["--name", "team", "--member", alice.as_str()];
    let port = free_port();
    let mut server = ServeProcess::start_on(port, &access);
    let mut terminal = Terminal::run(&home, &["repl", &port.to_string()]);
    terminal.wait_for("team ⚿ alice> ");
    terminal.keys("let x = 1\r");
    terminal.wait_for("team ⚿ alice> ");
    terminal.keys("CALLER_PUBLIC_KEY + `/${i");
    terminal.wait_for("/${i");
    kill(&mut server);
    // The whole message is above the typed input, which is still there; the prompt shows the lost connection.
    terminal.wait_for_words("no reason given; reconnecting…");
    terminal.wait_for_screen("team ⚿ alice✗ CALLER_PUBLIC_KEY + `/${i");
    let _server = ServeProcess::start_on(port, &access);
    terminal.wait_for_words("as alice with a new session; variables from 1 input are gone");
    terminal.wait_for_screen("team ⚿ alice> CALLER_PUBLIC_KEY + `/${i");
    terminal.keys("s_def_var(\"x\")}`\r");
    terminal.wait_for(&format!("\"{alice}/false\"\r\n"));
}

#[test]
fn input_on_a_lost_connection_is_returned() {
    let home = Home::new();
    let port = free_port();
    let mut server = ServeProcess::start_on(port, &[]);
    let mut terminal = Terminal::run(&home, &["repl", &port.to_string()]);
    terminal.wait_for("circle> ");
    terminal.keys("let x = 1; print(`be${\"gun\"}`); loop {}\r");
    terminal.wait_for("begun");
    kill(&mut server);
    // A running play reports the loss, with advice.
    terminal.wait_for("no reason given");
    terminal.wait_for("check before you retry them");
    terminal.wait_for("circle✗ ");
    terminal.keys("x\r");
    terminal.wait_for("connection refused");
    terminal.wait_for("in the history");
    let _server = ServeProcess::start_on(port, &[]);
    terminal.wait_for_words("reconnected to");
    // No input had succeeded, so none is reported as lost; Up recalls the input that was not played.
    terminal.wait_for("circle> ");
    terminal.keys("\x1b[A\r");
    terminal.wait_for("Variable not found: x");
}

/// A fake circle that records plays, and closes the connection at the first.
fn server_losing_the_first_answer(played: Arc<Mutex<Vec<String>>>) -> String {
    fake::serve_conversation(move |text| {
        let call: Value = serde_json::from_str(text).expect("JSON");
        let result = match call["method"].as_str() {
            Some("describe") => fake::description("deaf"),
            Some("play") => {
                let mut played = played.lock().expect("not poisoned");
                played.push(call["params"]["script"].as_str().expect("a script").to_owned());
                if played.len() == 1 {
                    return None;
                }
                json!({ "output": "answered", "type": "string", "value": "answered", "elapsed_us": 1, "operations": 1 })
            }
            _ => json!({ "start": 0, "candidates": [] }),
        };
        Some(json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }).to_string())
    })
}

#[test]
fn play_without_an_answer_is_not_replayed() {
    let home = Home::new();
    let played = Arc::new(Mutex::new(Vec::new()));
    let authority = server_losing_the_first_answer(played.clone());
    let mut terminal = Terminal::run(&home, &["repl", &authority]);
    terminal.wait_for("deaf> ");
    terminal.keys("pay(100)\r");
    terminal.wait_for("check before you retry them");
    terminal.wait_for_words("reconnected to");
    terminal.keys("balance()\r");
    terminal.wait_for("answered");
    assert_eq!(*played.lock().expect("not poisoned"), ["pay(100)", "balance()"]);
}

#[test]
fn lost_environment_is_reported_above_the_line() {
    let server = ServeProcess::start(&["--limit", "idle_s=1"]);
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl", &server.url]);
    terminal.wait_for("circle> ");
    terminal.keys("let x = 40\r");
    terminal.wait_for("circle> ");
    terminal.keys("2 + ");
    terminal.wait_for_words("lost this session's environment (idle); variables from 1 input are gone");
    terminal.wait_for_screen("circle> 2 + ");
    terminal.keys("40\r");
    terminal.wait_for("42\r\n");
}

#[test]
fn log_line_is_printed_above_the_input() {
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl"]);
    terminal.wait_for("scratch> ");
    terminal.keys("6 *");
    terminal.wait_for_screen("scratch> 6 *");
    // The scratch circle runs in the same process, and logs that it has lost its fork server.
    for fork_server in children(terminal.pid()) {
        kill_process(fork_server, Signal::KILL).expect("it is there");
    }
    terminal.wait_for_words("fork server lost");
    terminal.wait_until("the line below it", |screen| {
        let contents = screen.contents();
        contents.trim_end().lines().next_back().is_some_and(|last| last.starts_with("scratch> 6 *"))
    });
    terminal.keys(" 7\r");
    terminal.wait_for("42\r\n");
}

#[test]
fn other_circle_at_the_same_address_is_detected() {
    let home = Home::new();
    let port = free_port();
    let mut server = ServeProcess::start_on(port, &["--name", "team"]);
    let mut terminal = Terminal::run(&home, &["repl", &port.to_string()]);
    terminal.wait_for("team> ");
    kill(&mut server);
    terminal.wait_for_words("reconnecting…");
    let _other = ServeProcess::start_on(port, &["--name", "other"]);
    terminal.keys("1\r");
    terminal.wait_for_words("another circle answers there: 'other' instead of 'team'");
    terminal.wait_for("team✗ ");
    // `:use` connects there on request.
    terminal.keys(&format!(":use {port}\r"));
    terminal.wait_for("other> ");
    terminal.keys("CIRCLE_NAME\r");
    terminal.wait_for("\"other\"\r\n");
}

#[test]
fn failed_authentication_is_not_retried() {
    let home = Home::new();
    home.add_key("alice");
    let port = free_port();
    let mut server = ServeProcess::start_on(port, &[]);
    let mut terminal = Terminal::run(&home, &["repl", &port.to_string()]);
    terminal.wait_for("circle> ");
    kill(&mut server);
    terminal.wait_for_words("reconnecting…");
    terminal.keys(":key alice\r");
    terminal.wait_for("error: ");
    let _server = ServeProcess::start_on(port, &[]);
    terminal.wait_for_words("reconnected to");
    terminal.keys("type_of(CALLER_PUBLIC_KEY)\r");
    terminal.wait_for("\"()\"\r\n");
}

#[test]
fn circle_on_a_new_port_is_reported_with_its_address() {
    let here = BackgroundCircles::start(r#"{ "circles": [{ "name": "team", "port": 0 }] }"#);
    here.run_ok(&["up"]);
    let url = here.status("team")["url"].as_str().expect("a URL").to_owned();
    let mut terminal = Terminal::run(&here.home, &["repl", "team"]);
    terminal.wait_for("team> ");
    here.run_ok(&["down"]);
    terminal.wait_for_words("reconnecting…");
    // Another server has the old port, and closes all connections.
    let listener = std::net::TcpListener::bind(url.strip_prefix("ws://").expect("a ws URL")).expect("it is free");
    std::thread::spawn(move || listener.incoming().for_each(drop));
    here.run_ok(&["up"]);
    terminal.wait_for_words("circle 'team' has moved to ws://");
    terminal.wait_for_words(":use team connects to it there");
    terminal.keys(":use team\r");
    terminal.wait_for("team> ");
    terminal.keys("6 * 7\r");
    terminal.wait_for("42\r\n");
}

#[test]
fn inputs_of_a_lost_environment_can_be_saved() {
    let server = ServeProcess::open();
    let home = Home::new();
    let mut terminal = Terminal::run(&home, &["repl", &server.url]);
    terminal.wait_for("circle> ");
    terminal.keys("let kept = 42\r");
    terminal.wait_for("circle> ");
    terminal.keys("print(`be${\"gun\"}`); loop {}\r");
    terminal.wait_for("begun");
    for worker in server.workers() {
        kill_process(worker, Signal::KILL).expect("it is there");
    }
    terminal.wait_for("the variables are gone");
    terminal.wait_for("circle> ");
    terminal.keys(":save kept.rhai\r");
    terminal.wait_for("from the lost session");
    let saved = std::fs::read_to_string(home.path().join("kept.rhai")).expect("it is there");
    assert!(saved.contains("let kept = 42;") && !saved.contains("loop"), "{saved}");
}

/// A fake circle that accepts any signature. After it has closed the connection at a play, it is another circle, and `requests`
/// records its requests.
fn server_replaced_by_another(authority: Arc<OnceLock<String>>, requests: Arc<Mutex<Vec<String>>>) -> String {
    let is_replaced = Arc::new(AtomicBool::new(false));
    fake::serve_conversation(move |text| {
        let call: Value = serde_json::from_str(text).expect("JSON");
        let method = call["method"].as_str().expect("a method");
        let is_other = is_replaced.load(Ordering::SeqCst);
        if is_other {
            requests.lock().expect("not poisoned").push(method.to_owned());
        }
        let result = match method {
            "describe" => fake::description(if is_other { "other" } else { "team" }),
            "fetch_nonce" => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
                let authority = authority.get().expect("it is known").parse().expect("an authority");
                let (circle, lapses) = (fake::identity().public_key(), now + keys::NONCE_LIFETIME_S);
                json!({ "nonce": keys::Nonce::new(&authority, circle, lapses, [7; 32]).as_str() })
            }
            "play" => {
                is_replaced.store(true, Ordering::SeqCst);
                return None;
            }
            _ => json!({ "authenticated": true }),
        };
        Some(json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }).to_string())
    })
}

#[test]
fn other_circle_gets_no_authentication() {
    let home = Home::new();
    home.add_key("alice");
    let (known, requests) = (Arc::new(OnceLock::new()), Arc::new(Mutex::new(Vec::new())));
    let authority = server_replaced_by_another(known.clone(), requests.clone());
    known.set(authority.clone()).expect("once");
    let mut terminal = Terminal::run(&home, &["repl", &authority, "--key", "alice"]);
    terminal.wait_for("team ⚿ alice> ");
    terminal.keys("1\r");
    terminal.wait_for_words("another circle answers there: 'other' instead of 'team'");
    let requests = requests.lock().expect("not poisoned");
    assert!(!requests.is_empty() && requests.iter().all(|method| method == "describe"), "{requests:?}");
}

#[test]
fn fan_out_connects_once_to_an_unreachable_circle() {
    let home = Home::new();
    let mut server = ServeProcess::open();
    let at = server.authority().to_owned();
    let mut terminal = Terminal::run(&home, &["repl", &at]);
    terminal.wait_for("circle> ");
    kill(&mut server);
    terminal.wait_for_words("reconnecting…");
    terminal.keys(&format!(":each {at} 1\r"));
    terminal.wait_for("connection refused");
    let after = terminal.wait_for("circle✗ ");
    assert!(!after.contains("refused"), "{after:?}");
}
