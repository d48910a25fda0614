//! Completion by the circle: the request, and the candidates in its answer.

use std::sync::Arc;

use client_ws::{CandidateKind, CompleteResult, FunctionInfo};
use frontend::visible::visible;

use super::{CompletionItem, CompletionList, MAX_CANDIDATES, byte, call};

/// The maximum length of a candidate, in bytes.
const MAX_TEXT: usize = 256;

/// The maximum length of a candidate's detail, in characters.
const MAX_DETAIL: usize = 200;

/// The part of an input that the circle completes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircleCompletion {
    /// The script to complete, which ends the input.
    pub script: String,
    /// The cursor, in characters of the script.
    pub cursor: usize,
    /// The number of characters of the input before the script.
    pub offset: usize,
    /// The names that fit.
    pub scope: CompletionScope,
}

/// The names that a completion offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompletionScope {
    /// All names.
    Names,
    /// Functions, and the modules that they are in.
    Functions,
    /// Functions; first those that inputs of the session define, which the session knows without the circle.
    OwnFunctions,
    /// Functions; first those of the circle that the caller may call.
    AllFunctions,
    /// Functions of the circle that the caller may call, and their arguments.
    Call,
}

/// The names that a session knows without asking the circle.
#[derive(Debug, Clone, Default)]
pub(crate) struct KnownNames {
    /// The functions that inputs of the session define.
    pub(crate) own: Arc<[String]>,
    /// The functions of the circle that the caller may call.
    pub(crate) circle: Arc<[FunctionInfo]>,
}

impl CircleCompletion {
    /// Whether the candidates are functions of the circle.
    pub(crate) fn needs_circle_functions(&self) -> bool {
        matches!(self.scope, CompletionScope::AllFunctions | CompletionScope::Call)
    }

    /// Returns the candidates for an input with its cursor. `answer` is the answer of the circle, if there is one;
    /// returns `None` if nothing is known.
    pub(crate) fn candidates(
        &self,
        (input, cursor): (String, usize),
        answer: Option<CompleteResult>,
        known: &KnownNames,
    ) -> Option<CompletionList> {
        if self.scope == CompletionScope::Call {
            let (before, after) = self.script.split_at(byte(&self.script, self.cursor).unwrap_or(self.script.len()));
            return Some(call::candidates((input, cursor), (before, after), &known.circle));
        }
        let has_known_names = matches!(self.scope, CompletionScope::OwnFunctions | CompletionScope::AllFunctions);
        let mut answer = match answer {
            Some(answer) => answer,
            None if has_known_names => CompleteResult { start: 0, candidates: Vec::new() },
            None => return None,
        };
        if self.scope != CompletionScope::Names {
            let is_function = |kind| matches!(kind, CandidateKind::Function | CandidateKind::Module);
            answer.candidates.retain(|candidate| is_function(candidate.kind));
        }
        let mut list = CompletionList::from_answer(input, cursor, self.offset, answer);
        match self.scope {
            CompletionScope::OwnFunctions => list.put_first(&known.own),
            CompletionScope::AllFunctions => list.put_circle_functions_first(self, &known.circle),
            _ => {}
        }
        Some(list)
    }
}

impl CompletionList {
    /// Puts the names that extend the word before all other candidates.
    fn put_first(&mut self, names: &[String]) {
        let word: String = self.input.chars().take(self.cursor).skip(self.start).collect();
        // The contents of a module, which are none of these.
        if self.input.chars().take(self.start).last() == Some(':') {
            return;
        }
        let mut rest = std::mem::take(&mut self.candidates);
        for name in names.iter().filter(|name| name.starts_with(&word) && name.len() <= MAX_TEXT) {
            let place = rest.iter().position(|candidate| candidate.text == *name);
            self.candidates.push(match place {
                // With its signature.
                Some(place) => rest.remove(place),
                None => CompletionItem { text: name.clone(), detail: String::new() },
            });
        }
        self.candidates.append(&mut rest);
        self.candidates.truncate(MAX_CANDIDATES);
    }

    /// Puts the functions of the circle that extend the whole text before all other candidates.
    fn put_circle_functions_first(&mut self, request: &CircleCompletion, functions: &[FunctionInfo]) {
        let mut names = call::names(functions);
        names.retain(|name| name.text.starts_with(&request.script));
        if names.is_empty() {
            return;
        }
        // Candidates for a part of the text, as after a point, do not go together with names of functions.
        if self.start == request.offset {
            names.append(&mut self.candidates);
        }
        names.truncate(MAX_CANDIDATES);
        (self.start, self.candidates) = (request.offset, names);
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::tests::shop;

    fn texts(completion: &CompletionList) -> Vec<&str> {
        completion.candidates.iter().map(|candidate| candidate.text.as_str()).collect()
    }

    fn offer(text: &str, kind: CandidateKind, detail: &str) -> client_ws::Candidate {
        client_ws::Candidate { text: text.into(), kind, detail: detail.into() }
    }

    #[test]
    fn functions_are_offered_without_other_names_and_own_ones_come_first() {
        let answer = || CompleteResult {
            start: 0,
            candidates: vec![
                offer("area_total", CandidateKind::Variable, "i64"),
                offer("area_all", CandidateKind::Function, "area_all(list)"),
                offer("area", CandidateKind::Function, "area(r)"),
                offer("areas", CandidateKind::Module, ""),
            ],
        };
        let own = ["area", "area_lost", "other"].map(str::to_owned);
        let own = KnownNames { own: own.into(), circle: Arc::default() };
        let candidates = |scope, answer| {
            let request = CircleCompletion { script: "ar".into(), cursor: 2, offset: 8, scope };
            request.candidates((":source ar".into(), 10), answer, &own)
        };
        let list = candidates(CompletionScope::OwnFunctions, Some(answer())).expect("candidates");
        assert_eq!((texts(&list), list.start), (vec!["area", "area_lost", "area_all", "areas"], 8));
        assert_eq!(list.candidates[0].detail, "area(r)");
        let list = candidates(CompletionScope::Functions, Some(answer())).expect("candidates");
        assert_eq!(texts(&list), ["area_all", "area", "areas"]);
        assert_eq!(texts(&candidates(CompletionScope::Names, Some(answer())).expect("candidates")).len(), 4);
        // Without an answer of the circle.
        let list = candidates(CompletionScope::OwnFunctions, None).expect("own functions");
        assert_eq!((texts(&list), list.start), (vec!["area", "area_lost"], 8));
        assert_eq!(candidates(CompletionScope::Functions, None), None);
        // The functions of a module.
        let request =
            CircleCompletion { script: "g::a".into(), cursor: 4, offset: 8, scope: CompletionScope::OwnFunctions };
        let answer = CompleteResult { start: 3, candidates: vec![offer("all", CandidateKind::Function, "all()")] };
        let list = request.candidates((":source g::a".into(), 12), Some(answer), &own).expect("candidates");
        assert_eq!((texts(&list), list.start), (vec!["all"], 11));
    }

    #[test]
    fn functions_of_the_circle_come_first_and_need_no_answer() {
        let known = KnownNames { own: Arc::default(), circle: shop().into() };
        let candidates = |typed: &str, answer| {
            let (script, cursor) = (typed.to_owned(), typed.chars().count());
            let request = CircleCompletion { script, cursor, offset: 11, scope: CompletionScope::AllFunctions };
            request.candidates((format!(":functions {typed}"), 11 + cursor), answer, &known).expect("candidates")
        };
        let list = candidates("order.", None);
        assert_eq!((texts(&list), list.start), (vec!["order.place", "order.list"], 11));
        let answer = |start| CompleteResult { start, candidates: vec![offer("print", CandidateKind::Function, "")] };
        let list = candidates("pri", Some(answer(0)));
        assert_eq!((texts(&list), list.start), (vec!["price", "print"], 11));
        assert_eq!(texts(&candidates("prin", Some(answer(0)))), ["print"]);
        assert!(candidates("xyz", None).candidates.is_empty());
    }

    #[test]
    fn candidates_of_a_circle_are_validated() {
        let offer = |text: &str, detail: &str| client_ws::Candidate {
            text: text.into(),
            kind: CandidateKind::Variable,
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
                kind: CandidateKind::Module,
                detail: String::new(),
            };
            let answer = CompleteResult { start, candidates: offered.iter().map(candidate).collect() };
            let completion = CompletionList::from_answer(input.into(), input.chars().count(), 0, answer);
            assert_eq!(texts(&completion), taken, "{input}");
        }
    }
}
