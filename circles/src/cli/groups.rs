//! The commands in groups, for the help of the program.

use std::fmt::Write;

use clap::{Command, Subcommand};

use super::Verb;

/// The groups, and the commands of each.
const GROUPS: &[(&str, &[&str])] = &[
    ("Play", &["tui", "repl", "play", "call", "functions", "store", "watch"]),
    ("Keys", &["keygen", "keys", "known"]),
    ("Run circles", &["init", "new", "up", "status", "logs", "down", "restart", "launch", "serve", "worker"]),
    ("Configure circles", &["admit", "roles", "check", "diff", "reload", "identity"]),
    ("Help", &["config", "doctor", "man", "completions", "openrpc"]),
];

/// Lists the commands in groups, each with what it does.
pub(super) fn list_verbs() -> String {
    let verbs = Verb::augment_subcommands(Command::new("circles"));
    let width = GROUPS.iter().flat_map(|(_, names)| *names).map(|name| name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for (title, names) in GROUPS {
        write!(text, "\n{title}:\n").expect("a string takes it");
        for name in *names {
            let about = verbs.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
            writeln!(text, "  {name:width$}  {}", about.unwrap_or_default()).expect("a string takes it");
        }
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_visible_command_is_in_one_group() {
        let verbs = Verb::augment_subcommands(Command::new("circles"));
        let visible: BTreeSet<&str> =
            verbs.get_subcommands().filter(|verb| !verb.is_hide_set()).map(Command::get_name).collect();
        let listed: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), visible);
        assert_eq!(listed.len(), visible.len(), "a command is listed twice: {listed:?}");
        assert!(list_verbs().contains("  play         Play one script"));
    }
}
