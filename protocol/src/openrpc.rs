//! The machine-readable contract, generated from the method types.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use crate::{
    MethodName,
    error::{ERROR_CODES, ScriptError},
    method::{Method, MethodVisitor, Params},
    methods::{self, Notification},
};

/// The code of the only error whose `data` has members with members of their own.
const SCRIPT_ERROR: i64 = -32000;

struct Document {
    generator: SchemaGenerator,
    methods: Vec<Value>,
}

impl MethodVisitor for &mut Document {
    fn method<M: Method<Params: JsonSchema, Result: JsonSchema>>(&mut self, name: MethodName) {
        let schema = M::Params::json_schema(&mut self.generator).to_value();
        let required: Vec<&Value> = schema["required"].as_array().into_iter().flatten().collect();
        let params: Vec<Value> = M::Params::NAMES
            .iter()
            .map(|name| {
                let mut schema = schema["properties"][name].clone();
                let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
                json!({
                    "name": name,
                    "description": description,
                    "required": required.contains(&&json!(name)),
                    "schema": schema,
                })
            })
            .collect();
        let mut method = json!({
            "name": M::NAME,
            "summary": name.summary(),
            "paramStructure": "either",
            "params": params,
            "result": { "name": "result", "schema": self.generator.subschema_for::<M::Result>() },
        });
        if name.is_protected() {
            method["x-protected"] = json!(true);
        }
        self.methods.push(method);
    }
}

impl Document {
    fn notification<N: Notification + JsonSchema>(&mut self) -> Value {
        json!({ "name": N::NAME, "params": self.generator.subschema_for::<N>() })
    }
}

/// Generates the document, with a newline at its end.
pub fn generate() -> String {
    let settings = SchemaSettings::draft07().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut document = Document { generator: settings.into_generator(), methods: Vec::new() };
    methods::for_each(&mut document);
    let notifications = [
        document.notification::<methods::Output>(),
        document.notification::<methods::Progress>(),
        document.notification::<methods::SessionReset>(),
        document.notification::<methods::Event>(),
    ];
    let script_error = document.generator.subschema_for::<ScriptError>();
    let errors: Vec<Value> = ERROR_CODES
        .iter()
        .map(|(code, message, data)| {
            let mut error = json!({ "code": code, "message": message, "x-data": data });
            if *code == SCRIPT_ERROR {
                error["x-data-schema"] = script_error.clone().to_value();
            }
            error
        })
        .collect();
    let schemas = document.generator.take_definitions(true);
    let contract = json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "circles",
            "version": crate::VERSION.to_string(),
            "license": { "name": "MIT OR Apache-2.0" },
            "description": "A circle: an isolated Rhai environment behind a WebSocket, guarded by secp256k1 keys. \
                Methods marked `x-protected` need an authenticated session, unless the access of the circle is `open`. \
                If the circle has roles, the role of the caller says which of them the caller may use. \
                The circle sends the `x-notifications`. Any method can return any of the `x-errors`. If the circle has \
                functions, `rpc.discover` adds a method `fn.NAME` for each function that the role of the caller may \
                call. If the circle has host functions, `rpc.discover` adds those that plays of the caller may use as \
                `x-host-functions`, for sessions that may play.",
        },
        "methods": document.methods,
        "components": { "schemas": schemas },
        "x-notifications": notifications,
        "x-errors": errors,
    });
    let mut text = serde_json::to_string_pretty(&contract).expect("a JSON value serialises");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    /// Run `UPDATE_OPENRPC=1 cargo test --release -p circles-protocol --features schema` to regenerate the file.
    #[test]
    fn committed_contract_matches_generated_one() {
        let generated = super::generate();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openrpc.json");
        if std::env::var_os("UPDATE_OPENRPC").is_some() {
            std::fs::write(path, &generated).expect("openrpc.json can be written");
        }
        let committed = std::fs::read_to_string(path).expect("openrpc.json is there");
        assert!(committed == generated, "protocol/openrpc.json is stale: run the test with UPDATE_OPENRPC=1");
    }
}
