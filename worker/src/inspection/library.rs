//! The functions that every environment has: Rhai's, the worker's, and those that Rhai's evaluator itself knows.

use std::{
    any::TypeId,
    rc::Rc,
    sync::{Arc, OnceLock},
};

use rhai::{
    Array, Blob, FLOAT, FnAccess, FnPtr, FuncInfo, FuncMetadata, INT, ImmutableString, Map, is_valid_identifier,
};

use super::docs;
use crate::{
    engine::{self, Meter, ModuleSources},
    message::{Origin, WorkerSetup},
};

/// Names, signatures and docs of functions that are no entries of any library.
const BUILT_IN: &[(&str, &str, &str, MethodReceiver<&str>)] = &[
    ("Fn", "Fn(name: string) -> Fn", "A pointer to the function of that name.", MethodReceiver::None),
    ("call", "call(function: Fn, ...) -> any", "Calls what a function pointer points to.", MethodReceiver::Type("Fn")),
    (
        "curry",
        "curry(function: Fn, ...) -> Fn",
        "A function pointer with its first arguments given.",
        MethodReceiver::Type("Fn"),
    ),
    ("debug", "debug(value: any)", "Shows a value as code, with where it was called.", MethodReceiver::None),
    (
        "is_def_fn",
        "is_def_fn(name: string, params: i64) -> bool",
        "Whether there is such a function.",
        MethodReceiver::None,
    ),
    ("is_def_var", "is_def_var(name: string) -> bool", "Whether there is such a variable.", MethodReceiver::None),
    ("is_shared", "is_shared(variable: any) -> bool", "Whether a closure captured the variable.", MethodReceiver::Any),
    ("print", "print(value: any)", "Shows a value as text.", MethodReceiver::None),
    ("type_of", "type_of(value: any) -> string", "The name of a value's type.", MethodReceiver::Any),
];

/// The words of the language.
pub(super) const KEYWORDS: &[&str] = &[
    "as", "break", "catch", "const", "continue", "do", "else", "export", "false", "fn", "for", "global", "if",
    "import", "in", "let", "loop", "private", "return", "switch", "this", "throw", "true", "try", "until", "while",
];

/// What a function can be called on with a dot.
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
    /// Of a property: its type.
    pub(super) signature: String,
    pub(super) doc: String,
    pub(super) origin: Origin,
    pub(super) is_property: bool,
    receiver: MethodReceiver<String>,
}

impl Native {
    /// Whether it can stand behind the dot after a value of that type; of any if it is not known.
    pub(super) fn fits(&self, type_name: Option<&str>) -> bool {
        match &self.receiver {
            MethodReceiver::None => false,
            MethodReceiver::Any => true,
            MethodReceiver::Type(receiver) => type_name.is_none_or(|type_name| receiver == type_name),
        }
    }
}

/// By name.
pub(super) fn library() -> &'static [Native] {
    static LIBRARY: OnceLock<Vec<Native>> = OnceLock::new();
    LIBRARY.get_or_init(collect)
}

fn collect() -> Vec<Native> {
    let setup = WorkerSetup::default();
    let meter = Rc::new(Meter::new(Arc::default(), &setup.limits));
    // One that evaluates nothing: that of the environment stays on its thread.
    let engine = engine::build(&setup, ModuleSources::default(), &meter, |_| {});
    let known = |info: FuncInfo<'_>| (info.metadata.access == FnAccess::Public).then(|| info.metadata.clone());
    let natives = engine.collect_fn_metadata(None, known, false);
    let standard = engine.collect_fn_metadata(None, known, true);
    let hides = |native: &FuncMetadata, other: &FuncMetadata| {
        native.name == other.name && native.param_types == other.param_types
    };
    let standard = standard.iter().filter(|function| !natives.iter().any(|native| hides(native, function)));
    let mut library: Vec<Native> = natives
        .iter()
        .map(|function| (function, Origin::Native))
        .chain(standard.map(|function| (function, Origin::Standard)))
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

/// Whether it is for numbers that scripts hardly ever have: it is shown after those for Rhai's own.
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

/// The name of a type that only the compiler knows by name, for functions that are registered without names.
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

/// `None` for operators, setters and indexers, which have no names to be called by.
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
