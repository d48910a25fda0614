//! Reading functions from a document. A circle of another version, or a program that is no circle, may write anything,
//! so nothing is required but valid names.

use serde_json::{Value, json};

use super::{FUNCTION_PREFIX, FunctionInfo, FunctionParam, FunctionResult};

/// Maximum number of functions that a client reads.
const MAX_FUNCTIONS: usize = 4096;

/// Maximum number of parameters of a function that a client reads.
const MAX_PARAMS: usize = 64;

/// Maximum number of thrown values of a function that a client reads.
const MAX_THROWN: usize = 64;

/// Maximum size of the name of a function or of a parameter, in bytes.
const MAX_NAME_BYTES: usize = 48;

/// Maximum number of characters of a documentation that a client keeps.
const MAX_DOC_CHARS: usize = 16 << 10;

/// Maximum number of characters of a type or a signature that a client keeps.
const MAX_TYPE_CHARS: usize = 4 << 10;

/// The code of the error of a thrown value.
const THROWN: i64 = -32000;

impl FunctionInfo {
    /// Reads the functions of a document, such as the answer to `rpc.discover`, in its order. Methods that are not
    /// functions are left out; so are functions and parameters with invalid names, and functions after the 4096th.
    pub fn all(document: &Value) -> Vec<Self> {
        items(&document["methods"]).filter_map(Self::from_method).take(MAX_FUNCTIONS).collect()
    }

    fn from_method(method: &Value) -> Option<Self> {
        let name = method["name"].as_str()?.strip_prefix(FUNCTION_PREFIX)?;
        let is_segment = |segment: &str| {
            segment.starts_with(|first: char| first.is_ascii_lowercase())
                && segment.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        };
        if name.len() > MAX_NAME_BYTES || !name.split('.').all(is_segment) {
            return None;
        }
        let params: Vec<_> = items(&method["params"]).filter_map(FunctionParam::from_param).take(MAX_PARAMS).collect();
        let result = &method["result"];
        let thrown = items(&method["errors"]).filter(|error| error["code"] == THROWN);
        let thrown = thrown.filter_map(|error| error.pointer("/data/properties/thrown")).take(MAX_THROWN);
        let doc = text(&method["description"], MAX_DOC_CHARS);
        let summary = text(&method["summary"], MAX_DOC_CHARS);
        let signature = text(&method["x-signature"], MAX_TYPE_CHARS);
        Some(Self {
            name: name.to_owned(),
            summary: summary.unwrap_or_default(),
            doc: doc.unwrap_or_default(),
            result: FunctionResult {
                type_text: type_text(result),
                schema: schema(result),
                doc: text(&result["description"], MAX_DOC_CHARS).unwrap_or_default(),
            },
            thrown: thrown.cloned().collect(),
            is_readonly: method["x-readonly"] == true,
            is_deprecated: method["deprecated"] == true,
            deprecation: text(&method["x-deprecated"], MAX_DOC_CHARS).unwrap_or_default(),
            timeout_ms: method["x-timeout-ms"].as_u64(),
            signature: signature.unwrap_or_else(|| default_signature(name, &params)),
            params,
        })
    }
}

impl FunctionParam {
    fn from_param(param: &Value) -> Option<Self> {
        let name = param["name"].as_str()?;
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_valid) {
            return None;
        }
        Some(Self {
            name: name.to_owned(),
            doc: text(&param["description"], MAX_DOC_CHARS).unwrap_or_default(),
            is_required: param["required"] == true,
            type_text: type_text(param),
            schema: schema(param),
            default: param.pointer("/schema/default").cloned(),
        })
    }
}

/// The items of an array; none of another value.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The first characters of a text; `None` if the value is not a text, or empty.
fn text(value: &Value, max_chars: usize) -> Option<String> {
    let text = value.as_str().filter(|text| !text.is_empty())?;
    Some(text.chars().take(max_chars).collect())
}

/// The declared type of a parameter or a result; the type of its schema if the document declares none.
fn type_text(described: &Value) -> String {
    let schema_type = || text(&described["schema"]["type"], MAX_TYPE_CHARS);
    text(&described["x-type"], MAX_TYPE_CHARS).or_else(schema_type).unwrap_or_else(|| "any".into())
}

/// The schema of a parameter or a result; one that every value fits if there is none.
fn schema(described: &Value) -> Value {
    let schema = &described["schema"];
    if schema.is_object() || schema.is_boolean() { schema.clone() } else { json!({}) }
}

fn default_signature(name: &str, params: &[FunctionParam]) -> String {
    let params: Vec<String> =
        params.iter().map(|param| format!("{}{}", param.name, if param.is_required { "" } else { "?" })).collect();
    format!("{name}({})", params.join(", "))
}
