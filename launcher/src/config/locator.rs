//! Locates a field in `circles.json`, for problems that show only on this machine.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{FieldSpans, read};
use crate::config_error::{ConfigError, ConfigSource};

/// The text of a `circles.json` that was parsed before.
#[derive(Debug)]
pub struct ConfigLocator {
    text: String,
    path: PathBuf,
}

impl ConfigLocator {
    /// Reads the file as it is now.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Ok(Self { text: read(path)?, path: path.to_owned() })
    }

    /// Returns an error at a field of a circle: in the circle or, if it is set there, in `defaults`; otherwise at the
    /// circle.
    pub fn error_at(&self, circle: &str, field: &str, what: impl Into<String>) -> ConfigError {
        let source = ConfigSource { text: &self.text, path: &self.path };
        source.error_at(self.span(circle, field).unwrap_or(&self.text), what)
    }

    /// Returns the text of the field; `None` if the file has changed meanwhile.
    fn span(&self, circle: &str, field: &str) -> Option<&str> {
        #[derive(Deserialize)]
        struct RawSpans<'a> {
            #[serde(borrow)]
            defaults: Option<FieldSpans<'a>>,
            #[serde(borrow)]
            circles: Vec<&'a RawValue>,
        }
        let top: RawSpans = serde_json::from_str(&self.text).ok()?;
        for raw in top.circles {
            let spans: FieldSpans = serde_json::from_str(raw.get()).ok()?;
            let name: String = serde_json::from_str(spans.get("name")?.get()).ok()?;
            if name == circle {
                let own = spans.get(field).or_else(|| top.defaults.as_ref()?.get(field));
                return Some(own.map_or(raw.get(), |value| value.get()));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locator_finds_field_or_default() {
        let text = r#"{ "defaults": { "host": "::1" },
  "circles": [
    { "name": "a", "port": 1 },
    { "name": "b",
      "port": 2, "host": "10.0.0.1" }
] }"#;
        let locator = ConfigLocator { text: text.into(), path: "circles.json".into() };
        let cases = [
            ("a", "port", (3, 28)),
            ("b", "port", (5, 15)),
            ("b", "host", (5, 26)),
            // Inherited from `defaults`.
            ("a", "host", (1, 25)),
            // Not set: the circle itself.
            ("b", "init", (4, 5)),
            ("c", "port", (1, 1)),
        ];
        for (circle, field, place) in cases {
            let ConfigError::Invalid { line, column, .. } = locator.error_at(circle, field, "wrong") else {
                panic!("a mistake")
            };
            assert_eq!((line, column), place, "{circle} {field}");
        }
    }
}
