//! The REPL commands. They begin with a colon, which no Rhai script can.

mod help;
mod queries;

use std::path::{Path, PathBuf};

use directories::BaseDirs;
pub use help::{help, topics};
use keys::keystore::KeyName;
pub use queries::query;

use frontend::{suggest, visible::visible};

/// A parsed REPL command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplCommand {
    /// Show help on a topic, or all help if the topic is empty.
    Help(String),
    /// Switch to another circle.
    Use(String),
    /// Switch to another key.
    Key(KeyName),
    /// List the session's variables.
    Vars,
    /// List functions whose names match a text.
    Functions(String),
    /// Show the documentation of a function.
    Doc(String),
    /// Play a file.
    Load(PathBuf),
    /// Save the inputs as a script.
    Save {
        /// The file to write; `~/` is resolved already.
        file: PathBuf,
        /// Whether to overwrite an existing file (`:save!`).
        overwrite: bool,
    },
    /// List the inputs of a lost session, or play them again.
    Replay {
        /// Whether to play them (`:replay!`).
        is_confirmed: bool,
    },
    /// Show the value of an earlier input, or list the values that are kept.
    Out(Option<usize>),
    /// Copy the last value to the clipboard.
    Copy {
        /// Whether to copy it as JSON.
        is_json: bool,
    },
    /// Show the last value as JSON, or write it to a file.
    Json {
        /// The file to write; `~/` is resolved already.
        file: Option<PathBuf>,
        /// Whether to overwrite an existing file (`:json!`).
        overwrite: bool,
    },
    /// Edit the next input in an editor.
    Edit,
    /// Time the last play, or this script.
    Time(String),
    /// Time a script over many runs.
    TimeIt(String),
    /// Plot the last value, or the value of this script.
    Plot(String),
    /// Play on several circles.
    FanOut {
        /// The circles, each once, as the user named them.
        targets: Vec<String>,
        /// The script to play on each of them.
        script: String,
    },
    /// Replace the environment with a new one.
    Reset,
    /// List the inputs that contain a text.
    History(String),
    /// Show all output and the value of the last play.
    Last,
    /// Show the circle and the caller's identity.
    Who,
    /// Run a command in the user's shell, or open a shell if the command is empty.
    Shell(String),
    /// Change the directory of files and shell commands, or show it.
    Directory(Option<PathBuf>),
    /// Leave the console.
    Quit,
}

/// The kind of a command's argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgumentKind {
    /// No argument.
    None,
    /// A command or a topic of the help.
    Topic,
    /// A circle: a name, a port, `host:port` or a URL.
    Circle,
    /// The name of a key in the keystore.
    Key,
    /// Text to search for.
    Text,
    /// The name of a function.
    Function,
    /// The path of a file.
    File,
    /// A script, which reaches to the end of the input.
    Script,
    /// Circles with commas between them, and a script after a blank.
    CirclesAndScript,
}

/// The description of a command.
pub struct CommandSpec {
    /// The name, without the colon.
    pub name: &'static str,
    /// The argument as shown in the help; optional arguments are in brackets.
    pub argument: &'static str,
    /// The kind of the argument, for completion and for where a script begins.
    pub argument_kind: ArgumentKind,
    /// The summary in the list of commands.
    pub summary: &'static str,
    /// An example, with the colon.
    pub example: &'static str,
    /// Details for `:help NAME`.
    details: &'static str,
}

const fn spec(
    name: &'static str,
    argument: &'static str,
    argument_kind: ArgumentKind,
    summary: &'static str,
    example: &'static str,
    details: &'static str,
) -> CommandSpec {
    CommandSpec { name, argument, argument_kind, summary, example, details }
}

/// All commands, in the order in which `:help` lists them.
pub const COMMANDS: &[CommandSpec] = &[
    spec("help", "[TOPIC]", ArgumentKind::Topic, "show this help, or help on a command or topic", ":help plot", ""),
    spec(
        "use",
        "WHERE",
        ArgumentKind::Circle,
        "switch to another circle; this session is kept",
        ":use team",
        "WHERE is a name in circles.json, a port, host:port or a ws:// URL. Each circle keeps its session: :use returns to it.",
    ),
    spec(
        "key",
        "NAME",
        ArgumentKind::Key,
        "switch to another key",
        ":key alice",
        "An anonymous session authenticates with the key and keeps its variables. A session that has a key gets a second session beside it, because a session cannot change its key. You type each passphrase only once.",
    ),
    spec("who", "", ArgumentKind::None, "show the circle, and who you are on it", ":who", ""),
    spec("vars", "", ArgumentKind::None, "list the session's variables", ":vars", ""),
    spec(
        "functions",
        "[TEXT]",
        ArgumentKind::Function,
        "list the session's functions, or search all functions",
        ":functions trim",
        "With TEXT: the session's functions whose names contain TEXT, and the circle's functions whose names begin with it.",
    ),
    spec("doc", "NAME", ArgumentKind::Function, "show what a function does, and where it comes from", ":doc push", ""),
    spec(
        "load",
        "FILE",
        ArgumentKind::File,
        "play a file",
        ":load report.rhai",
        "The file is played as if you had typed it. A first line that begins with #! is skipped. ~/ is your home directory.",
    ),
    spec(
        "save",
        "FILE",
        ArgumentKind::File,
        "save your inputs as a script that runs again",
        ":save work.rhai",
        "Saves the successful inputs of the session in their order, without commands and without inputs that failed or were cancelled. A redefined function is saved once, and ans is bound where it is used. :save! overwrites an existing file.",
    ),
    spec(
        "replay",
        "",
        ArgumentKind::None,
        "list the inputs of a lost session, to run them again",
        ":replay",
        "Lists the successful inputs of the session that was lost or reset. :replay! then runs them in this session, one after the other, and stops at the first that fails. What they did outside of the session, they do again.",
    ),
    spec(
        "out",
        "[N]",
        ArgumentKind::Text,
        "list the last values, or show the value of input N again",
        ":out 3",
        "Keeps the last 32 values, and at most 8 MiB of them. The list shows the number of each input, counted from the start of this session.",
    ),
    spec(
        "copy",
        "[json]",
        ArgumentKind::Text,
        "copy the last value to the clipboard, as text or as JSON",
        ":copy json",
        "The terminal copies it (OSC 52), also over ssh, if it can. Terminals take at most 64 KiB.",
    ),
    spec(
        "json",
        "[FILE]",
        ArgumentKind::File,
        "show the last value as JSON, or write it to FILE",
        ":json stock.json",
        ":json! FILE overwrites an existing file.",
    ),
    spec(
        "edit",
        "",
        ArgumentKind::None,
        "edit the next input in $EDITOR, beginning with the last one",
        ":edit",
        "Uses $VISUAL, then $EDITOR, then an editor that is installed. The edited text appears at the prompt, and Enter plays it. Ctrl-X Ctrl-E edits the current input in the same way.",
    ),
    spec(
        "time",
        "[SCRIPT]",
        ArgumentKind::Script,
        "time the last play, or SCRIPT",
        ":time sq(12)",
        "Shows the time in the circle, the number of operations and the round-trip time.",
    ),
    spec(
        "timeit",
        "SCRIPT",
        ArgumentKind::Script,
        "time SCRIPT over many runs",
        ":timeit sq(12)",
        "Runs SCRIPT for about a second, at most 1000 times, and shows the median and the range. Ctrl-C stops it. Shows the prints of the first run. The effects of every run are kept, but :save and :replay leave them out.",
    ),
    spec(
        "plot",
        "[SCRIPT]",
        ArgumentKind::Script,
        "plot the last value, or the value of SCRIPT",
        ":plot [1, 4, 9]",
        "Plots an array of numbers, an array of [x, y] pairs, or a map of arrays.",
    ),
    spec(
        "each",
        "A,B SCRIPT",
        ArgumentKind::CirclesAndScript,
        "play on several circles, answers side by side",
        ":each team,9001 40 + 2",
        "The circles play at the same time. New connections are kept. If one circle cannot be reached, the others still play.",
    ),
    spec(
        "last",
        "",
        ArgumentKind::None,
        "show all output and the value of the last play",
        ":last",
        "If it is longer than the screen, circles repl opens $PAGER. circles tui shows it in a window.",
    ),
    spec(
        "history",
        "[TEXT]",
        ArgumentKind::Text,
        "list your inputs on this circle with this key",
        ":history let",
        "The newest input is last. The history skips lines that begin with a space or may contain a secret key.",
    ),
    spec(
        "reset",
        "",
        ArgumentKind::None,
        "start over with a new environment",
        ":reset",
        "Removes variables, functions and imports. The connection and the key stay.",
    ),
    spec(
        "sh",
        "[COMMAND]",
        ArgumentKind::Text,
        "run a command in your shell, or open a shell",
        ":sh ls -l",
        "Runs on this machine, as you, in the directory that :cd shows. The circle sees nothing of it. Passphrase variables are removed from its environment.",
    ),
    spec(
        "cd",
        "[DIRECTORY]",
        ArgumentKind::File,
        "change the directory of :load, :save, :json and :sh, or show it",
        ":cd ~/scripts",
        "Nothing else changes: circles.json and its paths stay where they are.",
    ),
    spec("quit", "", ArgumentKind::None, "leave", ":quit", ""),
];

impl ReplCommand {
    /// Parses the text after the colon. The error says what to type instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (typed, argument) = split(text);
        let name = match typed {
            "h" | "?" => "help",
            "q" | "exit" => "quit",
            "save!" => "save",
            "replay!" => "replay",
            "json!" => "json",
            name => name,
        };
        let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
            return Err(unknown_command_error(name));
        };
        if command.argument_kind == ArgumentKind::None && !argument.is_empty() {
            return Err(format!(":{name} takes no argument"));
        }
        let usage_error = || format!(":{name} needs {}, for example {}", command.argument, command.example);
        if argument.is_empty() && !command.is_argument_optional() {
            return Err(usage_error());
        }
        Ok(match name {
            "help" => Self::Help(argument.trim_start_matches(':').to_owned()),
            "use" => Self::Use(argument.to_owned()),
            "key" => Self::Key(
                argument.parse().map_err(|error| format!("{} is not a valid key name: {error}", visible(argument)))?,
            ),
            "vars" => Self::Vars,
            "functions" => Self::Functions(argument.to_owned()),
            "doc" => Self::Doc(argument.trim_end_matches("()").to_owned()),
            "load" => Self::Load(expand_home(argument)),
            "save" => Self::Save { file: expand_home(argument), overwrite: typed.ends_with('!') },
            "replay" => Self::Replay { is_confirmed: typed.ends_with('!') },
            "out" if argument.is_empty() => Self::Out(None),
            "out" => match argument.parse() {
                Ok(number) => Self::Out(Some(number)),
                Err(_) => return Err(":out needs the number of an input, for example :out 3".to_owned()),
            },
            "copy" => match argument {
                "" => Self::Copy { is_json: false },
                "json" => Self::Copy { is_json: true },
                _ => return Err(":copy copies the last value as text, and :copy json as JSON".to_owned()),
            },
            "json" if argument.is_empty() && typed.ends_with('!') => return Err(":json! needs FILE".to_owned()),
            "json" => Self::Json { file: optional_path(argument), overwrite: typed.ends_with('!') },
            "edit" => Self::Edit,
            "time" => Self::Time(argument.to_owned()),
            "timeit" => Self::TimeIt(argument.to_owned()),
            "plot" => Self::Plot(argument.to_owned()),
            "each" => match split(argument) {
                (_, "") => return Err(usage_error()),
                // After `a, b` the second circle would become part of the script.
                (targets, _) if targets.ends_with(',') => return Err(usage_error()),
                (targets, script) => Self::FanOut { targets: split_list(targets), script: script.to_owned() },
            },
            "reset" => Self::Reset,
            "history" => Self::History(argument.to_owned()),
            "last" => Self::Last,
            "who" => Self::Who,
            "sh" => Self::Shell(argument.to_owned()),
            "cd" => Self::Directory(optional_path(argument)),
            _ => Self::Quit,
        })
    }
}

impl CommandSpec {
    /// Whether the command works without an argument.
    fn is_argument_optional(&self) -> bool {
        self.argument.is_empty() || self.argument.starts_with('[')
    }
}

/// Whether an input needs the session's circle. The console carries out some commands itself, and `:each` plays on
/// other circles.
pub fn needs_circle(input: &str) -> bool {
    match input.trim().strip_prefix(':').map(ReplCommand::parse) {
        Some(
            Err(_)
            | Ok(
                ReplCommand::Help(_)
                | ReplCommand::Quit
                | ReplCommand::Use(_)
                | ReplCommand::Edit
                | ReplCommand::FanOut { .. },
            ),
        ) => false,
        Some(Ok(
            ReplCommand::History(_)
            | ReplCommand::Last
            | ReplCommand::Save { .. }
            | ReplCommand::Out(_)
            | ReplCommand::Copy { .. }
            | ReplCommand::Json { .. }
            | ReplCommand::Shell(_)
            | ReplCommand::Directory(_)
            | ReplCommand::Replay { is_confirmed: false },
        )) => false,
        Some(Ok(ReplCommand::Time(script) | ReplCommand::Plot(script))) => !script.is_empty(),
        Some(Ok(_)) | None => true,
    }
}

/// Returns the Rhai script in an input and its start in bytes: the whole input, or the script at the end of a command.
pub fn script_part(input: &str) -> Option<(usize, &str)> {
    let Some(at) = input.find(|character: char| !character.is_whitespace()) else { return Some((0, input)) };
    let Some(command) = input[at..].strip_prefix(':') else { return Some((0, input)) };
    let begin = input.len() - command.len();
    let end =
        |text: &str| text.char_indices().find(|(_, end)| end.is_whitespace()).map(|(at, end)| at + end.len_utf8());
    let name_end = end(command)?;
    let argument_kind = COMMANDS.iter().find(|known| known.name == command[..name_end].trim_end())?.argument_kind;
    let begin = match argument_kind {
        ArgumentKind::Script => begin + name_end,
        ArgumentKind::CirclesAndScript => begin + name_end + end(&command[name_end..])?,
        _ => return None,
    };
    Some((begin, &input[begin..]))
}

/// Splits a text into the first word and the rest.
fn split(text: &str) -> (&str, &str) {
    let (word, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
    (word, rest.trim())
}

/// Splits a comma-separated list, and removes duplicates.
pub fn split_list(text: &str) -> Vec<String> {
    let mut listed: Vec<String> = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        if !listed.iter().any(|before| before == item) {
            listed.push(item.to_owned());
        }
    }
    listed
}

/// Whether a command uses the directory that `:cd` changes.
pub fn uses_directory(input: &str) -> bool {
    matches!(
        input.trim().strip_prefix(':').map(ReplCommand::parse),
        Some(Ok(ReplCommand::Load(_)
            | ReplCommand::Save { .. }
            | ReplCommand::Json { .. }
            | ReplCommand::Shell(_)
            | ReplCommand::Directory(_)))
    )
}

fn optional_path(argument: &str) -> Option<PathBuf> {
    (!argument.is_empty()).then(|| expand_home(argument))
}

/// Converts a typed path, and expands `~` to the home directory.
pub fn expand_home(typed: &str) -> PathBuf {
    let below = if typed == "~" { Some("") } else { typed.strip_prefix("~/") };
    match (below, BaseDirs::new()) {
        (Some(below), Some(dirs)) => dirs.home_dir().join(below),
        _ => Path::new(typed).to_owned(),
    }
}

fn unknown_command_error(name: &str) -> String {
    let name = visible(name);
    match suggest::nearest(&name, COMMANDS.iter().map(|command| command.name)) {
        Some(near) => format!("there is no :{name}; did you mean :{near}?"),
        None => format!("there is no :{name}; :help lists the commands"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_command_suggests_the_nearest() {
        let cases = [
            ("hlep", "there is no :hlep; did you mean :help?"),
            ("xyzzy", "there is no :xyzzy; :help lists the commands"),
            ("doc", ":doc needs NAME, for example :doc push"),
            ("quit now", ":quit takes no argument"),
            ("each team, lab 1", ":each needs A,B SCRIPT, for example :each team,9001 40 + 2"),
            ("each team", ":each needs A,B SCRIPT, for example :each team,9001 40 + 2"),
            ("key a/b", "a/b is not a valid key name: "),
            ("out last", ":out needs the number of an input, for example :out 3"),
            ("out -1", ":out needs the number of an input, for example :out 3"),
            ("copy xml", ":copy copies the last value as text, and :copy json as JSON"),
            ("json!", ":json! needs FILE"),
            ("timeit", ":timeit needs SCRIPT, for example :timeit sq(12)"),
        ];
        for (typed, expected) in cases {
            let hint = ReplCommand::parse(typed).expect_err(typed);
            assert!(hint.starts_with(expected), "{hint}");
        }
    }

    #[test]
    fn command_is_parsed_with_its_argument() {
        let cases = [
            (" quit ", ReplCommand::Quit),
            ("q", ReplCommand::Quit),
            ("doc  push() ", ReplCommand::Doc("push".into())),
            ("help :plot", ReplCommand::Help("plot".into())),
            ("save! a b.rhai", ReplCommand::Save { file: "a b.rhai".into(), overwrite: true }),
            ("save x", ReplCommand::Save { file: "x".into(), overwrite: false }),
            ("time", ReplCommand::Time(String::new())),
            ("time 1 +\n2", ReplCommand::Time("1 +\n2".into())),
            (
                "each a,b,,a 1 + 2",
                ReplCommand::FanOut { targets: vec!["a".into(), "b".into()], script: "1 + 2".into() },
            ),
        ];
        for (typed, command) in cases {
            assert_eq!(ReplCommand::parse(typed).as_ref(), Ok(&command), "{typed}");
        }
    }

    #[test]
    fn commands_list_has_only_valid_commands() {
        for command in COMMANDS {
            assert!(ReplCommand::parse(&command.example[1..]).is_ok(), "{}", command.example);
        }
    }

    #[test]
    fn local_commands_need_no_circle() {
        let local = [
            ":help",
            ":hlep",
            ":quit",
            ":use lab",
            ":edit",
            ":history a",
            ":last",
            ":save x",
            ":time",
            ":plot",
            ":replay",
            ":out 3",
            ":copy",
            ":json",
            ":sh ls",
            ":cd",
        ];
        let with_circle = [
            "1 + 1",
            ":time 1",
            ":plot [1]",
            ":load x",
            ":vars",
            ":functions",
            ":reset",
            ":who",
            ":key alice",
            ":replay!",
            ":timeit 1",
        ];
        assert!(local.iter().all(|input| !needs_circle(input)) && !needs_circle(":each a 1"));
        assert!(with_circle.iter().all(|input| needs_circle(input)));
    }

    #[test]
    fn script_part_of_a_command_is_found() {
        let cases = [
            ("1 + 2", Some((0, "1 + 2"))),
            (":time 1 + 2", Some((6, "1 + 2"))),
            (" :time\n1", Some((7, "1"))),
            (":each a,b f(x)", Some((10, "f(x)"))),
            (":each a,b", None),
            (":time", None),
            (":load x", None),
            (":nothing x", None),
            (":time\u{a0}1", Some((7, "1"))),
            (":each\u{3000}a,b\u{3000}1", Some((14, "1"))),
            ("", Some((0, ""))),
        ];
        for (input, found) in cases {
            assert_eq!(script_part(input), found, "{input}");
        }
    }
}
