//! Values for JavaScript, by way of JSON.

use js_sys::JSON;
use serde::Serialize;
use wasm_bindgen::JsValue;

/// Converts a value to a JavaScript value. Integers beyond 2^53 are rounded.
pub(crate) fn to_js(value: &impl Serialize) -> JsValue {
    serde_json::to_string(value).ok().and_then(|text| JSON::parse(&text).ok()).unwrap_or(JsValue::NULL)
}
