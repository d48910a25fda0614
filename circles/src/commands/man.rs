//! `circles man [COMMAND | --dir DIR]`: the manual page of the program or of a command, or all pages. They come from the same
//! definitions as `--help`; the page of the program adds exit codes, environment variables and files. A terminal gets the
//! page as text, in the user's pager; a pipe gets it in the format of man (roff).

use std::{
    fmt::Write,
    fs,
    io::{self, IsTerminal, stdout},
    path::Path,
};

use clap::{Command, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use unicode_width::UnicodeWidthStr;

use crate::cli::{Cli, ManArgs};
use frontend::{error::CliError, suggest, visible::visible};
use terminal::{
    output::{Paint, stdout_size, to_stderr, to_stdout},
    pager,
};

const EXIT_CODES: &[(&str, &str)] = &[
    ("0", "done; also where nobody reads the output any more"),
    ("1", "the script failed (its own error, parse or runtime), or a function threw or failed"),
    (
        "2",
        "wrong usage or configuration; a function that does not exist or that the role may not call, or parameters that do not fit",
    ),
    (
        "3",
        "circle not reachable, shutting down, the connection was lost, or what answers is no circle; a supervisor that does not answer; a circle that is not up in time, or not ready (circles status NAME); no NATS server reachable",
    ),
    (
        "4",
        "not authenticated, not admitted, or a server that the client does not trust; NATS refuses credentials or a permission",
    ),
    (
        "5",
        "a limit of the circle ended it, the environment was lost, someone else cancelled it, it was busy, rate limited, in conflict, or the store was unavailable",
    ),
    (
        "6",
        "keystore: wrong passphrase, no such key, exists already, open to others; known circles: not known, unreadable, open to others",
    ),
    ("130, 143, 129", "interrupted, terminated, hung up"),
    ("70", "a bug: the message asks to report it"),
];

const ENVIRONMENT: &[(&str, &str)] = &[
    ("CIRCLES_CIRCLE", "the default circle; for circles play also several, separated by commas"),
    ("CIRCLES_PASSPHRASE_FILE", "a file with the passphrase, used instead of a prompt"),
    ("CIRCLES_PASSPHRASE", "the passphrase itself"),
    ("CIRCLES_NEW_PASSPHRASE_FILE, CIRCLES_NEW_PASSPHRASE", "the same for the new passphrase in circles keys passwd"),
    ("CIRCLES_LOG", "how much circles log: error, warn, info, debug or trace"),
    ("CIRCLES_EDIT_MODE", "emacs or vi: key bindings for editing an input"),
    ("VISUAL, EDITOR, PAGER", "the editor and the pager"),
    ("NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID", "set by a service manager, for circles launch and serve"),
    ("SSL_CERT_FILE, SSL_CERT_DIR", "the CAs to trust for wss://, in place of those of the system"),
    ("NO_COLOR, CLICOLOR_FORCE", "no colours; colours even if the output is not a terminal"),
    ("XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME, XDG_RUNTIME_DIR", "directories of the files below"),
];

const FILES: &[(&str, &str)] = &[
    ("./circles.json, ~/.config/circles/circles.json", "the circles, unless --config names another file"),
    ("~/.config/circles/config.toml", "your settings of circles repl and circles tui"),
    ("~/.config/circles/init.rhai", "your init script, which circles repl and circles tui play first in each session"),
    ("~/.local/share/circles/keys/", "the keys, each encrypted with its passphrase"),
    ("~/.local/share/circles/known_circles", "the circles whose identities your clients remember"),
    ("~/.local/state/circles/history/", "the history of inputs, of all circles and keys"),
    ("~/.local/state/circles/identities/", "identities of circles for which circles.json names no file"),
    ("~/.local/state/circles/logs/", "logs and audits of circles"),
    ("~/.local/state/circles/locks/", "locks of supervisors and circles"),
    ("$XDG_RUNTIME_DIR/circles/", "sockets of supervisors"),
];

pub(crate) fn run(args: &ManArgs) -> Result<(), CliError> {
    let mut program = Cli::command();
    program.build();
    let Some(directory) = &args.dir else {
        let command = find(&program, &args.verb)?;
        if stdout().is_terminal() {
            return pager::page(&text_page(command, args.verb.is_empty()));
        }
        let page =
            page(command, args.verb.is_empty()).map_err(|error| CliError::io("cannot write the manual", &error, ""))?;
        return Ok(to_stdout(&page)?);
    };
    let failed = |path: &Path, error: &io::Error| {
        CliError::io(format!("cannot write {}", path.display()), error, "name another directory: --dir DIR")
    };
    fs::create_dir_all(directory).map_err(|error| failed(directory, &error))?;
    let mut pages = Vec::new();
    collect(&program, true, &mut pages);
    for (command, is_program) in &pages {
        let path = directory.join(format!("{}.1", name(command)));
        page(command, *is_program).and_then(|page| fs::write(&path, page)).map_err(|error| failed(&path, &error))?;
    }
    to_stderr(&format!(
        "wrote {} pages; to read them with man, put them into a directory man1 on $MANPATH\n",
        pages.len()
    ));
    Ok(())
}

/// Finds the subcommand with this name, such as `keys list`.
fn find<'a>(program: &'a Command, words: &[String]) -> Result<&'a Command, CliError> {
    words.iter().try_fold(program, |command, word| {
        command.find_subcommand(word).filter(|verb| has_page(verb)).ok_or_else(|| {
            let known = command.get_subcommands().filter(|verb| has_page(verb)).map(Command::get_name);
            let fix = match suggest::nearest(word, known) {
                Some(near) => format!("did you mean '{near}'?"),
                None => "list the commands: circles --help".into(),
            };
            CliError::usage(format!("there is no manual page for '{}'", visible(word)), "there is no such command", fix)
        })
    })
}

/// Excludes hidden commands, and `help`, which repeats all others.
fn has_page(verb: &Command) -> bool {
    !verb.is_hide_set() && verb.get_name() != "help"
}

fn collect<'a>(command: &'a Command, is_program: bool, pages: &mut Vec<(&'a Command, bool)>) {
    pages.push((command, is_program));
    for verb in command.get_subcommands().filter(|verb| has_page(verb)) {
        collect(verb, false, pages);
    }
}

/// The name of a page, such as `circles-play`.
fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn page(command: &Command, is_program: bool) -> io::Result<String> {
    let man = Man::new(command.clone()).source(concat!("circles ", env!("CARGO_PKG_VERSION"))).manual("circles");
    let mut page = Vec::new();
    man.render(&mut page)?;
    let mut more = Roff::new();
    if is_program {
        section(&mut more, "EXIT STATUS", EXIT_CODES);
        section(&mut more, "ENVIRONMENT", ENVIRONMENT);
        section(&mut more, "FILES", FILES);
    } else {
        more.control("SH", ["SEE ALSO"]);
        more.text([bold("circles"), roman("(1) for exit codes, environment and files")]);
    }
    more.to_writer(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// The columns between the margin and the meaning of an entry, below its name.
const INDENT: usize = 10;

/// Formats a page for a terminal.
fn text_page(command: &Command, is_program: bool) -> String {
    let (paint, width) = (Paint::for_stdout(), stdout_size().map_or(80, |(columns, _)| columns.clamp(40, 100)));
    let help = command.clone().render_long_help();
    let help = if paint.is_on() { help.ansi().to_string() } else { help.to_string() };
    let mut text = String::new();
    for line in help.lines() {
        let indent = " ".repeat(line.len() - line.trim_start().len());
        for part in wrapped(line.trim_start(), width.saturating_sub(indent.len())) {
            writeln!(text, "{indent}{part}").expect("a string takes it");
        }
    }
    text.push('\n');
    if is_program {
        let sections = [("Exit status", EXIT_CODES), ("Environment", ENVIRONMENT), ("Files", FILES)];
        for (title, entries) in sections {
            writeln!(text, "{}", paint.with_code("1;4", &format!("{title}:"))).expect("a string takes it");
            for (name, meaning) in entries {
                writeln!(text, "  {}", paint.strong(name)).expect("a string takes it");
                for line in wrapped(meaning, width - INDENT) {
                    writeln!(text, "{}{line}", " ".repeat(INDENT)).expect("a string takes it");
                }
            }
            text.push('\n');
        }
    } else {
        writeln!(text, "{} for exit codes, environment and files", paint.strong("circles man"))
            .expect("a string takes it");
    }
    text
}

/// Breaks a text between words into lines of at most `width` columns, if no word is wider.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let columns = columns(word);
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if used + 1 + columns <= width => {
                line.push(' ');
                line.push_str(word);
                used += 1 + columns;
                continue;
            }
            _ => lines.push(word.to_owned()),
        }
        used = columns;
    }
    lines
}

/// Returns the width of a text on a terminal. The escape sequences of clap's help are styles (`ESC [ … m`), which have
/// none.
fn columns(text: &str) -> usize {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().width();
    first + parts.map(|part| part.split_once('m').map_or(part, |(_, shown)| shown).width()).sum::<usize>()
}

fn section(roff: &mut Roff, title: &str, entries: &[(&str, &str)]) {
    roff.control("SH", [title]);
    for (name, meaning) in entries {
        roff.control("TP", []);
        roff.text([bold(*name)]);
        roff.text([roman(*meaning)]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use terminal::programs::{EDITOR, PAGER};

    /// The documentation lists the XDG directories with the files.
    #[test]
    fn variables_match_the_documentation() {
        let documented = include_str!("../../../docs/operating.md");
        let table = documented.split_once("## Environment variables").and_then(|(_, rest)| rest.split_once("\n## "));
        let rows = table.expect("a section").0.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |"));
        let documented: BTreeSet<String> = rows
            .flat_map(|(names, _)| names.replace('`', "").split(", ").map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let names = ENVIRONMENT.iter().flat_map(|(names, _)| names.split(", "));
        let listed: BTreeSet<String> = names.filter(|name| !name.starts_with("XDG_")).map(str::to_owned).collect();
        assert_eq!(listed, documented);
        assert!([EDITOR, PAGER].iter().flat_map(|program| program.variables).all(|name| listed.contains(*name)));
    }

    #[test]
    fn lines_break_by_columns_and_not_by_bytes() {
        let styled = "\u{1b}[1m\u{1b}[4mone\u{1b}[0m two";
        assert_eq!(wrapped(styled, 7), [styled]);
        assert_eq!(wrapped("äöü ßéè", 7), ["äöü ßéè"]);
        assert_eq!(wrapped("日本 日本 x", 9), ["日本 日本", "x"]);
        assert_eq!(wrapped("a longer_than_wide b", 5), ["a", "longer_than_wide", "b"]);
    }

    #[test]
    fn exit_codes_match_the_documentation() {
        let documented = include_str!("../../../docs/operating.md");
        for (code, meaning) in EXIT_CODES {
            assert!(documented.contains(&format!("| {code} | {meaning} |")), "{code}");
        }
    }
}
