//! The listing of variables and script functions.

use rhai::{Array, Blob, Dynamic, ImmutableString, Map};

use super::{budget::Budget, inventory::Inventory, values::Values};
use crate::{
    engine::Renderer,
    message::{ENTRY_COST, FunctionEntry, ScopeListing, VariableEntry},
};

/// Maximum size of a shown value, in bytes.
const MAX_OUTPUT: u64 = 1024;

/// Lists the variables and script functions. Returns `None` if the names alone exceed the maximum size.
pub(super) fn list(inventory: &Inventory, values: Option<Values<'_>>) -> Option<ScopeListing> {
    let mut budget = Budget { left: inventory.max_bytes };
    let mut listing = ScopeListing::default();
    for variable in inventory.variables() {
        budget.take(&[&variable.name, &variable.type_name]).then_some(())?;
        listing.variables.push(VariableEntry {
            name: variable.name.clone(),
            type_name: variable.type_name.clone(),
            output: None,
            length: None,
            is_constant: variable.is_constant,
        });
    }
    for function in inventory.functions() {
        let params: usize = function.params.iter().map(|param| param.len() + ENTRY_COST).sum();
        (budget.take(&[&function.name]) && budget.take_bytes(params)).then_some(())?;
        listing.functions.push(FunctionEntry { name: function.name.clone(), params: function.params.clone() });
    }
    if let Some(values) = values {
        show(&mut listing.variables, values, &mut budget);
    }
    Some(listing)
}

/// Adds the values, newest first because users more likely look for those. Values over the budget are omitted.
fn show(variables: &mut [VariableEntry], Values { engine, scope }: Values<'_>, budget: &mut Budget) {
    let renderer = Renderer { engine, max_bytes: MAX_OUTPUT };
    for ((name, _, value), entry) in scope.iter_raw().zip(variables.iter_mut().rev()) {
        if entry.name != name {
            continue;
        }
        entry.length = length(value).map(|length| length as u64);
        if budget.left == 0 || is_long_text(value) {
            continue;
        }
        if let Ok(output) = renderer.text(value)
            && budget.take_bytes(output.len())
        {
            entry.output = Some(output);
        }
    }
}

/// The number of parts of a value that has parts.
fn length(value: &Dynamic) -> Option<usize> {
    if let Some(text) = value.read_lock::<ImmutableString>() {
        Some(text.chars().count())
    } else if let Some(items) = value.read_lock::<Array>() {
        Some(items.len())
    } else if let Some(map) = value.read_lock::<Map>() {
        Some(map.len())
    } else {
        value.read_lock::<Blob>().map(|blob| blob.len())
    }
}

/// Whether a value is a text too long to show, checked because rendering would copy it first.
fn is_long_text(value: &Dynamic) -> bool {
    value.read_lock::<ImmutableString>().is_some_and(|text| text.len() as u64 > MAX_OUTPUT)
}
