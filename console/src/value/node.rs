//! A value with its structure from its JSON and its words from its text.
//!
//! JSON has lost what is a character, a blob, no number or `()`; the text alone cannot be taken apart, since a character
//! stands bare in it. Read side by side they leave nothing to guess, and everything that is shown is Rhai's own.

use std::borrow::Cow;

use client_ws::PlayResult;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use frontend::text::display_width;

/// Parts that a value may have, all of them together: what has more is larger than what is shown, and each takes memory.
const MAX_NODES: usize = 500_000;

/// A value, or a part of one.
#[derive(Debug)]
pub struct Node<'a> {
    /// As Rhai writes it.
    pub text: &'a str,
    /// Columns of that text.
    pub width: usize,
    /// What kind of value it is, and its parts.
    pub shape: Shape<'a>,
}

/// The kind of a value.
#[derive(Debug)]
pub enum Shape<'a> {
    /// As near as a floating-point number comes to it.
    Number(f64),
    /// `true` or `false`.
    Bool,
    /// `()`.
    Unit,
    /// A string, without its quotes.
    String(Cow<'a, str>),
    /// What JSON has as a string and Rhai has not: a character, a blob, a range, a function.
    Other,
    /// An array, in its order.
    Array(Vec<Node<'a>>),
    /// An object map, in the order in which Rhai writes it.
    Map(Vec<(Key<'a>, Node<'a>)>),
}

/// A key of an object map.
#[derive(Debug)]
pub struct Key<'a> {
    /// The key itself.
    pub name: Cow<'a, str>,
    /// In its quotes.
    pub text: &'a str,
    /// Columns of the text in quotes.
    pub width: usize,
}

impl<'a> Node<'a> {
    /// `None` where text and JSON are not of one value, or where the value has more than 500,000 parts.
    pub fn of(result: &'a PlayResult) -> Option<Self> {
        Self::read(result.value.get(), &result.output)
    }

    fn read(json: &'a str, text: &'a str) -> Option<Self> {
        let mut reader = TextReader { rest: text, quoted: String::new(), left: MAX_NODES };
        let mut json = serde_json::Deserializer::from_str(json);
        let node = Reading(&mut reader).deserialize(&mut json).ok()?;
        (json.end().is_ok() && reader.rest.is_empty()).then_some(node)
    }

    /// Whether it is an array or an object map, with or without elements.
    pub fn has_parts(&self) -> bool {
        matches!(self.shape, Shape::Array(_) | Shape::Map(_))
    }
}

/// What is left of the text.
struct TextReader<'a> {
    rest: &'a str,
    /// A string in quotes, kept for its memory.
    quoted: String,
    /// Nodes that may still be made.
    left: usize,
}

impl<'a> TextReader<'a> {
    fn take<E: Error>(&mut self, expected: &str) -> Result<(), E> {
        self.rest = self.rest.strip_prefix(expected).ok_or_else(unlike)?;
        Ok(())
    }

    fn take_bytes<E: Error>(&mut self, length: usize) -> Result<&'a str, E> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(unlike)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Up to what ends an item.
    fn take_word<E: Error>(&mut self) -> Result<&'a str, E> {
        self.take_bytes(self.rest.find([',', ']', '}']).unwrap_or(self.rest.len()))
    }

    /// A string in quotes, if that is what comes.
    fn quoted(&mut self, string: &str) -> Option<&'a str> {
        use std::fmt::Write;
        self.rest.strip_prefix('"')?;
        self.quoted.clear();
        write!(self.quoted, "{string:?}").ok()?;
        let text = self.rest.get(..self.quoted.len()).filter(|text| *text == self.quoted)?;
        self.rest = &self.rest[text.len()..];
        Some(text)
    }

    /// What comes in place of a string in quotes.
    fn bare<E: Error>(&mut self, string: &str) -> Result<&'a str, E> {
        // Without a character of its own it could also be a blob without a byte.
        if self.rest.starts_with(string) && !(string.is_empty() && self.rest.starts_with('[')) {
            return self.take_bytes(string.len());
        }
        // A blob: hexadecimal digits in groups, where JSON has base64.
        let digits = self.rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or_else(unlike)?.0;
        let bytes = string.len() / 4 * 3 - string.bytes().filter(|byte| *byte == b'=').count().min(string.len() / 4);
        let is_blob = digits.bytes().filter(u8::is_ascii_hexdigit).count() == bytes * 2;
        if is_blob { self.take_bytes(digits.len() + 2) } else { Err(unlike()) }
    }
}

fn unlike<E: Error>() -> E {
    E::custom("the text is not of this value")
}

/// Reads a value.
struct Reading<'r, 'a>(&'r mut TextReader<'a>);

impl<'a> Reading<'_, 'a> {
    fn leaf(text: &'a str, shape: Shape<'a>) -> Node<'a> {
        Node { text, width: display_width(text), shape }
    }

    fn number<E: Error>(self, number: f64) -> Result<Node<'a>, E> {
        let text = self.0.take_word()?;
        // Of a number that Rhai writes differently its own reading is another's to judge; that it is one is not.
        if text.bytes().any(|byte| byte.is_ascii_digit()) {
            Ok(Self::leaf(text, Shape::Number(number)))
        } else {
            Err(unlike())
        }
    }

    fn string<E: Error>(self, string: Cow<'a, str>) -> Result<Node<'a>, E> {
        match self.0.quoted(&string) {
            Some(text) => Ok(Self::leaf(text, Shape::String(string))),
            None => Ok(Self::leaf(self.0.bare(&string)?, Shape::Other)),
        }
    }

    fn container(self, begin: &'a str, width: usize, shape: Shape<'a>) -> Node<'a> {
        Node { text: &begin[..begin.len() - self.0.rest.len()], width, shape }
    }
}

impl<'a> DeserializeSeed<'a> for Reading<'_, 'a> {
    type Value = Node<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Node<'a>, D::Error> {
        self.0.left = self.0.left.checked_sub(1).ok_or_else(|| D::Error::custom("the value has too many parts"))?;
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Reading<'_, 'a> {
    type Value = Node<'a>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node<'a>, E> {
        let text = self.0.take_word()?;
        if text == if value { "true" } else { "false" } { Ok(Self::leaf(text, Shape::Bool)) } else { Err(unlike()) }
    }

    #[expect(clippy::cast_precision_loss, reason = "the text has it exactly")]
    fn visit_i64<E: Error>(self, number: i64) -> Result<Node<'a>, E> {
        self.number(number as f64)
    }

    #[expect(clippy::cast_precision_loss, reason = "the text has it exactly")]
    fn visit_u64<E: Error>(self, number: u64) -> Result<Node<'a>, E> {
        self.number(number as f64)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Node<'a>, E> {
        self.number(number)
    }

    fn visit_unit<E: Error>(self) -> Result<Node<'a>, E> {
        match self.0.take_word()? {
            text @ "()" => Ok(Self::leaf(text, Shape::Unit)),
            text @ ("NaN" | "inf" | "-inf") => Ok(Self::leaf(text, Shape::Number(f64::NAN))),
            _ => Err(unlike()),
        }
    }

    fn visit_borrowed_str<E: Error>(self, string: &'a str) -> Result<Node<'a>, E> {
        self.string(Cow::Borrowed(string))
    }

    fn visit_str<E: Error>(self, string: &str) -> Result<Node<'a>, E> {
        self.string(Cow::Owned(string.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<Node<'a>, A::Error> {
        let begin = self.0.rest;
        self.0.take("[")?;
        let (mut nodes, mut width) = (Vec::new(), 2);
        while let Some(node) = items.next_element_seed(Next { reader: self.0, is_first: nodes.is_empty() })? {
            width += node.width + if nodes.is_empty() { 0 } else { 2 };
            nodes.push(node);
        }
        self.0.take("]")?;
        Ok(self.container(begin, width, Shape::Array(nodes)))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut items: A) -> Result<Node<'a>, A::Error> {
        let begin = self.0.rest;
        self.0.take("#{")?;
        let (mut nodes, mut width) = (Vec::new(), 3);
        while let Some(key) = items.next_key_seed(NextKey(Next { reader: self.0, is_first: nodes.is_empty() }))? {
            let node = items.next_value_seed(Reading(self.0))?;
            width += key.width + 2 + node.width + if nodes.is_empty() { 0 } else { 2 };
            nodes.push((key, node));
        }
        self.0.take("}")?;
        Ok(self.container(begin, width, Shape::Map(nodes)))
    }
}

/// Reads an item and the comma before it.
struct Next<'r, 'a> {
    reader: &'r mut TextReader<'a>,
    is_first: bool,
}

impl<'a> DeserializeSeed<'a> for Next<'_, 'a> {
    type Value = Node<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Node<'a>, D::Error> {
        self.reader.take(if self.is_first { "" } else { ", " })?;
        Reading(self.reader).deserialize(deserializer)
    }
}

/// Reads a key, the comma before it and the colon behind it.
struct NextKey<'r, 'a>(Next<'r, 'a>);

impl<'a> NextKey<'_, 'a> {
    fn key<E: Error>(self, name: Cow<'a, str>) -> Result<Key<'a>, E> {
        let Next { reader, is_first } = self.0;
        reader.take(if is_first { "" } else { ", " })?;
        let text = reader.quoted(&name).ok_or_else(unlike)?;
        reader.take(": ")?;
        Ok(Key { name, text, width: display_width(text) })
    }
}

impl<'a> DeserializeSeed<'a> for NextKey<'_, 'a> {
    type Value = Key<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Key<'a>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for NextKey<'_, 'a> {
    type Value = Key<'a>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, name: &'a str) -> Result<Key<'a>, E> {
        self.key(Cow::Borrowed(name))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Key<'a>, E> {
        self.key(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_json_of_one_value_are_read_side_by_side() {
        let cases = [
            ("[1,2.5,null,null,null,true]", "[1, 2.5, (), NaN, -inf, true]"),
            (r#"{"a":{"b c":"x\n"},"":[]}"#, r#"#{"a": #{"b c": "x\n"}, "": []}"#),
            // A character that looks like what is around it.
            (r#"[",","]","\"","[","a"," ",""]"#, r#"[,, ], ", [, "a",  , ]"#),
            // A blob, a range, a function.
            (r#"["CQkJCQkJCQkJ","AAA=","","1..4","Fn(f)"]"#, "[[0909090909090909 09], [0000], [], 1..4, Fn(f)]"),
            (r#"["\u202e","\"日本\""]"#, r#"["\u{202e}", "\"日本\""]"#),
            ("[18446744073709551615,-9223372036854775808,1e30]", "[18446744073709551615, -9223372036854775808, 1e30]"),
        ];
        for (json, text) in cases {
            let node = Node::read(json, text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((node.text, node.width), (text, display_width(text)));
        }
    }

    #[test]
    fn a_value_with_too_many_parts_is_not_read() {
        let of =
            |count: usize| (format!("[{}]", vec!["0"; count].join(",")), format!("[{}]", vec!["0"; count].join(", ")));
        let (json, text) = of(MAX_NODES - 1);
        assert!(Node::read(&json, &text).is_some());
        let (json, text) = of(MAX_NODES);
        assert!(Node::read(&json, &text).is_none());
    }

    #[test]
    fn what_is_not_of_one_value_is_not_read() {
        let cases = [
            ("[1,2]", "[1]"),
            ("[1]", "[1, 2]"),
            ("[1]", "[1] "),
            (r#"["a"]"#, r#"["b"]"#),
            (r#"["AAA="]"#, "[[00]]"),
            (r#"{"a":1}"#, r#"#{"b": 1}"#),
            ("[null]", "[none]"),
            ("[1] 2", "[1]"),
            ("{", "#{"),
            (r#"[""]"#, "[x]"),
        ];
        for (json, text) in cases {
            assert!(Node::read(json, text).is_none(), "{json} {text}");
        }
    }
}
