//! The parser of types.

use std::{collections::HashSet, str::FromStr};

use crate::signature::text::{did_you_mean, excerpt};

use super::{Literal, Property, Range, Type, is_identifier};

/// A text is no type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TypeError {
    /// What is invalid, and what to write.
    pub message: String,
    /// Where, in bytes from the start of the text.
    pub offset: usize,
}

const KEYWORDS: [&str; 8] = ["string", "int", "float", "bool", "blob", "any", "true", "false"];

const BRACES: &str = "a map has braces of its own: write {{ NAME: TYPE }} in a tag, and { NAME: TYPE } in a type";

/// Names that other languages have for a type.
const SYNONYMS: &[(&[&str], &str)] = &[
    (&["str", "text", "char", "uuid"], "string"),
    (&["integer", "i64", "u64", "i32", "u32", "long", "bigint"], "int"),
    (&["number"], "int or float"),
    (&["f64", "f32", "double", "decimal"], "float"),
    (&["boolean"], "bool"),
    (&["bytes", "binary"], "blob"),
    (&["unknown", "mixed", "dynamic"], "any"),
    (&["null", "undefined", "void", "none", "nil", "unit"], "()"),
    (&["array", "list", "vec"], "[T], such as [string]"),
    (&["object", "map", "record", "dict"], "{ NAME: T } or { *: T }, such as { *: any }"),
];

impl FromStr for Type {
    type Err = TypeError;

    fn from_str(text: &str) -> Result<Self, TypeError> {
        if text.len() > Self::MAX_BYTES {
            return Err(too_long(text.len()));
        }
        let mut parser = Parser { text, offset: 0 };
        let parsed = parser.union(0)?;
        parser.skip_space();
        if !parser.rest().is_empty() {
            return Err(parser.surplus());
        }
        // Canonical text has more spaces, and is itself the text of a type.
        let canonical = parsed.to_string().len();
        if canonical > Self::MAX_BYTES { Err(too_long(canonical)) } else { Ok(parsed) }
    }
}

fn too_long(bytes: usize) -> TypeError {
    let max = Type::MAX_BYTES;
    TypeError { message: format!("the type has {bytes} bytes, at most {max} are allowed: shorten the type"), offset: 0 }
}

struct Parser<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.offset..]
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.offset += rest.len() - rest.trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        let is_next = self.rest().starts_with(token);
        if is_next {
            self.offset += token.len();
        }
        is_next
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, TypeError> {
        Err(TypeError { message: message.into(), offset: self.offset })
    }

    /// What stands at the offset, for an error.
    fn found(&self) -> String {
        let rest = self.rest();
        let end = rest.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(rest.len());
        match rest.chars().next() {
            None => "the end".to_owned(),
            Some(first) if end == 0 => excerpt(&rest[..first.len_utf8()]),
            Some(_) => excerpt(&rest[..end]),
        }
    }

    fn surplus(&self) -> TypeError {
        let rest = self.rest();
        let message = if is_member(rest) && is_identifier(self.text[..self.offset].trim()) {
            BRACES.to_owned()
        } else if rest.starts_with('[') {
            "write an array as [T], such as [string]".to_owned()
        } else if rest.starts_with(['=', '?']) {
            "write an optional parameter as [NAME], behind the type".to_owned()
        } else {
            format!("expected | or the end of the type, found {}", self.found())
        };
        TypeError { message, offset: self.offset }
    }

    fn union(&mut self, depth: usize) -> Result<Type, TypeError> {
        let mut members = vec![self.single(depth)?];
        while self.eat("|") {
            self.skip_space();
            if members.len() == Type::MAX_MEMBERS {
                return self.error(format!(
                    "a union has at most {} members: combine some of them in a wider type",
                    Type::MAX_MEMBERS
                ));
            }
            let start = self.offset;
            let member = self.single(depth)?;
            if members.contains(&member) {
                let text = excerpt(&member.to_string());
                return Err(TypeError { message: format!("the union has {text} twice: remove one"), offset: start });
            }
            members.push(member);
        }
        Ok(if members.len() == 1 { members.remove(0) } else { Type::Union(members) })
    }

    fn single(&mut self, depth: usize) -> Result<Type, TypeError> {
        self.skip_space();
        match self.rest().bytes().next() {
            Some(b'[') => {
                let depth = self.deeper(depth)?;
                self.offset += 1;
                self.array(depth)
            }
            Some(b'{') => {
                let depth = self.deeper(depth)?;
                self.offset += 1;
                self.map(depth)
            }
            Some(b'"') => Ok(Type::Literal(Literal::String(self.string()?))),
            Some(b'\'' | b'`') => self.error("write a text in double quotes, such as \"open\""),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'(') if self.eat("(") && self.eat(")") => Ok(Type::Unit),
            Some(b'(') => self.error("expected (), the type of null; a union needs no parentheses"),
            Some(b'*') => self.error("write any for every type"),
            Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => self.keyword(),
            _ => {
                let found = self.found();
                self.error(format!(
                    "expected a type, found {found}: write string, int, float, bool, blob, any, (), a literal, [T] or {{ NAME: T }}"
                ))
            }
        }
    }

    fn deeper(&self, depth: usize) -> Result<usize, TypeError> {
        if depth == Type::MAX_DEPTH {
            return self
                .error(format!("arrays and maps are more than {} deep: use any for the inner type", Type::MAX_DEPTH));
        }
        Ok(depth + 1)
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let length = rest.bytes().position(|byte| !is_word(byte)).unwrap_or(rest.len());
        self.offset += length;
        &rest[..length]
    }

    fn keyword(&mut self) -> Result<Type, TypeError> {
        let start = self.offset;
        let word = self.word();
        Ok(match word {
            "string" => Type::String { range: self.size_range()? },
            "int" => Type::Int { range: self.range("int", |text| text.parse().ok(), "whole numbers of 64 bits")? },
            "float" => Type::Float { range: self.range("float", parse_float, "numbers")? },
            "blob" => Type::Blob { range: self.size_range()? },
            "bool" => self.without_range(word, Type::Bool)?,
            "any" => self.without_range(word, Type::Any)?,
            "true" => Type::Literal(Literal::Bool(true)),
            "false" => Type::Literal(Literal::Bool(false)),
            _ => {
                let lower = word.to_ascii_lowercase();
                let quoted = excerpt(word);
                let synonym = SYNONYMS.iter().find(|(words, _)| words.contains(&&*lower));
                let message = if let Some((_, instead)) = synonym {
                    format!("{quoted} is not a type: write {instead}")
                } else if let Some(near) = did_you_mean(word, KEYWORDS) {
                    format!("{quoted} is not a type: did you mean {near}?")
                } else if is_member(self.rest()) {
                    BRACES.to_owned()
                } else {
                    format!(
                        "{quoted} is not a type: write string, int, float, bool, blob, any, (), [T], {{ NAME: T }}, \
                         or a text in double quotes"
                    )
                };
                return Err(TypeError { message, offset: start });
            }
        })
    }

    fn without_range(&mut self, word: &str, parsed: Type) -> Result<Type, TypeError> {
        self.skip_space();
        if self.rest().starts_with(['-', '.']) || self.rest().starts_with(|next: char| next.is_ascii_digit()) {
            return self.error(format!("{word} takes no range: remove it"));
        }
        Ok(parsed)
    }

    fn array(&mut self, depth: usize) -> Result<Type, TypeError> {
        let item = Box::new(self.union(depth)?);
        if !self.eat("]") {
            return self.error(format!("expected | or ] behind the type of the items, found {}", self.found()));
        }
        Ok(Type::Array { item, range: self.size_range()? })
    }

    fn map(&mut self, depth: usize) -> Result<Type, TypeError> {
        if self.eat("}") {
            return Ok(Type::Map(Vec::new()));
        }
        if self.eat("*") {
            if !self.eat(":") {
                return self.error(format!("expected : behind *, as in {{ *: int }}, found {}", self.found()));
            }
            let value = Box::new(self.union(depth)?);
            self.eat(",");
            if !self.eat("}") {
                return self.error(format!("expected }}: * has all names of the map, found {}", self.found()));
            }
            return Ok(Type::Values(value));
        }
        let mut properties: Vec<Property> = Vec::new();
        let mut names = HashSet::new();
        loop {
            self.skip_space();
            let start = self.offset;
            let name = self.property_name()?;
            if !names.insert(name.clone()) {
                let message = format!("the map has {} twice: remove or rename one", excerpt(&name));
                return Err(TypeError { message, offset: start });
            }
            let is_optional = self.eat("?");
            if !self.eat(":") {
                let found = self.found();
                return self.error(format!("expected : and the type of {}, found {found}", excerpt(&name)));
            }
            properties.push(Property { name, r#type: self.union(depth)?, is_optional });
            let is_separated = self.eat(",");
            if self.eat("}") {
                return Ok(Type::Map(properties));
            }
            if !is_separated {
                return self.error(format!("expected , or }} behind the type of a member, found {}", self.found()));
            }
        }
    }

    fn property_name(&mut self) -> Result<String, TypeError> {
        match self.rest().bytes().next() {
            Some(b'"') => self.string(),
            Some(b'a'..=b'z' | b'A'..=b'Z' | b'_') => Ok(self.word().to_owned()),
            Some(b'*') => self.error("* has all names of a map: write { *: T } without other members"),
            _ => {
                let found = self.found();
                self.error(format!("expected the name of a member, such as {{ name: string }}, found {found}"))
            }
        }
    }

    /// Parses a text in double quotes, with the escapes of JSON.
    fn string(&mut self) -> Result<String, TypeError> {
        let rest = self.rest();
        let mut is_escaped = false;
        let end = rest.bytes().skip(1).position(|byte| {
            let is_end = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            is_end
        });
        let Some(end) = end else { return self.error("expected a \" at the end of the text") };
        let Ok(text) = serde_json::from_str(&rest[..end + 2]) else {
            return self.error("invalid text: write it as JSON does, with \\n for a new line and \\\\ for a backslash");
        };
        self.offset += end + 2;
        Ok(text)
    }

    fn number(&mut self) -> Result<Type, TypeError> {
        let text = number_at(self.rest());
        let literal = if text.contains(['.', 'e', 'E']) {
            parse_float(text).map(Literal::Float)
        } else {
            text.parse().ok().map(Literal::Int)
        };
        let Some(literal) = literal else {
            let message = format!("invalid number {}: write 1, -1, 1.5 or 1e9, within 64 bits", excerpt(text));
            return self.error(message);
        };
        if self.text[self.offset + text.len()..].starts_with("..") {
            return self.error("a range needs a type: write int 1..9 or float 0..1");
        }
        self.offset += text.len();
        Ok(Type::Literal(literal))
    }

    fn size_range(&mut self) -> Result<Range<u64>, TypeError> {
        self.range("the type", |text| text.parse().ok(), "whole numbers from 0")
    }

    /// Parses the range behind a type, if there is one.
    fn range<T: PartialOrd + Copy>(
        &mut self,
        subject: &str,
        parse: impl Fn(&str) -> Option<T>,
        expected: &str,
    ) -> Result<Range<T>, TypeError> {
        self.skip_space();
        let offset = self.offset;
        let start = self.bound(&parse, expected)?;
        if !self.rest().starts_with("..") {
            if start.is_some() {
                let number = excerpt(&self.text[offset..self.offset]);
                return Err(TypeError { message: format!("write a range, such as {number}..{number}"), offset });
            }
            return Ok(Range::FULL);
        }
        self.offset += 2;
        let end = self.bound(&parse, expected)?;
        let message = match (start, end) {
            (None, None) => format!("the range of {subject} has no bound: write 1..9, 1.. or ..9"),
            (Some(start), Some(end)) if start > end => {
                format!("the range {} ends before it starts: swap the bounds", excerpt(&self.text[offset..self.offset]))
            }
            _ => return Ok(Range { start, end }),
        };
        Err(TypeError { message, offset })
    }

    fn bound<T>(&mut self, parse: impl Fn(&str) -> Option<T>, expected: &str) -> Result<Option<T>, TypeError> {
        let text = number_at(self.rest());
        if text.is_empty() {
            return Ok(None);
        }
        let Some(bound) = parse(text) else {
            return self.error(format!("invalid bound {}: the bounds are {expected}", excerpt(text)));
        };
        self.offset += text.len();
        Ok(Some(bound))
    }
}

/// Reports whether the text behind a name makes the name a member of a map.
fn is_member(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.strip_prefix('?').unwrap_or(rest).trim_start().starts_with(':')
}

/// Parses a finite number. Zero has no sign.
fn parse_float(text: &str) -> Option<f64> {
    let has_digits = text.bytes().any(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number: &f64| has_digits && number.is_finite()).map(|number| number + 0.0)
}

/// The longest start of a text that has the form of a number. Two dots are a range, not part of a number.
fn number_at(text: &str) -> &str {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let mut end = digits(usize::from(bytes.first() == Some(&b'-')));
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) && end > 0 {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1 + sign);
        }
    }
    &text[..end]
}
