//! JSON Schemas as types in one line.

use serde_json::{Map, Value};

/// Maximum number of schemas, within one schema, that have a text. A deeper or larger rest is any value.
const MAX_SCHEMAS: u32 = 1000;

/// Maximum depth of a schema that has a text.
const MAX_DEPTH: u32 = 32;

/// The language of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// That of the tags in doc comments: `{ order: string, left?: int }`.
    Declaration,
    /// TypeScript: `{ order: string; left?: number }`.
    TypeScript,
}

impl Dialect {
    fn pick(self, declaration: &'static str, typescript: &'static str) -> &'static str {
        match self {
            Self::Declaration => declaration,
            Self::TypeScript => typescript,
        }
    }

    fn any(self) -> &'static str {
        self.pick("any", "unknown")
    }
}

/// Returns the type that a schema describes. What the language cannot express, such as ranges, is left out.
pub(super) fn schema_text(schema: &Value, dialect: Dialect) -> String {
    SchemaText { root: schema, dialect, budget: MAX_SCHEMAS }.text(schema, 0)
}

/// A JSON string as a literal in both languages. Invisible characters and marks are escaped, so that they do not change
/// how the rest of a line looks.
pub(super) fn string_literal(text: &str) -> String {
    let mut literal = String::new();
    for character in Value::from(text).to_string().chars() {
        if character.is_alphanumeric() || matches!(character, ' '..='~') {
            literal.push(character);
        } else {
            let mut units = [0; 2];
            literal.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    literal
}

struct SchemaText<'a> {
    root: &'a Value,
    dialect: Dialect,
    budget: u32,
}

impl SchemaText<'_> {
    fn text(&mut self, schema: &Value, depth: u32) -> String {
        let Some(rest) = self.budget.checked_sub(1).filter(|_| depth <= MAX_DEPTH) else {
            return self.dialect.any().into();
        };
        self.budget = rest;
        if let Some(value) = schema.get("const") {
            return self.literal(value);
        }
        if let Some(values) = schema["enum"].as_array() {
            let values = values.iter().take(MAX_SCHEMAS as usize).map(|value| self.literal(value));
            return self.union(values.collect());
        }
        if let Some(schemas) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
            let schemas = schemas.iter().take(MAX_SCHEMAS as usize).map(|schema| self.text(schema, depth + 1));
            let schemas = schemas.collect();
            return self.union(schemas);
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let root = self.root;
            return match reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) {
                Some(target) => self.text(target, depth + 1),
                None => self.dialect.any().into(),
            };
        }
        match &schema["type"] {
            Value::String(name) => self.of_type(name, schema, depth),
            Value::Array(names) => {
                let names = names.iter().filter_map(Value::as_str).take(8);
                let texts = names.map(|name| self.of_type(name, schema, depth)).collect();
                self.union(texts)
            }
            _ => self.dialect.any().into(),
        }
    }

    fn of_type(&mut self, name: &str, schema: &Value, depth: u32) -> String {
        let name = match name {
            "string" if schema["contentEncoding"].is_string() => self.dialect.pick("blob", "string"),
            "string" => "string",
            "integer" => self.dialect.pick("int", "number"),
            "number" => self.dialect.pick("float", "number"),
            "boolean" => self.dialect.pick("bool", "boolean"),
            "null" => self.dialect.pick("()", "null"),
            "array" => return self.array(schema, depth),
            "object" => return self.object(schema, depth),
            _ => self.dialect.any(),
        };
        name.to_owned()
    }

    fn array(&mut self, schema: &Value, depth: u32) -> String {
        let items = match schema.get("items") {
            Some(items) => self.text(items, depth + 1),
            None => self.dialect.any().into(),
        };
        match self.dialect {
            Dialect::Declaration => format!("[{items}]"),
            Dialect::TypeScript => format!("Array<{items}>"),
        }
    }

    fn object(&mut self, schema: &Value, depth: u32) -> String {
        let none = Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&none);
        let is_required = |name: &str| {
            schema["required"].as_array().is_some_and(|required| required.iter().any(|required| required == name))
        };
        let mut members = Vec::new();
        for (name, property) in properties.iter().take(MAX_SCHEMAS as usize) {
            let mark = if is_required(name) { "" } else { "?" };
            members.push(format!("{}{mark}: {}", Self::member_name(name), self.text(property, depth + 1)));
        }
        let others = match schema.get("additionalProperties") {
            Some(Value::Bool(false)) => None,
            Some(others) => Some(self.text(others, depth + 1)),
            None => properties.is_empty().then(|| self.dialect.any().to_owned()),
        };
        match (self.dialect, others) {
            (Dialect::Declaration, others) => {
                members.extend(others.map(|others| format!("*: {others}")));
                if members.is_empty() { "{}".into() } else { format!("{{ {} }}", members.join(", ")) }
            }
            (Dialect::TypeScript, None) if members.is_empty() => "Record<string, never>".into(),
            (Dialect::TypeScript, None) => format!("{{ {} }}", members.join("; ")),
            (Dialect::TypeScript, Some(others)) if members.is_empty() => format!("Record<string, {others}>"),
            // An index signature would have to fit the named members, too.
            (Dialect::TypeScript, Some(_)) => format!("{{ {}; [name: string]: unknown }}", members.join("; ")),
        }
    }

    fn member_name(name: &str) -> String {
        let is_word = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let is_bare = !name.is_empty() && name.chars().all(is_word) && !name.starts_with(|c: char| c.is_ascii_digit());
        if is_bare { name.to_owned() } else { string_literal(name) }
    }

    fn literal(&self, value: &Value) -> String {
        match value {
            Value::Null => self.dialect.pick("()", "null").into(),
            Value::String(text) => string_literal(text),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            Value::Array(_) | Value::Object(_) => self.dialect.any().into(),
        }
    }

    fn union(&self, mut texts: Vec<String>) -> String {
        let mut seen = std::collections::HashSet::new();
        texts.retain(|text| seen.insert(text.clone()));
        if texts.is_empty() { self.dialect.pick("any", "never").into() } else { texts.join(" | ") }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schema_is_a_type_in_both_languages() {
        let cases = [
            (json!({}), "any", "unknown"),
            (json!(true), "any", "unknown"),
            (json!({ "type": "integer", "minimum": 1 }), "int", "number"),
            (json!({ "type": "null" }), "()", "null"),
            (json!({ "type": ["string", "null"] }), "string | ()", "string | null"),
            (json!({ "anyOf": [{ "const": "a" }, { "type": "number" }] }), "\"a\" | float", "\"a\" | number"),
            (json!({ "anyOf": [{ "type": "integer" }, { "type": "number" }] }), "int | float", "number"),
            (json!({ "enum": ["a", 1, null] }), "\"a\" | 1 | ()", "\"a\" | 1 | null"),
            (
                json!({ "type": "array", "items": { "type": ["string", "null"] } }),
                "[string | ()]",
                "Array<string | null>",
            ),
            (json!({ "type": "object" }), "{ *: any }", "Record<string, unknown>"),
            (json!({ "type": "object", "additionalProperties": false }), "{}", "Record<string, never>"),
            (
                json!({ "type": "object", "additionalProperties": { "type": "integer" } }),
                "{ *: int }",
                "Record<string, number>",
            ),
            (
                json!({ "type": "object", "additionalProperties": false, "required": ["a"],
                        "properties": { "a": { "type": "boolean" }, "b c": { "type": "string" } } }),
                r#"{ a: bool, "b c"?: string }"#,
                r#"{ a: boolean; "b c"?: string }"#,
            ),
            (json!({ "$ref": "#/$defs/n", "$defs": { "n": { "type": "integer" } } }), "int", "number"),
            (json!({ "$ref": "https://example.org" }), "any", "unknown"),
        ];
        for (schema, declaration, typescript) in cases {
            assert_eq!(schema_text(&schema, Dialect::Declaration), declaration, "{schema}");
            assert_eq!(schema_text(&schema, Dialect::TypeScript), typescript, "{schema}");
        }
    }

    #[test]
    fn recursive_schema_ends() {
        let list = json!({ "anyOf": vec![json!({ "type": "array", "items": { "$ref": "#" } }); 100] });
        assert!(schema_text(&list, Dialect::TypeScript).len() < 100_000);
        assert!(schema_text(&json!({ "$ref": "#" }), Dialect::Declaration).contains("any"));
    }

    #[test]
    fn literals_hide_nothing() {
        assert_eq!(string_literal("a\"\n\u{202e}é€😀*/"), r#""a\"\n\u202eé\u20ac\ud83d\ude00*/""#);
    }
}
