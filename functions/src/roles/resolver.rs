//! Resolves the roles of a definition.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
    sync::Arc,
};

use super::{
    definition::RoleDefinition,
    fault::{FaultList, FaultPlace, RoleField},
    limits::{MAX_EXTENDS, MAX_NAME_BYTES, MAX_PATTERNS, MAX_ROLES},
    patterns::{CallPattern, CallSet, shorten},
    role::Role,
    subscribe_set::{SubscribePattern, SubscribeSet},
    use_set::{UsePattern, UseSet},
};

/// The rights of a role as a list of patterns.
#[derive(Debug, Clone, Default)]
struct Rights {
    call: Vec<CallPattern>,
    is_player: bool,
    r#use: Vec<UsePattern>,
    subscribe: Vec<SubscribePattern>,
    per_minute: Option<u64>,
    /// Number of roles from which the rights come.
    depth: usize,
}

impl Rights {
    fn pattern_count(&self) -> usize {
        self.call.len() + self.r#use.len() + self.subscribe.len()
    }
}

/// Resolves roles; each role only once, whatever extends it.
pub(super) struct RoleResolver<'a> {
    roles: &'a BTreeMap<String, RoleDefinition>,
    /// The rights of the roles that are resolved; `None` for a role with a fault in it, or in a role that it extends.
    resolved: BTreeMap<&'a str, Option<Rights>>,
}

impl<'a> RoleResolver<'a> {
    /// Resolves all roles. A role with a fault is not in the result.
    pub(super) fn resolve(
        roles: &'a BTreeMap<String, RoleDefinition>,
        faults: &mut FaultList,
    ) -> BTreeMap<&'a str, Arc<Role>> {
        if roles.len() > MAX_ROLES {
            faults.add(FaultPlace::Roles, || {
                format!("{} roles are too many: a circle has at most {MAX_ROLES}; remove some", roles.len())
            });
        }
        let mut resolver = Self { roles, resolved: BTreeMap::new() };
        for name in roles.keys() {
            resolver.resolve_chain(name, faults);
        }
        let to_role = |(name, rights): (&'a str, Option<Rights>)| {
            let Rights { call, is_player, r#use, subscribe, per_minute, .. } = rights?;
            let sets = (CallSet::new(call), UseSet::new(r#use), SubscribeSet::new(subscribe));
            let role = Role::new(name, sets, is_player, per_minute);
            Some((name, Arc::new(role)))
        };
        resolver.resolved.into_iter().filter_map(to_role).collect()
    }

    /// Resolves a role, and before it the roles that it extends.
    fn resolve_chain(&mut self, name: &'a str, faults: &mut FaultList) {
        // From the role to the first one that is resolved, that extends none, or that is unknown.
        let (mut chain, mut is_in_chain) = (Vec::new(), BTreeSet::new());
        let mut next = Some(name);
        while let Some(name) = next
            && !self.resolved.contains_key(name)
            && let Some((name, definition)) = self.roles.get_key_value(name)
        {
            if !is_in_chain.insert(name.as_str()) {
                let start = chain.iter().position(|(other, _)| other == name).unwrap_or_default();
                add_cycle(chain[start..].iter().map(|(name, _)| *name).collect(), faults);
                self.resolved.extend(chain[start..].iter().map(|(name, _)| (*name, None)));
                break;
            }
            chain.push((name.as_str(), definition));
            next = definition.extends.as_deref();
        }
        for (name, definition) in chain.into_iter().rev() {
            let own = own_rights(name, definition, faults);
            if self.resolved.contains_key(name) {
                continue;
            }
            let base = match definition.extends.as_deref() {
                None => Some(Rights::default()),
                Some(base) => self.resolved.get(base).cloned().unwrap_or_else(|| {
                    faults.add_to_role(name, Some(RoleField::Extends), None, || unknown_role(base, self.roles));
                    None
                }),
            };
            let rights = base.zip(own).and_then(|(base, own)| unite(name, definition, base, own, faults));
            self.resolved.insert(name, rights);
        }
    }
}

/// Adds the fault of a cycle, at the role in it that is the first in alphabetical order.
fn add_cycle(mut cycle: Vec<&str>, faults: &mut FaultList) {
    let first = cycle.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(index, _)| index);
    cycle.rotate_left(first);
    let Some(name) = cycle.first().copied() else { return };
    faults.add_to_role(name, Some(RoleField::Extends), None, || {
        let names: Vec<_> = cycle.iter().chain([&name]).map(|name| shorten(name)).collect();
        format!("roles extend each other in a cycle, {}: remove one \"extends\"", names.join(" → "))
    });
}

/// Returns the rights that a role has without the role that it extends; `None` if any of its fields has a fault.
fn own_rights(name: &str, definition: &RoleDefinition, faults: &mut FaultList) -> Option<Rights> {
    let mut is_valid = true;
    if !is_role_name(name) {
        is_valid = false;
        faults.add_to_role(name, None, None, || {
            format!(
                "'{}' is not a name of a role: use up to {MAX_NAME_BYTES} lower-case letters, digits, dashes and _, and \
                 start with a letter",
                shorten(name)
            )
        });
    }
    if definition.per_minute == Some(0) {
        is_valid = false;
        faults.add_to_role(name, Some(RoleField::PerMinute), None, || {
            "per_minute is 0: use at least 1, or grant the role nothing in \"call\" and \"play\"".to_owned()
        });
    }
    let call = parse_patterns(name, RoleField::Call, &definition.call, faults);
    let r#use = parse_patterns(name, RoleField::Use, &definition.r#use, faults);
    let subscribe = parse_patterns(name, RoleField::Subscribe, &definition.subscribe, faults);
    let rights = Rights {
        call: call?,
        is_player: definition.play.unwrap_or_default(),
        r#use: r#use?,
        subscribe: subscribe?,
        per_minute: definition.per_minute,
        depth: 1,
    };
    is_valid.then_some(rights)
}

/// Parses the patterns of a field; `None` if any of them has a fault.
fn parse_patterns<P: FromStr<Err = String>>(
    name: &str,
    field: RoleField,
    patterns: &[String],
    faults: &mut FaultList,
) -> Option<Vec<P>> {
    let mut parsed = Some(Vec::new());
    for (index, pattern) in patterns.iter().enumerate() {
        match pattern.parse() {
            Ok(pattern) => {
                if let Some(parsed) = &mut parsed {
                    parsed.push(pattern);
                }
            }
            Err(message) => {
                parsed = None;
                faults.add_to_role(name, Some(field), Some(index), || message);
            }
        }
    }
    parsed
}

/// Adds the rights of a role to those of the role that it extends.
fn unite(name: &str, definition: &RoleDefinition, base: Rights, own: Rights, faults: &mut FaultList) -> Option<Rights> {
    let depth = base.depth + own.depth;
    if depth > MAX_EXTENDS {
        faults.add_to_role(name, Some(RoleField::Extends), None, || {
            format!("the chain of \"extends\" has {depth} roles, and at most {MAX_EXTENDS} are allowed: extend fewer")
        });
        return None;
    }
    if definition.play == Some(false) && base.is_player {
        faults.add_to_role(name, Some(RoleField::Play), None, || {
            let base = definition.extends.as_deref().map(shorten).unwrap_or_default();
            format!(
                "\"play\": false has no effect, because '{base}', which this role extends, may play: extend a role that \
                 may not play, or remove \"play\""
            )
        });
        return None;
    }
    let patterns = base.pattern_count() + own.pattern_count();
    if patterns > MAX_PATTERNS {
        faults.add_to_role(name, None, None, || {
            format!(
                "the role has {patterns} patterns, inherited ones included, and at most {MAX_PATTERNS} are allowed: \
                 replace some by \"NAME.*\""
            )
        });
        return None;
    }
    let mut rights = base;
    rights.call.extend(own.call);
    rights.r#use.extend(own.r#use);
    rights.subscribe.extend(own.subscribe);
    rights.is_player |= own.is_player;
    rights.per_minute = own.per_minute.or(rights.per_minute);
    rights.depth = depth;
    Some(rights)
}

fn is_role_name(name: &str) -> bool {
    name.len() <= MAX_NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte))
}

/// Returns the message for a role that is not defined, with the nearest one that is.
pub(super) fn unknown_role(name: &str, roles: &BTreeMap<String, RoleDefinition>) -> String {
    // Two of three letters would make anything near.
    let max = (name.chars().count() / 2).min(2);
    let nearest = (name.len() <= 2 * MAX_NAME_BYTES)
        .then(|| roles.keys().map(|known| (strsim::osa_distance(known, name), known)).min())
        .flatten()
        .filter(|(distance, _)| *distance <= max);
    let name = shorten(name);
    match nearest {
        Some((_, known)) => format!("no role '{name}'; did you mean '{known}'?"),
        None if roles.is_empty() => format!("no role '{name}': define it in \"roles\""),
        None => {
            let known: Vec<_> = roles.keys().take(8).map(|known| shorten(known)).collect();
            let more = if roles.len() > known.len() { ", …" } else { "" };
            format!("no role '{name}': define it in \"roles\", or use one of {}{more}", known.join(", "))
        }
    }
}
