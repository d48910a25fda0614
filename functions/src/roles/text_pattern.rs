//! Prefixes of keys and topics with placeholders for the caller.

use std::cmp::Ordering;

/// Bytes of a key, a prefix or a topic of a store.
const MAX_TEXT_BYTES: usize = 512;

/// The caller, for the placeholders `{key}` and `{name}` in patterns.
///
/// A pattern with a placeholder grants nothing to a caller without the value, and nothing if the value has other
/// characters than ASCII letters, digits and dashes: a `/` in it would reach out of the prefix.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CallerPlaceholders<'a> {
    /// Public key in hexadecimal digits; `None` for an anonymous caller.
    pub key: Option<&'a str>,
    /// Name of the member; `None` for other callers.
    pub name: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Key,
    Name,
}

/// The placeholders as an operator writes them.
const PLACEHOLDERS: [(&str, Part); 2] = [("{key}", Part::Key), ("{name}", Part::Name)];

/// A text with placeholders. Ordered by the text.
#[derive(Debug, Clone)]
pub(super) struct TextPattern {
    text: String,
    parts: Vec<Part>,
}

impl TextPattern {
    /// Parses the prefix of keys. The error continues a sentence that begins with the whole pattern.
    pub(super) fn prefix(text: &str) -> Result<Self, String> {
        let pattern = Self::parse(text, "prefix")?;
        if text.ends_with('/') {
            Ok(pattern)
        } else {
            Err("has a prefix that does not end in '/': add the '/'".to_owned())
        }
    }

    /// Parses a topic. The error continues a sentence that begins with the whole pattern.
    pub(super) fn topic(text: &str) -> Result<Self, String> {
        Self::parse(text, "topic")
    }

    fn parse(text: &str, noun: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(format!("has no {noun} after the ':': write the {noun}"));
        }
        if text.len() > MAX_TEXT_BYTES {
            return Err(format!("has a {noun} of {} bytes: use at most {MAX_TEXT_BYTES}", text.len()));
        }
        if text.contains('*') {
            return Err(format!("has '*' in its {noun}, which is no wildcard there: remove it"));
        }
        let (mut parts, mut rest) = (Vec::new(), text);
        while !rest.is_empty() {
            let literal = rest.find(['{', '}']).unwrap_or(rest.len());
            if literal > 0 {
                parts.push(Part::Literal(rest[..literal].to_owned()));
            }
            rest = &rest[literal..];
            if rest.is_empty() {
                break;
            }
            let placeholder = PLACEHOLDERS.iter().find_map(|(text, part)| Some((part, rest.strip_prefix(*text)?)));
            let Some((part, after)) = placeholder else {
                return Err(
                    "has a brace that belongs to no placeholder: write {key} for the public key of the caller, \
                            {name} for the name of the member, or remove the brace"
                        .to_owned(),
                );
            };
            parts.push(part.clone());
            rest = after;
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns whether a text starts with the pattern.
    pub(super) fn is_prefix_of(&self, text: &str, caller: &CallerPlaceholders) -> bool {
        self.strip(text, caller).is_some()
    }

    /// Returns whether a text is the pattern.
    pub(super) fn is(&self, text: &str, caller: &CallerPlaceholders) -> bool {
        self.strip(text, caller) == Some("")
    }

    /// Returns the text after the pattern; `None` if the text does not start with it.
    fn strip<'t>(&self, text: &'t str, caller: &CallerPlaceholders) -> Option<&'t str> {
        self.parts.iter().try_fold(text, |rest, part| {
            let start = match part {
                Part::Literal(literal) => literal,
                Part::Key => caller.key.filter(|value| is_value(value))?,
                Part::Name => caller.name.filter(|value| is_value(value))?,
            };
            rest.strip_prefix(start)
        })
    }
}

/// Returns whether a placeholder may stand for this text.
fn is_value(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

impl PartialEq for TextPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TextPattern {}

impl PartialOrd for TextPattern {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TextPattern {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

/// Removes each prefix that starts with another one: the shorter prefix grants the same and more to the same callers,
/// or to more of them.
pub(super) fn remove_covered(prefixes: &mut std::collections::BTreeSet<TextPattern>) {
    let mut last: Option<String> = None;
    prefixes.retain(|prefix| {
        // What starts with a text comes right after it.
        let is_covered = last.as_ref().is_some_and(|last| prefix.text.starts_with(last.as_str()));
        if !is_covered {
            last = Some(prefix.text.clone());
        }
        !is_covered
    });
}
