//! The functions of a circle for users: lists, documentation, values, and a typed client in TypeScript.

mod argument;
mod schema_text;
mod typescript;
mod value;

use client_ws::FunctionInfo;
use serde_json::Value;

use crate::{
    text::{Style, StyledLine, SyntaxKind},
    visible::visible,
};

pub use argument::{Argument, FileContent};
pub use typescript::typescript;
pub use value::play_result;

use schema_text::{Dialect, schema_text};

/// The columns before a description under a signature.
const INDENT: &str = "    ";

/// Lists functions with their signatures and summaries, in at most `width` columns.
pub fn list(functions: &[FunctionInfo], width: usize) -> Vec<StyledLine> {
    functions
        .iter()
        .flat_map(|function| {
            let mut lines = signature(function).wrapped_with_indent(width, INDENT.len());
            let mut about = StyledLine::of(Style::Plain, INDENT);
            if function.is_deprecated {
                about.push(Style::Dim, "deprecated: ");
            }
            about.push(Style::Plain, &function.summary);
            if function.is_deprecated || !function.summary.is_empty() {
                lines.extend(about.wrapped_with_indent(width, INDENT.len()));
            }
            lines
        })
        .collect()
}

/// Documents one function: signature, description, parameters, result and thrown values, in at most `width` columns.
pub fn describe(function: &FunctionInfo, width: usize) -> Vec<StyledLine> {
    let mut lines = signature(function).wrapped_with_indent(width, INDENT.len());
    let mut section = |title: &str, items: Vec<StyledLine>| {
        if !items.is_empty() {
            lines.push(StyledLine::default());
            if !title.is_empty() {
                lines.push(StyledLine::of(Style::Strong, title));
            }
            let indent = if title.is_empty() { 0 } else { INDENT.len() };
            lines.extend(items.iter().flat_map(|item| item.wrapped_with_indent(width, indent)));
        }
    };
    let doc = if function.doc.is_empty() { &function.summary } else { &function.doc };
    section("", doc.lines().map(|line| StyledLine::of(Style::Plain, line)).collect());
    section("Parameters", function.params.iter().map(parameter).collect());
    section("Returns", vec![typed(&function.result.type_text, &function.result.doc)]);
    section("Throws", function.thrown.iter().map(|thrown| typed(&type_of(thrown), "")).collect());
    let mut notes = Vec::new();
    if function.is_readonly {
        notes.push("It changes nothing.".to_owned());
    }
    if function.is_deprecated && function.deprecation.is_empty() {
        notes.push("It is deprecated: use another function.".into());
    } else if function.is_deprecated {
        notes.push(format!("It is deprecated: {}", function.deprecation.replace('\n', " ")));
    }
    if let Some(timeout_ms) = function.timeout_ms {
        notes.push(format!("It may take {timeout_ms} ms."));
    }
    section("", notes.iter().map(|note| StyledLine::of(Style::Plain, note)).collect());
    lines
}

/// Returns the note that a called function is deprecated, and what to use instead; `None` if it is not deprecated.
pub fn deprecation_note(function: &FunctionInfo) -> Option<String> {
    let note = match function.deprecation.as_str() {
        _ if !function.is_deprecated => return None,
        "" => format!("{} is deprecated", function.name),
        reason => format!("{} is deprecated: {}", function.name, visible(reason).replace('\n', " ")),
    };
    Some(note)
}

/// The type that a schema describes, as a function declares it.
fn type_of(schema: &Value) -> String {
    match schema["x-type"].as_str() {
        Some(declared) => declared.to_owned(),
        None => schema_text(schema, Dialect::Declaration),
    }
}

fn signature(function: &FunctionInfo) -> StyledLine {
    let rest = function.signature.strip_prefix(&function.name).unwrap_or_default();
    StyledLine::of(Style::Syntax(SyntaxKind::Function), &function.name).with(Style::Plain, rest)
}

fn parameter(param: &client_ws::FunctionParam) -> StyledLine {
    let mark = if param.is_required { ": " } else { "?: " };
    let default = param.default.as_ref().map_or_else(String::new, |default| format!(" = {default}"));
    let line = StyledLine::of(Style::Plain, INDENT).with(Style::Strong, &param.name).with(Style::Plain, mark);
    with_doc(line.with(Style::Plain, &param.type_text).with(Style::Plain, &default), &param.doc)
}

fn typed(type_text: &str, doc: &str) -> StyledLine {
    with_doc(StyledLine::of(Style::Plain, INDENT).with(Style::Plain, type_text), doc)
}

fn with_doc(line: StyledLine, doc: &str) -> StyledLine {
    if doc.is_empty() { line } else { line.with(Style::Dim, "  ").with(Style::Dim, &doc.replace('\n', " ")) }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// The functions of a shop.
    pub(crate) fn shop() -> Vec<FunctionInfo> {
        FunctionInfo::all(&json!({ "methods": [
            {
                "name": "fn.order.place",
                "summary": "Orders some of an item for the caller.",
                "description": "Orders some of an item for the caller.\nThe stock shrinks.",
                "params": [
                    { "name": "item", "description": "what", "required": true, "x-type": "string 1..64",
                      "schema": { "type": "string", "minLength": 1, "maxLength": 64 } },
                    { "name": "count", "description": "how many", "required": false, "x-type": "int 1..100",
                      "schema": { "type": "integer", "minimum": 1, "maximum": 100, "default": 1 } },
                ],
                "result": { "name": "result", "x-type": "{ order: string, left: int }", "schema": {
                    "type": "object", "required": ["left", "order"], "additionalProperties": false,
                    "properties": { "order": { "type": "string" }, "left": { "type": "integer" } } } },
                "errors": [{ "code": -32000, "message": "thrown", "data": { "properties": { "thrown": {
                    "type": "object", "required": ["code"], "additionalProperties": false,
                    "properties": { "code": { "const": "sold_out" }, "left": { "type": "integer" } } } } } }],
                "x-timeout-ms": 500,
                "x-signature": "order.place(item: string 1..64, count?: int 1..100 = 1) -> { order: string, left: int }",
            },
            {
                "name": "fn.price", "summary": "The price of an item.", "deprecated": true, "x-readonly": true,
                "x-deprecated": "use quote\nfor all items\u{7}",
                "params": [{ "name": "item", "required": true, "schema": { "type": "string" }, "x-type": "string" }],
                "result": { "name": "result", "schema": { "type": "number" }, "x-type": "float", "description": "in €" },
                "x-signature": "price(item: string) -> float",
            },
            { "name": "fn.now", "x-signature": "now() -> any" },
        ] }))
    }

    fn text(lines: &[StyledLine]) -> String {
        lines.iter().map(|line| line.to_string() + "\n").collect()
    }

    #[test]
    fn list_has_signatures_and_summaries() {
        let expected = "\
order.place(item: string 1..64, count?: int 1..100
    = 1) -> { order: string, left: int }
    Orders some of an item for the caller.
price(item: string) -> float
    deprecated: The price of an item.
now() -> any
";
        assert_eq!(text(&list(&shop(), 50)), expected);
        assert_eq!(list(&[], 50), []);
    }

    #[test]
    fn description_has_parameters_result_and_thrown_values() {
        let functions = shop();
        let expected = "\
order.place(item: string 1..64, count?: int 1..100 = 1) -> { order: string, left: int }

Orders some of an item for the caller.
The stock shrinks.

Parameters
    item: string 1..64  what
    count?: int 1..100 = 1  how many

Returns
    { order: string, left: int }

Throws
    { code: \"sold_out\", left?: int }

It may take 500 ms.
";
        assert_eq!(text(&describe(&functions[0], 100)), expected);
        let expected = "\
price(item: string) -> float

The price of an item.

Parameters
    item: string

Returns
    float  in €

It changes nothing.
It is deprecated: use quote for all items␇
";
        assert_eq!(text(&describe(&functions[1], 100)), expected);
        assert_eq!(
            functions.iter().map(deprecation_note).collect::<Vec<_>>(),
            [None, Some("price is deprecated: use quote for all items␇".into()), None]
        );
    }
}
