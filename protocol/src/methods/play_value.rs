//! The value of a play.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

/// The value of a play as JSON, not parsed yet.
///
/// # Examples
///
/// ```
/// use protocol::methods::PlayValue;
///
/// # fn main() -> Result<(), serde_json::Error> {
/// let value: PlayValue = serde_json::from_str("[1, 2]")?;
/// assert_eq!(value.get::<Vec<i64>>()?, [1, 2]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlayValue(Box<RawValue>);

impl PlayValue {
    /// Converts the value to a type.
    ///
    /// # Errors
    ///
    /// The type has no such value.
    pub fn get<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0.get())
    }

    /// The JSON text as the circle wrote it.
    pub fn as_json(&self) -> &str {
        self.0.get()
    }
}

impl From<Box<RawValue>> for PlayValue {
    fn from(json: Box<RawValue>) -> Self {
        Self(json)
    }
}
