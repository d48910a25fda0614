//! Errors for JavaScript: an `Error` with the kind of failure, and what the circle said.

use client_ws::{ClientError, RpcError};
use js_sys::{Error, Reflect};
use serde_json::{Value, json};
use wasm_bindgen::JsValue;

use crate::json::to_js;

/// Makes a `CircleError`.
pub(crate) fn error(kind: &str, message: &str) -> JsValue {
    let error = Error::new(message);
    error.set_name("CircleError");
    set(&error, "kind", &kind.into());
    error.into()
}

/// Converts an error of the client.
pub(crate) fn client_error(failure: &ClientError) -> JsValue {
    let kind = match failure {
        ClientError::Unreachable { .. }
        | ClientError::NotACircle { .. }
        | ClientError::NotUpgraded { .. }
        | ClientError::Refused { .. }
        | ClientError::Tls { .. } => "unreachable",
        ClientError::ConnectionLost { .. } | ClientError::NotConnected | ClientError::TimedOut { .. } => "lost",
        ClientError::OtherIdentity { .. } | ClientError::EphemeralIdentity { .. } | ClientError::IdentityRefused(_) => {
            "identity"
        }
        ClientError::NoKey | ClientError::NonceRejected(_) | ClientError::BadNonce(_) => "credentials",
        ClientError::Rpc(RpcError::InvalidCredentials) => "credentials",
        ClientError::Rpc(_) => "rpc",
        _ => "usage",
    };
    let js = error(kind, &failure.to_string());
    if let ClientError::Rpc(failure) = failure {
        let object = serde_json::to_value(failure).unwrap_or(Value::Null);
        set(&js, "code", &to_js(&object["code"]));
        set(&js, "data", &to_js(object.get("data").unwrap_or(&json!({}))));
    }
    js
}

fn set(target: &JsValue, name: &str, value: &JsValue) {
    // Fails only on frozen objects.
    let _is_set = Reflect::set(target, &name.into(), value);
}
