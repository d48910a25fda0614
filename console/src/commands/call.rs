//! `:call NAME PARAM=VALUE…`: the function, and the texts of its arguments.

use std::{collections::BTreeSet, ops::Range, path::PathBuf};

use frontend::visible::visible;
use serde::de::IgnoredAny;

use super::expand_home;

/// A parsed `:call`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallCommand {
    /// The name of the function.
    pub name: String,
    /// The arguments, each for another parameter.
    pub arguments: Vec<CallArgument>,
}

/// An argument of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallArgument {
    /// The name of the parameter.
    pub param: String,
    /// The value.
    pub source: ArgumentSource,
}

/// The source of the text of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ArgumentSource {
    /// The text as the user typed it.
    Text(String),
    /// A file; `~/` is resolved already.
    File(PathBuf),
}

impl CallCommand {
    /// Parses the argument of the command. The error says what to write.
    pub(super) fn parse(argument: &str) -> Result<Self, String> {
        let mut words = words(argument).into_iter();
        let name = words.next().map_or("", |word| &argument[word.range]).to_owned();
        let mut given = BTreeSet::new();
        let mut arguments = Vec::new();
        for word in words {
            let text = &argument[word.range];
            let Some((param, value)) = text.split_once('=').filter(|(param, _)| !param.is_empty()) else {
                return Err(format!(
                    "{} is not a parameter: write PARAM=VALUE, and quotes around a text with blanks",
                    visible(text)
                ));
            };
            match word.end {
                WordEnd::Complete => {}
                WordEnd::Missing => {
                    return Err(format!("the value of {} has no end: close its quotes or brackets", visible(param)));
                }
                WordEnd::ControlCharacter => {
                    return Err(format!(
                        "the quotes of {} contain a line break, a tab or another control character: write \\n, \\t or \\u0000",
                        visible(param)
                    ));
                }
            }
            if !given.insert(param) {
                return Err(format!("the parameter {} is given twice", visible(param)));
            }
            let source = ArgumentSource::parse(value);
            if matches!(&source, ArgumentSource::File(file) if file.as_os_str().is_empty()) {
                let param = visible(param);
                return Err(format!("{param}=@ names no file: write {param}=@FILE, or {param}=\"@\" for the text @"));
            }
            arguments.push(CallArgument { param: param.to_owned(), source });
        }
        Ok(Self { name, arguments })
    }

    /// Whether an argument comes from a file.
    pub fn reads_files(&self) -> bool {
        self.arguments.iter().any(|argument| matches!(argument.source, ArgumentSource::File(_)))
    }
}

impl ArgumentSource {
    /// Converts a value: `@FILE`, or the text itself.
    fn parse(value: &str) -> Self {
        match value.strip_prefix('@') {
            Some(file) => Self::File(expand_home(&file_name(file))),
            None => Self::Text(value.to_owned()),
        }
    }
}

/// Returns the name of the file of a value, without the `@`: the text itself, or what a JSON string says.
pub(crate) fn file_name(text: &str) -> String {
    serde_json::from_str(text).unwrap_or_else(|_| text.to_owned())
}

/// A word of the arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallWord {
    /// The place of the word, in bytes.
    pub(crate) range: Range<usize>,
    /// The end of its value.
    pub(crate) end: WordEnd,
}

/// The end of the value of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WordEnd {
    /// All quotes and brackets are closed.
    Complete,
    /// A quote or a bracket is not closed.
    Missing,
    /// The quotes are closed, but contain a control character, which JSON allows only as an escape.
    ControlCharacter,
}

/// Splits the argument of `:call` into words. Blanks end a word, but not within a value that is JSON.
pub(crate) fn words(argument: &str) -> Vec<CallWord> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(begin) = argument[at..].find(|character: char| !character.is_whitespace()) {
        let begin = at + begin;
        let (length, end) = word_length(&argument[begin..]);
        at = begin + length;
        words.push(CallWord { range: begin..at, end });
    }
    words
}

/// Returns the length of the first word in bytes, and the end of its value.
fn word_length(text: &str) -> (usize, WordEnd) {
    let blank = (text.find(char::is_whitespace).unwrap_or(text.len()), WordEnd::Complete);
    let Some(equals) = text[..blank.0].find('=') else { return blank };
    let value = &text[equals + 1..];
    let json = value.strip_prefix('@').unwrap_or(value);
    if !json.starts_with(['"', '[', '{']) {
        return blank;
    }
    let begin = text.len() - json.len();
    let mut values = serde_json::Deserializer::from_str(json).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => {
            let end = begin + values.byte_offset();
            // Otherwise it is a text that only begins like JSON.
            if text[end..].starts_with(|next: char| !next.is_whitespace()) { blank } else { (end, WordEnd::Complete) }
        }
        Some(Err(error)) if error.is_eof() => (text.len(), WordEnd::Missing),
        _ => match string_end(json) {
            Some(end) if json[..end].contains(|character: char| character < ' ') => {
                (begin + end, WordEnd::ControlCharacter)
            }
            None if json.starts_with('"') => (text.len(), WordEnd::Missing),
            _ => blank,
        },
    }
}

/// Returns the end of a JSON string at the beginning of a text, in bytes; `None` if it has none.
fn string_end(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    let inner = text.strip_prefix('"')?;
    let quote = inner.find(|character: char| {
        let ends = character == '"' && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        ends
    })?;
    Some(1 + quote + 1)
}

/// Whether a text is one word of a call as it stands: without blanks and without characters that a terminal does not
/// show, and without quotes, brackets or `@` at its beginning.
pub fn is_plain_value(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['"', '[', '{', '@'])
        && !text.contains(char::is_whitespace)
        && visible(text) == text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(argument: &str) -> Result<Vec<(String, String)>, String> {
        let text = |argument: CallArgument| match argument.source {
            ArgumentSource::Text(text) => (argument.param, text),
            ArgumentSource::File(file) => (argument.param, format!("file {}", file.display())),
        };
        CallCommand::parse(argument).map(|call| call.arguments.into_iter().map(text).collect())
    }

    #[test]
    fn values_are_words_or_json() {
        let cases = [
            ("price", vec![]),
            ("price item=tea  count=2", vec![("item", "tea"), ("count", "2")]),
            (r#"price item="green tea" count=2"#, vec![("item", r#""green tea""#), ("count", "2")]),
            (r#"price items=[1, {"a": "b ]"}] x="#, vec![("items", r#"[1, {"a": "b ]"}]"#), ("x", "")]),
            ("price item=a=b", vec![("item", "a=b")]),
            (r#"price item="tea"x"#, vec![("item", r#""tea"x"#)]),
            ("price item=[tea] n=1", vec![("item", "[tea]"), ("n", "1")]),
            ("price item=@a/b.txt", vec![("item", "file a/b.txt")]),
            (r#"price item=@"a b.txt" n=1"#, vec![("item", "file a b.txt"), ("n", "1")]),
            ("price item=日本", vec![("item", "日本")]),
        ];
        for (argument, expected) in cases {
            let expected = expected.into_iter().map(|(param, text)| (param.to_owned(), text.to_owned())).collect();
            assert_eq!(parsed(argument), Ok(expected), "{argument}");
        }
        assert!(CallCommand::parse("price item=@x").is_ok_and(|call| call.name == "price" && call.reads_files()));
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let cases = [
            ("price tea", "tea is not a parameter: write PARAM=VALUE, and quotes around a text with blanks"),
            ("price =tea", "=tea is not a parameter: write PARAM=VALUE, and quotes around a text with blanks"),
            (r#"price item="green tea"#, "the value of item has no end: close its quotes or brackets"),
            ("price item=[1, 2", "the value of item has no end: close its quotes or brackets"),
            ("price a=1 a=2", "the parameter a is given twice"),
            ("price item=@\"\"", "item=@ names no file: write item=@FILE, or item=\"@\" for the text @"),
            ("price item=@", "item=@ names no file: write item=@FILE, or item=\"@\" for the text @"),
            (
                "price item=\"green\ntea\" count=2",
                "the quotes of item contain a line break, a tab or another control character: write \\n, \\t or \\u0000",
            ),
            ("price item=\"green\ntea", "the value of item has no end: close its quotes or brackets"),
        ];
        for (argument, expected) in cases {
            assert_eq!(parsed(argument), Err(expected.to_owned()), "{argument}");
        }
    }

    #[test]
    fn plain_value_has_no_hidden_characters() {
        for text in ["\u{1b}]0;x\u{7}", "a\u{202e}b", "a\u{200b}b", "\u{9b}31m", "a\u{7f}", "", "a b", "@a", "\"a"] {
            assert!(!is_plain_value(text), "{text:?}");
        }
        assert!(["tea", "日本", "a=b", "👩‍💻"].into_iter().all(is_plain_value));
    }

    proptest! {
        #[test]
        fn any_text_is_split(text in r#"([a=@"\[\]{} \n]|\PC|\pC){0,40}"#) {
            let words = words(&text);
            prop_assert!(words.iter().all(|word| !text[word.range.clone()].trim().is_empty()));
            let _ = CallCommand::parse(&text);
        }

        #[test]
        fn json_string_is_one_word(text in "(\\PC|\\pC){0,20}") {
            let json = serde_json::json!(text).to_string();
            prop_assert_eq!(parsed(&format!("f a={json} b=1")), Ok(vec![("a".into(), json), ("b".into(), "1".into())]));
        }

        #[test]
        fn plain_value_is_one_word(text in "([a=@\"\\[{ \u{7f}\u{9b}\u{202e}]|\\PC|\\pC){0,8}") {
            if is_plain_value(&text) {
                prop_assert_eq!(visible(&text), text.as_str());
                prop_assert_eq!(parsed(&format!("f a={text} b=1")), Ok(vec![("a".into(), text), ("b".into(), "1".into())]));
            }
        }
    }
}
