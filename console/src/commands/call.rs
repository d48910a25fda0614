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
            if !word.is_complete {
                return Err(format!("the value of {} has no end: close its quotes or brackets", visible(param)));
            }
            if !given.insert(param) {
                return Err(format!("the parameter {} is given twice", visible(param)));
            }
            arguments.push(CallArgument { param: param.to_owned(), source: ArgumentSource::parse(value) });
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
            Some(file) => Self::File(expand_home(&serde_json::from_str(file).unwrap_or_else(|_| file.to_owned()))),
            None => Self::Text(value.to_owned()),
        }
    }
}

/// A word of the arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallWord {
    /// The place of the word, in bytes.
    pub(crate) range: Range<usize>,
    /// Whether all quotes and brackets of its value are closed.
    pub(crate) is_complete: bool,
}

/// Splits the argument of `:call` into words. Blanks end a word, but not within a value that is JSON.
pub(crate) fn words(argument: &str) -> Vec<CallWord> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(begin) = argument[at..].find(|character: char| !character.is_whitespace()) {
        let begin = at + begin;
        let (length, is_complete) = word_length(&argument[begin..]);
        at = begin + length;
        words.push(CallWord { range: begin..at, is_complete });
    }
    words
}

/// Returns the length of the first word in bytes, and whether its value is complete.
fn word_length(text: &str) -> (usize, bool) {
    let blank = text.find(char::is_whitespace).unwrap_or(text.len());
    let Some(equals) = text[..blank].find('=') else { return (blank, true) };
    let value = &text[equals + 1..];
    let json = value.strip_prefix('@').unwrap_or(value);
    if !json.starts_with(['"', '[', '{']) {
        return (blank, true);
    }
    let mut values = serde_json::Deserializer::from_str(json).into_iter::<IgnoredAny>();
    match values.next() {
        Some(Ok(_)) => {
            let end = text.len() - json.len() + values.byte_offset();
            // Otherwise it is a text that only begins like JSON.
            if text[end..].starts_with(|next: char| !next.is_whitespace()) { (blank, true) } else { (end, true) }
        }
        Some(Err(error)) if error.is_eof() => (text.len(), false),
        _ => (blank, true),
    }
}

/// Whether a text is one word of a call as it stands: neither blanks nor quotes, brackets or `@` at its beginning.
pub fn is_plain_value(text: &str) -> bool {
    !text.is_empty() && !text.starts_with(['"', '[', '{', '@']) && !text.contains(char::is_whitespace)
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
        ];
        for (argument, expected) in cases {
            assert_eq!(parsed(argument), Err(expected.to_owned()), "{argument}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_split(text in r#"([a=@"\[\]{} ]|\\PC){0,40}"#) {
            let words = words(&text);
            prop_assert!(words.iter().all(|word| !text[word.range.clone()].trim().is_empty()));
            let _ = CallCommand::parse(&text);
        }

        #[test]
        fn json_string_is_one_word(text in "\\PC{0,20}") {
            let json = serde_json::json!(text).to_string();
            prop_assert_eq!(parsed(&format!("f a={json} b=1")), Ok(vec![("a".into(), json), ("b".into(), "1".into())]));
        }

        #[test]
        fn plain_value_is_one_word(text in "\\PC{0,20}") {
            if is_plain_value(&text) {
                prop_assert_eq!(parsed(&format!("f a={text} b=1")), Ok(vec![("a".into(), text), ("b".into(), "1".into())]));
            }
        }
    }
}
