//! Where in `circles.json` something stands that only the machine knows to be wrong.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{FieldSpans, read};
use crate::config_error::{ConfigError, ConfigSource};

/// The text of a file that was parsed.
#[derive(Debug)]
pub struct ConfigLocator {
    text: String,
    path: PathBuf,
}

impl ConfigLocator {
    /// For the file as it is now.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Ok(Self { text: read(path)?, path: path.to_owned() })
    }

    /// What is wrong, at a field of a circle: where the circle has it, or `defaults` do; otherwise at the circle.
    pub fn error_at(&self, circle: &str, field: &str, what: impl Into<String>) -> ConfigError {
        let source = ConfigSource { text: &self.text, path: &self.path };
        source.error_at(self.span(circle, field).unwrap_or(&self.text), what)
    }

    /// `None` where the file has changed meanwhile.
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
            let places: FieldSpans = serde_json::from_str(raw.get()).ok()?;
            let name: String = serde_json::from_str(places.get("name")?.get()).ok()?;
            if name == circle {
                let own = places.get(field).or_else(|| top.defaults.as_ref()?.get(field));
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
            // Of all circles.
            ("a", "host", (1, 25)),
            // Nowhere: the circle itself.
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
