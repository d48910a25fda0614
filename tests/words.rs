//! Texts that users read use the words of the field: no phrase of the list stands in them.

use std::{fs, path::Path};

use crate::support::Home;

/// What is not written, and what is written instead. In lower case, between spaces.
const PHRASES: &[(&str, &str)] = &[
    ("is told", "name who says what to whom"),
    ("are told", "name who says what to whom"),
    ("was told", "name who says what to whom"),
    ("is wanted", "is requested"),
    ("is taken over", "is applied"),
    ("are taken over", "are applied"),
    ("by itself", "automatically, or alone"),
    ("by themselves", "automatically, or alone"),
    ("whoever", "anyone who, or a noun"),
    ("as none does", "name the mistake"),
    ("mend", "fix"),
    ("mends", "fixes"),
    ("mended", "fixed"),
    ("prove a key", "authenticate with a key"),
    ("proves a key", "authenticates with a key"),
    ("proved a key", "authenticated with a key"),
    ("prove the key", "authenticate with the key"),
    ("prove your key", "authenticate"),
    ("proves itself", "authenticates"),
    ("prove themselves", "authenticate"),
    ("has proved", "has authenticated"),
    ("sign of life", "heartbeat"),
    ("signs of life", "heartbeats"),
    ("throw-away", "scratch, temporary"),
    ("nursery", "fork loop"),
    ("patience", "timeout"),
    ("says no circle", "is not a circle"),
    ("or mean it", "or confirm with --OPTION"),
    ("is meant", "name who means it"),
    ("the key to be", "the key to use"),
    ("be another key", "use another key"),
    ("the same again", "repeat passphrase"),
    ("gives way", "has a lower priority"),
    ("without a word", "without a reason"),
    ("no file that can be read", "cannot read"),
    ("comes back by itself", "reconnects automatically"),
];

/// A text as its reader sees it, in lower case: without marks of emphasis, with single spaces, and punctuation apart.
fn plain(text: &str) -> String {
    let mut plain = String::from(" ");
    for character in text.to_lowercase().chars() {
        match character {
            '*' | '`' | '_' => {}
            '-' => plain.push('-'),
            _ if character.is_alphanumeric() => plain.push(character),
            _ if plain.ends_with(' ') => {}
            _ => plain.push(' '),
        }
    }
    plain.push(' ');
    plain
}

/// The phrases of the list in a text.
fn phrases_in(text: &str) -> Vec<&'static (&'static str, &'static str)> {
    let text = plain(text);
    PHRASES.iter().filter(|(phrase, _)| text.contains(&format!(" {phrase} "))).collect()
}

fn check(name: &str, text: &str, failures: &mut Vec<String>) {
    // A phrase may go over a line end, so lines are joined; the line is named where one has all of it.
    for (phrase, instead) in phrases_in(text) {
        let line = text.lines().position(|line| plain(line).contains(&format!(" {phrase} ")));
        let line = line.map(|line| format!(":{}", line + 1)).unwrap_or_default();
        failures.push(format!("{name}{line}: '{phrase}'; write instead: {instead}"));
    }
}

#[test]
fn pages_use_the_words_of_the_field() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut files: Vec<_> =
        ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "protocol/openrpc.json", "worker/README.md"]
            .map(|file| root.join(file))
            .into();
    let docs = fs::read_dir(root.join("docs")).expect("readable").map(|entry| entry.expect("readable").path());
    files.extend(docs.filter(|path| path.is_file()));
    let snapshots = fs::read_dir(root.join("tests/tui/snapshots")).expect("readable");
    files.extend(snapshots.map(|entry| entry.expect("readable").path()));
    assert!(files.len() > 20, "{files:?}");
    let mut failures = Vec::new();
    for file in files {
        check(&file.display().to_string(), &fs::read_to_string(&file).expect("text"), &mut failures);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn help_uses_the_words_of_the_field() {
    let home = Home::new();
    let overview = home.run(&["--help"]).stdout;
    // The commands are in several groups.
    let listed = overview.lines().take_while(|line| *line != "Options:").filter(|line| line.starts_with("  "));
    let verbs: Vec<_> = listed.filter_map(|line| line.split_whitespace().next()).collect();
    assert!(verbs.len() > 15, "{overview}");
    let mut failures = Vec::new();
    check("circles --help", &overview, &mut failures);
    for verb in verbs {
        let help = home.run(&[verb, "--help"]);
        assert_eq!(help.code, Some(0), "{help:?}");
        check(&format!("circles {verb} --help"), &help.stdout, &mut failures);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn phrase_is_found_across_lines_and_marks_and_only_as_words() {
    let found = |text| phrases_in(text).into_iter().map(|(phrase, _)| *phrase).collect::<Vec<_>>();
    assert_eq!(found("Each one **is\n  told** so."), ["is told"]);
    assert_eq!(found("Whoever `mends` it."), ["whoever", "mends"]);
    assert_eq!(found("They recommend it, and this told nobody."), [""; 0]);
}
