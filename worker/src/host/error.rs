//! The error of a host function, and the conversions of the program's errors to it.

use serde::Serialize;
use serde_json::Value;

use crate::message::HostError;

impl HostError {
    /// Creates an error with a message for a person.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: None, data: None }
    }

    /// Sets a code by which programs recognize the error.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Adds data for a program. Data that cannot be represented as JSON is omitted.
    #[must_use]
    pub fn with_data(mut self, data: impl Serialize) -> Self {
        self.data = serde_json::to_string(&data).ok();
        self
    }

    /// Logs an internal error with its causes, and creates an error that tells the script only that the function failed.
    /// [`Internal::internal`] does this for a `Result`.
    pub fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let error = error.into();
        let mut text = error.to_string();
        for cause in std::iter::successors(error.source(), |cause| cause.source()) {
            text.push_str(&format!(": {cause}"));
        }
        tracing::error!(error = text, "host function failed");
        Self::hidden()
    }

    /// Creates an error that tells the script only that the function failed.
    pub fn hidden() -> Self {
        Self::new("internal error; see the log of the host")
    }

    /// Returns the message for a person.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the code by which programs recognize the error.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Returns the data for a program.
    pub fn data(&self) -> Option<Value> {
        serde_json::from_str(self.data.as_deref()?).ok()
    }
}

/// An error type of the program, whose text is meant for scripts. It converts into [`HostError`].
///
/// ```
/// use worker::{CodedError, HostError};
///
/// enum StockError {
///     NotEnough { left: u32 },
///     NotAllowed,
/// }
///
/// impl std::fmt::Display for StockError {
///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
///         match self {
///             Self::NotEnough { left } => write!(f, "there are only {left}"),
///             Self::NotAllowed => f.write_str("only keepers may do this"),
///         }
///     }
/// }
///
/// impl CodedError for StockError {
///     fn code(&self) -> &str {
///         match self {
///             Self::NotEnough { .. } => "not_enough",
///             Self::NotAllowed => "not_allowed",
///         }
///     }
///
///     fn data(&self) -> Option<serde_json::Value> {
///         match self {
///             Self::NotEnough { left } => Some((*left).into()),
///             Self::NotAllowed => None,
///         }
///     }
/// }
///
/// fn take(count: u32, left: u32) -> Result<u32, HostError> {
///     Ok(left.checked_sub(count).ok_or(StockError::NotEnough { left })?)
/// }
/// assert_eq!(take(2, 1).unwrap_err().code(), Some("not_enough"));
/// ```
pub trait CodedError: std::fmt::Display {
    /// Returns the code by which programs recognize the error.
    fn code(&self) -> &str;

    /// Returns the data for a program; the default is none.
    fn data(&self) -> Option<Value> {
        None
    }
}

impl<E: CodedError> From<E> for HostError {
    fn from(error: E) -> Self {
        let data = error.data().map(|data| data.to_string());
        Self { message: error.to_string(), code: Some(error.code().to_owned()), data }
    }
}

/// Hides errors that are not meant for scripts.
pub trait Internal<T> {
    /// Logs an error with its causes, and replaces it by one that tells the script only that the function failed.
    ///
    /// ```
    /// use worker::{HostError, Internal};
    ///
    /// fn read_price(text: &str) -> Result<u32, HostError> {
    ///     text.parse().internal()
    /// }
    /// assert_eq!(read_price("cheap").unwrap_err().message(), "internal error; see the log of the host");
    /// ```
    ///
    /// # Errors
    ///
    /// The replacement of the error.
    fn internal(self) -> Result<T, HostError>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Internal<T> for Result<T, E> {
    fn internal(self) -> Result<T, HostError> {
        self.map_err(HostError::internal)
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

impl std::error::Error for HostError {}

impl std::fmt::Display for HostError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
