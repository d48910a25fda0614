//! Patterns in `call`, and sets of them.

use std::{collections::BTreeSet, str::FromStr};

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

/// Returns a text for a message, without its end if it is long.
pub(super) fn shorten(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    match text.char_indices().nth(MAX_CHARS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
