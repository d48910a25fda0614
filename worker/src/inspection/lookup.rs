//! Lookup of functions by name.

use super::{
    budget::Budget,
    inventory::{Inventory, ScriptFunction},
    library::library,
};
use crate::message::{FunctionDoc, Origin};

/// Finds the functions of a name. Returns `None` if the answer exceeds its maximum size.
pub(super) fn find(name: &str, inventory: &Inventory) -> Option<Vec<FunctionDoc>> {
    let mut found = DocList { docs: Vec::new(), budget: Budget { left: inventory.max_bytes } };
    if let Some((path, name)) = name.rsplit_once("::") {
        let names: Vec<&str> = path.split("::").map(str::trim).collect();
        if let Some((module, origin)) = inventory.module(&names) {
            let name = name.trim();
            for function in module.functions.iter().filter(|function| function.name == name) {
                found.add(format!("{path}::{}", function.signature), &function.doc, origin)?;
            }
        }
        return Some(found.docs);
    }
    let script_functions: Vec<&ScriptFunction> =
        inventory.functions().filter(|function| function.name == name).collect();
    for (is_from_init, origin) in [(false, Origin::Session), (true, Origin::Init)] {
        for function in script_functions.iter().filter(|function| function.is_from_init == is_from_init) {
            found.add(function.signature.clone(), &function.doc, origin)?;
        }
    }
    for origin in [Origin::Native, Origin::Standard] {
        for native in library().iter().filter(|native| native.name == name && !native.is_property) {
            if native.origin == origin {
                found.add(native.signature.clone(), &native.doc, origin)?;
            }
        }
    }
    Some(found.docs)
}

struct DocList {
    docs: Vec<FunctionDoc>,
    budget: Budget,
}

impl DocList {
    fn add(&mut self, signature: String, doc: &str, origin: Origin) -> Option<()> {
        self.budget.take(&[&signature, doc]).then_some(())?;
        self.docs.push(FunctionDoc { signature, doc: doc.into(), origin });
        Some(())
    }
}
