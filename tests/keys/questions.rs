//! Confirmations and passphrase prompts on the terminal.

use std::process::{Command, Stdio};

use keys::keystore::Keystore;

use crate::support::{BINARY, CommandOutput, Home, PASSPHRASE, command_output, pty::Terminal};

/// Runs a command without a terminal.
fn alone(home: &Home, args: &[&str]) -> CommandOutput {
    let output = Command::new("setsid")
        .args(["--wait", BINARY])
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .env("XDG_DATA_HOME", home.path().join("data"))
        .current_dir(home.path())
        .stdin(Stdio::null())
        .output()
        .expect("setsid of util-linux is there");
    command_output(&output)
}

/// Runs a command on a terminal, without a passphrase in the environment.
fn terminal(home: &Home, args: &[&str]) -> Terminal {
    let mut command = home.command();
    command.env_remove("CIRCLES_PASSPHRASE");
    Terminal::run_command(home, &command, args)
}

#[test]
fn remove_requires_confirmation() {
    let home = Home::new();
    let alice = home.add_key("alice").public_key().to_hex();
    let remove = ["keys", "remove", "alice"];
    for no in ["\r", "n\r", "yess\r", "\x04"] {
        let mut screen = terminal(&home, &remove);
        let question = screen.wait_for("[y/N] ");
        assert!(question.contains(&alice) && question.contains("the default key"), "{question}");
        screen.keys(no);
        screen.wait_for("nothing was done");
        assert_eq!(screen.end(), Some(130), "{no:?}");
    }
    let mut interrupted = terminal(&home, &remove);
    interrupted.wait_for("[y/N] ");
    interrupted.keys("\x03");
    assert_eq!(interrupted.end(), Some(130));
    assert_eq!(home.run(&["keys", "show"]).stdout.trim(), alice);

    let mut agreed = terminal(&home, &remove);
    agreed.wait_for("[y/N] ");
    agreed.keys("y\r");
    agreed.wait_for("removed alice");
    assert_eq!(agreed.end(), Some(0));
    assert_eq!(home.run(&["keys", "list"]).stdout, "");
}

#[test]
fn confirmation_requires_a_terminal() {
    let home = Home::new();
    home.add_key("alice");
    for args in [&["keys", "remove", "alice"] as &[&str], &["keys", "export", "alice", "--secret"]] {
        let refused = alone(&home, args);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{refused:?}");
        assert!(
            refused.stderr.contains("there is no terminal to ask on") && refused.stderr.contains("--yes"),
            "{refused:?}"
        );
    }
    // The error names the variables that replace the prompt.
    let new = alone(&home, &["keys", "passwd", "alice"]);
    assert!(new.code == Some(6) && new.stderr.contains("CIRCLES_PASSPHRASE_FILE"), "{new:?}");
    assert_eq!(home.run(&["keys", "list"]).stdout.lines().count(), 1);
}

#[test]
fn secret_export_requires_confirmation_and_the_passphrase() {
    let home = Home::new();
    let secret = home.add_key("alice").secret_hex().to_string();
    let mut screen = terminal(&home, &["keys", "export", "alice", "--secret"]);
    screen.wait_for("[y/N] ");
    screen.keys("yes\r");
    screen.wait_for("Passphrase of alice: ");
    screen.keys(&format!("{PASSPHRASE}\r"));
    let before = screen.wait_for(&secret);
    assert!(!before.contains(PASSPHRASE), "{before:?}");
    assert_eq!(screen.end(), Some(0));
}

#[test]
fn passphrase_is_changed_on_the_terminal_without_echo() {
    let home = Home::new();
    let alice = home.add_key("alice").public_key();
    let mut screen = terminal(&home, &["keys", "passwd", "alice"]);
    for after in ["try again", "try again", "error: keystore"] {
        screen.wait_for("Passphrase of alice: ");
        screen.keys("wrong\r");
        screen.wait_for(after);
    }
    assert_eq!(screen.end(), Some(6));

    let mut screen = terminal(&home, &["keys", "passwd", "alice"]);
    for passphrase in ["wrong", PASSPHRASE] {
        screen.wait_for("Passphrase of alice: ");
        screen.keys(&format!("{passphrase}\r"));
    }
    screen.wait_for("New passphrase of alice: ");
    screen.keys("\r");
    screen.wait_for("protects nothing; try again");
    screen.wait_for("New passphrase of alice: ");
    screen.keys("open barley\r");
    screen.wait_for("Repeat passphrase: ");
    screen.keys("open barley\r");
    let shown = screen.wait_for("changed the passphrase");
    assert!(!shown.contains("barley"), "{shown:?}");
    assert_eq!(screen.end(), Some(0));
    let store = Keystore::at(home.keys_directory());
    let changed = store.unlock(&"alice".parse().expect("a name"), "open barley").expect("the new one opens it");
    assert_eq!(changed.public_key(), alice);
}

#[test]
fn bare_secret_is_prompted_without_echo_and_its_passphrase_twice() {
    let home = Home::new();
    let secret = keys::KeyPair::generate().expect("a key").secret_hex().to_string();
    let mut screen = terminal(&home, &["keys", "import", "alice"]);
    screen.wait_for("(not shown): ");
    screen.keys(&format!("{secret}\r"));
    let between = screen.wait_for("Passphrase for the new key: ");
    assert!(!between.contains(&secret), "{between:?}");
    for _ in 0..2 {
        screen.keys("one\r");
        screen.wait_for("Repeat passphrase: ");
        screen.keys("two\r");
        screen.wait_for("the two passphrases differ; try again");
        screen.wait_for("Passphrase for the new key: ");
    }
    screen.keys("\r");
    screen.wait_for("protects nothing");
    assert_eq!(screen.end(), Some(6));
    assert!(!home.keys_directory().exists());
}

#[test]
fn editor_gets_no_passphrase_variables() {
    let home = Home::new();
    let mut command = home.command();
    command.envs([("CIRCLES_NEW_PASSPHRASE", "two"), ("CIRCLES_PASSPHRASE_FILE", "/nowhere")]);
    command.env("VISUAL", "env > seen; echo 40 + 2 >");
    let mut repl = Terminal::run_command(&home, &command, &["repl"]);
    repl.wait_for("scratch> ");
    repl.keys(":edit\r");
    repl.wait_for("40 + 2");
    repl.keys("\r");
    repl.wait_for("42");
    let seen = std::fs::read_to_string(home.path().join("seen")).expect("the editor has run");
    assert!(seen.contains("VISUAL=") && !seen.contains("PASSPHRASE"), "{seen}");
}
