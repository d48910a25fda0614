//! Snapshots of each view at two sizes. `INSTA_UPDATE=always` records them anew; review them before you commit them.

use ::keys::{
    KeyPair, identity_file,
    keystore::{Keystore, WorkFactor},
};

use super::{TuiScreen, free_port};
use crate::support::{Home, PASSPHRASE};

const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];

/// Replaces text that differs between runs, keeping its width.
fn settled(screen: &str, ports: &[u16]) -> String {
    let mut lines: Vec<String> = screen.lines().map(str::to_owned).collect();
    let mut is_detail = false;
    for line in &mut lines {
        is_detail = line.starts_with(['│', '┃']) && (is_detail || line.starts_with("│──") || line.starts_with("┃──"));
        if is_detail {
            *line = without_details(line);
        }
        for (index, port) in ports.iter().enumerate() {
            *line = line.replace(&port.to_string(), &format!("PORT{}", index + 1));
        }
        for seconds in 0..60 {
            let (shown, blanks) = (format!(" {seconds}s "), " ".repeat(seconds.to_string().len()));
            *line = line.replace(&shown, &format!(" 0s{blanks}"));
        }
        *line = without_pid(&without_time(line));
        // Lines of a log contain times.
        if line.contains(" INFO session{") || line.contains(" listening on ") {
            *line = String::from("│(a line of the log)");
        }
    }
    lines.join("\n")
}

/// Replaces the details of the selected circle, which follow the reports of its process.
fn without_details(line: &str) -> String {
    let is_border = |character: &char| matches!(character, '│' | '┃' | '┤' | '┨');
    let mut characters: Vec<char> = line.chars().collect();
    let end = characters.iter().skip(1).position(is_border).map_or(characters.len(), |at| at + 1);
    for character in &mut characters[1..end] {
        *character = '·';
    }
    characters.into_iter().collect()
}

/// Replaces the process id in the border of the logs.
fn without_pid(line: &str) -> String {
    let Some((before, rest)) = line.split_once(" · pid ") else { return line.to_owned() };
    let digits = rest.chars().take_while(char::is_ascii_digit).count();
    let (details, mode) = rest[digits..].split_once("follow").expect("the mode is told");
    let border = details.chars().last().expect("a border").to_string();
    format!("{before} · pid 0{details}{}follow{mode}", border.repeat(digits - 1))
}

/// Replaces the duration of a play at the end of the REPL's border.
fn without_time(line: &str) -> String {
    let characters: Vec<char> = line.chars().collect();
    let is_border = |character: char| matches!(character, '━' | '─');
    let Some(end) = characters.iter().rposition(|character| *character == 's') else { return line.to_owned() };
    let begin = characters[..end].iter().rposition(|character| is_border(*character)).map(|at| at + 1);
    let Some(begin) = begin.filter(|begin| characters[*begin..end].iter().any(char::is_ascii_digit)) else {
        return line.to_owned();
    };
    if !characters[begin..end].iter().all(|character| matches!(character, '0'..='9' | '.' | ' ' | 'm' | 'µ')) {
        return line.to_owned();
    }
    let before: String = characters[..begin].iter().collect();
    let after: String = characters[end + 1..].iter().collect();
    format!("{before}{:━>width$}{after}", "1 ms", width = end + 1 - begin)
}

fn snap(name: &str, (width, height): (u16, u16), screen: &str, ports: &[u16]) {
    insta::assert_snapshot!(format!("{name}_{width}x{height}"), settled(screen, ports));
}

fn start(size: (u16, u16), home: Home) -> (TuiScreen, [u16; 2]) {
    let ports = [free_port(), free_port()];
    // Created in advance: the log line about a new identity differs in length.
    identity_file::load_or_create(&home.path().join("circle.identity")).expect("made");
    let config = format!(
        r#"{{ "circles": [
            {{ "name": "sandbox", "port": {}, "identity": "circle.identity" }},
            {{ "name": "team", "port": {}, "identity": "circle.identity", "access": "members", "members": [] }}
        ] }}"#,
        ports[0], ports[1]
    );
    let mut screen = TuiScreen::start_in(home, &config, size);
    screen.wait_until("both circles", |shown| shown.matches("down").count() >= 3 && shown.contains("○ 2 down"));
    (screen, ports)
}

/// A home with a fixed key.
fn home_of_alice() -> Home {
    let home = Home::new();
    let keypair = KeyPair::from_secret_hex(&"01".repeat(32)).expect("a key");
    Keystore::at(home.keys_directory())
        .create(&"alice".parse().expect("a name"), &keypair, PASSPHRASE, WorkFactor::Log2(1))
        .expect("stored");
    home
}

#[test]
fn first_start_screen() {
    for size in SIZES {
        let (mut screen, ports) = start(size, Home::new());
        let shown = screen.wait_for("n makes one");
        snap("first_start", size, &shown, &ports);
        screen.press(&["n"]);
        let shown = screen.wait_for("New key");
        snap("new_key", size, &shown, &ports);
    }
}

#[test]
fn session_screen() {
    for size in SIZES {
        let (mut screen, ports) = start(size, home_of_alice());
        screen.wait_for("▌alice");
        screen.press(&["Down", "Enter"]);
        screen.wait_for("connected to sandbox");
        screen.wait_for_row(">");
        screen.write("fn sq(x) {\nx * x\n}\n");
        screen.write("sq(12)\n");
        screen.wait_for_row("144");
        screen.write("#{ name: \"tea\", stock: [1, 2.5, true] }\n");
        screen.wait_for_row("#{");
        screen.write("[1, 2, 3].map(|x| x * y)\n");
        screen.wait_for("error: Variable not found: y");
        screen.write("let total = [\n1,");
        let shown = screen.wait_until("the input, and the log of the last play", |shown| {
            shown.contains("| 1,")
                && shown.contains("✓")
                && shown.contains("script error")
                && shown.contains("1 connection")
        });
        snap("session", size, &shown, &ports);
    }
}

#[test]
fn logs_screen() {
    for size in SIZES {
        let (mut screen, ports) = start(size, home_of_alice());
        screen.wait_for("▌alice");
        screen.press(&["S"]);
        screen.wait_until("both circles", |shown| {
            shown.contains(&format!("● sandbox {}", ports[0])) && shown.contains(&format!("● team {}", ports[1]))
        });
        screen.press(&["Down", "4"]);
        let is_there = |shown: &str| shown.contains("listening on") && shown.contains("0 connections");
        let shown = screen.wait_until("its log", |shown| is_there(shown) && shown.contains("l level"));
        snap("logs", size, &shown, &ports);
    }
}

#[test]
fn help_and_palette_screens() {
    for size in SIZES {
        let (mut screen, ports) = start(size, home_of_alice());
        screen.wait_for("▌alice");
        screen.press(&["2", "?"]);
        let shown = screen.wait_for("Everywhere");
        snap("help", size, &shown, &ports);
        screen.press(&["Esc", "C-p"]);
        screen.write("start");
        let shown = screen.wait_for("> start");
        snap("palette", size, &shown, &ports);
    }
}

#[test]
fn narrow_screens() {
    let (mut screen, ports) = start((80, 24), home_of_alice());
    screen.wait_for("▌alice");
    screen.resize(60, 16);
    let shown = screen.wait_until("tabs", |shown| shown.lines().count() == 16);
    snap("circles", (60, 16), &shown, &ports);
    screen.resize(30, 8);
    let shown = screen.wait_until("a sentence", |shown| shown.lines().count() == 8);
    snap("sentence", (30, 8), &shown, &ports);
}
