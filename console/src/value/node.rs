//! The structure of a value, read from its JSON and its text together.
//!
//! JSON cannot represent characters, blobs, NaN and `()`. The text alone is ambiguous, because characters appear
//! without quotes. Both together determine the structure, and every displayed piece is Rhai's own text.

use std::borrow::Cow;

use client_ws::PlayResult;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::quote;
use frontend::text::display_width;

/// The maximum number of nodes in a value, which bounds the memory. Larger values are not displayed in full anyway.
const MAX_NODES: usize = 500_000;

/// A value or a part of a value.
#[derive(Debug)]
pub struct Node<'a> {
    /// The text that shows the value: Rhai's own for most values, and for a value with parts what the circle sent.
    pub text: Cow<'a, str>,
    /// The width of the text, in columns.
    pub width: usize,
    /// The kind of the value, and its parts.
    pub shape: Shape<'a>,
}

/// The kind of a value.
#[derive(Debug)]
pub enum Shape<'a> {
    /// A number, as the nearest floating-point number.
    Number(f64),
    /// `true` or `false`.
    Bool,
    /// `()`.
    Unit,
    /// A string, without its quotes.
    String(Cow<'a, str>),
    /// A character.
    Char,
    /// A value of another type that JSON represents as a string: a blob, a range, a function.
    Other,
    /// An array.
    Array(Vec<Node<'a>>),
    /// An object map, in the order of Rhai's text.
    Map(Vec<(Key<'a>, Node<'a>)>),
}

/// A key of an object map.
#[derive(Debug)]
pub struct Key<'a> {
    /// The name.
    pub name: Cow<'a, str>,
    /// The name in quotes, as Rhai writes it.
    pub text: &'a str,
    /// The width of the text, in columns.
    pub width: usize,
}

impl<'a> Node<'a> {
    /// Reads a value; `None` if text and JSON do not match, or the value has more than 500,000 nodes.
    pub fn of(result: &'a PlayResult) -> Option<Self> {
        Self::read(result.value.as_json(), &result.output)
    }

    fn read(json: &'a str, text: &'a str) -> Option<Self> {
        let mut reader = TextReader { rest: text, quoted: String::new(), left: MAX_NODES };
        let mut json = serde_json::Deserializer::from_str(json);
        let node = NodeSeed(&mut reader).deserialize(&mut json).ok()?;
        (json.end().is_ok() && reader.rest.is_empty()).then_some(node)
    }

    /// Whether it is an array or an object map, with or without elements.
    pub fn has_parts(&self) -> bool {
        matches!(self.shape, Shape::Array(_) | Shape::Map(_))
    }
}

/// A reader of the text of a value.
struct TextReader<'a> {
    rest: &'a str,
    /// A buffer for strings in quotes.
    quoted: String,
    /// The number of nodes left.
    left: usize,
}

impl<'a> TextReader<'a> {
    fn take<E: Error>(&mut self, expected: &str) -> Result<(), E> {
        self.rest = self.rest.strip_prefix(expected).ok_or_else(mismatch)?;
        Ok(())
    }

    fn take_bytes<E: Error>(&mut self, length: usize) -> Result<&'a str, E> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(mismatch)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes the text up to the end of an item.
    fn take_word<E: Error>(&mut self) -> Result<&'a str, E> {
        self.take_bytes(self.rest.find([',', ']', '}']).unwrap_or(self.rest.len()))
    }

    /// Takes a string in quotes, if it comes next.
    fn quoted(&mut self, string: &str) -> Option<&'a str> {
        use std::fmt::Write;
        self.rest.strip_prefix('"')?;
        self.quoted.clear();
        write!(self.quoted, "{string:?}").ok()?;
        let text = self.rest.get(..self.quoted.len()).filter(|text| *text == self.quoted)?;
        self.rest = &self.rest[text.len()..];
        Some(text)
    }

    /// Takes the text of a value that JSON represents as a string, but Rhai does not.
    fn bare<E: Error>(&mut self, string: &str) -> Result<&'a str, E> {
        // An empty string could also be an empty blob.
        if self.rest.starts_with(string) && !(string.is_empty() && self.rest.starts_with('[')) {
            return self.take_bytes(string.len());
        }
        // A blob: groups of hexadecimal digits in the text, base64 in JSON.
        let digits = self.rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or_else(mismatch)?.0;
        let bytes = string.len() / 4 * 3 - string.bytes().filter(|byte| *byte == b'=').count().min(string.len() / 4);
        let is_blob = digits.bytes().filter(u8::is_ascii_hexdigit).count() == bytes * 2;
        if is_blob { self.take_bytes(digits.len() + 2) } else { Err(mismatch()) }
    }
}

fn mismatch<E: Error>() -> E {
    E::custom("text and JSON do not match")
}

/// Deserializes a value.
struct NodeSeed<'r, 'a>(&'r mut TextReader<'a>);

impl<'a> NodeSeed<'_, 'a> {
    fn leaf(text: &'a str, shape: Shape<'a>) -> Node<'a> {
        Self::rewritten(text.into(), shape)
    }

    /// Returns a leaf with a text that may not be Rhai's.
    fn rewritten(text: Cow<'a, str>, shape: Shape<'a>) -> Node<'a> {
        Node { width: display_width(&text), text, shape }
    }

    fn number<E: Error>(self, number: f64) -> Result<Node<'a>, E> {
        let text = self.0.take_word()?;
        // Rhai may format a number differently; check only that the text contains a digit.
        if text.bytes().any(|byte| byte.is_ascii_digit()) {
            Ok(Self::leaf(text, Shape::Number(number)))
        } else {
            Err(mismatch())
        }
    }

    fn string<E: Error>(self, string: Cow<'a, str>) -> Result<Node<'a>, E> {
        if let Some(text) = self.0.quoted(&string) {
            return Ok(Self::leaf(text, Shape::String(string)));
        }
        let text = self.0.bare(&string)?;
        // Rhai writes a character without quotes. No other bare text has only one character.
        if let (Some(character), None) = (text.chars().next(), text.chars().nth(1)) {
            return Ok(Self::rewritten(quote::character(character).into(), Shape::Char));
        }
        Ok(Self::leaf(quote::function(text), Shape::Other))
    }

    fn container(self, begin: &'a str, width: usize, shape: Shape<'a>) -> Node<'a> {
        Node { text: begin[..begin.len() - self.0.rest.len()].into(), width, shape }
    }
}

impl<'a> DeserializeSeed<'a> for NodeSeed<'_, 'a> {
    type Value = Node<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Node<'a>, D::Error> {
        self.0.left = self.0.left.checked_sub(1).ok_or_else(|| D::Error::custom("the value has too many parts"))?;
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for NodeSeed<'_, 'a> {
    type Value = Node<'a>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node<'a>, E> {
        let text = self.0.take_word()?;
        if text == if value { "true" } else { "false" } { Ok(Self::leaf(text, Shape::Bool)) } else { Err(mismatch()) }
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
            _ => Err(mismatch()),
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
        while let Some(node) = items.next_element_seed(ItemSeed { reader: self.0, is_first: nodes.is_empty() })? {
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
        while let Some(key) = items.next_key_seed(KeySeed(ItemSeed { reader: self.0, is_first: nodes.is_empty() }))? {
            let node = items.next_value_seed(NodeSeed(self.0))?;
            width += key.width + 2 + node.width + if nodes.is_empty() { 0 } else { 2 };
            nodes.push((key, node));
        }
        self.0.take("}")?;
        Ok(self.container(begin, width, Shape::Map(nodes)))
    }
}

/// Deserializes an item after its comma.
struct ItemSeed<'r, 'a> {
    reader: &'r mut TextReader<'a>,
    is_first: bool,
}

impl<'a> DeserializeSeed<'a> for ItemSeed<'_, 'a> {
    type Value = Node<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Node<'a>, D::Error> {
        self.reader.take(if self.is_first { "" } else { ", " })?;
        NodeSeed(self.reader).deserialize(deserializer)
    }
}

/// Deserializes a key after its comma, with the colon that follows.
struct KeySeed<'r, 'a>(ItemSeed<'r, 'a>);

impl<'a> KeySeed<'_, 'a> {
    fn key<E: Error>(self, name: Cow<'a, str>) -> Result<Key<'a>, E> {
        let ItemSeed { reader, is_first } = self.0;
        reader.take(if is_first { "" } else { ", " })?;
        let text = reader.quoted(&name).ok_or_else(mismatch)?;
        reader.take(": ")?;
        Ok(Key { name, text, width: display_width(text) })
    }
}

impl<'a> DeserializeSeed<'a> for KeySeed<'_, 'a> {
    type Value = Key<'a>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Key<'a>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for KeySeed<'_, 'a> {
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
    fn node_combines_text_and_json() {
        let cases = [
            ("[1,2.5,null,null,null,true]", "[1, 2.5, (), NaN, -inf, true]"),
            (r#"{"a":{"b c":"x\n"},"":[]}"#, r#"#{"a": #{"b c": "x\n"}, "": []}"#),
            // A blob, a range, a function.
            (r#"["CQkJCQkJCQkJ","AAA=","","1..4","Fn(f)"]"#, "[[0909090909090909 09], [0000], [], 1..4, Fn(f)]"),
            (r#"["\u202e","\"日本\""]"#, r#"["\u{202e}", "\"日本\""]"#),
            ("[18446744073709551615,-9223372036854775808,1e30]", "[18446744073709551615, -9223372036854775808, 1e30]"),
        ];
        for (json, text) in cases {
            let node = Node::read(json, text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((&*node.text, node.width), (text, display_width(text)));
        }
    }

    #[test]
    fn character_and_closure_are_shown_as_what_they_are() {
        let shown = |json, text| match Node::read(json, text).unwrap_or_else(|| panic!("{text}")).shape {
            Shape::Array(items) => items.iter().map(|item| item.text.to_string()).collect::<Vec<_>>(),
            _ => panic!("{text} is no array"),
        };
        // Characters that look like syntax.
        let characters = shown(r#"[",","]","\"","[","a"," ","","\n","'"]"#, "[,, ], \", [, \"a\",  , , \n, ']");
        assert_eq!(characters, ["','", "']'", r#"'"'"#, "'['", "\"a\"", "' '", "", r"'\n'", r"'\''"]);
        let functions = shown(r#"["Fn(anon$0af1)","Fn(f)"]"#, "[Fn(anon$0af1), Fn(f)]");
        assert_eq!(functions, ["<function>", "Fn(f)"]);
    }

    #[test]
    fn value_with_too_many_nodes_is_rejected() {
        let of =
            |count: usize| (format!("[{}]", vec!["0"; count].join(",")), format!("[{}]", vec!["0"; count].join(", ")));
        let (json, text) = of(MAX_NODES - 1);
        assert!(Node::read(&json, &text).is_some());
        let (json, text) = of(MAX_NODES);
        assert!(Node::read(&json, &text).is_none());
    }

    #[test]
    fn mismatched_text_and_json_are_rejected() {
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
