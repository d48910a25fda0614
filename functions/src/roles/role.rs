//! What a caller may do.

use std::sync::Arc;

use super::{patterns::CallSet, subscribe_set::SubscribeSet, text_pattern::CallerPlaceholders, use_set::UseSet};
use crate::signature::FunctionName;

/// A role with all of its rights, inherited ones included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    name: Arc<str>,
    call: CallSet,
    is_player: bool,
    r#use: UseSet,
    subscribe: SubscribeSet,
    per_minute: Option<u64>,
}

impl Role {
    pub(super) fn new(
        name: &str,
        (call, r#use, subscribe): (CallSet, UseSet, SubscribeSet),
        is_player: bool,
        per_minute: Option<u64>,
    ) -> Self {
        Self { name: name.into(), call, is_player, r#use, subscribe, per_minute }
    }

    /// Makes a role that may call, play, use and subscribe to everything, for circles without roles.
    pub fn everything(name: &str) -> Self {
        Self::new(name, (CallSet::all(), UseSet::all(), SubscribeSet::all()), true, None)
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

    /// Returns whether plays of the role may use a function of a host module. A function of `store` or `events` may be
    /// granted for some keys or topics only: ask [`Role::may_use_key`], [`Role::may_use_prefix`] or [`Role::may_publish`]
    /// before each access.
    pub fn may_use(&self, module: &str, function: &str) -> bool {
        self.r#use.contains(module, function)
    }

    /// Returns whether plays of the role may use any function of a host module.
    pub fn may_use_any(&self, module: &str) -> bool {
        self.r#use.contains_any_of(module)
    }

    /// Returns whether plays of the role may use a function of the store, such as `get` or `put`, for a key.
    pub fn may_use_key(&self, function: &str, key: &str, caller: &CallerPlaceholders) -> bool {
        self.r#use.contains_text(function, key, caller)
    }

    /// Returns whether plays of the role may use `list` or `count` of the store for all keys with a prefix.
    pub fn may_use_prefix(&self, function: &str, prefix: &str, caller: &CallerPlaceholders) -> bool {
        self.r#use.contains_text(function, prefix, caller)
    }

    /// Returns whether plays of the role may publish events of a topic.
    pub fn may_publish(&self, topic: &str, caller: &CallerPlaceholders) -> bool {
        self.r#use.contains_topic(topic, caller)
    }

    /// Returns whether the role may subscribe to a key, or to all keys with a prefix.
    pub fn may_subscribe_keys(&self, prefix_or_key: &str, caller: &CallerPlaceholders) -> bool {
        self.subscribe.contains_keys(prefix_or_key, caller)
    }

    /// Returns whether the role may subscribe to a topic.
    pub fn may_subscribe_topic(&self, topic: &str, caller: &CallerPlaceholders) -> bool {
        self.subscribe.contains_topic(topic, caller)
    }

    /// Returns the fewest patterns of the keys and topics to which the role may subscribe, in alphabetical order; `*`
    /// alone for all.
    pub fn subscribe_patterns(&self) -> Vec<String> {
        self.subscribe.patterns()
    }

    /// Returns the fewest patterns of the host modules that plays of the role may use, in alphabetical order; `*` alone
    /// for all.
    pub fn used(&self) -> Vec<String> {
        self.r#use.patterns()
    }

    /// Returns how many calls and plays one caller may start in a minute; `None` if the limit of the circle applies.
    pub fn per_minute(&self) -> Option<u64> {
        self.per_minute
    }
}
