//! The contract of a circle, an `OpenRPC` document, for each role: the static methods, the functions that the role may
//! call, and the host functions that its plays may use.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use functions::roles::Role;
use serde_json::{Value, json, value::RawValue};

use super::Generation;

/// The documents by role. A role has the same document until the functions or the roles change.
#[derive(Debug, Default)]
pub(crate) struct Contracts {
    documents: Mutex<HashMap<Arc<str>, Arc<RawValue>>>,
}

impl Contracts {
    /// Returns the document of a role, or of a caller without one. `host` are the host functions of the circle, which
    /// callers that may play get.
    pub(crate) fn of_role(
        &self,
        role: Option<&Role>,
        functions: Option<&Generation>,
        host: Option<&Value>,
    ) -> Option<Arc<RawValue>> {
        let name = role.map_or_else(|| "".into(), |role| role.name().clone());
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(document) = documents.get(&name) {
            return Some(document.clone());
        }
        let document: Arc<RawValue> = document(role, functions, host)?.into();
        documents.insert(name, document.clone());
        Some(document)
    }
}

fn document(role: Option<&Role>, functions: Option<&Generation>, host: Option<&Value>) -> Option<Box<RawValue>> {
    let may_play = role.is_some_and(Role::may_play);
    if functions.is_none() && !(may_play && host.is_some()) {
        return RawValue::from_string(protocol::OPENRPC.trim_end().to_owned()).ok();
    }
    let mut contract: Value = serde_json::from_str(protocol::OPENRPC).ok()?;
    if let (Some(role), Some(functions)) = (role, functions) {
        let methods = contract["methods"].as_array_mut()?;
        methods.extend(functions.permitted(role).map(|function| function.method.clone()));
    }
    if let (Some(role), Some(host)) = (role.filter(|role| role.may_play()), host) {
        let mut host = host.clone();
        if let Some(listed) = host["functions"].as_array_mut() {
            listed.retain(|function| {
                let name = function["name"].as_str().and_then(|name| name.split_once("::"));
                name.is_some_and(|(module, function)| role.may_use(module, function))
            });
            if !listed.is_empty() {
                contract["x-host-functions"] = json!(host);
            }
        }
    }
    serde_json::value::to_raw_value(&contract).ok()
}
