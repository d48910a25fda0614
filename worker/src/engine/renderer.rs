//! Rendering of values as text and as JSON, with bounds on depth and size that Rhai's own printing lacks.

use std::time::Instant;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rhai::{
    Array, Blob, Dynamic, Engine, FLOAT, INT, ImmutableString, Map, NativeCallContext, Position, is_valid_identifier,
};
use serde_json::value::RawValue;

use crate::message::{BLOB_MEMBER, LimitKind};

/// Maximum depth of a rendered value.
pub(crate) const MAX_DEPTH: u64 = 64;

/// The limit that a value exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge {
    pub(crate) kind: LimitKind,
    pub(crate) max: u64,
}

/// Why a value has no JSON for a host function.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ArgumentError {
    TooLarge(TooLarge),
    /// A value of this type has no form in JSON.
    NoForm {
        type_name: String,
        /// Where the value is in the argument, as a script would access it; empty for the argument itself.
        path: String,
    },
}

impl From<TooLarge> for ArgumentError {
    fn from(error: TooLarge) -> Self {
        Self::TooLarge(error)
    }
}

impl ArgumentError {
    /// Prepends the access of a part to the path.
    fn in_part(self, part: impl FnOnce() -> String) -> Self {
        match self {
            Self::NoForm { type_name, path } => Self::NoForm { type_name, path: part() + path.as_str() },
            Self::TooLarge(error) => Self::TooLarge(error),
        }
    }
}

/// The purpose of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JsonStyle {
    /// The value of a play: a blob as base64; a value without a form in JSON as its text.
    Value,
    /// An argument of a host function: a blob as an array of numbers; a value without a form in JSON is an error.
    Argument,
    /// An argument that keeps its type: a blob as in the result of a host function; a value without a form in JSON, and a
    /// number that is not finite, is an error.
    ExactArgument,
}

/// A renderer of values of one engine.
#[derive(Clone, Copy)]
pub(crate) struct Renderer<'e> {
    pub(crate) engine: &'e Engine,
    /// Maximum size of the text or the JSON of a value, in bytes.
    pub(crate) max_bytes: u64,
}

/// The text styles of Rhai.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextStyle {
    /// The style of `print`: strings without quotes.
    Print,
    /// The style of `debug`, and of `print` inside arrays and maps: strings in quotes.
    Debug,
}

impl Renderer<'_> {
    /// Renders a value as `print` shows it.
    pub(crate) fn text(self, value: &Dynamic) -> Result<String, TooLarge> {
        let mut out = String::new();
        self.write_text(&mut out, value, TextStyle::Print, 1)?;
        Ok(out)
    }

    /// Renders a value as JSON: integers exactly; NaN and infinities as null; a character as a string; a blob as
    /// base64; values without a form in JSON as their text.
    pub(crate) fn json(self, value: &Dynamic) -> Result<String, TooLarge> {
        let mut out = String::new();
        match self.write_json(&mut out, value, JsonStyle::Value, 1) {
            Ok(()) => Ok(out),
            Err(ArgumentError::TooLarge(error)) => Err(error),
            // Only arguments have this error.
            Err(ArgumentError::NoForm { .. }) => Ok("null".into()),
        }
    }

    /// Renders a value as the JSON of an argument of a host function: like [`json`](Self::json), but a blob as an array
    /// of numbers, and a value without a form in JSON, at any depth, as an error.
    pub(crate) fn argument(self, value: &Dynamic) -> Result<String, ArgumentError> {
        let mut out = String::new();
        self.write_json(&mut out, value, JsonStyle::Argument, 1)?;
        Ok(out)
    }

    /// Like [`argument`](Self::argument), but the host function can return the same value: a blob is an object, and a
    /// number that is not finite is an error, as is a map that looks like a blob.
    pub(crate) fn exact_argument(self, value: &Dynamic) -> Result<String, ArgumentError> {
        let mut out = String::new();
        self.write_json(&mut out, value, JsonStyle::ExactArgument, 1)?;
        Ok(out)
    }

    /// Calls a native function of a value of one of the program's types, such as `to_string`. Returns its text.
    fn call_text(self, function: &str, value: &Dynamic) -> Option<ImmutableString> {
        let global = self.engine.new_global_runtime_state();
        let context = NativeCallContext::new_with_all_fields(self.engine, function, None, &global, Position::NONE);
        let text = context.call_native_fn_raw(function, true, &mut [&mut value.flatten_clone()]).ok()?;
        text.into_immutable_string().ok()
    }

    /// Returns the JSON of a value of one of the program's types, if the type has a function `to_json`.
    fn native_json(self, value: &Dynamic) -> Option<ImmutableString> {
        if !is_native(value) {
            return None;
        }
        let json = self.call_text("to_json", value)?;
        serde_json::from_str::<&RawValue>(&json).is_ok().then_some(json)
    }

    fn check(self, out: &str, depth: u64) -> Result<(), TooLarge> {
        if out.len() as u64 > self.max_bytes {
            return Err(TooLarge { kind: LimitKind::Output, max: self.max_bytes });
        }
        if depth > MAX_DEPTH {
            return Err(TooLarge { kind: LimitKind::ValueDepth, max: MAX_DEPTH });
        }
        Ok(())
    }

    fn write_text(self, out: &mut String, value: &Dynamic, form: TextStyle, depth: u64) -> Result<(), TooLarge> {
        if let Some(array) = value.read_lock::<Array>() {
            self.check(out, depth)?;
            out.push('[');
            for (index, item) in array.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                self.write_text(out, item, TextStyle::Debug, depth + 1)?;
            }
            out.push(']');
        } else if let Some(map) = value.read_lock::<Map>() {
            self.check(out, depth)?;
            out.push_str("#{");
            for (index, (key, item)) in map.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                out.push_str(&format!("{:?}: ", key.as_str()));
                self.write_text(out, item, TextStyle::Debug, depth + 1)?;
            }
            out.push('}');
        } else if let Some(text) = value.read_lock::<ImmutableString>() {
            // Check the size before copying the text.
            if (out.len() + text.len()) as u64 > self.max_bytes {
                return Err(TooLarge { kind: LimitKind::Output, max: self.max_bytes });
            }
            match form {
                TextStyle::Print => out.push_str(&text),
                TextStyle::Debug => out.push_str(&format!("{:?}", text.as_str())),
            }
        } else if let Ok(character) = value.as_char() {
            // Rhai's debug style has no quotes around characters. `map_type_name` would treat a space as an empty name.
            out.push(character);
        } else if is_native(value) {
            let function = if form == TextStyle::Print { "to_string" } else { "to_debug" };
            match self.call_text(function, value) {
                Some(text) => out.push_str(&text),
                None => out.push_str(self.engine.map_type_name(value.type_name())),
            }
        } else if value.is_fnptr() || form == TextStyle::Print {
            // The debug form of a function pointer would show what it captured, without bounds.
            out.push_str(self.engine.map_type_name(&value.to_string()));
        } else {
            out.push_str(self.engine.map_type_name(&format!("{value:?}")));
        }
        self.check(out, 0)
    }

    fn write_json(self, out: &mut String, value: &Dynamic, style: JsonStyle, depth: u64) -> Result<(), ArgumentError> {
        if let Some(array) = value.read_lock::<Array>() {
            self.check(out, depth)?;
            out.push('[');
            for (index, item) in array.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                let written = self.write_json(out, item, style, depth + 1);
                written.map_err(|error| error.in_part(|| format!("[{index}]")))?;
            }
            out.push(']');
        } else if let Some(map) = value.read_lock::<Map>() {
            self.check(out, depth)?;
            if style == JsonStyle::ExactArgument && map.keys().any(|name| is_reserved(name)) {
                let type_name = format!("map with a member {BLOB_MEMBER} or {SERDE_PREFIX}…");
                return Err(ArgumentError::NoForm { type_name, path: String::new() });
            }
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write_json_string(out, key);
                out.push(':');
                let written = self.write_json(out, item, style, depth + 1);
                written.map_err(|error| error.in_part(|| access(key)))?;
            }
            out.push('}');
        } else if let Some(text) = value.read_lock::<ImmutableString>() {
            write_json_string(out, &text);
        } else if let Some(blob) = value.read_lock::<Blob>() {
            self.write_blob(out, &blob, style)?;
        } else if let Some(float) = value.read_lock::<FLOAT>() {
            if style == JsonStyle::ExactArgument && !float.is_finite() {
                return Err(ArgumentError::NoForm { type_name: float.to_string(), path: String::new() });
            }
            // serde_json writes null for numbers that are not finite.
            out.push_str(&serde_json::to_string(&*float).unwrap_or_else(|_| "null".into()));
        } else if value.is::<INT>() || value.is::<bool>() || is_other_integer(value) {
            out.push_str(&value.to_string());
        } else if value.is_unit() {
            out.push_str("null");
        } else if let Ok(character) = value.as_char() {
            if style == JsonStyle::ExactArgument {
                // The value would come back as a string.
                return Err(ArgumentError::NoForm { type_name: "char".into(), path: String::new() });
            }
            write_json_string(out, character.encode_utf8(&mut [0; 4]));
        } else if let Some(float) = value.read_lock::<f32>() {
            out.push_str(&serde_json::to_string(&*float).unwrap_or_else(|_| "null".into()));
        } else if let Some(json) = self.native_json(value) {
            out.push_str(&json);
        } else if style != JsonStyle::Value {
            let type_name = self.engine.map_type_name(value.type_name()).to_owned();
            return Err(ArgumentError::NoForm { type_name, path: String::new() });
        } else {
            let mut text = String::new();
            self.write_text(&mut text, value, TextStyle::Print, depth)?;
            write_json_string(out, &text);
        }
        Ok(self.check(out, 0)?)
    }

    fn write_blob(self, out: &mut String, blob: &[u8], style: JsonStyle) -> Result<(), TooLarge> {
        if style == JsonStyle::Value {
            out.push('"');
            STANDARD.encode_string(blob, out);
            out.push('"');
            return Ok(());
        }
        if style == JsonStyle::ExactArgument {
            out.push_str("{\"");
            out.push_str(BLOB_MEMBER);
            out.push_str("\":\"");
            STANDARD.encode_string(blob, out);
            out.push_str("\"}");
            return Ok(());
        }
        out.push('[');
        for (index, byte) in blob.iter().enumerate() {
            out.push_str(if index == 0 { "" } else { "," });
            out.push_str(&byte.to_string());
            self.check(out, 0)?;
        }
        out.push(']');
        Ok(())
    }
}

/// The access of a property, as a script writes it.
fn access(key: &str) -> String {
    if is_valid_identifier(key) { format!(".{key}") } else { format!("[{key:?}]") }
}

/// Whether a value has a type of the program, or a type of Rhai's packages.
fn is_native(value: &Dynamic) -> bool {
    !(value.is_fnptr()
        || value.is_unit()
        || value.is::<bool>()
        || value.is::<INT>()
        || value.is::<FLOAT>()
        || value.is::<f32>()
        || value.is::<Blob>()
        || value.is::<Instant>()
        || is_other_integer(value))
}

fn write_json_string(out: &mut String, text: &str) {
    out.push_str(&serde_json::to_string(text).expect("a string has a form in JSON"));
}

/// The names of members by which serde's JSON recognizes values of its own.
const SERDE_PREFIX: &str = "$serde_json::private::";

/// Whether JSON has another meaning for a member of this name.
fn is_reserved(name: &str) -> bool {
    name == BLOB_MEMBER || name.starts_with(SERDE_PREFIX)
}

/// Whether a value has another integer type than Rhai's default one, which Rhai's packages can produce.
fn is_other_integer(value: &Dynamic) -> bool {
    value.is::<u8>()
        || value.is::<u16>()
        || value.is::<u32>()
        || value.is::<u64>()
        || value.is::<u128>()
        || value.is::<i8>()
        || value.is::<i16>()
        || value.is::<i32>()
        || value.is::<i128>()
}

#[cfg(test)]
mod tests;
