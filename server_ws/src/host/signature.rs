//! The types of host functions: as JSON Schema for programs, and as short text for people.

use std::sync::Arc;

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};
use worker::{HostFunction, HostModule};

use super::module::AnyModule;

/// Where the document of a circle has the schemas of named types.
const SCHEMAS: &str = "/x-host-functions/schemas";

/// Maximum size of the text of a type, in bytes. A longer text becomes `any`.
const MAX_TYPE: usize = 80;

/// The schemas of a function.
pub(crate) struct FunctionSchemas {
    pub(crate) params: Vec<Value>,
    pub(crate) result: Value,
}

/// Generates the schemas of a function with these types.
pub(crate) type SchemasOf = fn(&mut SchemaGenerator) -> FunctionSchemas;

/// Generates the schemas of a function with the tuple of arguments `A` and the result `T`.
pub(super) fn schemas_of<A: JsonSchema, T: JsonSchema>(generator: &mut SchemaGenerator) -> FunctionSchemas {
    let params = match schema_of::<A>(generator)["prefixItems"].take() {
        Value::Array(params) => params,
        // The empty tuple has another schema.
        _ => Vec::new(),
    };
    FunctionSchemas { params, result: schema_of::<T>(generator) }
}

/// Generates the schema of a type; a named type becomes a reference.
fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

pub(super) fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = SCHEMAS.into()).into_generator()
}

/// Returns the signature of a function, like `reserve(item: string, count: int) -> Reservation`.
pub(super) fn signature(name: &str, params: &[String], schemas: &FunctionSchemas) -> String {
    let typed = |(param, schema): (&String, &Value)| match type_text(schema).as_str() {
        "any" => param.clone(),
        text => format!("{param}: {text}"),
    };
    let params: Vec<String> = params.iter().zip(&schemas.params).map(typed).collect();
    let result = match type_text(&schemas.result).as_str() {
        "()" => String::new(),
        text => format!(" -> {text}"),
    };
    format!("{name}({}){result}", params.join(", "))
}

/// Returns the text of a type.
fn type_text(schema: &Value) -> String {
    let text = text_of(schema);
    if text.len() > MAX_TYPE { "any".into() } else { text }
}

fn text_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return name.to_owned();
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(choices) = schema[keyword].as_array() {
            return any_of(choices.iter().map(text_of).collect());
        }
    }
    if let Some(parts) = schema["allOf"].as_array()
        && let [part] = parts.as_slice()
    {
        return text_of(part);
    }
    if let Some(values) = schema["enum"].as_array() {
        return any_of(values.iter().map(Value::to_string).collect());
    }
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    match &schema["type"] {
        Value::String(name) => text_of_type(name, schema),
        Value::Array(names) => {
            any_of(names.iter().filter_map(Value::as_str).map(|name| text_of_type(name, schema)).collect())
        }
        _ => "any".into(),
    }
}

fn text_of_type(name: &str, schema: &Value) -> String {
    match name {
        "string" if schema["contentEncoding"] == "base64" => "blob".into(),
        "string" => "string".into(),
        "integer" => "int".into(),
        "number" => "float".into(),
        "boolean" => "bool".into(),
        "null" => "()".into(),
        "array" => match (&schema["prefixItems"], &schema["items"]) {
            // A tuple.
            (Value::Array(items), _) => format!("[{}]", items.iter().map(text_of).collect::<Vec<_>>().join(", ")),
            (_, item) if item["format"] == "uint8" => "blob".into(),
            (_, item @ Value::Object(_)) => format!("[{}]", text_of(item)),
            _ => "array".into(),
        },
        "object" => "map".into(),
        _ => "any".into(),
    }
}

/// Returns the text of a choice between types, such as `int?` for an optional one.
fn any_of(mut choices: Vec<String>) -> String {
    choices.dedup();
    if choices.iter().any(|choice| choice == "any") {
        return "any".into();
    }
    let count = choices.len();
    choices.retain(|choice| choice != "()");
    match (choices.as_slice(), choices.len() < count) {
        ([], _) => "()".into(),
        ([only], true) if !only.contains(" | ") => format!("{only}?"),
        (_, true) => format!("{} | ()", choices.join(" | ")),
        (_, false) => choices.join(" | "),
    }
}

/// Returns the types of each function of a module, without references: schemas and short texts.
pub(crate) fn inlined(module: &dyn AnyModule) -> Vec<(FunctionSchemas, Vec<String>, String)> {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schemas = module.schemas().iter().map(|schemas| {
        let schemas = schemas(&mut settings.clone().into_generator());
        let texts = schemas.params.iter().map(type_text).collect();
        let result = type_text(&schemas.result);
        (schemas, texts, result)
    });
    schemas.collect()
}

/// Whether a schema accepts null.
pub(crate) fn is_optional(schema: &Value) -> bool {
    let is_null = |schema: &Value| schema["type"] == "null";
    is_null(schema)
        || schema["type"].as_array().is_some_and(|types| types.iter().any(|one| one == "null"))
        || ["anyOf", "oneOf"].iter().any(|key| schema[key].as_array().is_some_and(|all| all.iter().any(is_null)))
}

/// Returns the host functions in the contract of a circle; `None` if there are none.
pub(super) fn contract(modules: &[Arc<dyn AnyModule>]) -> Option<Value> {
    let mut generator = generator();
    let mut functions = Vec::new();
    for module in modules {
        let HostModule { name: module_name, functions: offered, .. } = module.offered();
        for (function, schemas) in offered.iter().zip(module.schemas()) {
            let HostFunction { name, params, doc, signature } = function;
            let FunctionSchemas { params: schemas, result } = schemas(&mut generator);
            let params: Vec<Value> =
                params.iter().zip(schemas).map(|(name, schema)| json!({ "name": name, "schema": schema })).collect();
            functions.push(json!({
                "name": format!("{module_name}::{name}"),
                "signature": signature,
                "summary": doc,
                "params": params,
                "result": { "name": "result", "schema": result },
            }));
        }
    }
    if functions.is_empty() {
        return None;
    }
    Some(json!({ "functions": functions, "schemas": generator.take_definitions(true) }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::host::Blob;

    fn text<T: JsonSchema>() -> String {
        type_text(&schema_of::<T>(&mut generator()))
    }

    #[test]
    fn types_have_short_texts() {
        assert_eq!(text::<String>(), "string");
        assert_eq!(text::<u32>(), "int");
        assert_eq!(text::<Option<f64>>(), "float?");
        assert_eq!(text::<()>(), "()");
        assert_eq!(text::<Vec<bool>>(), "[bool]");
        assert_eq!(text::<(String, Option<i64>)>(), "[string, int?]");
        assert_eq!(text::<Vec<u8>>(), "blob");
        assert_eq!(text::<Blob>(), "blob");
        assert_eq!(text::<BTreeMap<String, i64>>(), "map");
        assert_eq!(text::<Value>(), "any");
        assert_eq!(text::<Vec<Value>>(), "array");
    }

    #[test]
    fn choices_are_listed() {
        let choice = |schema: Value| text_of(&schema);
        assert_eq!(choice(json!({ "type": "string", "enum": ["red", "green"] })), "\"red\" | \"green\"");
        assert_eq!(choice(json!({ "anyOf": [{ "$ref": "#/x/Color" }, { "type": "null" }] })), "Color?");
        assert_eq!(choice(json!({ "oneOf": [{ "const": "a" }, { "type": "object" }] })), "\"a\" | map");
        assert_eq!(choice(json!({ "type": ["integer", "string", "null"] })), "int | string | ()");
        let long: Vec<String> = (0..40).map(|number| format!("choice {number}")).collect();
        assert_eq!(type_text(&json!({ "type": "string", "enum": long })), "any");
    }

    #[test]
    fn signature_omits_unknown_types() {
        let schemas = schemas_of::<(String, Value), ()>(&mut generator());
        assert_eq!(signature("set", &["name".into(), "value".into()], &schemas), "set(name: string, value)");
        let schemas = schemas_of::<(), Vec<i64>>(&mut generator());
        assert_eq!(signature("all", &[], &schemas), "all() -> [int]");
    }
}
