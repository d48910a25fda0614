//! Hints on how to fix the errors of scripts: names that are near, functions that exist, and common mistakes.

use rhai::EvalAltResult;

use super::{
    inventory::{Inventory, ModuleIndex},
    library::library,
};
use crate::message::{CLOSURE, TraceFrame, TraceSource};

/// Maximum number of names that are compared with a mistyped one.
const MAX_NAMES: usize = 10_000;

/// Maximum length of a name that is compared, in bytes.
const MAX_NAME: usize = 64;

/// Maximum number of listed signatures.
const MAX_SIGNATURES: usize = 3;

/// Returns a hint on an error that occurred at `at`. The inventory is that after the play.
pub(crate) fn hint(error: &EvalAltResult, at: &TraceFrame, inventory: &Inventory) -> Option<String> {
    match error {
        EvalAltResult::ErrorVariableNotFound(name, _) => unknown_variable(name, at, inventory),
        EvalAltResult::ErrorFunctionNotFound(signature, _) => unknown_function(signature, inventory),
        EvalAltResult::ErrorModuleNotFound(name, _) => unknown_module(name, inventory),
        _ => None,
    }
}

fn unknown_variable(name: &str, at: &TraceFrame, inventory: &Inventory) -> Option<String> {
    let is_in_function = at.function.as_ref().is_some_and(|function| function != CLOSURE);
    if is_in_function && matches!(at.source, TraceSource::Play { .. }) {
        match inventory.variable(name) {
            Some(variable) if variable.is_constant => {
                return Some(format!("functions see the constants of the session as global::{name}"));
            }
            Some(_) => {
                return Some(format!("functions do not see variables of the session; pass {name} as a parameter"));
            }
            None => {}
        }
    }
    if is_assigned(name, at) {
        return Some(format!("to make a new variable, write let {name} = …"));
    }
    let signatures = signatures(name, inventory);
    if let Some(signature) = signatures.first() {
        return Some(format!("{name} is a function; call it as {signature}"));
    }
    let variables = inventory.variables().iter().filter(|_| !is_in_function).map(|variable| variable.name.as_str());
    let constants = inventory.constants().map(|(name, _)| name);
    did_you_mean(name, variables.chain(constants))
}

/// Whether the source assigns to the variable at the position of the error.
fn is_assigned(name: &str, at: &TraceFrame) -> bool {
    let rest = || {
        let column = usize::try_from(at.position?.column).ok()?;
        let text = at.text.as_deref()?;
        let (start, _) = text.char_indices().nth(column.checked_sub(1)?)?;
        text[start..].strip_prefix(name).map(str::trim_start)
    };
    rest().is_some_and(|rest| rest.starts_with('=') && !rest.starts_with("=="))
}

fn unknown_function(signature: &str, inventory: &Inventory) -> Option<String> {
    let (path, args) = signature.split_once(" (").unwrap_or((signature, ""));
    if let Some((path, name)) = path.rsplit_once("::") {
        let names: Vec<&str> = path.split("::").collect();
        let (module, _) = inventory.module(&names)?;
        return unknown_module_function(path, name, module);
    }
    let found = signatures(path, inventory);
    if !found.is_empty() {
        return Some(format!("call it as {}", listed(&found)));
    }
    if inventory.variable(path).is_some_and(|variable| variable.type_name == "Fn") {
        return Some(format!("{path} is a variable; call the function in it as {path}.call(…)"));
    }
    if !path.starts_with(|character: char| character.is_alphabetic() || character == '_') {
        return operator_hint(path, args);
    }
    let script = inventory.functions().map(|function| function.name.as_str());
    let natives = library().iter().filter(|native| !native.is_property).map(|native| native.name.as_str());
    did_you_mean(path, script.chain(natives))
}

fn operator_hint(operator: &str, args: &str) -> Option<String> {
    let mut args = args.strip_suffix(')').unwrap_or(args).split(", ");
    if args.clone().any(|arg| arg == "()") {
        return Some("() is no value; a function returns () if a ; follows its last expression".into());
    }
    let is_arithmetic = ["-", "*", "/", "%", "**"].contains(&operator);
    (is_arithmetic && args.any(is_string))
        .then(|| "parse_int(text) and parse_float(text) make numbers of strings".into())
}

/// Whether a type in a signature of Rhai's errors is a string.
fn is_string(name: &str) -> bool {
    name == "string" || name.contains("ImmutableString")
}

fn unknown_module_function(path: &str, name: &str, module: &ModuleIndex) -> Option<String> {
    let functions = module.functions.iter();
    let found: Vec<String> = functions
        .clone()
        .filter(|function| function.name == name)
        .map(|function| format!("{path}::{}", function.signature))
        .collect();
    if !found.is_empty() {
        return Some(format!("call it as {}", listed(&found)));
    }
    let near = nearest(name, functions.map(|function| function.name.as_str()))?;
    Some(format!("did you mean {path}::{near}?"))
}

fn unknown_module(name: &str, inventory: &Inventory) -> Option<String> {
    // An import would have found it.
    if inventory.importable.iter().any(|importable| importable == name) {
        return Some(format!("import it first: import \"{name}\" as {name};"));
    }
    did_you_mean(name, inventory.importable.iter().map(String::as_str).chain(inventory.aliases()))
}

/// The signatures of the functions with a name: those of scripts, otherwise those of the library.
fn signatures(name: &str, inventory: &Inventory) -> Vec<String> {
    let script = inventory.functions().filter(|function| function.name == name);
    let found: Vec<String> = script.map(|function| function.signature.clone()).collect();
    if !found.is_empty() {
        return found;
    }
    let natives = library().iter().filter(|native| native.name == name && !native.is_property);
    natives.map(|native| native.signature.clone()).collect()
}

/// Lists signatures, up to a number.
fn listed(signatures: &[String]) -> String {
    let shown = signatures[..signatures.len().min(MAX_SIGNATURES)].join(" or ");
    match signatures.len().saturating_sub(MAX_SIGNATURES) {
        0 => shown,
        more => format!("{shown} (+{more})"),
    }
}

fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|near| format!("did you mean {near}?"))
}

/// The known name that is nearest to a mistyped one, if any is near.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let length = name.chars().count();
    // With more edits, anything would be near a short name.
    let max = (length / 3).min(2);
    if name.len() > MAX_NAME {
        return None;
    }
    let is_comparable = |known: &&str| known.len() <= MAX_NAME && known.chars().count().abs_diff(length) <= max;
    let distance = |known: &'a str| {
        let distance = if known.eq_ignore_ascii_case(name) { 0 } else { strsim::osa_distance(known, name) };
        (distance, known)
    };
    let near = known.take(MAX_NAMES).filter(is_comparable).map(distance).filter(|(distance, _)| *distance <= max);
    near.min().map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_differs_little_for_its_length() {
        let known = ["total", "area", "map", "x", "TOTAL", "pop"];
        let cases = [
            ("totl", Some("total")),
            ("Total", Some("TOTAL")),
            ("aera", Some("area")),
            ("mpa", Some("map")),
            ("foo", None),
            ("y", None),
            ("nope", None),
            ("X", Some("x")),
            ("totaal", Some("total")),
            ("nowhere", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, known.into_iter()), expected, "{name}");
        }
        assert_eq!(nearest(&"x".repeat(1000), ["x".repeat(1000).as_str()].into_iter()), None);
        assert_eq!(nearest("late", std::iter::repeat_n("other", MAX_NAMES).chain(["late"])), None);
    }
}
