//! Patterns in `call` and `use`, and sets of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use crate::signature::FunctionName;

/// A pattern in `call`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallPattern {
    All,
    /// One function.
    Name(FunctionName),
    /// All functions below a name.
    Below(FunctionName),
}

impl FromStr for CallPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::All);
        }
        let parsed = match text.strip_suffix(".*") {
            Some(name) => name.parse().map(Self::Below),
            None => text.parse().map(Self::Name),
        };
        parsed.map_err(|_| {
            format!(
                "'{}' is not a pattern of functions: write a name such as \"order.place\", \"order.*\" for all functions \
                 below a name, or \"*\" for all functions",
                shorten(text)
            )
        })
    }
}

/// The functions that a role may call. No pattern in it is part of another one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CallSet {
    has_all: bool,
    names: BTreeSet<FunctionName>,
    /// Names, of which all functions below are in the set.
    below: BTreeSet<String>,
}

impl CallSet {
    pub(super) fn all() -> Self {
        Self { has_all: true, ..Self::default() }
    }

    /// Makes the set of the functions that match any of the patterns.
    pub(super) fn new(patterns: impl IntoIterator<Item = CallPattern>) -> Self {
        let mut set = Self::default();
        for pattern in patterns {
            match pattern {
                CallPattern::All => return Self::all(),
                CallPattern::Name(name) => _ = set.names.insert(name),
                CallPattern::Below(name) => _ = set.below.insert(name.to_string()),
            }
        }
        let below = set.below.clone();
        set.names.retain(|name| !is_below_any(&below, name.as_str()));
        set.below.retain(|name| !is_below_any(&below, name));
        set
    }

    pub(super) fn has_all(&self) -> bool {
        self.has_all
    }

    pub(super) fn contains(&self, name: &FunctionName) -> bool {
        self.has_all || self.names.contains(name) || is_below_any(&self.below, name.as_str())
    }

    /// Returns the patterns in alphabetical order.
    pub(super) fn patterns(&self) -> Vec<String> {
        let all = self.has_all.then(|| "*".to_owned());
        let below = self.below.iter().map(|name| format!("{name}.*"));
        let mut patterns: Vec<_> =
            all.into_iter().chain(self.names.iter().map(ToString::to_string)).chain(below).collect();
        patterns.sort();
        patterns
    }
}

/// Returns whether a name is below any of these names.
fn is_below_any(names: &BTreeSet<String>, name: &str) -> bool {
    name.match_indices('.').any(|(dot, _)| names.contains(&name[..dot]))
}

/// A pattern in `use`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum UsePattern {
    All,
    Module(String),
    Function(String, String),
}

impl FromStr for UsePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_identifier = |part: &str| {
            part.len() <= MAX_IDENTIFIER_BYTES
                && part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        match text.split_once("::") {
            None if text == "*" => return Ok(Self::All),
            None if is_identifier(text) => return Ok(Self::Module(text.to_owned())),
            Some((module, function)) if is_identifier(module) && is_identifier(function) => {
                return Ok(Self::Function(module.to_owned(), function.to_owned()));
            }
            Some((module, rest)) if is_identifier(module) => {
                // `store::get:PREFIX/` is reserved for the store.
                if let Some((function, prefix)) = rest.split_once(':')
                    && is_identifier(function)
                    && !prefix.starts_with(':')
                {
                    return Err(format!(
                        "'{}' has a prefix, which this version does not support: write \"{module}::{function}\" for the \
                         whole function",
                        shorten(text)
                    ));
                }
            }
            _ => {}
        }
        Err(format!(
            "'{}' is not a pattern of host modules: write a module such as \"stock\", a function such as \"stock::count\", \
             or \"*\" for all host modules",
            shorten(text)
        ))
    }
}

/// Bytes of the name of a module or of a host function.
const MAX_IDENTIFIER_BYTES: usize = 128;

/// The host modules that plays of a role may use. No pattern in it is part of another one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UseSet {
    has_all: bool,
    /// The functions by module; `None` for all functions of the module.
    modules: BTreeMap<String, Option<BTreeSet<String>>>,
}

impl UseSet {
    pub(super) fn all() -> Self {
        Self { has_all: true, ..Self::default() }
    }

    /// Makes the set of the functions that match any of the patterns.
    pub(super) fn new(patterns: impl IntoIterator<Item = UsePattern>) -> Self {
        let mut set = Self::default();
        for pattern in patterns {
            match pattern {
                UsePattern::All => return Self::all(),
                UsePattern::Module(module) => _ = set.modules.insert(module, None),
                UsePattern::Function(module, function) => {
                    if let Some(functions) = set.modules.entry(module).or_insert_with(|| Some(BTreeSet::new())) {
                        functions.insert(function);
                    }
                }
            }
        }
        set
    }

    pub(super) fn contains(&self, module: &str, function: &str) -> bool {
        self.has_all
            || self
                .modules
                .get(module)
                .is_some_and(|functions| functions.as_ref().is_none_or(|functions| functions.contains(function)))
    }

    pub(super) fn contains_any_of(&self, module: &str) -> bool {
        self.has_all || self.modules.contains_key(module)
    }

    /// Returns the patterns, by module and function.
    pub(super) fn patterns(&self) -> Vec<String> {
        if self.has_all {
            return vec!["*".to_owned()];
        }
        let of_module = |(module, functions): (&String, &Option<BTreeSet<String>>)| match functions {
            None => vec![module.clone()],
            Some(functions) => functions.iter().map(|function| format!("{module}::{function}")).collect(),
        };
        self.modules.iter().flat_map(of_module).collect()
    }
}

/// Returns a text for a message, without its end if it is long.
pub(super) fn shorten(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    match text.char_indices().nth(MAX_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
