//! Completion at the end of a text.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Bound,
};

use rhai::{Dynamic, Map, is_valid_identifier};

use super::{
    budget::Budget,
    cursor::{CursorContext, word_at_end},
    inventory::{Inventory, SharedInventory},
    library::{KEYWORDS, library},
    values::Values,
};
use crate::message::{Candidate, CandidateKind, Completion, MAX_CANDIDATES};

/// Maximum size of an offered name, in bytes. Longer names are of no use to a person.
const MAX_TEXT: usize = 1024;

/// Maximum size of a detail, in bytes; the rest is cut off.
const MAX_DETAIL: usize = 512;

/// Maximum length of a chain of names like `a.b.c`.
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
        CursorContext::Plain => offer_names(&mut offered, inventory),
        CursorContext::Member { receiver } => {
            offer_members(
                &mut offered,
                receiver.as_deref().filter(|chain| chain.len() <= MAX_CHAIN),
                inventory,
                values,
            );
        }
        CursorContext::Qualified { path } => offer_qualified(&mut offered, path, inventory),
        CursorContext::Import => {
            offered.group(inventory.importable.iter().map(|name| (name.as_str(), CandidateKind::Module, "")));
        }
    }
    Completion { start: before[..word.start].chars().count() as u64, candidates: offered.candidates }
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
    let globals = inventory.globals().map(|(name, type_name)| (name, CandidateKind::Constant, type_name));
    offered.group(functions(true).chain(globals));
    offered.group(inventory.aliases().map(|alias| (alias, CandidateKind::Module, "")));
    let natives = library().iter().filter(|native| !native.is_property);
    offered.group(natives.map(|native| (native.name.as_str(), CandidateKind::Function, native.signature.as_str())));
    offered.group(KEYWORDS.iter().map(|word| (*word, CandidateKind::Keyword, "")));
}

fn offer_members(
    offered: &mut CandidateList<'_>,
    chain: Option<&[&str]>,
    inventory: &Inventory,
    values: Option<Values<'_>>,
) {
    let mut type_name = match chain {
        Some([variable]) => inventory.variable(variable).map(|variable| variable.type_name.clone()),
        _ => None,
    };
    if let (Some([variable, inner @ ..]), Some(Values { engine, scope })) = (chain, values)
        && let Some(value) = scope.get(variable)
    {
        visit(value, inner, &mut |value| {
            type_name = Some(engine.map_type_name(value.type_name()).to_owned());
            if let Some(map) = value.read_lock::<Map>() {
                let members = members(&map, offered.prefix, |value| engine.map_type_name(value.type_name()).to_owned());
                let members =
                    members.iter().map(|(name, detail)| (name.as_str(), CandidateKind::Property, detail.as_str()));
                offered.group(members);
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

/// Follows names through maps and calls `seen` with the value, which cannot be returned if a closure shares it.
fn visit(value: &Dynamic, names: &[&str], seen: &mut dyn FnMut(&Dynamic)) {
    match names {
        [] => seen(value),
        [name, inner @ ..] => {
            if let Some(map) = value.read_lock::<Map>()
                && let Some(value) = map.get(*name)
            {
                visit(value, inner, seen);
            }
        }
    }
}

/// The first properties with a prefix, sorted by name, with their types.
fn members(map: &Map, prefix: &str, type_of: impl Fn(&Dynamic) -> String) -> Vec<(String, String)> {
    map.range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
        .take_while(|(name, _)| name.starts_with(prefix))
        .filter(|(name, _)| name.len() <= MAX_TEXT && is_valid_identifier(name))
        .take(MAX_CANDIDATES)
        .map(|(name, value)| (name.to_string(), type_of(value)))
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
