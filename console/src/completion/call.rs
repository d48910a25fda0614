//! Completion of `:call`: names of functions, parameters that are not given yet, values that the schema lists, and files.

use std::borrow::Cow;

use client_ws::FunctionInfo;

use super::{CompletionItem, CompletionList, MAX_CANDIDATES};
use crate::{
    commands::{call_words, file_name},
    functions::{ListedValues, argument_text, file_argument},
};

/// The maximum length of a candidate's detail, in characters.
const MAX_DETAIL: usize = 200;

/// Returns the candidates for an input with its cursor. `before` and `after` are the arguments of the command before and
/// behind the cursor.
pub(super) fn candidates(
    (input, cursor): (String, usize),
    (before, after): (&str, &str),
    functions: &[FunctionInfo],
) -> CompletionList {
    let words = call_words(before);
    let last = last_word(before);
    let complete = words.len() - usize::from(!last.is_empty());
    let (word, candidates) = match words.first() {
        Some(name) if complete > 0 => {
            let name = &before[name.range.clone()];
            // Behind the cursor, the rest of the word comes first.
            let rest = &after[after.find(char::is_whitespace).unwrap_or(after.len())..];
            let words_before = words[1..complete].iter().map(|word| &before[word.range.clone()]);
            let words_after = call_words(rest);
            let words_after = words_after.iter().map(|word| &rest[word.range.clone()]);
            let given = words_before.chain(words_after).filter_map(|word| word.split_once('='));
            let given: Vec<&str> = given.map(|(param, _)| param).collect();
            match functions.iter().find(|function| function.name == name) {
                Some(function) => argument_candidates(function, last, &given),
                None => (last, Vec::new()),
            }
        }
        _ => (last, functions.iter().map(callee).collect()),
    };
    let start = cursor.saturating_sub(word.chars().count());
    let candidates = candidates.into_iter().filter(|candidate| candidate.extends(word));
    CompletionList { input, start, cursor, candidates: candidates.take(MAX_CANDIDATES).collect() }
}

/// Returns the word that ends at the cursor; an empty text if there is none.
fn last_word(before: &str) -> &str {
    let words = call_words(before);
    words.last().filter(|word| word.range.end == before.len()).map_or("", |word| &before[word.range.clone()])
}

/// Returns the file that the word before the cursor names, as it is typed behind `@`; `None` if it names no file.
pub(super) fn file_before_cursor(before: &str) -> Option<&str> {
    last_word(before).split_once('=')?.1.strip_prefix('@')
}

/// Returns the beginning of the name of a file, which may stand in quotes that are not closed yet.
pub(super) fn file_prefix(typed: &str) -> Cow<'_, str> {
    match typed.strip_prefix('"') {
        None => Cow::Borrowed(typed),
        Some(_) => Cow::Owned(file_name(&format!("{typed}\""))),
    }
}

/// Returns a file as an argument of a call, in quotes if it needs them.
pub(super) fn file_candidate(file: CompletionItem) -> CompletionItem {
    CompletionItem { text: file_argument(&file.text).split_off(1), ..file }
}

/// Returns the names of functions with their signatures.
pub(super) fn names(functions: &[FunctionInfo]) -> Vec<CompletionItem> {
    functions.iter().map(|function| item(function.name.clone(), &function.signature)).collect()
}

/// Returns the name of a function to call, with a blank behind it if arguments can follow.
fn callee(function: &FunctionInfo) -> CompletionItem {
    let blank = if function.params.is_empty() { "" } else { " " };
    item(format!("{}{blank}", function.name), &function.signature)
}

/// Returns the word to complete, and candidates for it.
fn argument_candidates<'a>(function: &FunctionInfo, word: &'a str, given: &[&str]) -> (&'a str, Vec<CompletionItem>) {
    if let Some((param, value)) = word.split_once('=') {
        let declared = function.params.iter().find(|declared| declared.name == param);
        let values = declared.map(|declared| ListedValues::of(declared).values).unwrap_or_default();
        let texts = values.iter().filter_map(|value| argument_text(function, param, value));
        return (value, texts.map(|text| item(text, "")).collect());
    }
    let missing = function.params.iter().filter(|param| !given.contains(&param.name.as_str()));
    let (required, optional): (Vec<_>, Vec<_>) = missing.partition(|param| param.is_required);
    let candidates = required.into_iter().chain(optional).map(|param| {
        let note = match &param.default {
            _ if param.is_required => "required".to_owned(),
            Some(default) => format!("= {default}"),
            None => "optional".to_owned(),
        };
        item(format!("{}=", param.name), &format!("{} · {note}", param.type_text))
    });
    (word, candidates.collect())
}

fn item(text: String, detail: &str) -> CompletionItem {
    let detail: String = detail.chars().take(MAX_DETAIL).collect();
    CompletionItem { text, detail: detail.replace('\n', " ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::tests::shop;

    /// The start of the word and the candidates. The cursor is at `|`, or at the end.
    fn offered(input: &str) -> (usize, Vec<String>) {
        let argument = input.strip_prefix(":call ").expect("a call");
        let (before, after) = argument.split_once('|').unwrap_or((argument, ""));
        let cursor = ":call ".len() + before.chars().count();
        let list = candidates((input.replace('|', ""), cursor), (before, after), &shop());
        (list.start, list.candidates.into_iter().map(|candidate| candidate.text).collect())
    }

    #[test]
    fn names_parameters_and_listed_values_are_offered() {
        let cases: [(&str, usize, &[&str]); 17] = [
            (":call ", 6, &["order.place ", "order.list", "price "]),
            (":call order.p", 6, &["order.place "]),
            (":call order.place ", 18, &["item=", "size=", "gift=", "count="]),
            (":call order.place item=x ", 25, &["size=", "gift=", "count="]),
            (":call order.place item=\"a b\" size=small c", 40, &["count="]),
            (":call order.place item", 18, &["item="]),
            (":call order.place size=", 23, &["small", "\"very large\""]),
            (":call order.place size=s", 23, &["small"]),
            (":call order.place size=v", 23, &["\"very large\""]),
            (":call order.place size=\"v", 23, &["\"very large\""]),
            (":call order.place | item=x count=2", 18, &["size=", "gift="]),
            (":call order.place i|tem=x size=small", 18, &["item="]),
            (":call order.place gift=", 23, &["true", "false"]),
            (":call order.place item=", 23, &[]),
            (":call order.place other=", 24, &[]),
            (":call order.list ", 17, &[]),
            (":call nothing i", 14, &[]),
        ];
        for (input, start, expected) in cases {
            let expected = expected.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(offered(input), (start, expected), "{input}");
        }
    }

    #[test]
    fn parameters_have_their_types() {
        let input = ":call order.place ".to_owned();
        let list = candidates((input, 18), ("order.place ", ""), &shop());
        let details: Vec<&str> = list.candidates.iter().map(|candidate| candidate.detail.as_str()).collect();
        assert_eq!(
            details,
            ["string · required", "\"small\" | \"very large\" · required", "bool · = false", "int 1..100 · = 1"]
        );
    }
}
