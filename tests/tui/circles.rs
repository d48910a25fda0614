//! Circles in the TUI: started, stopped, failing, several at once.

use std::net::TcpListener;

use rustix::process::{Signal, kill_process};

use super::{TuiScreen, eventually, free_port};
use crate::support::{Home, PASSPHRASE, process::ServeProcess};

#[test]
fn connect_starts_a_circle_and_stop_requires_confirmation() {
    let port = free_port();
    let config = format!(r#"{{ "circles": [{{ "name": "lab", "port": {port} }}] }}"#);
    let mut screen = TuiScreen::start(&config, (80, 24));
    screen.wait_for(&format!("○ lab {port} down"));
    screen.press(&["Down", "Enter"]);
    screen.wait_for("connected to lab (open to anyone)");
    screen.write("40 + 2\n");
    screen.wait_for_row("42");
    screen.press(&["Esc", "x"]);
    screen.wait_for("Stop lab?");
    screen.press(&["Enter"]);
    screen.wait_until("the question is gone", |shown| !shown.contains("Stop lab?") && shown.contains("● lab"));
    screen.press(&["x", "Right", "Enter"]);
    screen.wait_for(&format!("○ lab {port} down"));
    screen.wait_for("the connection to circle 'lab' at");
}

#[test]
fn rejected_key_is_shown_and_admitted_once_it_is_a_member() {
    let home = Home::new();
    let key = home.add_key("alice").public_key().to_hex();
    let port = free_port();
    let config = |members: &str| {
        format!(
            r#"{{ "circles": [{{ "name": "team", "port": {port}, "access": "members", "members": [{members}] }}] }}"#
        )
    };
    let mut screen = TuiScreen::start_in(home, &config(""), (120, 40));
    screen.wait_for("team");
    screen.press(&["Down", "Enter"]);
    screen.wait_for("passphrase of alice");
    screen.write(&format!("{PASSPHRASE}\n"));
    screen.wait_for(&format!("your public key: {key}"));
    screen.press(&["C-o"]);
    screen.wait_for("copied your public key");
    assert_eq!(screen.app.clipboard(), key);
    std::fs::write(screen.config(), config(&format!("\"{key}\""))).expect("written");
    // The supervisor applies the file in a moment.
    eventually(|| {
        screen.press(&["Enter"]);
        let is_in = |shown: &str| shown.contains("⚿ alice");
        screen.runtime.block_on(screen.app.wait_until(is_in, std::time::Duration::from_millis(100))).map(|_| ())
    });
    screen.write("6 * 7\n");
    screen.wait_for_row("42");
}

#[test]
fn circle_that_dies_during_a_play_is_restarted_and_reconnected() {
    let port = free_port();
    let config = format!(r#"{{ "circles": [{{ "name": "lab", "port": {port} }}] }}"#);
    let mut screen = TuiScreen::start(&config, (120, 40));
    screen.wait_for("lab");
    screen.press(&["Down", "Enter"]);
    screen.wait_for("connected to lab");
    screen.write("print(\"begun\"); loop {}\n");
    screen.wait_for_row("begun");
    let circle = screen.background().pid("lab");
    screen.write("kept text");
    kill_process(circle, Signal::KILL).expect("it is there");
    screen.wait_for("the connection to");
    screen.wait_for("reconnected to");
    // Nothing is replayed automatically, and no typed text is lost.
    screen.wait_for("> kept text");
    screen.press(&["C-c"]);
    screen.write("6 * 7\n");
    screen.wait_for_row("42");
}

#[test]
fn start_failure_is_shown_in_the_session() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let home = Home::new();
    let broken = home.path().join("broken.rhai");
    std::fs::write(&broken, "throw \"no luck\"").expect("written");
    let config = format!(
        r#"{{ "circles": [{{ "name": "lab", "port": {}, "init": {broken:?}, "restart": "never" }},
                          {{ "name": "busy", "port": {port}, "restart": "never" }}] }}"#,
        free_port()
    );
    let mut screen = TuiScreen::start_in(home, &config, (120, 40));
    screen.wait_for("lab");
    screen.press(&["Down", "s"]);
    screen.wait_for("no luck");
    screen.wait_for("✗ lab");
    // Another program listens there and does not answer.
    screen.wait_for(&format!("✗ busy {port} taken"));
    screen.press(&["Down", "s"]);
    screen.wait_for("another program listens on its port");
}

#[test]
fn invalid_config_is_reported_and_affects_nothing_else() {
    let mut screen = TuiScreen::start("{ \"circles\": [{ \"name\": \"lab\", \"prot\": 1 }] }", (80, 24));
    let shown = screen.wait_for("mean `port`?");
    assert!(shown.contains('^') && shown.contains("unknown field `prot`; did you"), "{shown}");
    screen.press(&["Enter"]);
    screen.play_alone();
    screen.write("1 + 1\n");
    screen.wait_for_row("2");
}

#[test]
fn session_is_separate_for_each_circle() {
    let (one, two) = (ServeProcess::open(), ServeProcess::open());
    let mut screen = TuiScreen::alone();
    screen.wait_for("scratch");
    for (server, value) in [(&one, "111"), (&two, "222")] {
        screen.press(&["1", "o"]);
        screen.wait_for("Connect to");
        // Input that is typed while the session connects is queued.
        screen.write(&format!("{}\n", server.authority()));
        screen.write(&format!("let mine = {value};\nmine\n"));
        screen.wait_for_row(value);
        screen.press(&["Esc"]);
    }
    // Each session continues where it was.
    screen.press(&["1", "Up", "Enter"]);
    screen.wait_for_row("111");
    screen.write("mine * 2\n");
    screen.wait_for_row("222");
}

#[test]
fn unreachable_circle_is_reported() {
    let mut screen = TuiScreen::alone();
    screen.wait_for("scratch");
    screen.press(&["o"]);
    screen.write("nowhere\n");
    screen.wait_for("there is no circle 'nowhere'");
    // The typed address is still there to be corrected.
    screen.press(&["C-u"]);
    screen.write(&format!("{}\n", free_port()));
    screen.wait_for("connection refused");
}

#[test]
fn fixed_config_is_read_again() {
    let mut screen = TuiScreen::start("{ \"circles\": [", (80, 24));
    screen.wait_for("circles.json:1:");
    screen.press(&["Enter"]);
    let port = free_port();
    std::fs::write(screen.config(), format!(r#"{{ "circles": [{{ "name": "lab", "port": {port} }}] }}"#))
        .expect("written");
    screen.press(&["S"]);
    screen.wait_for(&format!("● lab {port}"));
}

#[test]
fn passphrase_prompt_does_not_interrupt_other_work() {
    let home = Home::new();
    let key = home.add_key("alice").public_key().to_hex();
    let port = free_port();
    let config = format!(
        r#"{{ "circles": [{{ "name": "team", "port": {port}, "access": "members", "members": ["{key}"] }}] }}"#
    );
    let mut screen = TuiScreen::start_in(home, &config, (80, 24));
    screen.wait_for("team");
    screen.press(&["Down", "Enter"]);
    screen.wait_for("passphrase of alice");
    screen.press(&["Esc", "Esc", "Up", "Enter"]);
    screen.write("half of");
    let circle = screen.background().pid("team");
    kill_process(circle, Signal::KILL).expect("it is there");
    screen.wait_until("it is started again", |shown| {
        shown.lines().any(|line| line.contains(&format!("● team {port}")) && line.contains("↻1"))
    });
    screen.write(" a line");
    let shown = screen.wait_for_row("> half of a line");
    assert!(!shown.contains("passphrase"), "{shown}");
}

#[test]
fn change_of_the_config_is_noticed_without_a_supervisor() {
    let config = |name: &str, port: u16| format!(r#"{{ "circles": [{{ "name": "{name}", "port": {port} }}] }}"#);
    let (before, after) = (free_port(), free_port());
    let mut screen = TuiScreen::start(&config("lab", before), (120, 40));
    screen.wait_for(&format!("○ lab {before} down"));
    std::fs::write(screen.config(), config("lab", after)).expect("written");
    screen.wait_for(&format!("○ lab {after} down"));
    std::fs::write(screen.config(), "{ \"circles\": [").expect("written");
    screen.wait_for("circles.json has an error; still using the previous version");
    screen.wait_for("circles.json ✗");
    std::fs::write(screen.config(), config("team", after)).expect("written");
    screen.wait_for(&format!("team {after} down"));
    let shown = screen.wait_until("no error", |shown| !shown.contains('✗'));
    assert!(shown.contains("lab"), "a circle that is not in the file any more stays as an address:\n{shown}");
}
