//! What a script sees of a host function's failure.

use serde::Serialize;
use serde_json::Value;

/// The failure of a host function, as the script sees it. It has no conversion from other errors: what those say may not
/// be for a script's eyes. [`Error::internal`] logs one and says nothing of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    pub(crate) message: String,
    pub(crate) data: Option<Value>,
}

impl Error {
    /// With a text for a person.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), data: None }
    }

    /// And something for a program; what has no form in JSON is left out.
    #[must_use]
    pub fn with_data(mut self, data: impl Serialize) -> Self {
        self.data = serde_json::to_value(data).ok();
        self
    }

    /// For a failure that is no business of the script's: what it was is logged, and the script learns only that something
    /// failed.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "a host function failed");
        Self::failed()
    }

    pub(crate) fn failed() -> Self {
        Self::new("it failed; the circle's log says how")
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
