//! Descriptions of functions: one line of text, and the method object of `OpenRPC`.

use serde_json::{Value, json};

use super::{Described, Parameter, Signature, text::truncate};

/// The code of a thrown value, as of every error of a play.
const THROWN: i32 = -32000;

impl Signature {
    /// Returns the signature on one line, such as `order.place(item: string, count?: int 1..100 = 1) -> ()`.
    pub fn text(&self) -> String {
        let params: Vec<_> = self.params.iter().map(Parameter::text).collect();
        format!("{}({}) -> {}", self.name, params.join(", "), self.returns.r#type)
    }

    /// Returns the method object of an `OpenRPC` document. Extensions: `x-type` (of a parameter, the result and an error),
    /// `x-readonly`, `x-timeout-ms` and `x-signature` ([`Signature::text`]).
    pub fn openrpc(&self) -> Value {
        let mut method = json!({
            "name": format!("fn.{}", self.name),
            "paramStructure": "either",
            "params": self.params.iter().map(Parameter::openrpc).collect::<Vec<_>>(),
            "result": describe("result", &self.returns),
            "x-readonly": self.is_readonly,
            "x-signature": self.text(),
        });
        if !self.doc.is_empty() {
            method["summary"] = json!(summary(&self.doc));
            method["description"] = json!(self.doc);
        }
        if !self.throws.is_empty() {
            method["errors"] = self.throws.iter().map(thrown).collect();
        }
        if let Some(reason) = &self.deprecated {
            method["deprecated"] = json!(true);
            if !reason.is_empty() {
                method["x-deprecated"] = json!(reason);
            }
        }
        if let Some(timeout) = self.timeout_ms {
            method["x-timeout-ms"] = json!(timeout);
        }
        method
    }
}

impl Parameter {
    fn text(&self) -> String {
        let mark = if self.is_optional { "?" } else { "" };
        let default = self.default.as_ref().map(|default| format!(" = {}", default.to_json())).unwrap_or_default();
        format!("{}{mark}: {}{default}", self.name, self.r#type)
    }

    fn openrpc(&self) -> Value {
        let mut schema = self.r#type.json_schema();
        if let Some(default) = &self.default {
            schema["default"] = default.to_json();
        }
        let mut parameter = json!({
            "name": self.name,
            "required": !self.is_optional,
            "schema": schema,
            "x-type": self.r#type.to_string(),
        });
        if !self.doc.is_empty() {
            parameter["description"] = json!(self.doc);
        }
        parameter
    }
}

fn describe(name: &str, described: &Described) -> Value {
    let mut object = json!({
        "name": name,
        "schema": described.r#type.json_schema(),
        "x-type": described.r#type.to_string(),
    });
    if !described.doc.is_empty() {
        object["description"] = json!(described.doc);
    }
    object
}

fn thrown(described: &Described) -> Value {
    let mut schema = described.r#type.json_schema();
    if !described.doc.is_empty() {
        schema["description"] = json!(described.doc);
    }
    json!({
        "code": THROWN,
        "message": "thrown",
        "data": {
            "type": "object",
            "properties": { "kind": { "const": "thrown" }, "thrown": schema },
            "required": ["kind", "thrown"],
        },
        "x-type": described.r#type.to_string(),
    })
}

/// The first sentence of a text, on one line.
fn summary(doc: &str) -> String {
    let paragraph = doc.split("\n\n").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let end = paragraph.find(". ").map_or(paragraph.len(), |dot| dot + 1);
    truncate(&paragraph[..end], 200)
}
