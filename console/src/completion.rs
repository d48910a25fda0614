//! Tab completion: scripts are completed by the circle, REPL commands locally.

use client_ws::CompleteResult;
use frontend::visible::visible;

use std::path::PathBuf;

use crate::{
    commands::{self, ArgumentKind, COMMANDS, CommandSpec},
    directory::WorkingDirectory,
};

/// The maximum length of a candidate, in bytes.
const MAX_TEXT: usize = 256;

/// The maximum length of a candidate's detail, in characters.
const MAX_DETAIL: usize = 200;

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
    Circle {
        /// The script to complete, which ends the input.
        script: String,
        /// The cursor, in characters of the script.
        cursor: usize,
        /// The number of characters of the input before the script.
        offset: usize,
    },
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
        return CompletionSource::Circle { script: input.to_owned(), cursor, offset: 0 };
    };
    let local = |word: &str, candidates: Vec<CompletionItem>| {
        let start = cursor.saturating_sub(word.chars().count());
        let candidates = candidates.into_iter().filter(|candidate| candidate.text.starts_with(word)).collect();
        CompletionSource::Local(CompletionList { input: input.to_owned(), start, cursor, candidates })
    };
    let Some((name, argument)) = command.split_once(char::is_whitespace) else { return local(command, commands()) };
    if let Some((begin, _)) = commands::script_part(&before) {
        let offset = before[..begin].chars().count();
        return CompletionSource::Circle {
            script: input.chars().skip(offset).collect(),
            cursor: cursor - offset,
            offset,
        };
    }
    let argument = argument.trim_start();
    let argument_kind =
        COMMANDS.iter().find(|command| command.name == name.trim_end_matches('!')).map(|command| command.argument_kind);
    match argument_kind {
        Some(ArgumentKind::Function) => {
            let word = argument.chars().count();
            CompletionSource::Circle { script: argument.to_owned(), cursor: word, offset: cursor - word }
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

impl CompletionList {
    /// Converts the answer of a circle about the script after `offset` characters of the input.
    pub fn from_answer(input: String, cursor: usize, offset: usize, answer: CompleteResult) -> Self {
        let start = usize::try_from(answer.start).unwrap_or(usize::MAX).saturating_add(offset).min(cursor);
        let word: String = input.chars().take(cursor).skip(start).collect();
        // The circle is not trusted: a candidate must extend the word before the cursor, and be a word of bounded
        // length.
        let before: String = input.chars().take(start).collect();
        let is_word_char = match () {
            () if is_in_import(&before) => is_module_name_char,
            () if is_in_index(&before) => is_key_char,
            () => is_identifier_char,
        };
        let is_word = word.chars().all(is_word_char);
        let is_fitting =
            |text: &str| is_word && text.starts_with(&word) && text.len() <= MAX_TEXT && text.chars().all(is_word_char);
        let candidates = answer
            .candidates
            .into_iter()
            .take(MAX_CANDIDATES)
            .filter(|candidate| is_fitting(&candidate.text))
            .map(|candidate| {
                let detail: String = candidate.detail.chars().take(MAX_DETAIL).collect();
                CompletionItem { text: candidate.text, detail: detail.replace('\n', " ") }
            })
            .collect();
        Self { input, start, cursor, candidates }
    }

    /// Narrows the candidates for a longer word; `None` if the input before it or the word itself differs.
    pub fn narrow(&self, input: &str, cursor: usize) -> Option<Self> {
        let begin = |text: &str| text.chars().take(self.start).collect::<String>();
        if cursor < self.start || begin(input) != begin(&self.input) {
            return None;
        }
        let word: String = input.chars().take(cursor).skip(self.start).collect();
        let candidates =
            self.candidates.iter().filter(|candidate| candidate.text.starts_with(&word)).cloned().collect();
        Some(Self { input: input.to_owned(), start: self.start, cursor, candidates })
    }
}

/// Whether the text ends in the string of an `import`.
fn is_in_import(before: &str) -> bool {
    let statement = before.strip_suffix('"').map(str::trim_end);
    statement
        .and_then(|statement| statement.strip_suffix("import"))
        .is_some_and(|rest| !rest.ends_with(is_identifier_char))
}

/// Whether the text ends in the string of an index, such as `map["`.
fn is_in_index(before: &str) -> bool {
    before.strip_suffix('"').is_some_and(|index| index.trim_end().ends_with('['))
}

/// Whether a character may be inserted as part of a key. Excludes characters that could end the string, and those that
/// a terminal does not show as they are.
fn is_key_char(character: char) -> bool {
    let text = String::from(character);
    !matches!(character, '"' | '\\' | '\n' | '\t') && visible(&text) == text
}

/// Whether a character can be part of a Rhai identifier or keyword.
fn is_identifier_char(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// Whether a character may be inserted as part of a module name. Excludes characters that could end the string.
fn is_module_name_char(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.' | '/')
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
            _ => &[],
        };
        names.iter().map(|name| CompletionItem { text: (*name).to_owned(), detail: String::new() }).collect()
    }

    #[test]
    fn command_arguments_are_completed_locally() {
        let cases: [(&str, usize, &[&str]); 7] = [
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
        ];
        for (input, cursor, (script, at, offset)) in cases {
            let expected = CompletionSource::Circle { script: script.into(), cursor: at, offset };
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
    fn candidates_of_a_circle_are_validated() {
        let offer = |text: &str, detail: &str| client_ws::Candidate {
            text: text.into(),
            kind: client_ws::CandidateKind::Variable,
            detail: detail.into(),
        };
        let answer = |start, candidates| CompleteResult { start, candidates };
        let long = "x".repeat(70_000);
        let offers =
            || vec![offer("total", &long), offer("other", ""), offer("to\nend", ""), offer(&format!("to{long}"), "")];
        let completion = CompletionList::from_answer("1 + to".into(), 6, 0, answer(4, offers()));
        assert_eq!((texts(&completion), completion.candidates[0].detail.len()), (vec!["total"], MAX_DETAIL));
        // The circle may replace only the word before the cursor.
        assert!(CompletionList::from_answer("1 + to".into(), 6, 0, answer(0, offers())).candidates.is_empty());
        assert_eq!(CompletionList::from_answer("to".into(), 2, 0, answer(u64::MAX, offers())).start, 2);
    }

    #[test]
    fn candidates_of_a_circle_are_words() {
        // (input, start of the word, candidates of the circle, accepted candidates)
        let cases: [(&str, u64, &[&str], &[&str]); 7] = [
            (
                r#"m["a"#,
                3,
                &["a key", "ä-1", "a\"]; wipe(); m[\"", "a\\", "a\n", "a\u{202e}b", "a\u{1b}[2J"],
                &["a key"],
            ),
            (
                "pr",
                0,
                &[
                    "print",
                    "pr;delete_all()",
                    "pr(1)",
                    "pr x",
                    "pr\u{200b}",
                    "pr.x",
                    "pr-x",
                    "pr/x",
                    "pr\"",
                    "prä",
                    "pr_2",
                ],
                &["print", "pr_2"],
            ),
            ("stock::", 7, &["reserve", "reserve()", "a::b"], &["reserve"]),
            ("item.", 5, &["name", "x = 1"], &["name"]),
            (r#"import "sh"#, 8, &["shop/2.0-stock", "sh\";wipe();\"", "sh\\", "sh${x}", "sh`"], &["shop/2.0-stock"]),
            (r#"myimport "sh"#, 10, &["sh/x", "shop"], &["shop"]),
            ("x;y", 0, &["x;y", "x;y_all"], &[]),
        ];
        for (input, start, offered, taken) in cases {
            let candidate = |text: &&str| client_ws::Candidate {
                text: (*text).into(),
                kind: client_ws::CandidateKind::Module,
                detail: String::new(),
            };
            let answer = CompleteResult { start, candidates: offered.iter().map(candidate).collect() };
            let completion = CompletionList::from_answer(input.into(), input.chars().count(), 0, answer);
            assert_eq!(texts(&completion), taken, "{input}");
        }
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
