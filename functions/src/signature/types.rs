//! Types of parameters, results and thrown values.

mod check;
mod convert;
mod number;
mod parse;
mod schema;
#[cfg(test)]
mod tests;

use std::fmt;

pub use check::Mismatch;
pub use parse::TypeError;

pub(super) use check::{describe_value, push_index, push_member};

/// A type, as a doc comment declares it; see the [table of types](super#types).
///
/// [`FromStr`](std::str::FromStr) parses a type, and [`Display`](fmt::Display) writes the canonical text, which parses
/// to the same type.
///
/// ```
/// use functions::signature::Type;
///
/// let order: Type = r#"{item:string 1..64,count?:int 1..,state:"open"|"closed"}"#.parse()?;
/// assert_eq!(order.to_string(), r#"{ item: string 1..64, count?: int 1.., state: "open" | "closed" }"#);
/// assert!(order.check(&serde_json::json!({ "item": "tea", "state": "open" })).is_ok());
///
/// let mismatch = order.check(&serde_json::json!({ "item": "tea", "count": 0, "state": "open" })).unwrap_err();
/// assert_eq!(mismatch.to_string(), "count: expected int 1.., got 0");
/// # Ok::<(), functions::signature::TypeError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// Text.
    String {
        /// Number of Unicode scalar values.
        range: Range<u64>,
    },
    /// A whole number of 64 bits with sign.
    Int {
        /// Value.
        range: Range<i64>,
    },
    /// A floating-point number of 64 bits, neither infinite nor NaN.
    Float {
        /// Value.
        range: Range<f64>,
    },
    /// `true` or `false`.
    Bool,
    /// Bytes; in JSON, base64 with padding.
    Blob {
        /// Number of bytes.
        range: Range<u64>,
    },
    /// Every value.
    Any,
    /// `()`; in JSON, `null`.
    Unit,
    /// One value.
    Literal(Literal),
    /// A list.
    Array {
        /// Type of each item.
        item: Box<Self>,
        /// Number of items.
        range: Range<u64>,
    },
    /// A map with these properties and no others.
    Map(Vec<Property>),
    /// A map with any names, whose values have this type.
    Values(Box<Self>),
    /// A value of one of these types, of which the first one that accepts the value applies.
    Union(Vec<Self>),
}

impl Type {
    /// Maximum size of a type's text, in bytes.
    pub const MAX_BYTES: usize = 4096;
    /// Maximum depth of arrays and maps in each other.
    pub const MAX_DEPTH: usize = 16;
    /// Maximum number of members of a union.
    pub const MAX_MEMBERS: usize = 64;

    /// Reports whether the type is `any`.
    pub fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }
}

/// The bounds of a value, a length or a number of items. Both bounds are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range<T> {
    /// Minimum.
    pub start: Option<T>,
    /// Maximum.
    pub end: Option<T>,
}

impl<T> Range<T> {
    /// The range that contains everything.
    pub const FULL: Self = Self { start: None, end: None };
}

impl<T: PartialOrd> Range<T> {
    /// Reports whether a number is within the bounds.
    pub fn contains(&self, number: &T) -> bool {
        self.start.as_ref().is_none_or(|start| start <= number) && self.end.as_ref().is_none_or(|end| number <= end)
    }
}

/// A single value as a type.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// Text.
    String(String),
    /// A whole number.
    Int(i64),
    /// A number that is neither infinite nor NaN.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
}

/// A member of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// Name.
    pub name: String,
    /// Type of the value.
    pub r#type: Type,
    /// Whether the member may be absent.
    pub is_optional: bool,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String { range } => write!(f, "string{}", Suffix(range)),
            Self::Int { range } => write!(f, "int{}", Suffix(range)),
            Self::Float { range } => {
                let bounds = Range { start: range.start.map(Bound), end: range.end.map(Bound) };
                write!(f, "float{}", Suffix(&bounds))
            }
            Self::Bool => f.write_str("bool"),
            Self::Blob { range } => write!(f, "blob{}", Suffix(range)),
            Self::Any => f.write_str("any"),
            Self::Unit => f.write_str("()"),
            Self::Literal(literal) => literal.fmt(f),
            Self::Array { item, range } => write!(f, "[{item}]{}", Suffix(range)),
            Self::Map(properties) if properties.is_empty() => f.write_str("{}"),
            Self::Map(properties) => {
                f.write_str("{ ")?;
                for (index, property) in properties.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    let mark = if property.is_optional { "?" } else { "" };
                    f.write_str(separator)?;
                    if is_identifier(&property.name) {
                        f.write_str(&property.name)?;
                    } else {
                        quote(f, &property.name)?;
                    }
                    write!(f, "{mark}: {}", property.r#type)?;
                }
                f.write_str(" }")
            }
            Self::Values(value) => write!(f, "{{ *: {value} }}"),
            Self::Union(members) => {
                for (index, member) in members.iter().enumerate() {
                    write!(f, "{}{member}", if index == 0 { "" } else { " | " })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::String(text) => quote(f, text),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Bool(value) => write!(f, "{value}"),
        }
    }
}

/// A bound of `float`: `1` rather than `1.0`.
struct Bound(f64);

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:?}", self.0);
        f.write_str(text.strip_suffix(".0").unwrap_or(&text))
    }
}

/// A range behind a type, unless the range contains everything.
struct Suffix<'a, T>(&'a Range<T>);

impl<T: fmt::Display> fmt::Display for Suffix<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.start, &self.0.end) {
            (None, None) => Ok(()),
            (Some(start), None) => write!(f, " {start}.."),
            (None, Some(end)) => write!(f, " ..{end}"),
            (Some(start), Some(end)) => write!(f, " {start}..{end}"),
        }
    }
}

/// Reports whether a name may stand without quotes.
pub(super) fn is_identifier(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    write!(f, "{}", serde_json::Value::from(text))
}
