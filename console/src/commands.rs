//! The REPL commands. They begin with a colon, which no Rhai script can.

mod call;
mod catalog;
mod circle_functions;
mod dependencies;
mod help;
mod markdown;
mod queries;
pub(crate) mod shorthand;
mod who;

use std::path::{Path, PathBuf};

pub use call::{ArgumentSource, CallArgument, CallCommand, is_plain_value};
pub(crate) use call::{file_name, words as call_words};
pub use catalog::{COMMANDS, CommandSpec};
pub use circle_functions::NO_FUNCTIONS;
pub(crate) use circle_functions::list_functions;
pub(crate) use dependencies::{changes_directory, depends_on_inputs, needs_right_to_play, uses_directory};
pub use dependencies::{may_wait, needs_circle};
use directories::BaseDirs;
pub use help::{help, topics};
use keys::keystore::KeyName;
pub use queries::query;

use frontend::{suggest, visible::visible};

use crate::watch::WatchSubject;

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
    /// Call a function of the circle.
    Call(CallCommand),
    /// List functions whose names match a text, or document the function of the circle with that name.
    Functions(String),
    /// Show the documentation of a function.
    Doc(String),
    /// Show the source of a function of this session's inputs.
    Source(String),
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
    /// Show what changes in the circle's store, or the events of a topic.
    Watch(WatchSubject),
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
    /// A function of the circle, and its arguments.
    Call,
    /// The path of a file.
    File,
    /// A script, which reaches to the end of the input.
    Script,
    /// Circles with commas between them, and a script after a blank.
    CirclesAndScript,
}

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
            "call" => Self::Call(CallCommand::parse(argument)?),
            "functions" => Self::Functions(function_name(argument).to_owned()),
            "doc" => Self::Doc(function_name(argument).to_owned()),
            "source" => Self::Source(argument.trim_end_matches("()").to_owned()),
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
            "watch" => {
                let (kind, name) = split(argument);
                Self::Watch(WatchSubject::parse(kind, name).ok_or_else(usage_error)?)
            }
            "who" => Self::Who,
            "sh" => Self::Shell(argument.to_owned()),
            "cd" => Self::Directory(optional_path(argument)),
            _ => Self::Quit,
        })
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

/// Returns a name without the question mark or the parentheses that a user may have typed behind it.
fn function_name(argument: &str) -> &str {
    argument.trim_end_matches('?').trim_end_matches("()")
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
            ("call", ":call needs NAME PARAM=VALUE…, for example :call order.place item=tea count=2"),
            ("watch stock/", ":watch needs keys KEYS | topic TOPIC, for example :watch keys stock/"),
            ("call price tea", "tea is not a parameter: write PARAM=VALUE"),
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
            ("functions odd.nodoc?", ReplCommand::Functions("odd.nodoc".into())),
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
