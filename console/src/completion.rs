//! What may stand where the cursor is: asked of the circle, or known here for `:` commands.

use client_ws::CompleteResult;

use crate::commands::{self, ArgumentKind, COMMANDS, CommandSpec};

/// Bytes of a candidate.
const MAX_TEXT: usize = 256;

/// Characters of what is said of one.
const MAX_DETAIL: usize = 200;

/// As the protocol has it.
const MAX_CANDIDATES: usize = 200;

/// Files of a directory that are looked at.
const MAX_LISTED: usize = 10_000;

/// Candidates for the word before the cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompletionList {
    /// What was asked about: an answer to another text is of no use.
    pub input: String,
    /// Where the replaced word begins, in characters of the input.
    pub start: usize,
    /// Where the cursor is and the replaced word ends, in characters of the input.
    pub cursor: usize,
    /// What may stand in the place of the word, in the order to offer it.
    pub candidates: Vec<CompletionItem>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompletionItem {
    /// The text that replaces the word.
    pub text: String,
    /// A type, a signature, what a command does.
    pub detail: String,
}

/// Who knows what may stand there.
#[derive(Debug, PartialEq, Eq)]
pub enum CompletionSource {
    /// It is known here.
    Local(CompletionList),
    /// The circle does.
    Circle {
        /// The script to ask about, which ends the input.
        script: String,
        /// Where the cursor is, in characters of the script.
        cursor: usize,
        /// How many characters of the input stand before the script.
        offset: usize,
    },
}

/// What is asked when Tab is pressed in an input at a character. `known` offers what its surroundings know to stand behind a
/// `:` command, for a word that was begun.
pub fn completion_source(
    input: &str,
    cursor: usize,
    known: impl FnOnce(ArgumentKind, &str) -> Vec<CompletionItem>,
) -> CompletionSource {
    let before: String = input.chars().take(cursor).collect();
    let Some(command) = before.trim_start().strip_prefix(':') else {
        return CompletionSource::Circle { script: input.to_owned(), cursor, offset: 0 };
    };
    let answered = |word: &str, candidates: Vec<CompletionItem>| {
        let start = cursor.saturating_sub(word.chars().count());
        let candidates = candidates.into_iter().filter(|candidate| candidate.text.starts_with(word)).collect();
        CompletionSource::Local(CompletionList { input: input.to_owned(), start, cursor, candidates })
    };
    let Some((name, argument)) = command.split_once(char::is_whitespace) else { return answered(command, commands()) };
    if let Some((begin, _)) = commands::script_part(&before) {
        let offset = before[..begin].chars().count();
        return CompletionSource::Circle {
            script: input.chars().skip(offset).collect(),
            cursor: cursor - offset,
            offset,
        };
    }
    let argument = argument.trim_start();
    let takes =
        COMMANDS.iter().find(|command| command.name == name.trim_end_matches('!')).map(|command| command.argument_kind);
    match takes {
        Some(ArgumentKind::Function) => {
            let word = argument.chars().count();
            CompletionSource::Circle { script: argument.to_owned(), cursor: word, offset: cursor - word }
        }
        Some(ArgumentKind::CirclesAndScript) => {
            let word = argument.rsplit(',').next().unwrap_or_default();
            answered(word, known(ArgumentKind::Circle, word))
        }
        Some(ArgumentKind::Topic) => {
            let topic = |name: &str| CompletionItem { text: name.to_owned(), detail: String::new() };
            answered(argument, commands::topics().map(topic).collect())
        }
        Some(takes @ (ArgumentKind::Circle | ArgumentKind::Key | ArgumentKind::File)) => {
            answered(argument, known(takes, argument))
        }
        _ => answered("", Vec::new()),
    }
}

fn commands() -> Vec<CompletionItem> {
    let candidate = |command: &CommandSpec| {
        let CommandSpec { name, argument, summary: does, .. } = command;
        let detail = if argument.is_empty() { (*does).to_owned() } else { format!("{argument} · {does}") };
        CompletionItem { text: (*name).to_owned(), detail }
    };
    COMMANDS.iter().map(candidate).collect()
}

/// The files that a name which was begun may become. Blocks for as long as it takes to list a directory.
pub fn file_candidates(prefix: &str) -> Vec<CompletionItem> {
    let (directory, name) = prefix.rsplit_once('/').map_or(("", prefix), |(directory, name)| (directory, name));
    let listed = if prefix.contains('/') { commands::expand_home(&format!("{directory}/")) } else { ".".into() };
    let Ok(entries) = std::fs::read_dir(listed) else { return Vec::new() };
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
    /// As the circle answered to what stands behind so many characters of the input.
    pub fn from_answer(input: String, cursor: usize, offset: usize, answer: CompleteResult) -> Self {
        let start = usize::try_from(answer.start).unwrap_or(usize::MAX).saturating_add(offset).min(cursor);
        let word: String = input.chars().take(cursor).skip(start).collect();
        // Not believed: what is replaced is one word, and a candidate goes on with it as one word of some length.
        let before: String = input.chars().take(start).collect();
        let is_word_char = if is_in_import(&before) { is_of_module_name } else { is_of_name };
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

    /// The same candidates for a word that goes on, if it is the same word as far as it went.
    pub(crate) fn narrow(&self, input: &str, cursor: usize) -> Option<Self> {
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

/// Whether what follows is in the string of an `import`.
fn is_in_import(before: &str) -> bool {
    let statement = before.strip_suffix('"').map(str::trim_end);
    statement.and_then(|statement| statement.strip_suffix("import")).is_some_and(|rest| !rest.ends_with(is_of_name))
}

/// Characters of what Rhai takes for a name or a keyword.
fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// Characters of a module's name that are inserted: those of its folders' and its own, none that could end the string.
fn is_of_module_name(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.' | '/')
}

/// The byte that a character begins at.
pub fn byte(text: &str, character: usize) -> Option<usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(completion: &CompletionList) -> Vec<&str> {
        completion.candidates.iter().map(|candidate| candidate.text.as_str()).collect()
    }

    fn known(takes: ArgumentKind, _: &str) -> Vec<CompletionItem> {
        let names: &[&str] = match takes {
            ArgumentKind::Circle => &["team", "sandbox"],
            ArgumentKind::Key => &["alice", "bob"],
            _ => &[],
        };
        names.iter().map(|name| CompletionItem { text: (*name).to_owned(), detail: String::new() }).collect()
    }

    #[test]
    fn what_stands_behind_a_command_is_completed_here() {
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
                panic!("{input} is known here")
            };
            assert_eq!((texts(&completion), completion.start), (expected.to_vec(), start), "{input}");
        }
    }

    #[test]
    fn scripts_and_functions_are_the_circles() {
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
        let offered: Vec<String> = file_candidates(&format!("{path}/rep"))
            .into_iter()
            .map(|file| file.text[path.len()..].to_owned())
            .collect();
        assert_eq!(offered, ["/report.rhai", "/reports/"]);
        assert_eq!(file_candidates(&format!("{path}/")).len(), 3);
        assert!(file_candidates(&format!("{path}/none/x")).is_empty());
    }

    #[test]
    fn what_a_circle_offers_is_not_believed() {
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
        // More than the word before the cursor is not for it to replace.
        assert!(CompletionList::from_answer("1 + to".into(), 6, 0, answer(0, offers())).candidates.is_empty());
        assert_eq!(CompletionList::from_answer("to".into(), 2, 0, answer(u64::MAX, offers())).start, 2);
    }

    #[test]
    fn candidates_of_a_circle_are_words() {
        // (what is typed, where the word begins, what a circle offers, what is taken of it)
        let cases: [(&str, u64, &[&str], &[&str]); 6] = [
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
    fn what_was_known_serves_for_a_word_that_goes_on() {
        let candidates =
            ["total", "tops"].map(|text| CompletionItem { text: text.into(), detail: String::new() }).into();
        let known = CompletionList { input: "1 + to".into(), start: 4, cursor: 6, candidates };
        assert_eq!(texts(&known.narrow("1 + tot", 7).expect("the same word")), ["total"]);
        assert_eq!(known.narrow("2 + tot", 7), None);
        assert_eq!(known.narrow("1 +", 3), None);
    }
}
