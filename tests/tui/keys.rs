//! Keys in the TUI.

use ::keys::keystore::Keystore;

use rustix::process::Signal;

use super::{Screen, free_port};
use crate::support::{Home, PASSPHRASE, process::Server};

#[test]
fn a_key_is_made_and_what_is_wrong_with_the_form_is_said_in_it() {
    let mut screen = Screen::alone();
    screen.wait_for("no key yet");
    screen.press(&["2", "n"]);
    screen.wait_for("New key");
    screen.write("alice\nsecret\nsecrte\n");
    screen.wait_for("the two passphrases differ");
    screen.write("secret\n");
    screen.wait_for("made alice");
    let shown = screen.wait_for("▸alice 0");
    assert!(shown.contains("✓⚿"), "{shown}");
    let store = Keystore::at(screen.home().keys_directory());
    let name = "alice".parse().expect("a name");
    let public = store.unlock(&name, "secret").expect("its passphrase").public_key();
    screen.press(&["y"]);
    screen.wait_for("copied the public key");
    assert_eq!(screen.app.clipboard(), public.to_hex());
    screen.press(&["n"]);
    screen.write("alice\nx\nx\n");
    screen.wait_for("alice");
    let shown = screen.wait_for("already");
    assert!(shown.contains("New key"), "what was typed is kept:\n{shown}");
}

#[test]
fn a_passphrase_is_asked_for_once_and_a_wrong_one_is_said() {
    let home = Home::new();
    let keypair = home.add_key("alice");
    let server = Server::start(&["--access", "members", "--member", &keypair.public_key().to_hex()]);
    let mut screen = Screen::start_in(home, r#"{ "circles": [] }"#, (80, 24));
    screen.wait_for("▸alice");
    screen.press(&["o"]);
    screen.wait_for("Connect to");
    screen.write(&format!("{}\n", server.url));
    screen.wait_for("passphrase of alice");
    screen.write("wrong\n");
    screen.wait_for("wrong passphrase");
    screen.write(&format!("{PASSPHRASE}\n"));
    let shown = screen.wait_for("⚿ alice");
    assert!(!shown.contains(PASSPHRASE));
    screen.wait_for_row(">");
    screen.write("CALLER_PUBLIC_KEY\n");
    let public = keypair.public_key().to_hex();
    screen.wait_for(&public[..40]);
    // Unlocked for the rest of the app's life.
    screen.press(&["Esc", "1", "d"]);
    screen.wait_for("(not connected)");
    screen.press(&["Enter"]);
    screen.wait_for("connected again to");
    screen.wait_for("⚿ alice");
}

#[test]
fn a_circle_that_wants_a_key_offers_to_make_the_first_one() {
    let server = Server::start(&["--access", "authenticated"]);
    let mut screen = Screen::alone();
    screen.wait_for("no key yet");
    screen.press(&["o"]);
    screen.write(&format!("{}\n", server.url));
    screen.wait_for("there is no key yet.");
    // The name that is offered will do.
    screen.write("\npw\npw\n");
    screen.wait_for("⚿ default");
    screen.write("1 + 1\n");
    screen.wait_for_row("2");
}

#[test]
fn one_passphrase_serves_all_who_wait_for_the_key() {
    let home = Home::new();
    let key = home.add_key("alice").public_key().to_hex();
    let servers = [(); 2].map(|()| Server::start(&["--access", "members", "--member", &key]));
    let mut screen = Screen::start_in(home, r#"{ "circles": [] }"#, (80, 24));
    screen.wait_for("▸alice");
    screen.press(&["o"]);
    screen.write(&format!("{}\n", servers[0].authority()));
    screen.wait_for("passphrase of alice");
    screen.press(&["Esc"]);
    screen.wait_for("a proves yours");
    screen.press(&["1", "o"]);
    screen.wait_for("Connect to");
    screen.write(&format!("{}\n", servers[1].authority()));
    screen.wait_for("passphrase of alice");
    screen.write(&format!("{PASSPHRASE}\n"));
    screen.wait_for("⚿ alice");
    screen.press(&["Esc", "1", "Up", "a"]);
    // In the rows of both circles and in that of the key.
    let marks = |shown: &str| shown.lines().filter(|line| line.chars().take(26).any(|mark| mark == '⚿')).count();
    screen.until("both", |shown| marks(shown) == 3);
}

#[test]
fn what_is_typed_into_a_form_is_not_taken_away_by_what_happens_elsewhere() {
    let home = Home::new();
    let key = home.add_key("alice").public_key().to_hex();
    let port = free_port();
    let config = format!(
        r#"{{ "circles": [{{ "name": "team", "port": {port}, "access": "members", "members": ["{key}"] }}] }}"#
    );
    let mut screen = Screen::start_in(home, &config, (80, 24));
    screen.wait_for("team");
    // It takes some time until it is up and wants the key.
    screen.press(&["Down", "Enter", "Esc", "n"]);
    screen.write("bob\nsecr");
    let shown = screen.until("the wish for a key", |shown| shown.contains("a proves yours"));
    assert!(shown.contains("New key") && shown.contains("••••"), "{shown}");
    screen.write("et\nsecret\n");
    screen.wait_for("made bob");
}

#[test]
fn a_passphrase_that_is_typed_at_once_is_neither_played_nor_kept() {
    let home = Home::new();
    let (alice, bob) = (home.add_key("alice").public_key().to_hex(), home.add_key("bob").public_key().to_hex());
    let server = Server::open();
    let mut screen = Screen::start_in(home, r#"{ "circles": [] }"#, (120, 40));
    screen.play_alone();
    screen.wait_for("▸alice");
    screen.write(&format!(":use {}\n:key alice\n{PASSPHRASE}\n", server.authority()));
    screen.wait_for("⚿ alice");
    screen.write("CALLER_PUBLIC_KEY\n");
    let shown = screen.wait_for(&alice);
    assert!(!shown.contains(PASSPHRASE), "{shown}");
    // In the place of another key, too.
    screen.write(&format!(":key bob\n{PASSPHRASE}\n"));
    screen.wait_for("⚿ bob");
    screen.write("CALLER_PUBLIC_KEY\n");
    let shown = screen.wait_for(&bob);
    assert!(!shown.contains(PASSPHRASE), "{shown}");
    let history = screen.home().path().join("history");
    let _background = screen.leave();
    let mut kept = String::new();
    for file in std::fs::read_dir(history).expect("inputs are kept") {
        kept += &std::fs::read_to_string(file.expect("a file").path()).expect("text");
    }
    assert!(kept.contains("CALLER_PUBLIC_KEY") && !kept.contains(PASSPHRASE), "{kept}");
}

#[test]
fn a_passphrase_serves_a_session_whose_connection_was_lost_meanwhile() {
    let home = Home::new();
    home.add_key("alice");
    let port = free_port();
    let mut server = Server::start_on(port, &[]);
    let mut screen = Screen::start_in(home, r#"{ "circles": [] }"#, (120, 40));
    screen.play_alone();
    screen.wait_for("▸alice");
    screen.write(&format!(":use {port}\n"));
    screen.wait_for("connected to circle");
    screen.write(":key alice\n");
    screen.wait_for("passphrase of alice");
    server.signal(Signal::KILL);
    server.wait();
    screen.wait_for("is lost");
    let _server = Server::start_on(port, &[]);
    screen.wait_for("connected again to");
    screen.write(&format!("{PASSPHRASE}\n"));
    screen.wait_for("⚿ alice");
}

#[test]
fn passphrase_is_asked_for_once_though_the_circle_ends_the_connection_meanwhile() {
    let home = Home::new();
    let key = home.add_key("alice").public_key().to_hex();
    let port = free_port();
    let members = ["--access", "members", "--member", &key];
    let mut server = Server::start_on(port, &members);
    let mut screen = Screen::start_in(home, r#"{ "circles": [] }"#, (120, 40));
    screen.play_alone();
    screen.wait_for("▸alice");
    screen.write(&format!(":use {port}\n"));
    screen.wait_for("passphrase of alice");
    server.signal(Signal::KILL);
    server.wait();
    let _server = Server::start_on(port, &members);
    screen.write(&format!("{PASSPHRASE}\n"));
    screen.wait_for("⚿ alice");
}
