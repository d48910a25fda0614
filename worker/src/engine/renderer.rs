//! Rendering of values as text and as JSON, with bounds on depth and size that Rhai's own printing lacks.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rhai::{Array, Blob, Dynamic, Engine, FLOAT, INT, ImmutableString, Map};

use crate::message::LimitKind;

/// Maximum depth of a rendered value.
pub(crate) const MAX_DEPTH: u64 = 64;

/// The limit that a value exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge {
    pub(crate) kind: LimitKind,
    pub(crate) max: u64,
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
        self.write_json(&mut out, value, 1)?;
        Ok(out)
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
        } else if value.is_fnptr() || form == TextStyle::Print {
            // The debug form of a function pointer would show what it captured, without bounds.
            out.push_str(self.engine.map_type_name(&value.to_string()));
        } else {
            out.push_str(self.engine.map_type_name(&format!("{value:?}")));
        }
        self.check(out, 0)
    }

    fn write_json(self, out: &mut String, value: &Dynamic, depth: u64) -> Result<(), TooLarge> {
        if let Some(array) = value.read_lock::<Array>() {
            self.check(out, depth)?;
            out.push('[');
            for (index, item) in array.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                self.write_json(out, item, depth + 1)?;
            }
            out.push(']');
        } else if let Some(map) = value.read_lock::<Map>() {
            self.check(out, depth)?;
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write_json_string(out, key);
                out.push(':');
                self.write_json(out, item, depth + 1)?;
            }
            out.push('}');
        } else if let Some(text) = value.read_lock::<ImmutableString>() {
            write_json_string(out, &text);
        } else if let Some(blob) = value.read_lock::<Blob>() {
            out.push('"');
            STANDARD.encode_string(&*blob, out);
            out.push('"');
        } else if let Some(float) = value.read_lock::<FLOAT>() {
            // serde_json writes null for numbers that are not finite.
            out.push_str(&serde_json::to_string(&*float).unwrap_or_else(|_| "null".into()));
        } else if value.is::<INT>() || value.is::<bool>() || is_other_integer(value) {
            out.push_str(&value.to_string());
        } else if value.is_unit() {
            out.push_str("null");
        } else if let Ok(character) = value.as_char() {
            write_json_string(out, character.encode_utf8(&mut [0; 4]));
        } else {
            write_json_string(out, self.engine.map_type_name(&value.to_string()));
        }
        self.check(out, 0)
    }
}

fn write_json_string(out: &mut String, text: &str) {
    out.push_str(&serde_json::to_string(text).expect("a string has a form in JSON"));
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
mod tests {
    use super::*;

    fn render(script: &str) -> (String, String) {
        let engine = Engine::new();
        let value: Dynamic = engine.eval(script).expect("the script runs");
        let renderer = Renderer { engine: &engine, max_bytes: 4096 };
        (renderer.text(&value).expect("fits"), renderer.json(&value).expect("fits"))
    }

    #[test]
    fn value_text_matches_rhai_print() {
        let scripts = [
            "42",
            "1.0",
            "1e30",
            "0.1",
            "'x'",
            "' '",
            "['\\n', ' ']",
            "\"a\\\"b\\n\"",
            "true",
            "()",
            "[]",
            "#{}",
            "[1, \"x\", 'c', 2.5, (), [true]]",
            "#{a: 1, \"b c\": [#{d: \"e\"}]}",
            "blob(9, 7)",
            "1..4",
            "1..=4",
            "Fn(\"f\")",
            "[Fn(\"f\")]",
        ];
        for script in scripts {
            let printed = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
            let mut engine = Engine::new();
            let sink = printed.clone();
            engine.on_print(move |text| *sink.lock().expect("not poisoned") = text.into());
            engine.run(&format!("print({script})")).expect("it can be printed");
            assert_eq!(render(script).0, *printed.lock().expect("not poisoned"), "{script}");
        }
    }

    #[test]
    fn value_json_matches_protocol() {
        let cases = [
            ("9223372036854775807", "9223372036854775807"),
            ("1.0", "1.0"),
            ("0.0/0.0", "null"),
            ("1.0/0.0", "null"),
            ("'ß'", "\"ß\""),
            ("[' ', '\\t']", r#"[" ","\t"]"#),
            ("\"a\\\"\\u0000\"", r#""a\"\u0000""#),
            ("()", "null"),
            ("true", "true"),
            ("blob(3, 255)", "\"////\""),
            ("[1, [2, ()], \"x\"]", "[1,[2,null],\"x\"]"),
            ("#{b: 1, a: #{c: 'c'}}", "{\"a\":{\"c\":\"c\"},\"b\":1}"),
            ("1..3", "\"1..3\""),
            ("Fn(\"f\")", "\"Fn(f)\""),
        ];
        for (script, json) in cases {
            assert_eq!(render(script).1, json, "{script}");
        }
    }

    #[test]
    fn rendering_is_bounded_in_depth_and_size() {
        let engine = Engine::new();
        let renderer = Renderer { engine: &engine, max_bytes: 100 };
        let nest = |levels: usize| (1..levels).fold(Dynamic::from(Array::new()), |inner, _| vec![inner].into());
        assert!(renderer.json(&nest(64)).is_err_and(|error| error.kind == LimitKind::Output));
        let renderer = Renderer { engine: &engine, max_bytes: 1000 };
        assert!(renderer.json(&nest(64)).is_ok() && renderer.text(&nest(64)).is_ok());
        let deep = Err(TooLarge { kind: LimitKind::ValueDepth, max: 64 });
        assert_eq!(renderer.json(&nest(65)), deep);
        assert_eq!(renderer.text(&nest(65)), deep);
    }

    #[test]
    fn cyclic_value_ends_at_depth_bound() {
        let engine = Engine::new();
        let value: Dynamic = engine.eval("let a = []; let f = || a; a.push(a); a").expect("runs");
        let renderer = Renderer { engine: &engine, max_bytes: 4096 };
        assert!(renderer.json(&value).is_err() || renderer.json(&value).is_ok_and(|json| json.len() < 300));
    }
}
