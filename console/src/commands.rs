//! The `:` commands, kept apart from what a circle could ever understand.

mod help;
mod queries;

use std::path::{Path, PathBuf};

use directories::BaseDirs;
pub use help::{help, topics};
use keys::keystore::KeyName;
pub use queries::query;

use frontend::{suggest, visible::visible};

/// A command for the REPL itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplCommand {
    /// Everything, or one topic of it.
    Help(String),
    /// Go to another circle.
    Use(String),
    /// Be another key.
    Key(KeyName),
    /// The session's variables.
    Vars,
    /// The functions whose names have that in them.
    Functions(String),
    /// What is known of a function.
    Doc(String),
    /// Play a file.
    Load(PathBuf),
    /// Write what was played as a script.
    Save {
        /// The file to write; `~/` is resolved already.
        file: PathBuf,
        /// Whether to write over a file that is there (`:save!`).
        overwrite: bool,
    },
    /// Write the next input in an editor.
    Edit,
    /// What the last play took, or this one takes.
    Time(String),
    /// The last value as a chart, or that of this script.
    Plot(String),
    /// Play on several circles.
    FanOut {
        /// The circles, each once, as the user named them.
        targets: Vec<String>,
        /// The script to play on each of them.
        script: String,
    },
    /// A fresh environment.
    Reset,
    /// What was typed, as far as that is in it.
    History(String),
    /// Everything that the last play printed and answered.
    Last,
    /// Which circle, as whom.
    Who,
    /// Leave the console.
    Quit,
}

/// What stands behind a command.
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

/// A command, as it is listed.
pub struct CommandSpec {
    /// The word behind the colon.
    pub name: &'static str,
    /// What stands behind it; what may be left out is in brackets.
    pub argument: &'static str,
    /// The kind of the argument, for completion and for where a script begins.
    pub argument_kind: ArgumentKind,
    /// What it does, in a line of the list of commands.
    pub summary: &'static str,
    /// An example, with the colon.
    pub example: &'static str,
    /// What more there is to know.
    details: &'static str,
}

const fn spec(
    name: &'static str,
    argument: &'static str,
    takes: ArgumentKind,
    does: &'static str,
    example: &'static str,
    more: &'static str,
) -> CommandSpec {
    CommandSpec { name, argument, argument_kind: takes, summary: does, example, details: more }
}

/// All commands, in the order in which `:help` lists them.
pub const COMMANDS: &[CommandSpec] = &[
    spec("help", "[TOPIC]", ArgumentKind::Topic, "this, or more on a command or a topic", ":help plot", ""),
    spec(
        "use",
        "WHERE",
        ArgumentKind::Circle,
        "go to another circle; this session is kept",
        ":use team",
        "WHERE is a name in circles.json, a port, host:port or a ws:// URL. :use again comes back to a session as it was.",
    ),
    spec(
        "key",
        "NAME",
        ArgumentKind::Key,
        "be another key",
        ":key alice",
        "A session that has proved no key proves this one, and keeps its variables. One that has gets a session beside it: a session is one key's for good. A passphrase is asked for once.",
    ),
    spec("who", "", ArgumentKind::None, "which circle, and who it takes you for", ":who", ""),
    spec("vars", "", ArgumentKind::None, "the session's variables", ":vars", ""),
    spec(
        "functions",
        "[TEXT]",
        ArgumentKind::Function,
        "the session's functions, and those that fit",
        ":functions trim",
        "With TEXT: those of the session that have it in their names, and those of the circle that begin with it.",
    ),
    spec("doc", "NAME", ArgumentKind::Function, "what a function does, and where it comes from", ":doc push", ""),
    spec(
        "load",
        "FILE",
        ArgumentKind::File,
        "play a file",
        ":load report.rhai",
        "It is played as if it had been typed. A first line that begins with #! is for the shell. ~/ is your home directory.",
    ),
    spec(
        "save",
        "FILE",
        ArgumentKind::File,
        "write what was played here, as a script that runs again",
        ":save work.rhai",
        "The inputs that went well since the session began, in their order: no commands, nothing that failed or was cancelled. A function that was defined again is there once, ans is bound where it is used. :save! writes over a file that is there.",
    ),
    spec(
        "edit",
        "",
        ArgumentKind::None,
        "write the next input in $EDITOR, from the last one",
        ":edit",
        "$VISUAL, then $EDITOR, then what there is. What you leave in the file stands at the prompt then, and Enter plays it. Ctrl-X Ctrl-E does the same with what is being typed.",
    ),
    spec(
        "time",
        "[SCRIPT]",
        ArgumentKind::Script,
        "what the last play took, or this one takes",
        ":time sq(12)",
        "The time in the circle, the operations, and the time until the answer was here.",
    ),
    spec(
        "plot",
        "[SCRIPT]",
        ArgumentKind::Script,
        "the last value as a chart, or this one",
        ":plot [1, 4, 9]",
        "An array of numbers, an array of [x, y], or a map of arrays.",
    ),
    spec(
        "each",
        "A,B SCRIPT",
        ArgumentKind::CirclesAndScript,
        "play on several circles, answers side by side",
        ":each team,9001 40 + 2",
        "Side by side in time, too. Circles that are not connected to yet are, and kept. A circle that cannot be reached keeps none of the others from playing.",
    ),
    spec(
        "last",
        "",
        ArgumentKind::None,
        "all that the last play printed and answered",
        ":last",
        "In $PAGER where it is longer than the screen.",
    ),
    spec(
        "history",
        "[TEXT]",
        ArgumentKind::Text,
        "what was typed on this circle, as this key",
        ":history let",
        "The newest last. A line that begins with a space, or that holds what could be a secret key, is not kept.",
    ),
    spec(
        "reset",
        "",
        ArgumentKind::None,
        "a fresh environment",
        ":reset",
        "Variables, functions and imports are gone. The connection and the key stay.",
    ),
    spec("quit", "", ArgumentKind::None, "leave", ":quit", ""),
];

impl ReplCommand {
    /// Reads what follows the colon; the error says what to type instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (typed, argument) = split(text);
        let name = match typed {
            "h" | "?" => "help",
            "q" | "exit" => "quit",
            "save!" => "save",
            name => name,
        };
        let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
            return Err(unknown_command_error(name));
        };
        if command.argument_kind == ArgumentKind::None && !argument.is_empty() {
            return Err(format!(":{name} takes nothing behind it"));
        }
        let usage_error = || format!(":{name} needs {}: {}", command.argument, command.example);
        if argument.is_empty() && !command.is_argument_optional() {
            return Err(usage_error());
        }
        Ok(match name {
            "help" => Self::Help(argument.trim_start_matches(':').to_owned()),
            "use" => Self::Use(argument.to_owned()),
            "key" => Self::Key(
                argument.parse().map_err(|error| format!("{} is no name of a key: {error}", visible(argument)))?,
            ),
            "vars" => Self::Vars,
            "functions" => Self::Functions(argument.to_owned()),
            "doc" => Self::Doc(argument.trim_end_matches("()").to_owned()),
            "load" => Self::Load(expand_home(argument)),
            "save" => Self::Save { file: expand_home(argument), overwrite: typed.ends_with('!') },
            "edit" => Self::Edit,
            "time" => Self::Time(argument.to_owned()),
            "plot" => Self::Plot(argument.to_owned()),
            "each" => match split(argument) {
                (_, "") => return Err(usage_error()),
                // With a blank behind the comma the second circle would be a part of the script.
                (places, _) if places.ends_with(',') => return Err(usage_error()),
                (places, script) => Self::FanOut { targets: split_list(places), script: script.to_owned() },
            },
            "reset" => Self::Reset,
            "history" => Self::History(argument.to_owned()),
            "last" => Self::Last,
            "who" => Self::Who,
            _ => Self::Quit,
        })
    }
}

impl CommandSpec {
    /// Whether it means something with nothing behind it.
    fn is_argument_optional(&self) -> bool {
        self.argument.is_empty() || self.argument.starts_with('[')
    }
}

/// Whether an input is carried out with the help of the session's circle. Some commands the console obeys alone, and
/// `:each` is for other circles.
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
        Some(Ok(ReplCommand::History(_) | ReplCommand::Last | ReplCommand::Save { .. })) => false,
        Some(Ok(ReplCommand::Time(script) | ReplCommand::Plot(script))) => !script.is_empty(),
        Some(Ok(_)) | None => true,
    }
}

/// The Rhai in an input, and the byte that it begins at: all of it, unless it is a `:` command, which may have some at its end.
pub fn script_part(input: &str) -> Option<(usize, &str)> {
    let Some(at) = input.find(|character: char| !character.is_whitespace()) else { return Some((0, input)) };
    let Some(command) = input[at..].strip_prefix(':') else { return Some((0, input)) };
    let begin = input.len() - command.len();
    let end =
        |text: &str| text.char_indices().find(|(_, end)| end.is_whitespace()).map(|(at, end)| at + end.len_utf8());
    let name_end = end(command)?;
    let takes = COMMANDS.iter().find(|known| known.name == command[..name_end].trim_end())?.argument_kind;
    let begin = match takes {
        ArgumentKind::Script => begin + name_end,
        ArgumentKind::CirclesAndScript => begin + name_end + end(&command[name_end..])?,
        _ => return None,
    };
    Some((begin, &input[begin..]))
}

/// The first word, and what follows.
fn split(text: &str) -> (&str, &str) {
    let (word, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
    (word, rest.trim())
}

/// What is listed with commas between, once each.
pub fn split_list(text: &str) -> Vec<String> {
    let mut listed: Vec<String> = Vec::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        if !listed.iter().any(|before| before == item) {
            listed.push(item.to_owned());
        }
    }
    listed
}

/// A file as it is typed: `~/` is the home directory.
pub fn expand_home(typed: &str) -> PathBuf {
    match (typed.strip_prefix("~/"), BaseDirs::new()) {
        (Some(below), Some(dirs)) => dirs.home_dir().join(below),
        _ => Path::new(typed).to_owned(),
    }
}

fn unknown_command_error(name: &str) -> String {
    let name = visible(name);
    match suggest::nearest(&name, COMMANDS.iter().map(|command| command.name)) {
        Some(near) => format!("there is no :{name}; did you mean :{near}?"),
        None => format!("there is no :{name}; :help lists what there is"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_command_suggests_the_nearest() {
        let cases = [
            ("hlep", "there is no :hlep; did you mean :help?"),
            ("xyzzy", "there is no :xyzzy; :help lists what there is"),
            ("doc", ":doc needs NAME: :doc push"),
            ("quit now", ":quit takes nothing behind it"),
            ("each team, lab 1", ":each needs A,B SCRIPT: :each team,9001 40 + 2"),
            ("each team", ":each needs A,B SCRIPT: :each team,9001 40 + 2"),
            ("key a/b", "a/b is no name of a key: "),
        ];
        for (typed, said) in cases {
            let hint = ReplCommand::parse(typed).expect_err(typed);
            assert!(hint.starts_with(said), "{hint}");
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
        for (typed, meta) in cases {
            assert_eq!(ReplCommand::parse(typed).as_ref(), Ok(&meta), "{typed}");
        }
    }

    #[test]
    fn commands_list_has_only_valid_commands() {
        for command in COMMANDS {
            assert!(ReplCommand::parse(&command.example[1..]).is_ok(), "{}", command.example);
        }
    }

    #[test]
    fn commands_of_the_console_alone_need_no_circle() {
        let alone =
            [":help", ":hlep", ":quit", ":use lab", ":edit", ":history a", ":last", ":save x", ":time", ":plot"];
        let with_circle =
            ["1 + 1", ":time 1", ":plot [1]", ":load x", ":vars", ":functions", ":reset", ":who", ":key alice"];
        assert!(alone.iter().all(|input| !needs_circle(input)) && !needs_circle(":each a 1"));
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
