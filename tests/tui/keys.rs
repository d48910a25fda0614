//! Keys in the TUI.

use ::keys::keystore::Keystore;

use rustix::process::Signal;

use super::{TuiScreen, free_port};
use crate::support::{Home, PASSPHRASE, process::ServeProcess};

#[test]
fn new_key_form_creates_a_key_and_shows_its_errors() {
    let mut screen = TuiScreen::alone();
    screen.wait_for("no key yet");
    screen.press(&["2", "n"]);
    screen.wait_for("New key");
    screen.write("alice\nsecret\nsecrte\n");
    screen.wait_for("the two passphrases differ");
    screen.write("secret\n");
    screen.wait_for("created key alice");
    let shown = screen.wait_for("▌alice 0");
    assert!(shown.contains("✓⚿"), "{shown}");
    let store = Keystore::at(screen.home().keys_directory());
    let name = "alice".parse().expect("a name");
    let public = store.unlock(&name, "secret").expect("its passphrase").public_key();
    screen.press(&["y"]);
    screen.wait_for("copied the public key");
    assert_eq!(screen.app.clipboard(), public.to_hex());
    screen.press(&["n"]);
    // A name is refused before the passphrase is typed.
    screen.write("alice\n");
    screen.wait_for("there is a key 'alice' already");
    screen.press(&["C-u"]);
    screen.write("a b\n");
    let shown = screen.wait_until("a refusal", |shown| shown.contains("New key") && !shown.contains("already"));
    assert!(shown.contains("name        a b"), "what was typed is kept:\n{shown}");
}

#[test]
fn passphrase_is_prompted_once_and_a_wrong_one_reported() {
    let home = Home::new();
    let keypair = home.add_key("alice");
    let server = ServeProcess::start(&["--access", "members", "--member", &keypair.public_key().to_hex()]);
    let mut screen = TuiScreen::start_in(home, r#"{ "circles": [] }"#, (80, 24));
    screen.wait_for("▌alice");
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
    // The key stays unlocked while the app runs.
    screen.press(&["Esc", "d"]);
    screen.wait_for("You lose variables from 1 input.");
    screen.press(&["Right", "Enter"]);
    screen.wait_for("(not connected)");
    screen.press(&["Enter"]);
    screen.wait_for("reconnected to");
    screen.wait_for("⚿ alice");
}

#[test]
fn members_circle_offers_to_create_the_first_key() {
    let server = ServeProcess::start(&["--access", "authenticated"]);
    let mut screen = TuiScreen::alone();
    screen.wait_for("no key yet");
    screen.press(&["o"]);
    screen.write(&format!("{}\n", server.url));
    screen.wait_for("you have no key yet.");
    // Accepts the suggested name.
    screen.write("\npw\npw\n");
    screen.wait_for("⚿ default");
    screen.write("1 + 1\n");
    screen.wait_for_row("2");
}

#[test]
fn passphrase_unlocks_the_key_for_all_waiting_sessions() {
    let home = Home::new();
    let key = home.add_key("alice").public_key().to_hex();
    let servers = [(); 2].map(|()| ServeProcess::start(&["--access", "members", "--member", &key]));
    let mut screen = TuiScreen::start_in(home, r#"{ "circles": [] }"#, (80, 24));
    screen.wait_for("▌alice");
    screen.press(&["o"]);
    screen.write(&format!("{}\n", servers[0].authority()));
    screen.wait_for("passphrase of alice");
    screen.press(&["Esc"]);
    screen.wait_for("Press Enter to sign in");
    screen.press(&["Esc", "o"]);
    screen.wait_for("Connect to");
    screen.write(&format!("{}\n", servers[1].authority()));
    screen.wait_for("passphrase of alice");
    screen.write(&format!("{PASSPHRASE}\n"));
    screen.wait_for("⚿ alice");
    screen.press(&["Esc", "1", "Up", "a"]);
    // In the rows of both circles and of the key.
    let marks = |shown: &str| shown.lines().filter(|line| line.chars().take(26).any(|mark| mark == '⚿')).count();
    screen.wait_until("both", |shown| marks(shown) == 3);
}

#[test]
fn form_input_survives_other_events() {
    let home = Home::new();
    let key = home.add_key("alice").public_key().to_hex();
    let port = free_port();
    let config = format!(
        r#"{{ "circles": [{{ "name": "team", "port": {port}, "access": "members", "members": ["{key}"] }}] }}"#
    );
    let mut screen = TuiScreen::start_in(home, &config, (80, 24));
    screen.wait_for("team");
    // The circle takes some time until it is up and asks for the key.
    screen.press(&["Down", "Enter", "Esc", "n"]);
    screen.write("bob\nsecr");
    let shown = screen.wait_until("the wish for a key", |shown| shown.contains("Press Enter to sign in"));
    assert!(shown.contains("New key") && shown.contains("••••"), "{shown}");
    screen.write("et\nsecret\n");
    screen.wait_for("created key bob");
}

#[test]
fn type_ahead_passphrase_is_neither_played_nor_recorded() {
    let home = Home::new();
    let (alice, bob) = (home.add_key("alice").public_key().to_hex(), home.add_key("bob").public_key().to_hex());
    let server = ServeProcess::open();
    let mut screen = TuiScreen::start_in(home, r#"{ "circles": [] }"#, (120, 40));
    screen.play_alone();
    screen.wait_for("▌alice");
    screen.write(&format!(":use {}\n:key alice\n{PASSPHRASE}\n", server.authority()));
    screen.wait_for("⚿ alice");
    screen.write("CALLER_PUBLIC_KEY\n");
    let shown = screen.wait_for(&alice);
    assert!(!shown.contains(PASSPHRASE), "{shown}");
    // Another key can replace it.
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
fn passphrase_authenticates_a_session_that_lost_its_connection() {
    let home = Home::new();
    home.add_key("alice");
    let port = free_port();
    let mut server = ServeProcess::start_on(port, &[]);
    let mut screen = TuiScreen::start_in(home, r#"{ "circles": [] }"#, (120, 40));
    screen.play_alone();
    screen.wait_for("▌alice");
    screen.write(&format!(":use {port}\n"));
    screen.wait_for("connected to circle");
    screen.write(":key alice\n");
    screen.wait_for("passphrase of alice");
    server.signal(Signal::KILL);
    server.wait();
    screen.wait_for("lost");
    let _server = ServeProcess::start_on(port, &[]);
    screen.wait_for("reconnected to");
    screen.write(&format!("{PASSPHRASE}\n"));
    screen.wait_for("⚿ alice");
}

#[test]
fn passphrase_is_prompted_once_though_the_circle_disconnects() {
    let home = Home::new();
    let key = home.add_key("alice").public_key().to_hex();
    let port = free_port();
    let members = ["--access", "members", "--member", &key];
    let mut server = ServeProcess::start_on(port, &members);
    let mut screen = TuiScreen::start_in(home, r#"{ "circles": [] }"#, (120, 40));
    screen.play_alone();
    screen.wait_for("▌alice");
    screen.write(&format!(":use {port}\n"));
    screen.wait_for("passphrase of alice");
    server.signal(Signal::KILL);
    server.wait();
    let _server = ServeProcess::start_on(port, &members);
    screen.write(&format!("{PASSPHRASE}\n"));
    screen.wait_for("⚿ alice");
}
