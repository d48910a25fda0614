//! The expression before a dot or an index, as far as its type can be known without evaluating it.

use super::{super::library::KEYWORDS, is_number};
use crate::engine::{TextEnd, Token};

/// The value before a dot or an index.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::inspection) enum Receiver<'t> {
    /// A variable, and the steps from its value.
    Path { variable: &'t str, steps: Vec<Step<'t>> },
    /// A literal of this type.
    Literal(&'static str),
    /// Any other expression.
    Unknown,
}

/// A step from a value to a value in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::inspection) enum Step<'t> {
    /// The member of a map, or the item with this key.
    Member(&'t str),
    /// The item of an array at this index.
    Item(usize),
    /// Some item of an array.
    AnyItem,
}

/// Returns the expression that ends with the last token. `text` is the whole text, and tokens have their starts in it.
pub(super) fn receiver<'t>(text: &'t str, tokens: &[(usize, Token<'t>)]) -> Receiver<'t> {
    let mut steps = Vec::new();
    let mut left = tokens;
    loop {
        let Some(((start, last), before)) = left.split_last() else { return Receiver::Unknown };
        match last {
            Token::Word(word) if is_number(word) => return Receiver::Unknown,
            Token::Word(word) => match before.split_last() {
                Some(((_, Token::Dot), before)) => {
                    steps.push(Step::Member(word));
                    left = before;
                }
                Some(((_, Token::Colons), _)) => return Receiver::Unknown,
                _ => {
                    steps.reverse();
                    return Receiver::Path { variable: word, steps };
                }
            },
            Token::Other(']') => {
                let Some(open) = opening(left) else { return Receiver::Unknown };
                if !is_indexed(&left[..open]) {
                    return if steps.is_empty() { Receiver::Literal("array") } else { Receiver::Unknown };
                }
                steps.push(index(text, &left[open + 1..]));
                left = &left[..open];
            }
            Token::Other('}') if steps.is_empty() => {
                let is_map = opening(left).and_then(|open| left.get(open.checked_sub(1)?));
                return match is_map {
                    Some((_, Token::Other('#'))) => Receiver::Literal("map"),
                    _ => Receiver::Unknown,
                };
            }
            Token::Text(TextEnd::Closed) if steps.is_empty() => {
                return Receiver::Literal(if text[*start..].starts_with('\'') { "char" } else { "string" });
            }
            _ => return Receiver::Unknown,
        }
    }
}

/// Returns the position of the bracket that the last token closes.
fn opening(tokens: &[(usize, Token<'_>)]) -> Option<usize> {
    let mut depth = 0_usize;
    for (position, (_, token)) in tokens.iter().enumerate().rev() {
        match token {
            Token::Other(')' | ']' | '}') => depth += 1,
            Token::Other('(' | '[' | '{') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(position);
                }
            }
            _ => {}
        }
    }
    None
}

/// Whether a bracket after these tokens is an index, and not the start of an array.
pub(super) fn is_indexed(before: &[(usize, Token<'_>)]) -> bool {
    match before.last() {
        Some((_, Token::Word(word))) => {
            let is_member = before.iter().rev().nth(1).is_some_and(|(_, token)| *token == Token::Dot);
            is_member || *word == "this" || !KEYWORDS.contains(word)
        }
        Some((_, Token::Other(']' | ')' | '?') | Token::Text(TextEnd::Closed))) => true,
        _ => false,
    }
}

/// Returns the step of an index, given its tokens with the closing bracket.
fn index<'t>(text: &'t str, tokens: &[(usize, Token<'t>)]) -> Step<'t> {
    match tokens {
        [(_, Token::Word(number)), _] => number.parse().map_or(Step::AnyItem, Step::Item),
        [(start, Token::Text(TextEnd::Closed)), (end, _)] => {
            let key = text[*start..*end].trim_end().strip_prefix('"').and_then(|key| key.strip_suffix('"'));
            key.filter(|key| !key.contains('\\')).map_or(Step::AnyItem, Step::Member)
        }
        _ => Step::AnyItem,
    }
}
