//! The error of a host function, as scripts see it.

use serde::Serialize;
use serde_json::Value;

/// The error of a host function, as scripts see it. There is no conversion from other errors, because their texts may
/// not be meant for scripts: [`Error::internal`] logs such an error and hides its text.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    pub(crate) message: String,
    pub(crate) data: Option<Value>,
}

impl Error {
    /// Makes an error with a message for a person.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), data: None }
    }

    /// Adds data for a program. Data that cannot be represented as JSON is omitted.
    #[must_use]
    pub fn with_data(mut self, data: impl Serialize) -> Self {
        self.data = serde_json::to_value(data).ok();
        self
    }

    /// Logs an internal error, and makes an error that tells the script only that the function failed.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "host function failed");
        Self::failed()
    }

    pub(crate) fn failed() -> Self {
        Self::new("internal error; see the circle's log")
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
