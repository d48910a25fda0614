//! Patterns in `use`, and sets of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use super::{
    patterns::shorten,
    text_pattern::{CallerPlaceholders, TextPattern, remove_covered},
};

/// The module of the store.
const STORE: &str = "store";

/// The functions of the store, each of which takes a key, keys or a prefix.
const STORE_FUNCTIONS: [&str; 9] = ["get", "get_all", "has", "put", "insert", "delete", "add", "list", "count"];

/// The module of events.
const EVENTS: &str = "events";

/// The function that publishes an event.
const PUBLISH: &str = "publish";

/// Bytes of the name of a module or of a host function.
const MAX_IDENTIFIER_BYTES: usize = 128;

/// A pattern in `use`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum UsePattern {
    All,
    Module(String),
    Function(String, String),
    /// A function of the store, for the keys with a prefix.
    Keys(String, TextPattern),
    /// Events of a topic.
    Topic(TextPattern),
}

impl FromStr for UsePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once("::") {
            None if text == "*" => return Ok(Self::All),
            None if is_identifier(text) => return Ok(Self::Module(text.to_owned())),
            Some((module, function)) if is_identifier(module) && is_identifier(function) => {
                return Ok(Self::Function(module.to_owned(), function.to_owned()));
            }
            Some((module, rest)) if is_identifier(module) => {
                if let Some((function, argument)) = rest.split_once(':')
                    && is_identifier(function)
                    && !argument.starts_with(':')
                {
                    return Self::with_argument(module, function, argument)
                        .map_err(|reason| format!("'{}' {reason}", shorten(text)));
                }
            }
            _ => {}
        }
        Err(format!(
            "'{}' is not a pattern of host modules: write a module such as \"stock\", a function such as \"stock::count\", \
             a function of the store with a prefix such as \"store::get:orders/\", or \"*\" for all host modules",
            shorten(text)
        ))
    }
}

impl UsePattern {
    fn with_argument(module: &str, function: &str, argument: &str) -> Result<Self, String> {
        match module {
            STORE if STORE_FUNCTIONS.contains(&function) => {
                Ok(Self::Keys(function.to_owned(), TextPattern::prefix(argument)?))
            }
            STORE => Err(format!(
                "has a prefix, but '{STORE}' has no function '{}': use one of {}",
                shorten(function),
                STORE_FUNCTIONS.join(", ")
            )),
            EVENTS if function == PUBLISH => Ok(Self::Topic(TextPattern::topic(argument)?)),
            _ => Err(format!(
                "has a prefix, which only the functions of '{STORE}' and '{EVENTS}::{PUBLISH}' have: write \"{}::{}\" for \
                 the whole function",
                shorten(module),
                shorten(function)
            )),
        }
    }
}

fn is_identifier(part: &str) -> bool {
    part.len() <= MAX_IDENTIFIER_BYTES
        && part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The host modules that plays of a role may use. No pattern in it is part of another one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UseSet {
    has_all: bool,
    /// The functions that are granted as a whole, by module; `None` for all functions of the module.
    modules: BTreeMap<String, Option<BTreeSet<String>>>,
    /// The prefixes by function of the store, without functions that are granted as a whole.
    prefixes: BTreeMap<String, BTreeSet<TextPattern>>,
    /// The topics, unless all are granted.
    topics: BTreeSet<TextPattern>,
}

impl UseSet {
    pub(super) fn all() -> Self {
        Self { has_all: true, ..Self::default() }
    }

    /// Makes the set of what matches any of the patterns.
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
                UsePattern::Keys(function, prefix) => _ = set.prefixes.entry(function).or_default().insert(prefix),
                UsePattern::Topic(topic) => _ = set.topics.insert(topic),
            }
        }
        let mut prefixes = std::mem::take(&mut set.prefixes);
        prefixes.retain(|function, _| !set.has_whole(STORE, function));
        prefixes.values_mut().for_each(remove_covered);
        set.prefixes = prefixes;
        if set.has_whole(EVENTS, PUBLISH) {
            set.topics.clear();
        }
        set
    }

    /// Returns whether a function is in the set for all keys or topics.
    fn has_whole(&self, module: &str, function: &str) -> bool {
        let of_module = self.modules.get(module);
        self.has_all
            || of_module
                .is_some_and(|functions| functions.as_ref().is_none_or(|functions| functions.contains(function)))
    }

    /// Returns whether a function is in the set, for whichever keys or topics.
    pub(super) fn contains(&self, module: &str, function: &str) -> bool {
        self.has_whole(module, function)
            || module == STORE && self.prefixes.contains_key(function)
            || module == EVENTS && function == PUBLISH && !self.topics.is_empty()
    }

    pub(super) fn contains_any_of(&self, module: &str) -> bool {
        self.has_all
            || self.modules.contains_key(module)
            || module == STORE && !self.prefixes.is_empty()
            || module == EVENTS && !self.topics.is_empty()
    }

    /// Returns whether a function of the store is in the set for a key, or for all keys with a prefix.
    pub(super) fn contains_text(&self, function: &str, text: &str, caller: &CallerPlaceholders) -> bool {
        let mut prefixes = self.prefixes.get(function).into_iter().flatten();
        self.has_whole(STORE, function) || prefixes.any(|prefix| prefix.is_prefix_of(text, caller))
    }

    pub(super) fn contains_topic(&self, topic: &str, caller: &CallerPlaceholders) -> bool {
        self.has_whole(EVENTS, PUBLISH) || self.topics.iter().any(|pattern| pattern.is(topic, caller))
    }

    /// Returns the patterns in alphabetical order.
    pub(super) fn patterns(&self) -> Vec<String> {
        if self.has_all {
            return vec!["*".to_owned()];
        }
        let of_module = |(module, functions): (&String, &Option<BTreeSet<String>>)| match functions {
            None => vec![module.clone()],
            Some(functions) => functions.iter().map(|function| format!("{module}::{function}")).collect(),
        };
        let mut patterns: Vec<_> = self.modules.iter().flat_map(of_module).collect();
        for (function, prefixes) in &self.prefixes {
            patterns.extend(prefixes.iter().map(|prefix| format!("{STORE}::{function}:{}", prefix.as_str())));
        }
        patterns.extend(self.topics.iter().map(|topic| format!("{EVENTS}::{PUBLISH}:{}", topic.as_str())));
        patterns.sort();
        patterns
    }
}
