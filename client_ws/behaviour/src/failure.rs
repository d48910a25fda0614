//! The failure of a test.

use std::{error::Error, fmt::Debug};

use client_ws::ClientError;

/// Why a test failed.
pub struct Failure(String);

impl Failure {
    /// Makes a failure with a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl Debug for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(format!("unexpected error: {error} ({error:?})"))
    }
}

/// Returns the error of a result that has to be one.
pub(crate) fn error_of<T: Debug>(result: Result<T, ClientError>) -> Result<ClientError, Failure> {
    match result {
        Ok(value) => Err(Failure::new(format!("an error was expected, not {value:?}"))),
        Err(error) => Ok(error),
    }
}

/// Fails the test unless a condition holds.
macro_rules! ensure {
    ($condition:expr) => {
        if !$condition {
            return Err($crate::Failure::new(format!("{}:{}: not true: {}", file!(), line!(), stringify!($condition))));
        }
    };
    ($condition:expr, $($format:tt)+) => {
        if !$condition {
            let found = format!($($format)+);
            return Err($crate::Failure::new(format!("{}:{}: not true: {}: {found}", file!(), line!(), stringify!($condition))));
        }
    };
}

/// Fails the test unless two values are equal.
macro_rules! ensure_eq {
    ($left:expr, $right:expr $(,)?) => {
        match (&$left, &$right) {
            (left, right) if left != right => {
                return Err($crate::Failure::new(format!("{}:{}: {left:?} is not {right:?}", file!(), line!())));
            }
            _ => {}
        }
    };
}

/// Fails the test unless a value matches a pattern.
macro_rules! ensure_matches {
    ($value:expr, $pattern:pat $(if $guard:expr)? $(,)?) => {
        match &$value {
            $pattern $(if $guard)? => {}
            value => {
                let pattern = stringify!($pattern $(if $guard)?);
                return Err($crate::Failure::new(format!("{}:{}: {value:?} is not {pattern}", file!(), line!())));
            }
        }
    };
}

pub(crate) use {ensure, ensure_eq, ensure_matches};
