//! The functions of a circle in a console: the values that a parameter may have, and calls as text.

use client_ws::{FunctionInfo, FunctionParam, JsonValue};
use frontend::visible::visible;

use crate::commands::{file_name, is_plain_value};

/// The maximum number of listed values of a parameter.
const MAX_VALUES: usize = 64;

/// The maximum depth of a schema whose values are listed.
const MAX_DEPTH: u32 = 8;

/// The values of a parameter that its schema lists.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListedValues {
    /// The values, each once.
    pub values: Vec<JsonValue>,
    /// Whether there are others.
    pub has_others: bool,
}

impl ListedValues {
    /// Returns the values that the schema of a parameter lists: literals, the values of an enumeration and of `bool`.
    pub fn of(param: &FunctionParam) -> Self {
        let mut listed = Self::default();
        listed.add(&param.schema, 0);
        listed
    }

    fn add(&mut self, schema: &JsonValue, depth: u32) {
        if let Some(value) = schema.get("const") {
            return self.push(value.clone());
        }
        if let Some(values) = schema["enum"].as_array() {
            return values.iter().for_each(|value| self.push(value.clone()));
        }
        if let Some(schemas) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array())
            && depth < MAX_DEPTH
        {
            return schemas.iter().take(MAX_VALUES + 1).for_each(|schema| self.add(schema, depth + 1));
        }
        match &schema["type"] {
            JsonValue::String(name) => self.add_type(name),
            JsonValue::Array(names) => names.iter().for_each(|name| self.add_type(name.as_str().unwrap_or_default())),
            _ => self.has_others = true,
        }
    }

    fn add_type(&mut self, name: &str) {
        match name {
            "boolean" => [true, false].into_iter().for_each(|value| self.push(value.into())),
            "null" => self.push(JsonValue::Null),
            _ => self.has_others = true,
        }
    }

    fn push(&mut self, value: JsonValue) {
        if self.values.len() >= MAX_VALUES {
            self.has_others = true;
        } else if !self.values.contains(&value) {
            self.values.push(value);
        }
    }
}

/// Returns the shortest text that `:call` reads as a value of a parameter, without characters that a terminal does not
/// show; `None` if the value is not of its type.
pub fn argument_text(function: &FunctionInfo, param: &str, value: &JsonValue) -> Option<String> {
    let reads_back = |text: &str| function.argument(param, text).is_ok_and(|read| read == *value);
    let bare = value.as_str().filter(|text| is_plain_value(text) && reads_back(text)).map(str::to_owned);
    bare.or_else(|| Some(visible_json(value)).filter(|json| reads_back(json)))
}

/// Returns the argument of `:call` that names a file, with its `@`.
pub(crate) fn file_argument(file: &str) -> String {
    if is_plain_value(file) { format!("@{file}") } else { format!("@{}", visible_json(&file.into())) }
}

/// Returns JSON whose characters a terminal shows as they are: all others are escaped.
pub fn visible_json(value: &JsonValue) -> String {
    let json = value.to_string();
    if visible(&json) == json {
        return json;
    }
    // Outside of strings, JSON has only characters of ASCII.
    let mut escaped = String::with_capacity(json.len() * 2);
    for character in json.chars() {
        if matches!(character, ' '..='~') {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    escaped
}

/// Returns the `:call` of a function with the given texts, each for a parameter. A text that begins with `@` names a
/// file. Values that are not of the type of their parameter are left out.
pub fn call_text<'a>(function: &FunctionInfo, texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut call = format!(":call {}", function.name);
    for (param, text) in texts {
        let value = match text.strip_prefix('@') {
            Some(file) => Some(file_argument(&file_name(file))),
            None if is_plain_value(text) => Some(text.to_owned()),
            None => function.argument(param, text).ok().map(|value| visible_json(&value)),
        };
        if let Some(value) = value {
            call.push_str(&format!(" {param}={value}"));
        }
    }
    call
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::commands::{ArgumentSource, ReplCommand};

    /// The functions of a shop.
    pub(crate) fn shop() -> Vec<FunctionInfo> {
        FunctionInfo::all(&json!({ "methods": [
            {
                "name": "fn.order.place", "summary": "Orders some of an item.", "description": "Orders some of an item.",
                "params": [
                    { "name": "gift", "x-type": "bool", "schema": { "type": "boolean", "default": false } },
                    { "name": "item", "required": true, "x-type": "string", "schema": { "type": "string" } },
                    { "name": "count", "x-type": "int 1..100", "schema": { "type": "integer", "default": 1 } },
                    { "name": "size", "required": true, "x-type": "\"small\" | \"very large\"",
                      "schema": { "enum": ["small", "very large"] } },
                ],
                "result": { "x-type": "int", "schema": { "type": "integer" } },
                "x-signature": "order.place(item: string, count?: int 1..100 = 1) -> int",
            },
            {
                "name": "fn.order.list", "summary": "Lists orders.", "x-signature": "order.list() -> any",
            },
            {
                "name": "fn.price", "summary": "The price of an item.", "x-signature": "price(item: string) -> float",
                "params": [{ "name": "item", "required": true, "x-type": "string", "schema": { "type": "string" } }],
            },
        ] }))
    }

    fn param(schema: &JsonValue) -> FunctionParam {
        let document = json!({ "methods": [{ "name": "fn.f", "params": [{ "name": "a", "schema": schema }] }] });
        FunctionInfo::all(&document).remove(0).params.remove(0)
    }

    #[test]
    fn literals_and_booleans_are_listed() {
        let cases = [
            (json!({ "enum": ["a", "b", "a"] }), vec![json!("a"), json!("b")], false),
            (json!({ "const": 5 }), vec![json!(5)], false),
            (json!({ "type": "boolean" }), vec![json!(true), json!(false)], false),
            (json!({ "type": ["boolean", "null"] }), vec![json!(true), json!(false), json!(null)], false),
            (json!({ "anyOf": [{ "const": "a" }, { "type": "integer" }] }), vec![json!("a")], true),
            (json!({ "oneOf": [{ "const": "a" }, { "enum": [1] }] }), vec![json!("a"), json!(1)], false),
            (json!({ "type": "string" }), vec![], true),
            (json!({}), vec![], true),
            (json!(true), vec![], true),
        ];
        for (schema, values, has_others) in cases {
            assert_eq!(ListedValues::of(&param(&schema)), ListedValues { values, has_others }, "{schema}");
        }
        let many: Vec<JsonValue> = (0..1000).map(JsonValue::from).collect();
        let listed = ListedValues::of(&param(&json!({ "enum": many })));
        assert_eq!((listed.values.len(), listed.has_others), (MAX_VALUES, true));
        let mut deep = json!({ "const": 1 });
        for _ in 0..100 {
            deep = json!({ "anyOf": [deep] });
        }
        assert_eq!(ListedValues::of(&param(&deep)), ListedValues { values: vec![], has_others: true });
    }

    #[test]
    fn call_text_is_read_back_as_the_same_values() {
        let functions = shop();
        let function = &functions[0];
        assert_eq!(argument_text(function, "size", &json!("small")).as_deref(), Some("small"));
        assert_eq!(argument_text(function, "size", &json!("very large")).as_deref(), Some("\"very large\""));
        assert_eq!(argument_text(function, "gift", &json!(true)).as_deref(), Some("true"));
        assert_eq!(argument_text(function, "gift", &json!("yes")), None);
        for text in [
            "tea",
            "green tea",
            "\"quoted\"",
            "[x",
            "{",
            "a=b",
            "5",
            "日本",
            "\u{1}",
            "x\"y z\"",
            "\u{1b}]0;OWNED\u{7}x",
            "two\nlines\t",
            "a\u{202e}b",
            "\u{9b}31m\u{7f}\u{200b}",
            "é\u{e0061}",
        ] {
            let call = call_text(function, [("item", text), ("count", "2")]);
            assert_eq!(visible(&call), call);
            assert!(!call.contains(['\n', '\t']));
            let Ok(ReplCommand::Call(parsed)) = ReplCommand::parse(&call[1..]) else { panic!("a call: {call}") };
            let [item, count] = &parsed.arguments[..] else { panic!("two arguments: {call}") };
            let ArgumentSource::Text(read) = &item.source else { panic!("a text: {call}") };
            assert_eq!(function.argument("item", read), function.argument("item", text), "{call}");
            assert_eq!(count.source, ArgumentSource::Text("2".into()));
        }
        let files = [
            ("@my notes.txt", "my notes.txt"),
            ("@\"my notes.txt\"", "my notes.txt"),
            ("@notes.txt", "notes.txt"),
            ("@\"x", "\"x"),
            ("@a\u{7}b", "a\u{7}b"),
        ];
        for (text, file) in files {
            let call = call_text(function, [("item", text)]);
            assert_eq!(visible(&call), call);
            let Ok(ReplCommand::Call(parsed)) = ReplCommand::parse(&call[1..]) else { panic!("a call: {call}") };
            assert_eq!(parsed.arguments[0].source, ArgumentSource::File(file.into()), "{call}");
        }
    }

    /// A circle declares the values that a parameter may have.
    #[test]
    fn listed_values_cannot_control_the_terminal() {
        let hostile = ["\u{1b}]0;OWNED\u{7}x", "a\u{202e}b", "\u{9b}31m", "\u{7f}"];
        let document = json!({ "methods": [{ "name": "fn.f", "params": [
            { "name": "a", "required": true, "schema": { "enum": hostile } }] }] });
        let function = FunctionInfo::all(&document).remove(0);
        for value in ListedValues::of(&function.params[0]).values {
            let text = argument_text(&function, "a", &value).expect("a value of the parameter");
            assert!(text.chars().all(|character| matches!(character, ' '..='~')), "{text:?}");
            assert_eq!(function.argument("a", &text), Ok(value), "{text}");
        }
    }
}
