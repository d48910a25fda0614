//! The functions of a circle that the program has: functions of modules like those of host functions, under names of
//! their own.

use functions::signature::{FunctionName, Signature};
use serde_json::{Value, json};

use super::{
    catalog::{CircleFunction, FunctionBody, public_name},
    error::FunctionFault,
};
use crate::host::{FunctionTable, signature};

/// Returns the functions of all modules, or the mistake in each.
pub(super) fn all(table: &FunctionTable) -> Vec<Result<CircleFunction, FunctionFault>> {
    let mut all = Vec::new();
    for (module, definition) in table.own() {
        let offered = definition.offered();
        let types = signature::inlined(&**definition);
        for (function, (declared, (schemas, texts, result))) in offered.functions.iter().zip(types).enumerate() {
            let name = public_name(&offered.name, &declared.name);
            let optional: Vec<bool> = schemas.params.iter().map(signature::is_optional).collect();
            let read = name
                .parse::<FunctionName>()
                .map_err(|error| error.to_string())
                .and_then(|name| read_signature(name, &declared.params, &optional, &declared.doc));
            all.push(match read {
                Ok(signature) => {
                    let types = Types { params: schemas.params, texts, result: schemas.result, result_text: result };
                    let method = method(&signature, types);
                    Ok(CircleFunction { signature, body: FunctionBody::Program { module, function }, method })
                }
                Err(message) => Err(FunctionFault::of_file(name.into(), message)),
            });
        }
    }
    all
}

/// Makes the signature of a function whose types serde checks.
fn read_signature(name: FunctionName, params: &[String], optional: &[bool], doc: &str) -> Result<Signature, String> {
    let mut doc = doc.to_owned();
    for (param, is_optional) in params.iter().zip(optional) {
        doc.push_str(&if *is_optional {
            format!("\n@param {{any}} [{param}]")
        } else {
            format!("\n@param {{any}} {param}")
        });
    }
    doc.push_str("\n@returns {any}");
    Signature::parse(name, params, &doc)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

/// The types of a function, as schemas and as short texts.
struct Types {
    params: Vec<Value>,
    texts: Vec<String>,
    result: Value,
    result_text: String,
}

/// Returns the method object of the contract.
fn method(signature: &Signature, types: Types) -> Value {
    let mut method = signature.openrpc();
    let named: Vec<String> = signature
        .params
        .iter()
        .zip(&types.texts)
        .map(|(param, text)| format!("{}{}: {text}", param.name, if param.is_optional { "?" } else { "" }))
        .collect();
    method["x-signature"] = json!(format!("{}({}) -> {}", signature.name, named.join(", "), types.result_text));
    if let Some(params) = method["params"].as_array_mut() {
        for ((param, schema), text) in params.iter_mut().zip(types.params).zip(types.texts) {
            param["schema"] = schema;
            param["x-type"] = json!(text);
        }
    }
    method["result"]["schema"] = types.result;
    method["result"]["x-type"] = json!(types.result_text);
    method
}
