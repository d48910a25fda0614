//! Construction of the error of a host function.

use serde::Serialize;

use crate::message::HostError;

impl HostError {
    /// Creates an error with a message for a person.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), data: None }
    }

    /// Adds data for a program. Data that cannot be represented as JSON is omitted.
    #[must_use]
    pub fn with_data(mut self, data: impl Serialize) -> Self {
        self.data = serde_json::to_string(&data).ok();
        self
    }

    /// Logs an internal error, and creates an error that tells the script only that the function failed.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        tracing::error!(%error, "host function failed");
        Self::hidden()
    }

    /// Creates an error that tells the script only that the function failed.
    pub fn hidden() -> Self {
        Self::new("internal error; see the log of the host")
    }
}

impl From<&str> for HostError {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

impl From<String> for HostError {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl std::fmt::Display for HostError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
