//! Completion at the end of a text.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Bound,
};

use rhai::{Array, Dynamic, Engine, ImmutableString, Map, is_valid_identifier};

use super::{
    budget::Budget,
    cursor::{CursorContext, Declared, DeclaredKind, Receiver, Step, word_at_end},
    inventory::{Inventory, SharedInventory},
    library::{KEYWORDS, library},
    values::Values,
};
use crate::message::{Candidate, CandidateKind, Completion, MAX_CANDIDATES};

/// Maximum size of an offered name, in bytes. Longer names are of no use to a person.
const MAX_TEXT: usize = 1024;

/// Maximum size of a detail, in bytes; the rest is cut off.
const MAX_DETAIL: usize = 512;

/// Maximum length of a chain like `a.b[0].c`.
const MAX_CHAIN: usize = 64;

/// Name, kind and detail of a candidate.
type Offer<'a> = (&'a str, CandidateKind, &'a str);

/// Completes a text. Without values, members of maps are not offered.
pub(super) fn complete(before: &str, inventory: &SharedInventory, values: Option<Values<'_>>) -> Completion {
    let Some(word) = word_at_end(before) else {
        return Completion { start: before.chars().count() as u64, candidates: Vec::new() };
    };
    let inventory = &*inventory.lock();
    let mut offered = CandidateList::new(word.prefix, inventory.max_bytes);
    match &word.context {
        CursorContext::Plain { declared } => {
            offer_declared(&mut offered, declared);
            offer_names(&mut offered, inventory);
        }
        CursorContext::Member { receiver } => offer_members(&mut offered, receiver, inventory, values),
        CursorContext::Key { receiver } => offer_keys(&mut offered, receiver, values),
        CursorContext::Qualified { path } => offer_qualified(&mut offered, path, inventory),
        CursorContext::Import => {
            offered.group(inventory.importable.iter().map(|name| (name.as_str(), CandidateKind::Module, "")));
        }
    }
    Completion { start: before[..word.start].chars().count() as u64, candidates: offered.candidates }
}

/// Offers the names that the text itself declares.
fn offer_declared<'a>(offered: &mut CandidateList<'_>, declared: &'a [Declared<'a>]) {
    offered.group(declared.iter().map(|declared| {
        let kind = match declared.kind {
            DeclaredKind::Variable => CandidateKind::Variable,
            DeclaredKind::Constant => CandidateKind::Constant,
            DeclaredKind::Function => CandidateKind::Function,
            DeclaredKind::Module => CandidateKind::Module,
        };
        (declared.name, kind, declared.detail.as_str())
    }));
}

fn offer_names(offered: &mut CandidateList<'_>, inventory: &Inventory) {
    // Newest first: the first one of a name is the one that a script sees.
    let variables = inventory.variables().iter().rev().map(|variable| {
        let kind = if variable.is_constant { CandidateKind::Constant } else { CandidateKind::Variable };
        (variable.name.as_str(), kind, variable.type_name.as_str())
    });
    let functions = |is_from_init| {
        let functions = inventory.functions().filter(move |function| function.is_from_init == is_from_init);
        functions.map(|function| (function.name.as_str(), CandidateKind::Function, function.signature.as_str()))
    };
    offered.group(variables.chain(functions(false)));
    let constants = inventory.constants().map(|(name, type_name)| (name, CandidateKind::Constant, type_name));
    offered.group(functions(true).chain(constants));
    offered.group(inventory.aliases().map(|alias| (alias, CandidateKind::Module, "")));
    let natives = library().iter().filter(|native| !native.is_property);
    offered.group(natives.map(|native| (native.name.as_str(), CandidateKind::Function, native.signature.as_str())));
    offered.group(KEYWORDS.iter().map(|word| (*word, CandidateKind::Keyword, "")));
}

fn offer_members(
    offered: &mut CandidateList<'_>,
    receiver: &Receiver<'_>,
    inventory: &Inventory,
    values: Option<Values<'_>>,
) {
    let mut type_name = match receiver {
        Receiver::Literal(type_name) => Some((*type_name).to_owned()),
        Receiver::Path { variable, steps } if steps.is_empty() => {
            inventory.variable(variable).map(|variable| variable.type_name.clone())
        }
        Receiver::Path { .. } | Receiver::Unknown => None,
    };
    if let Some(Values { engine, .. }) = values {
        visit_receiver(receiver, values, &mut |value| {
            type_name = Some(engine.map_type_name(value.type_name()).to_owned());
            if let Some(map) = value.read_lock::<Map>() {
                offer_properties(offered, &map, engine, is_valid_identifier);
            }
        });
    }
    let type_name = type_name.as_deref();
    let natives = library().iter().filter(|native| native.fits(type_name)).map(|native| {
        let kind = if native.is_property { CandidateKind::Property } else { CandidateKind::Method };
        (native.name.as_str(), kind, native.signature.as_str())
    });
    offered.group(natives);
    let functions = inventory.functions().filter(|function| {
        let types = function.this_type.as_deref().zip(type_name);
        types.is_none_or(|(this_type, type_name)| this_type == type_name)
    });
    offered
        .group(functions.map(|function| (function.name.as_str(), CandidateKind::Method, function.signature.as_str())));
}

/// Offers the keys of a map in an index, also those that are no names.
fn offer_keys(offered: &mut CandidateList<'_>, receiver: &Receiver<'_>, values: Option<Values<'_>>) {
    let Some(Values { engine, .. }) = values else { return };
    visit_receiver(receiver, values, &mut |value| {
        if let Some(map) = value.read_lock::<Map>() {
            offer_properties(offered, &map, engine, is_plain_key);
        }
    });
}

/// Offers the properties of a map whose names are accepted.
fn offer_properties(offered: &mut CandidateList<'_>, map: &Map, engine: &Engine, is_accepted: fn(&str) -> bool) {
    let members = members(map, offered.prefix, is_accepted, engine);
    offered.group(members.iter().map(|(name, detail)| (name.as_str(), CandidateKind::Property, detail.as_str())));
}

/// Whether a key stands in a string as it is.
fn is_plain_key(key: &str) -> bool {
    !key.is_empty() && !key.contains(|character: char| character.is_control() || matches!(character, '"' | '\\'))
}

/// Calls `seen` with the value of a receiver, if it is known.
fn visit_receiver(receiver: &Receiver<'_>, values: Option<Values<'_>>, seen: &mut dyn FnMut(&Dynamic)) {
    if let (Receiver::Path { variable, steps }, Some(Values { scope, .. })) = (receiver, values)
        && steps.len() < MAX_CHAIN
        && let Some(value) = scope.get(variable)
    {
        visit(value, steps, seen);
    }
}

/// Follows steps through maps and arrays and calls `seen` with the value, which cannot be returned if a closure shares
/// it.
fn visit(value: &Dynamic, steps: &[Step<'_>], seen: &mut dyn FnMut(&Dynamic)) {
    let Some((step, inner)) = steps.split_first() else { return seen(value) };
    if let Some(map) = value.read_lock::<Map>() {
        if let Step::Member(name) = step
            && let Some(value) = map.get(*name)
        {
            visit(value, inner, seen);
        }
    } else if let Some(array) = value.read_lock::<Array>() {
        let item = match step {
            Step::Item(index) => array.get(*index),
            Step::AnyItem => array.first(),
            Step::Member(_) => None,
        };
        if let Some(value) = item {
            visit(value, inner, seen);
        }
    } else if value.is::<ImmutableString>() && matches!(step, Step::Item(_) | Step::AnyItem) {
        visit(&Dynamic::from_char(' '), inner, seen);
    }
}

/// The first properties with a prefix whose names are accepted, sorted by name, with their types.
fn members(map: &Map, prefix: &str, is_accepted: fn(&str) -> bool, engine: &Engine) -> Vec<(String, String)> {
    map.range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
        .take_while(|(name, _)| name.starts_with(prefix))
        .filter(|(name, _)| name.len() <= MAX_TEXT && is_accepted(name))
        .take(MAX_CANDIDATES)
        .map(|(name, value)| (name.to_string(), engine.map_type_name(value.type_name()).to_owned()))
        .collect()
}

fn offer_qualified(offered: &mut CandidateList<'_>, path: &[&str], inventory: &Inventory) {
    if path == ["global"] {
        let constants = inventory.variables().iter().rev().filter(|variable| variable.is_constant);
        let constants =
            constants.map(|constant| (constant.name.as_str(), CandidateKind::Constant, constant.type_name.as_str()));
        return offered.group(constants);
    }
    let Some((module, _)) = inventory.module(path) else { return };
    let functions = module.functions.iter();
    let functions =
        functions.map(|function| (function.name.as_str(), CandidateKind::Function, function.signature.as_str()));
    let constants = module.constants.iter();
    let constants = constants.map(|(name, type_name)| (name.as_str(), CandidateKind::Constant, type_name.as_str()));
    let modules = module.modules.keys().map(|name| (name.as_str(), CandidateKind::Module, ""));
    offered.group(constants.chain(functions).chain(modules));
}

/// The candidates so far, one for each name, bounded in number and size.
struct CandidateList<'p> {
    prefix: &'p str,
    seen: HashSet<String>,
    candidates: Vec<Candidate>,
    budget: Budget,
}

impl<'p> CandidateList<'p> {
    fn new(prefix: &'p str, max_bytes: u64) -> Self {
        Self { prefix, seen: HashSet::new(), candidates: Vec::new(), budget: Budget { left: max_bytes } }
    }

    /// Adds the offers with the prefix after the previous groups, sorted by name. Only the first offer of a name is
    /// added; its detail gives the number of further functions of that name.
    fn group<'a>(&mut self, offers: impl Iterator<Item = Offer<'a>>) {
        let mut by_name: BTreeMap<&str, (CandidateKind, &str, usize)> = BTreeMap::new();
        for (name, kind, detail) in offers {
            if !name.starts_with(self.prefix) || name.len() > MAX_TEXT || self.seen.contains(name) {
                continue;
            }
            let (first, _, more) = by_name.entry(name).or_insert((kind, detail, 0));
            *more += usize::from(*first == kind);
        }
        for (name, (kind, detail, count)) in by_name {
            let is_function = matches!(kind, CandidateKind::Function | CandidateKind::Method);
            let mut detail = shorten(detail);
            if is_function && count > 1 {
                detail.push_str(&format!(" (+{})", count - 1));
            }
            if self.candidates.len() >= MAX_CANDIDATES || !self.budget.take(&[name, &detail]) {
                return;
            }
            self.seen.insert(name.to_owned());
            self.candidates.push(Candidate { text: name.to_owned(), kind, detail });
        }
    }
}

fn shorten(detail: &str) -> String {
    let cut = detail.floor_char_boundary(MAX_DETAIL);
    if cut == detail.len() { detail.to_owned() } else { format!("{}…", &detail[..cut]) }
}
