//! What a caller may do.

use std::sync::Arc;

use super::patterns::{CallSet, UseSet};
use crate::signature::FunctionName;

/// A role with all of its rights, inherited ones included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    name: Arc<str>,
    call: CallSet,
    is_player: bool,
    r#use: UseSet,
    per_minute: Option<u64>,
}

impl Role {
    pub(super) fn new(name: &str, call: CallSet, is_player: bool, r#use: UseSet, per_minute: Option<u64>) -> Self {
        Self { name: name.into(), call, is_player, r#use, per_minute }
    }

    /// Makes a role that may call, play and use everything, for circles without roles.
    pub fn everything(name: &str) -> Self {
        Self::new(name, CallSet::all(), true, UseSet::all(), None)
    }

    /// Returns the name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Returns whether the role may call a function.
    pub fn may_call(&self, function: &FunctionName) -> bool {
        self.call.contains(function)
    }

    /// Returns whether the role may call all functions, later ones included.
    pub fn may_call_all(&self) -> bool {
        self.call.has_all()
    }

    /// Returns the fewest patterns of the functions that the role may call, in alphabetical order; `*` alone for all.
    pub fn call_patterns(&self) -> Vec<String> {
        self.call.patterns()
    }

    /// Returns whether the role may play scripts.
    pub fn may_play(&self) -> bool {
        self.is_player
    }

    /// Returns whether plays of the role may use a function of a host module.
    pub fn may_use(&self, module: &str, function: &str) -> bool {
        self.r#use.contains(module, function)
    }

    /// Returns whether plays of the role may use any function of a host module.
    pub fn may_use_any(&self, module: &str) -> bool {
        self.r#use.contains_any_of(module)
    }

    /// Returns the fewest patterns of the host modules that plays of the role may use, by module and function; `*` alone
    /// for all.
    pub fn used(&self) -> Vec<String> {
        self.r#use.patterns()
    }

    /// Returns how many calls and plays one caller may start in a minute; `None` if the limit of the circle applies.
    pub fn per_minute(&self) -> Option<u64> {
        self.per_minute
    }
}
