//! Signatures: the names, types and documentation of functions.
//!
//! Rhai has no parameter types, so a function declares its types in `JSDoc` tags of its doc comment. One parser of those
//! types makes both a validator ([`Type::check`]) and JSON Schema 2020-12 ([`Type::json_schema`]); both accept the same
//! values.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use functions::signature::{Signature, Value};
//!
//! let doc = "Orders some of an item for the caller.
//! @param {string 1..64} item - what
//! @param {int 1..100} [count=1] - how many
//! @returns {{ order: string, left: int }}";
//! let parameters = ["item".to_owned(), "count".to_owned()];
//! let place = Signature::parse("order.place".parse()?, &parameters, doc).map_err(|errors| format!("{errors:?}"))?;
//! assert_eq!(place.text(), "order.place(item: string 1..64, count?: int 1..100 = 1) -> { order: string, left: int }");
//!
//! let params = serde_json::value::RawValue::from_string(r#"{ "item": "tea" }"#.to_owned())?;
//! let arguments = place.arguments(Some(&params))?;
//! assert_eq!(arguments.values, [Value::String("tea".to_owned()), Value::Int(1)]);
//!
//! let params = serde_json::value::RawValue::from_string(r#"["tea", 101]"#.to_owned())?;
//! let fault = place.arguments(Some(&params)).unwrap_err();
//! assert_eq!((&*fault.param, &*fault.reason), ("count", "expected int 1..100, got 101"));
//! # Ok(())
//! # }
//! ```
//!
//! # Types
//!
//! | type | JSON | in Rhai | range `m..n`, `m..`, `..n` |
//! | --- | --- | --- | --- |
//! | `string` | a string | `string` | number of Unicode scalar values |
//! | `int` | a number without a fraction, also as `2.0`, of 64 bits with sign | `i64` | value |
//! | `float` | a number, also as `1` | `f64` | value |
//! | `bool` | `true`, `false` | `bool` | none |
//! | `blob` | a string: base64 (RFC 4648 §4, padded) | `blob` | number of bytes |
//! | `any` | every value | what the value shows: a number with a fraction or an exponent, or beyond 64 bits, is `f64` | none |
//! | `()` | `null` | `()` | none |
//! | `"text"`, `1`, `1.5`, `true`, `false` | this value; numbers compare by value, so `1` is `1.0` | the literal's type | none |
//! | `[T]` | an array | `array` | number of items |
//! | `{ a: T, b?: T }` | an object with these members and no others; `b` may be absent, but is not null | `map` | none |
//! | `{ *: T }` | an object with any members | `map` | none |
//! | <code>T \| U</code> | what one of the types accepts | what the first type that accepts the value makes | none |
//!
//! A name of a member that is no identifier stands in double quotes: `{ "content-type": string }`. The type of a value
//! is the first one of a union that accepts the value: `1` is an `i64` for `int | float` and an `f64` for `float | int`.

mod arguments;
mod json;
mod name;
mod openrpc;
mod tags;
mod text;
mod types;
mod value;

pub use arguments::{ArgumentFault, Arguments};
pub use name::{FunctionName, InvalidName};
pub use tags::{Described, Parameter, Signature, TagError};
pub use types::{Literal, Mismatch, Property, Range, Type, TypeError};
pub use value::Value;
