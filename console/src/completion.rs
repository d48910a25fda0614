//! Tab completion: scripts are completed by the circle, REPL commands locally.

mod call;
mod circle;

use std::path::PathBuf;

pub(crate) use self::circle::KnownNames;
pub use self::circle::{CircleCompletion, CompletionScope};
use crate::{
    commands::{self, ArgumentKind, COMMANDS, CommandSpec},
    directory::WorkingDirectory,
};

/// The maximum number of candidates, as in the protocol.
const MAX_CANDIDATES: usize = 200;

/// The maximum number of directory entries to read.
const MAX_LISTED: usize = 10_000;

/// The candidates for the word before the cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompletionList {
    /// The input that the candidates are for.
    pub input: String,
    /// The start of the word to replace, in characters of the input.
    pub start: usize,
    /// The cursor, which is the end of the word to replace, in characters of the input.
    pub cursor: usize,
    /// The candidates, in the order to offer them.
    pub candidates: Vec<CompletionItem>,
}

/// A candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletionItem {
    /// The text that replaces the word.
    pub text: String,
    /// A type, a signature, or the summary of a command.
    pub detail: String,
}

/// The source of the candidates for an input.
#[derive(Debug, PartialEq, Eq)]
pub enum CompletionSource {
    /// The candidates are known locally.
    Local(CompletionList),
    /// The circle knows the candidates.
    Circle(CircleCompletion),
}

/// Returns the source of the candidates at a cursor. `known` returns local candidates for the argument of a REPL
/// command, by its kind and prefix.
pub fn completion_source(
    input: &str,
    cursor: usize,
    known: impl FnOnce(ArgumentKind, &str) -> Vec<CompletionItem>,
) -> CompletionSource {
    let before: String = input.chars().take(cursor).collect();
    let Some(command) = before.trim_start().strip_prefix(':') else {
        let (script, scope) = (input.to_owned(), CompletionScope::Names);
        return CompletionSource::Circle(CircleCompletion { script, cursor, offset: 0, scope });
    };
    let local = |word: &str, candidates: Vec<CompletionItem>| {
        let start = cursor.saturating_sub(word.chars().count());
        let candidates = candidates.into_iter().filter(|candidate| candidate.extends(word)).collect();
        CompletionSource::Local(CompletionList { input: input.to_owned(), start, cursor, candidates })
    };
    let Some((name, argument)) = command.split_once(char::is_whitespace) else { return local(command, commands()) };
    if let Some((begin, _)) = commands::script_part(&before) {
        let offset = before[..begin].chars().count();
        let script = input.chars().skip(offset).collect();
        let scope = CompletionScope::Names;
        return CompletionSource::Circle(CircleCompletion { script, cursor: cursor - offset, offset, scope });
    }
    let argument = argument.trim_start();
    let argument_kind =
        COMMANDS.iter().find(|command| command.name == name.trim_end_matches('!')).map(|command| command.argument_kind);
    match argument_kind {
        Some(ArgumentKind::Function) => {
            let word = argument.chars().count();
            let scope = match name {
                "source" => CompletionScope::OwnFunctions,
                "functions" => CompletionScope::AllFunctions,
                _ => CompletionScope::Functions,
            };
            let script = argument.to_owned();
            CompletionSource::Circle(CircleCompletion { script, cursor: word, offset: cursor - word, scope })
        }
        Some(ArgumentKind::Call) => {
            if let Some(file) = call::file_before_cursor(argument) {
                let candidates = known(ArgumentKind::File, &call::file_prefix(file));
                return local(file, candidates.into_iter().map(call::file_candidate).collect());
            }
            let length = argument.chars().count();
            let offset = cursor - length;
            let script: String = input.chars().skip(offset).collect();
            let scope = CompletionScope::Call;
            CompletionSource::Circle(CircleCompletion { script, cursor: length, offset, scope })
        }
        Some(ArgumentKind::CirclesAndScript) => {
            let word = argument.rsplit(',').next().unwrap_or_default();
            local(word, known(ArgumentKind::Circle, word))
        }
        Some(ArgumentKind::Topic) => {
            let topic = |name: &str| CompletionItem { text: name.to_owned(), detail: String::new() };
            local(argument, commands::topics().map(topic).collect())
        }
        Some(kind @ (ArgumentKind::Circle | ArgumentKind::Key | ArgumentKind::File)) => {
            local(argument, known(kind, argument))
        }
        _ => local("", Vec::new()),
    }
}

fn commands() -> Vec<CompletionItem> {
    let candidate = |command: &CommandSpec| {
        let CommandSpec { name, argument, summary, .. } = command;
        let detail = if argument.is_empty() { (*summary).to_owned() } else { format!("{argument} · {summary}") };
        CompletionItem { text: (*name).to_owned(), detail }
    };
    COMMANDS.iter().map(candidate).collect()
}

/// Returns the files that begin with a prefix. Blocks while it reads the directory.
pub fn file_candidates(prefix: &str, working_directory: &WorkingDirectory) -> Vec<CompletionItem> {
    let (directory, name) = prefix.rsplit_once('/').map_or(("", prefix), |(directory, name)| (directory, name));
    let listed =
        if prefix.contains('/') { commands::expand_home(&format!("{directory}/")) } else { PathBuf::from(".") };
    let Ok(entries) = std::fs::read_dir(working_directory.resolve(&listed)) else { return Vec::new() };
    let mut files: Vec<CompletionItem> = entries
        .take(MAX_LISTED)
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let file = entry.file_name().into_string().ok()?;
            let is_hidden = file.starts_with('.') && !name.starts_with('.');
            if is_hidden || !file.starts_with(name) || file.chars().any(char::is_control) {
                return None;
            }
            let end = if entry.path().is_dir() { "/" } else { "" };
            let before = &prefix[..prefix.len() - name.len()];
            Some(CompletionItem { text: format!("{before}{file}{end}"), detail: String::new() })
        })
        .collect();
    files.sort_by(|one, other| one.text.cmp(&other.text));
    files.truncate(MAX_CANDIDATES);
    files
}

impl CompletionItem {
    /// Whether the candidate extends a word: as it stands, or behind its quote.
    pub(crate) fn extends(&self, word: &str) -> bool {
        self.text.starts_with(word) || self.text.strip_prefix('"').is_some_and(|quoted| quoted.starts_with(word))
    }
}

impl CompletionList {
    /// Narrows the candidates for a longer word; `None` if the input before it or the word itself differs.
    pub fn narrow(&self, input: &str, cursor: usize) -> Option<Self> {
        let begin = |text: &str| text.chars().take(self.start).collect::<String>();
        if cursor < self.start || begin(input) != begin(&self.input) {
            return None;
        }
        let word: String = input.chars().take(cursor).skip(self.start).collect();
        let candidates = self.candidates.iter().filter(|candidate| candidate.extends(&word)).cloned().collect();
        Some(Self { input: input.to_owned(), start: self.start, cursor, candidates })
    }
}

/// Returns the position of a character, in bytes.
pub fn byte(text: &str, character: usize) -> Option<usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(completion: &CompletionList) -> Vec<&str> {
        completion.candidates.iter().map(|candidate| candidate.text.as_str()).collect()
    }

    fn known(kind: ArgumentKind, _: &str) -> Vec<CompletionItem> {
        let names: &[&str] = match kind {
            ArgumentKind::Circle => &["team", "sandbox"],
            ArgumentKind::Key => &["alice", "bob"],
            ArgumentKind::File => &["notes.txt", "no blank.txt"],
            _ => &[],
        };
        names.iter().map(|name| CompletionItem { text: (*name).to_owned(), detail: String::new() }).collect()
    }

    #[test]
    fn command_arguments_are_completed_locally() {
        let cases: [(&str, usize, &[&str]); 9] = [
            (":call price item=@no", 18, &["notes.txt", "\"no blank.txt\""]),
            (":call price item=@\"no b", 18, &["\"no blank.txt\""]),
            (":he", 1, &["help"]),
            (" :hi", 2, &["history"]),
            (":use te", 5, &["team"]),
            (":key ", 5, &["alice", "bob"]),
            (":each team,sa", 11, &["sandbox"]),
            (":help plo", 6, &["plot"]),
            (":quit no", 8, &[]),
        ];
        for (input, start, expected) in cases {
            let CompletionSource::Local(completion) = completion_source(input, input.chars().count(), known) else {
                panic!("{input} is completed locally")
            };
            assert_eq!((texts(&completion), completion.start), (expected.to_vec(), start), "{input}");
        }
    }

    #[test]
    fn scripts_and_functions_are_completed_by_the_circle() {
        let cases = [
            ("ä.le", 4, ("ä.le", 4, 0)),
            (":time ä.le", 8, ("ä.le", 2, 6)),
            (":each team,x tot", 16, ("tot", 3, 13)),
            (":doc pu", 7, ("pu", 2, 5)),
            (":functions ", 11, ("", 0, 11)),
            (":source ar", 10, ("ar", 2, 8)),
            (":call price it", 14, ("price it", 8, 6)),
            (":call price it n=1", 14, ("price it n=1", 8, 6)),
            // Within a string, nothing names a file.
            (":call price it=\"x y=@n", 22, ("price it=\"x y=@n", 16, 6)),
        ];
        for (input, cursor, (script, at, offset)) in cases {
            let scope = match input.split(' ').next() {
                Some(":doc") => CompletionScope::Functions,
                Some(":functions") => CompletionScope::AllFunctions,
                Some(":call") => CompletionScope::Call,
                Some(":source") => CompletionScope::OwnFunctions,
                _ => CompletionScope::Names,
            };
            let expected =
                CompletionSource::Circle(CircleCompletion { script: script.into(), cursor: at, offset, scope });
            assert_eq!(completion_source(input, cursor, known), expected, "{input}");
        }
    }

    #[test]
    fn files_are_completed_with_their_directories() {
        let directory = tempfile::tempdir().expect("a directory");
        for file in ["report.rhai", "rest.txt", ".hidden"] {
            std::fs::write(directory.path().join(file), "").expect("written");
        }
        std::fs::create_dir(directory.path().join("reports")).expect("made");
        let path = directory.path().display().to_string();
        let here = WorkingDirectory::default();
        let offered: Vec<String> = file_candidates(&format!("{path}/rep"), &here)
            .into_iter()
            .map(|file| file.text[path.len()..].to_owned())
            .collect();
        assert_eq!(offered, ["/report.rhai", "/reports/"]);
        assert_eq!(file_candidates(&format!("{path}/"), &here).len(), 3);
        assert!(file_candidates(&format!("{path}/none/x"), &here).is_empty());
        here.change(directory.path()).expect("it is a directory");
        assert_eq!(file_candidates("rest", &here)[0].text, "rest.txt");
    }

    #[test]
    fn candidates_are_narrowed_for_a_longer_word() {
        let candidates =
            ["total", "tops"].map(|text| CompletionItem { text: text.into(), detail: String::new() }).into();
        let known = CompletionList { input: "1 + to".into(), start: 4, cursor: 6, candidates };
        assert_eq!(texts(&known.narrow("1 + tot", 7).expect("the same word")), ["total"]);
        assert_eq!(known.narrow("2 + tot", 7), None);
        assert_eq!(known.narrow("1 +", 3), None);
    }
}
