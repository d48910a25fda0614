//! The errors of the store, for scripts.

use serde_json::json;
use store::{Error, Limit};

use crate::host;

/// The error of an operation after the end of its run.
pub(super) fn ended() -> host::Error {
    host::Error::new("the run has ended")
}

/// The error that a key, a prefix or a topic is not granted.
pub(super) fn forbidden(what: &str, name: &str) -> host::Error {
    host::Error::new(format!("the role of the caller does not grant the {what} '{name}'")).with_code("forbidden")
}

/// Returns what a script can catch.
pub(super) fn script_error(error: &Error) -> host::Error {
    let message = error.to_string();
    let (code, key) = match error {
        Error::Key(_) => ("key", None),
        Error::Exists(key) => ("exists", Some(key)),
        Error::NotAnInteger(key) => ("not_an_integer", Some(key)),
        Error::Overflow(key) => ("overflow", Some(key)),
        Error::Topic(_) => ("topic", None),
        Error::Limit { limit, maximum } => return limit_error(message, *limit, *maximum),
        Error::TooOld => ("too_old", None),
        Error::Failed(_) | Error::Closed => {
            tracing::error!(%error, "store failed");
            return host::Error::new("the store of the circle has failed").with_code("failed");
        }
        _ => ("store", None),
    };
    let error = host::Error::new(message).with_code(code);
    match key {
        Some(key) => error.with_data(json!({ "key": key.as_str() })),
        None => error,
    }
}

/// Returns the error of a limit, with the setting of circles.json that it comes from and the value of the setting.
fn limit_error(message: String, limit: Limit, maximum: usize) -> host::Error {
    let error = host::Error::new(message).with_code("limit");
    let (setting, max) = match limit {
        Limit::Reads => ("store_reads", maximum),
        Limit::Writes => ("store_writes", maximum),
        Limit::WriteBytes => ("store_kib", maximum / 1024),
        Limit::ValueBytes => ("value_kib", maximum / 1024),
        Limit::Events => ("events", maximum),
        Limit::ListBytes => ("host_kib", maximum / 1024),
        // No setting changes the others.
        _ => return error,
    };
    error.with_data(json!({ "setting": setting, "max": max }))
}
