//! What is different between the circles that are known and circles.json as it is now, and what that asks for. Pure.

use std::{collections::BTreeSet, fmt};

use protocol::methods::Access;
use serde::{Deserialize, Serialize};

use crate::{
    CircleConfig,
    definition::{CircleDefinition, ContentDigests},
};

/// A field of a circle in circles.json.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is the field of its name")]
pub enum CircleField {
    Host,
    Port,
    Access,
    Sandbox,
    AllowOpen,
    Description,
    Members,
    Hosts,
    Origins,
    TrustedProxies,
    /// Which file it is, or what is in it.
    Init,
    /// Which directory it is, or what is in its modules.
    Modules,
    Identity,
    Limits,
    Restart,
    Log,
    Audit,
    AuditRotation,
}

/// What a field that is changed asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum FieldEffect {
    /// Its supervisor has it from now on; or it is looked at when the circle is started next.
    NextStart,
    /// It applies while the circle runs.
    Live,
    /// The circle has to be started again.
    Restart,
}

impl CircleField {
    fn effect(self) -> FieldEffect {
        match self {
            Self::Restart | Self::AllowOpen => FieldEffect::NextStart,
            Self::Description | Self::Members | Self::Hosts | Self::Origins | Self::TrustedProxies => FieldEffect::Live,
            Self::Init | Self::Modules | Self::Limits => FieldEffect::Live,
            Self::Host | Self::Port | Self::Access | Self::Sandbox => FieldEffect::Restart,
            Self::Identity | Self::Log | Self::Audit | Self::AuditRotation => FieldEffect::Restart,
        }
    }
}

impl fmt::Display for CircleField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Port => "port",
            Self::Access => "access",
            Self::Sandbox => "sandbox",
            Self::AllowOpen => "allow_open",
            Self::Description => "description",
            Self::Members => "members",
            Self::Hosts => "hosts",
            Self::Origins => "origins",
            Self::TrustedProxies => "trusted_proxies",
            Self::Init => "init",
            Self::Modules => "modules",
            Self::Identity => "identity",
            Self::Limits => "limits",
            Self::Restart => "restart",
            Self::Log => "log",
            Self::Audit => "audit",
            Self::AuditRotation => "audit_rotation",
        })
    }
}

/// What a reload does with a circle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ReloadAction {
    /// It is new: it is started.
    Start,
    /// It is not in the file any more: it is drained and forgotten.
    Drain,
    /// It is not in the file any more, and nothing of it runs: it is forgotten.
    Forget,
    /// It is drained and started again.
    Restart,
    /// It takes over what is changed while it runs; one that is not ready yet does once it is.
    Change,
    /// It is changed or new, and stays down; what is in the file holds once it is started.
    Later,
    /// Nothing of it is different.
    Nothing,
}

/// What a reload does with a circle, and which of its fields are the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircleChange {
    /// Its name.
    pub name: String,
    /// What is done.
    pub action: ReloadAction,
    /// Those that are different from what runs, or from what would have been started.
    pub fields: Vec<CircleField>,
}

/// How a circle that is known stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryStatus {
    /// Something of it runs, or will in a moment by itself.
    Up,
    /// Nothing does, and somebody wanted it so, or it failed.
    Down,
    /// Nothing does, because nobody has said anything of it since it came into the file.
    New,
}

/// What becomes of circles that are new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewCirclePolicy {
    /// They are started: all circles are wanted.
    Start,
    /// They are left alone: others were wanted by their names.
    Ignore,
}

/// What a reload does with a circle: how it stands with what is known of it, if it is known, and what is in the file, if it is.
pub(crate) fn plan_change(
    known: Option<(EntryStatus, &CircleDefinition)>,
    file: Option<&CircleDefinition>,
    new_circle_policy: NewCirclePolicy,
) -> CircleChange {
    let name = known.map(|(_, known)| known).or(file).map_or_else(String::new, |one| one.circle.name.clone());
    let fields = match (known, file) {
        (Some((_, known)), Some(file)) => changed_fields(known, file),
        _ => Vec::new(),
    };
    let action = match (known.map(|(standing, _)| standing), file) {
        (Some(EntryStatus::Up), None) => ReloadAction::Drain,
        (_, None) => ReloadAction::Forget,
        (None | Some(EntryStatus::New), Some(_)) => match new_circle_policy {
            NewCirclePolicy::Start => ReloadAction::Start,
            NewCirclePolicy::Ignore => ReloadAction::Later,
        },
        (Some(_), Some(_)) if fields.is_empty() => ReloadAction::Nothing,
        (Some(EntryStatus::Down), Some(_)) => ReloadAction::Later,
        (Some(EntryStatus::Up), Some(_)) => match fields.iter().map(|field| field.effect()).max() {
            Some(FieldEffect::Restart) => ReloadAction::Restart,
            _ => ReloadAction::Change,
        },
    };
    CircleChange { name, action, fields }
}

/// The fields in which two definitions of a circle are different to whoever reaches it.
fn changed_fields(before: &CircleDefinition, after: &CircleDefinition) -> Vec<CircleField> {
    // A field that is added must be thought of here.
    let CircleDefinition { circle, contents: ContentDigests { init: init_content, modules: modules_content } } = before;
    let CircleConfig {
        name: _,
        description,
        address,
        access,
        allow_open,
        members: _,
        hosts,
        origins,
        trusted_proxies,
        init,
        modules,
        identity,
        limits,
        sandbox,
        restart,
        log,
        audit,
        audit_rotation,
    } = circle;
    let CircleDefinition { circle: other, contents } = after;
    let is_changed = [
        (CircleField::Host, address.ip() != other.address.ip()),
        (CircleField::Port, address.port() != other.address.port()),
        (CircleField::Access, *access != other.access),
        (CircleField::Sandbox, *sandbox != other.sandbox),
        (CircleField::AllowOpen, *allow_open != other.allow_open),
        (CircleField::Description, *description != other.description),
        (CircleField::Members, admitted_keys(circle) != admitted_keys(other)),
        (CircleField::Hosts, to_set(hosts) != to_set(&other.hosts)),
        (CircleField::Origins, to_set(origins) != to_set(&other.origins)),
        (CircleField::TrustedProxies, to_set(trusted_proxies) != to_set(&other.trusted_proxies)),
        (CircleField::Init, *init != other.init || *init_content != contents.init),
        (CircleField::Modules, *modules != other.modules || *modules_content != contents.modules),
        (CircleField::Identity, *identity != other.identity),
        (CircleField::Limits, *limits != other.limits),
        (CircleField::Restart, *restart != other.restart),
        (CircleField::Log, *log != other.log),
        (CircleField::Audit, *audit != other.audit),
        (CircleField::AuditRotation, *audit_rotation != other.audit_rotation),
    ];
    is_changed.into_iter().filter_map(|(field, is_changed)| is_changed.then_some(field)).collect()
}

/// The order of a list says nothing.
fn to_set<T: Ord>(list: &[T]) -> BTreeSet<&T> {
    list.iter().collect()
}

/// Whom the list of members admits; it says nothing with another access.
fn admitted_keys(circle: &CircleConfig) -> BTreeSet<&keys::PublicKey> {
    if circle.access == Access::Members { to_set(&circle.members) } else { BTreeSet::new() }
}

#[cfg(test)]
mod tests;
