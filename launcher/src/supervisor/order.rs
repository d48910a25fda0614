//! What a supervisor is told to do.

use protocol::RpcError;
use tokio::sync::oneshot;

use super::Wish;
use crate::{CircleChange, ConfigError, definition::Definition};

/// What a supervisor is told to do.
#[derive(Debug)]
pub(crate) enum Order {
    /// A wish, with those that it is about; all, without names.
    Wish {
        wish: Wish,
        names: Option<Vec<String>>,
        /// Those of circles.json, read again.
        circles: Option<Vec<Definition>>,
        /// Told, once it is known to all who look, which circles it is about.
        answer: oneshot::Sender<Result<Vec<String>, RpcError>>,
    },
    /// Take over what is different in circles.json.
    Reload {
        circles: Result<Vec<Definition>, ConfigError>,
        occasion: Occasion,
        /// Told, once it has begun and is known to all who look, what it does.
        answer: Option<oneshot::Sender<Result<Vec<CircleChange>, RpcError>>>,
    },
    /// Say what a reload would do.
    Compare { circles: Vec<Definition>, answer: oneshot::Sender<Vec<CircleChange>> },
}

/// Why circles.json is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// Somebody wants it.
    Asked,
    /// It may have changed.
    Watched,
}
