//! Locates a field in `circles.json`, for problems that show only on this machine.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{FieldSpans, read};
use crate::config_error::{ConfigError, ConfigSource};

/// The text of a `circles.json` that was parsed before.
#[derive(Debug)]
pub struct ConfigLocator {
    pub(super) text: String,
    pub(super) path: PathBuf,
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
        let top: RawSpans = serde_json::from_str(&self.text).ok()?;
        let (raw, spans) = top.circle(circle)?;
        let own = spans.get(field).or_else(|| top.defaults.as_ref()?.get(field));
        Some(own.map_or(raw.get(), |value| value.get()))
    }

    /// Returns where the value of a circle's own field is in the text; `None` if it is not set there.
    pub(super) fn own_field(&self, circle: &str, field: &str) -> Option<Range<usize>> {
        let top: RawSpans = serde_json::from_str(&self.text).ok()?;
        self.range(top.circle(circle)?.1.get(field)?)
    }

    /// Returns where the items of a list are, from the place of the list in the text.
    pub(super) fn items(&self, list: &Range<usize>) -> Vec<Range<usize>> {
        let items: Vec<&RawValue> = serde_json::from_str(&self.text[list.clone()]).unwrap_or_default();
        items.into_iter().filter_map(|item| self.range(item)).collect()
    }

    /// Returns where the value of a field of an object is, from the place of the object in the text.
    pub(super) fn field_of(&self, object: &Range<usize>, field: &str) -> Option<Range<usize>> {
        let fields: FieldSpans = serde_json::from_str(&self.text[object.clone()]).ok()?;
        self.range(fields.get(field)?)
    }

    /// Returns where a value, a slice of the text, is in it.
    fn range(&self, value: &RawValue) -> Option<Range<usize>> {
        let start = (value.get().as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        Some(start..start + value.get().len())
    }
}

/// The raw text of circles and defaults.
#[derive(Deserialize)]
struct RawSpans<'a> {
    #[serde(borrow)]
    defaults: Option<FieldSpans<'a>>,
    #[serde(borrow)]
    circles: Vec<&'a RawValue>,
}

impl<'a> RawSpans<'a> {
    /// Returns the text of a circle, and its fields.
    fn circle(&self, name: &str) -> Option<(&'a RawValue, FieldSpans<'a>)> {
        self.circles.iter().find_map(|raw| {
            let spans: FieldSpans = serde_json::from_str(raw.get()).ok()?;
            let found: String = serde_json::from_str(spans.get("name")?.get()).ok()?;
            (found == name).then_some((*raw, spans))
        })
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
