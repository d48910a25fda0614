//! The functions of every environment: Rhai's, the worker's, and those built into Rhai's evaluator.

use std::{
    any::TypeId,
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use rhai::{
    Array, Blob, Engine, FLOAT, FnAccess, FnPtr, FuncInfo, FuncMetadata, INT, ImmutableString, Map, is_valid_identifier,
};

use super::{
    docs,
    inventory::{ModuleIndex, ScriptFunction},
};
use crate::{
    engine::{self, Caller, Meter, ModuleLoader},
    message::{ModuleSources, Origin, WorkerSetup},
};

/// Names, signatures and docs of functions that are built into Rhai's evaluator.
const BUILT_IN: &[(&str, &str, &str, MethodReceiver<&str>)] = &[
    ("Fn", "Fn(name: string) -> Fn", "Returns a pointer to the function with that name.", MethodReceiver::None),
    ("call", "call(function: Fn, ...) -> any", "Calls the function of a function pointer.", MethodReceiver::Type("Fn")),
    (
        "curry",
        "curry(function: Fn, ...) -> Fn",
        "Returns a function pointer with its first arguments bound.",
        MethodReceiver::Type("Fn"),
    ),
    ("debug", "debug(value: any)", "Prints a value as code, with the position of the call.", MethodReceiver::None),
    (
        "is_def_fn",
        "is_def_fn(name: string, params: i64) -> bool",
        "Whether a function with that name and number of parameters exists.",
        MethodReceiver::None,
    ),
    (
        "is_def_var",
        "is_def_var(name: string) -> bool",
        "Whether a variable with that name exists.",
        MethodReceiver::None,
    ),
    (
        "is_shared",
        "is_shared(variable: any) -> bool",
        "Whether a closure has captured the variable.",
        MethodReceiver::Any,
    ),
    ("print", "print(value: any)", "Prints a value as text.", MethodReceiver::None),
    ("type_of", "type_of(value: any) -> string", "The name of a value's type.", MethodReceiver::Any),
];

/// The keywords of Rhai.
pub(super) const KEYWORDS: &[&str] = &[
    "as", "break", "catch", "const", "continue", "do", "else", "export", "false", "fn", "for", "global", "if",
    "import", "in", "let", "loop", "private", "return", "switch", "this", "throw", "true", "try", "until", "while",
];

/// The type of the values on which a function can be called with a dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MethodReceiver<T> {
    None,
    Any,
    Type(T),
}

/// A function or a property of the library.
#[derive(Debug)]
pub(super) struct Native {
    pub(super) name: String,
    /// The signature; for a property, its type.
    pub(super) signature: String,
    pub(super) doc: String,
    pub(super) origin: Origin,
    pub(super) is_property: bool,
    receiver: MethodReceiver<String>,
}

impl Native {
    /// Whether the function can be called with a dot on a value of the type, or of an unknown type.
    pub(super) fn fits(&self, type_name: Option<&str>) -> bool {
        match &self.receiver {
            MethodReceiver::None => false,
            MethodReceiver::Any => true,
            MethodReceiver::Type(receiver) => type_name.is_none_or(|type_name| receiver == type_name),
        }
    }
}

/// The library, sorted by name.
pub(super) fn library() -> &'static [Native] {
    static LIBRARY: OnceLock<Vec<Native>> = OnceLock::new();
    LIBRARY.get_or_init(collect)
}

/// The modules of native functions, by name.
pub(super) fn native_modules() -> &'static BTreeMap<String, ModuleIndex> {
    static MODULES: OnceLock<BTreeMap<String, ModuleIndex>> = OnceLock::new();
    MODULES.get_or_init(collect_modules)
}

/// Builds an engine without host functions. It is separate, because the environment's engine cannot leave its thread.
fn native_engine() -> Engine {
    let setup = WorkerSetup::default();
    let meter = Arc::new(Meter::new(Arc::default(), &setup.limits, || {}));
    engine::build(&setup, ModuleLoader::new(ModuleSources::default()), &meter, &Caller::default(), |_| {})
}

fn collect_modules() -> BTreeMap<String, ModuleIndex> {
    let known = |info: FuncInfo<'_>| {
        let is_known = info.metadata.access == FnAccess::Public && !info.namespace.is_empty();
        is_known.then(|| (info.namespace.to_string(), info.metadata.clone()))
    };
    let mut root = ModuleIndex::default();
    let mut functions = native_engine().collect_fn_metadata(None, known, false);
    functions.sort_by_cached_key(|(_, function)| (function.name.clone(), function.params_info.to_vec()));
    for (path, function) in functions {
        let Some(Native { name, signature, doc, is_property: false, .. }) = native(&function, Origin::Native) else {
            continue;
        };
        let params = function.params_info.iter().map(|param| param.split(':').next().unwrap_or("_").trim().to_owned());
        let params = params.take(function.num_params).collect();
        let module = path.split("::").fold(&mut root, |module, name| module.modules.entry(name.into()).or_default());
        module.functions.push(ScriptFunction { name, params, signature, doc, this_type: None, is_from_init: false });
    }
    root.modules
}

fn collect() -> Vec<Native> {
    let engine = native_engine();
    let known = |info: FuncInfo<'_>| {
        let is_known = info.metadata.access == FnAccess::Public && info.namespace.is_empty();
        is_known.then(|| info.metadata.clone())
    };
    let natives = engine.collect_fn_metadata(None, known, false);
    let all = engine.collect_fn_metadata(None, known, true);
    let is_same = |a: &FuncMetadata, b: &FuncMetadata| a.name == b.name && a.param_types == b.param_types;
    // The worker's own functions without docs replace standard functions that do the same.
    let (documented, plain): (Vec<_>, Vec<_>) = natives.into_iter().partition(|native| !native.comments.is_empty());
    let standard: Vec<_> = all
        .iter()
        .filter(|function| !documented.iter().any(|native| is_same(native, function)))
        .filter(|function| !function.comments.is_empty() || !plain.iter().any(|native| is_same(native, function)))
        .collect();
    let other = plain.iter().filter(|native| !standard.iter().any(|function| is_same(native, function)));
    let mut library: Vec<Native> = documented
        .iter()
        .chain(other)
        .map(|function| (function, Origin::Native))
        .chain(standard.iter().map(|function| (*function, Origin::Standard)))
        .filter_map(|(function, origin)| native(function, origin))
        .chain(BUILT_IN.iter().map(built_in))
        .collect();
    let order = |native: &Native| {
        (native.name.clone(), native.is_property, has_foreign_number(&native.signature), native.signature.clone())
    };
    library.sort_by_cached_key(order);
    library.dedup_by(|a, b| a.name == b.name && a.signature == b.signature && a.receiver == b.receiver);
    library
}

/// Whether the signature has number types that scripts rarely use. Such functions are shown last.
fn has_foreign_number(signature: &str) -> bool {
    const FOREIGN: &[&str] = &["i8", "i16", "i32", "i128", "u8", "u16", "u32", "u64", "u128", "f32"];
    signature.split(|character: char| !character.is_ascii_alphanumeric()).any(|word| FOREIGN.contains(&word))
}

fn built_in((name, signature, doc, receiver): &(&str, &str, &str, MethodReceiver<&str>)) -> Native {
    Native {
        name: (*name).into(),
        signature: (*signature).into(),
        doc: (*doc).into(),
        origin: Origin::Standard,
        is_property: false,
        receiver: match receiver {
            MethodReceiver::None => MethodReceiver::None,
            MethodReceiver::Any => MethodReceiver::Any,
            MethodReceiver::Type(name) => MethodReceiver::Type((*name).into()),
        },
    }
}

/// The name in Rhai of a Rust type, for functions that are registered without type names.
fn type_name_of(id: &TypeId) -> &'static str {
    let known = [
        (TypeId::of::<INT>(), "i64"),
        (TypeId::of::<FLOAT>(), "f64"),
        (TypeId::of::<f32>(), "f32"),
        (TypeId::of::<bool>(), "bool"),
        (TypeId::of::<char>(), "char"),
        (TypeId::of::<ImmutableString>(), "string"),
        (TypeId::of::<Array>(), "array"),
        (TypeId::of::<Map>(), "map"),
        (TypeId::of::<Blob>(), "blob"),
        (TypeId::of::<FnPtr>(), "Fn"),
    ];
    known.into_iter().find(|(known, _)| known == id).map_or("any", |(_, name)| name)
}

/// Converts a function's metadata. Returns `None` for operators, setters and indexers, which have no callable names.
fn native(function: &FuncMetadata, origin: Origin) -> Option<Native> {
    let property = function.name.strip_prefix("get$");
    let name = property.unwrap_or(&function.name);
    if !is_valid_identifier(name) || BUILT_IN.iter().any(|(built_in, ..)| *built_in == name) {
        return None;
    }
    let params: Vec<(String, String)> = (0..function.num_params)
        .map(|index| {
            let declared = function.params_info.get(index).map_or("_", |param| param.as_str());
            let (name, type_name) = declared.split_once(':').unwrap_or((declared, "?"));
            let type_name = match docs::type_name(type_name).as_str() {
                "any" => function.param_types.get(index).map_or("any", type_name_of).to_owned(),
                known => known.to_owned(),
            };
            (name.trim().to_owned(), type_name)
        })
        .collect();
    let result = docs::type_name(&function.return_type);
    let signature = if property.is_some() {
        result
    } else {
        let params: Vec<String> = params
            .iter()
            .map(|(name, type_name)| if name == "_" { type_name.clone() } else { format!("{name}: {type_name}") })
            .collect();
        let result = if result == "()" { String::new() } else { format!(" -> {result}") };
        format!("{name}({}){result}", params.join(", "))
    };
    let receiver = match params.into_iter().next() {
        None => MethodReceiver::None,
        Some((_, type_name)) if type_name == "any" => MethodReceiver::Any,
        Some((_, type_name)) => MethodReceiver::Type(type_name),
    };
    let doc = docs::clean(function.comments.iter().map(AsRef::as_ref));
    Some(Native { name: name.into(), signature, doc, origin, is_property: property.is_some(), receiver })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Vec<&'static Native> {
        library().iter().filter(|native| native.name == name).collect()
    }

    #[test]
    fn library_functions_have_signatures_docs_and_origins() {
        let push = named("push");
        assert_eq!(push[0].signature, "push(array: array, item: any)");
        assert!(push[0].doc.contains("Add a new element") && !push[0].doc.contains("///"), "{}", push[0].doc);
        assert_eq!(push[0].origin, Origin::Standard);
        assert!(push[0].fits(None) && push[0].fits(Some("array")) && !push[0].fits(Some("i64")));
        let progress = named("progress");
        assert_eq!(progress.len(), 2);
        assert_eq!(progress[0].signature, "progress(done: i64, total: i64)");
        assert!(progress.iter().all(|native| native.origin == Origin::Native && !native.doc.is_empty()));
        assert!(named("sleep").iter().all(|native| native.origin == Origin::Native));
    }

    #[test]
    fn library_omits_operators_and_accessors() {
        assert!(library().iter().all(|native| is_valid_identifier(&native.name)));
        assert!(named("eval").is_empty());
        assert!(named("len").iter().any(|native| native.is_property && native.signature == "i64"));
        assert_eq!(named("print").len(), 1);
    }

    #[test]
    fn library_names_only_rhai_types() {
        for native in library() {
            assert!(!native.signature.contains("rhai::") && !native.signature.contains("EvalAlt"), "{native:?}");
            assert!(!native.signature.contains('$') && !native.signature.contains('&'), "{native:?}");
        }
    }
}
