//! Differences between the known circles and circles.json, and what a reload has to do about them. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use functions::roles::AccessDefinition;
use keys::PublicKey;
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
#[expect(missing_docs, reason = "each variant is the field of the same name")]
pub enum CircleField {
    Host,
    Port,
    Access,
    Sandbox,
    AllowOpen,
    Description,
    Members,
    Roles,
    Anyone,
    Authenticated,
    /// The path of the directory, or the content of its files.
    Functions,
    Hosts,
    Origins,
    TrustedProxies,
    Console,
    /// Whether the circle serves TLS.
    Tls,
    /// The paths of `tls`, or the content of the files.
    Certificate,
    /// The path of the file, or its content.
    Init,
    /// The path of the directory, or the content of its modules.
    Modules,
    Identity,
    /// The path; a store that has grown is not changed.
    Store,
    WorkerPool,
    Limits,
    Restart,
    Log,
    Audit,
    AuditRotation,
}

/// Effect of a changed field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum FieldEffect {
    /// It applies when the circle is started next, or only the supervisor uses it.
    NextStart,
    /// It applies while the circle runs.
    Live,
    /// The circle has to be restarted.
    Restart,
}

impl CircleField {
    fn effect(self) -> FieldEffect {
        match self {
            Self::Restart | Self::AllowOpen => FieldEffect::NextStart,
            Self::Members | Self::Roles | Self::Anyone | Self::Authenticated | Self::Functions => FieldEffect::Live,
            Self::Description | Self::Hosts | Self::Origins | Self::TrustedProxies => FieldEffect::Live,
            Self::Console | Self::Certificate | Self::Init | Self::Modules | Self::Limits => FieldEffect::Live,
            Self::Host | Self::Port | Self::Tls | Self::Access | Self::Sandbox => FieldEffect::Restart,
            Self::Identity | Self::Store | Self::WorkerPool => FieldEffect::Restart,
            Self::Log | Self::Audit | Self::AuditRotation => FieldEffect::Restart,
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
            Self::Roles => "roles",
            Self::Anyone => "anyone",
            Self::Authenticated => "authenticated",
            Self::Functions => "functions",
            Self::Hosts => "hosts",
            Self::Origins => "origins",
            Self::TrustedProxies => "trusted_proxies",
            Self::Console => "console",
            Self::Tls | Self::Certificate => "tls",
            Self::Init => "init",
            Self::Modules => "modules",
            Self::Identity => "identity",
            Self::Store => "store",
            Self::WorkerPool => "worker_pool",
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
    /// The circle is new: the supervisor starts it.
    Start,
    /// The circle is not in the file any more: the supervisor drains and removes it.
    Drain,
    /// The circle is not in the file any more and not running: the supervisor removes it.
    Forget,
    /// The supervisor drains the circle and starts it again.
    Restart,
    /// The circle applies the change while it runs, or as soon as it is ready.
    Change,
    /// The circle is new or changed, and stays down; the change applies when it is started.
    Later,
    /// Nothing has changed.
    Nothing,
}

/// What a reload does with a circle, and because of which fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CircleChange {
    /// Name of the circle.
    pub name: String,
    /// The action.
    pub action: ReloadAction,
    /// Fields that differ from the running circle, or from the definition that would have been started.
    pub fields: Vec<CircleField>,
}

/// Status of a known circle, as far as a reload needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryStatus {
    /// It runs, or will be started automatically in a moment.
    Up,
    /// It does not run, because it was stopped or has failed.
    Down,
    /// It does not run, and no command has named it since it was added to the file.
    New,
}

/// What a reload does with new circles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewCirclePolicy {
    /// Start them: all circles were requested.
    Start,
    /// Leave them down: other circles were requested by name.
    Ignore,
}

/// Plans what a reload does with a circle, from its present status and definition (if it is known) and its definition
/// in the file (if it is there).
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
    let action = match (known.map(|(status, _)| status), file) {
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

/// Returns the fields in which two definitions differ for anyone who reaches the circle.
fn changed_fields(before: &CircleDefinition, after: &CircleDefinition) -> Vec<CircleField> {
    // Destructured in full, so that the compiler reports a new field here.
    let CircleDefinition {
        circle,
        contents:
            ContentDigests { init: init_content, modules: modules_content, functions: functions_content, tls: tls_content },
    } = before;
    let CircleConfig {
        name: _,
        description,
        address,
        access,
        allow_open,
        members: _,
        roles,
        functions,
        hosts,
        origins,
        trusted_proxies,
        console,
        tls,
        init,
        modules,
        identity,
        store,
        worker_pool,
        limits,
        sandbox,
        restart,
        log,
        audit,
        audit_rotation,
    } = circle;
    let CircleDefinition { circle: other, contents } = after;
    let is_certificate_changed =
        tls.is_some() && other.tls.is_some() && (*tls != other.tls || *tls_content != contents.tls);
    // A change of roles applies while the circle runs, even if it changes the widest group that may play.
    let is_access_changed = *access != other.access && (roles.is_none() || other.roles.is_none());
    let (own, others) = (roles.as_ref(), other.roles.as_ref());
    let is_changed = [
        (CircleField::Host, address.ip() != other.address.ip()),
        (CircleField::Port, address.port() != other.address.port()),
        (CircleField::Access, is_access_changed),
        (CircleField::Sandbox, *sandbox != other.sandbox),
        (CircleField::AllowOpen, *allow_open != other.allow_open),
        (CircleField::Description, *description != other.description),
        (
            CircleField::Members,
            admitted_keys(circle) != admitted_keys(other) || role_members(own) != role_members(others),
        ),
        (CircleField::Roles, own.map(|roles| &roles.roles) != others.map(|roles| &roles.roles)),
        (
            CircleField::Anyone,
            own.and_then(|roles| roles.anyone.as_ref()) != others.and_then(|roles| roles.anyone.as_ref()),
        ),
        (
            CircleField::Authenticated,
            own.and_then(|roles| roles.authenticated.as_ref()) != others.and_then(|roles| roles.authenticated.as_ref()),
        ),
        (CircleField::Functions, *functions != other.functions || *functions_content != contents.functions),
        (CircleField::Hosts, to_set(hosts) != to_set(&other.hosts)),
        (CircleField::Origins, to_set(origins) != to_set(&other.origins)),
        (CircleField::TrustedProxies, to_set(trusted_proxies) != to_set(&other.trusted_proxies)),
        (CircleField::Console, *console != other.console),
        (CircleField::Tls, tls.is_some() != other.tls.is_some()),
        (CircleField::Certificate, is_certificate_changed),
        (CircleField::Init, *init != other.init || *init_content != contents.init),
        (CircleField::Modules, *modules != other.modules || *modules_content != contents.modules),
        (CircleField::Identity, *identity != other.identity),
        (CircleField::Store, *store != other.store),
        (CircleField::WorkerPool, *worker_pool != other.worker_pool),
        (CircleField::Limits, *limits != other.limits),
        (CircleField::Restart, *restart != other.restart),
        (CircleField::Log, *log != other.log),
        (CircleField::Audit, *audit != other.audit),
        (CircleField::AuditRotation, *audit_rotation != other.audit_rotation),
    ];
    is_changed.into_iter().filter_map(|(field, is_changed)| is_changed.then_some(field)).collect()
}

/// Converts a list whose order does not matter.
fn to_set<T: Ord>(list: &[T]) -> BTreeSet<&T> {
    list.iter().collect()
}

/// Returns the keys of a circle without roles; the list has no effect with another `access`.
fn admitted_keys(circle: &CircleConfig) -> BTreeSet<&PublicKey> {
    if circle.access == Access::Members && circle.roles.is_none() { to_set(&circle.members) } else { BTreeSet::new() }
}

/// Returns the keys and the role of each member; neither the order of members nor that of their keys has an effect.
fn role_members(roles: Option<&AccessDefinition<PublicKey>>) -> BTreeMap<&str, (BTreeSet<&PublicKey>, &str)> {
    let members = roles.into_iter().flat_map(|roles| &roles.members);
    members.map(|member| (&*member.name, (to_set(&member.keys), &*member.role))).collect()
}

#[cfg(test)]
mod tests;
