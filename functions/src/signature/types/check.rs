//! Validation of JSON values.

use std::cmp::Ordering;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::signature::text::{did_you_mean, excerpt, truncate};

use super::{Literal, Property, Range, Type, is_identifier, number};

/// Maximum number of characters of a path.
const MAX_PATH: usize = 200;

/// Maximum number of characters of an expected type.
const MAX_EXPECTED: usize = 200;

/// A value that does not fit a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Where in the value: empty for the value itself, or such as `items[2].count`.
    pub path: String,
    /// What the type expects, and what the value is, such as `expected int 1..100, got 101`. Long types and
    /// values are truncated.
    pub reason: String,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_empty() { f.write_str(&self.reason) } else { write!(f, "{}: {}", self.path, self.reason) }
    }
}

impl std::error::Error for Mismatch {}

impl Type {
    /// Checks that a JSON value has this type.
    ///
    /// # Errors
    ///
    /// The first part of the value that does not fit.
    ///
    /// ```
    /// use functions::signature::Type;
    ///
    /// let float: Type = "float 0..1".parse()?;
    /// assert!(float.check(&serde_json::json!(1)).is_ok());
    /// assert!(float.check(&serde_json::json!(1.5)).is_err());
    /// # Ok::<(), functions::signature::TypeError>(())
    /// ```
    pub fn check(&self, value: &Value) -> Result<(), Mismatch> {
        self.find_fault(value, &mut Path::default()).map_or(Ok(()), Err)
    }

    pub(super) fn accepts(&self, value: &Value) -> bool {
        self.find_fault(value, &mut Path { text: String::new(), is_silent: true }).is_none()
    }

    /// Returns the first part of the value that does not fit. `path` is where the value is, and is the same afterwards.
    fn find_fault(&self, value: &Value, path: &mut Path) -> Option<Mismatch> {
        let fits = match (self, value) {
            (Self::Any, _) | (Self::Bool, Value::Bool(_)) | (Self::Unit, Value::Null) => true,
            (Self::String { range }, Value::String(text)) => contains_size(range, text.chars().count()),
            (Self::Int { range }, Value::Number(number)) => {
                number::to_i64(number).is_some_and(|integer| range.contains(&integer))
            }
            (Self::Float { range }, Value::Number(number)) => {
                let is_at_least = |start| number::compare(number, start).is_some_and(Ordering::is_ge);
                let is_at_most = |end| number::compare(number, end).is_some_and(Ordering::is_le);
                range.start.is_none_or(is_at_least) && range.end.is_none_or(is_at_most)
            }
            (Self::Blob { range }, Value::String(text)) => {
                let Ok(bytes) = STANDARD.decode(text) else {
                    let reason = || format!("expected {self} as base64 with padding, got {}", describe_value(value));
                    return Some(path.fault(reason));
                };
                contains_size(range, bytes.len())
            }
            (Self::Literal(literal), _) => literal.accepts(value),
            (Self::Array { item, range }, Value::Array(items)) => {
                if contains_size(range, items.len()) {
                    return items.iter().enumerate().find_map(|(index, value)| {
                        path.within(|path| push_index(path, index), |path| item.find_fault(value, path))
                    });
                }
                false
            }
            (Self::Map(properties), Value::Object(members)) => return find_fault_in_map(properties, members, path),
            (Self::Values(item), Value::Object(members)) => {
                return members.iter().find_map(|(name, value)| {
                    path.within(|path| push_member(path, name), |path| item.find_fault(value, path))
                });
            }
            (Self::Union(members), _) => return self.find_fault_in_union(members, value, path),
            _ => false,
        };
        (!fits).then(|| self.mismatch(value, path))
    }

    /// A union's fault is that of the only member that has the form of the value, or else the union's.
    fn find_fault_in_union(&self, members: &[Self], value: &Value, path: &mut Path) -> Option<Mismatch> {
        if members.iter().any(|member| member.accepts(value)) {
            return None;
        }
        if path.is_silent {
            return Some(self.mismatch(value, path));
        }
        let is_similar = |member: &&Self| {
            matches!(
                (member, value),
                (Self::Map(_) | Self::Values(_), Value::Object(_)) | (Self::Array { .. }, Value::Array(_))
            )
        };
        let mut similar = members.iter().filter(is_similar);
        let inner = match (similar.next(), similar.next()) {
            (Some(member), None) => member.find_fault(value, path),
            _ => None,
        };
        inner.or_else(|| Some(self.mismatch(value, path)))
    }

    fn mismatch(&self, value: &Value, path: &Path) -> Mismatch {
        path.fault(|| {
            let size = match (self, value) {
                (Self::String { .. }, Value::String(text)) => format!(" of {} characters", text.chars().count()),
                (Self::Blob { .. }, Value::String(text)) => {
                    format!(" of {} bytes", STANDARD.decode(text).map_or(0, |bytes| bytes.len()))
                }
                _ => String::new(),
            };
            format!("expected {}, got {}{size}", truncate(&self.to_string(), MAX_EXPECTED), describe_value(value))
        })
    }
}

/// Where a value is. A union tries its types silently: texts of faults that nobody sees would cost most of the time.
#[derive(Default)]
struct Path {
    text: String,
    is_silent: bool,
}

impl Path {
    /// Runs `find` with a longer path, and restores the path.
    fn within<T>(&mut self, push: impl FnOnce(&mut String), find: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.text.len();
        if !self.is_silent {
            push(&mut self.text);
        }
        let found = find(self);
        self.text.truncate(length);
        found
    }

    fn fault(&self, reason: impl FnOnce() -> String) -> Mismatch {
        let reason = if self.is_silent { String::new() } else { reason() };
        Mismatch { path: truncate(&self.text, MAX_PATH), reason }
    }
}

impl Literal {
    fn accepts(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::String(expected), Value::String(text)) => expected == text,
            (Self::Int(expected), Value::Number(number)) => number::to_i64(number) == Some(*expected),
            (Self::Float(expected), Value::Number(number)) => {
                number::compare(number, *expected) == Some(Ordering::Equal)
            }
            (Self::Bool(expected), Value::Bool(value)) => expected == value,
            _ => false,
        }
    }
}

fn find_fault_in_map(
    properties: &[Property],
    members: &serde_json::Map<String, Value>,
    path: &mut Path,
) -> Option<Mismatch> {
    let is_known = |name: &String| properties.iter().any(|property| property.name == *name);
    // A misspelled name is also missing: the unknown name is the better hint.
    if let Some(surplus) = members.keys().find(|name| !is_known(name)) {
        let reason = || {
            let names: Vec<&str> = properties.iter().map(|property| &*property.name).collect();
            match did_you_mean(surplus, names.iter().copied()) {
                Some(near) => format!("unknown member, did you mean {near}?"),
                None if names.is_empty() => "unknown member, expected none".to_owned(),
                None => format!("unknown member, expected {}", truncate(&names.join(", "), MAX_EXPECTED)),
            }
        };
        return Some(path.within(|path| push_member(path, surplus), |path| path.fault(reason)));
    }
    properties.iter().find_map(|property| {
        path.within(
            |path| push_member(path, &property.name),
            |path| match members.get(&property.name) {
                Some(value) => property.r#type.find_fault(value, path),
                None if property.is_optional => None,
                None => Some(path.fault(|| {
                    let expected = truncate(&property.r#type.to_string(), MAX_EXPECTED);
                    format!("expected {expected}, but it is missing")
                })),
            },
        )
    })
}

/// Appends a member of a map to a path.
pub(in crate::signature) fn push_member(path: &mut String, name: &str) {
    if !is_identifier(name) || name.len() > 48 {
        path.push('[');
        path.push_str(&excerpt(name));
        path.push(']');
        return;
    }
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

/// Appends an item of a list to a path.
pub(in crate::signature) fn push_index(path: &mut String, index: usize) {
    path.push_str(&format!("[{index}]"));
}

/// A value for an error, truncated.
pub(in crate::signature) fn describe_value(value: &Value) -> String {
    let count = |count: usize, noun: &str| match count {
        0 => format!("no {noun}s"),
        1 => format!("one {noun}"),
        _ => format!("{count} {noun}s"),
    };
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => excerpt(text),
        Value::Array(items) => format!("a list with {}", count(items.len(), "item")),
        Value::Object(members) => format!("a map with {}", count(members.len(), "member")),
    }
}

fn contains_size(range: &Range<u64>, size: usize) -> bool {
    range.contains(&(size as u64))
}
