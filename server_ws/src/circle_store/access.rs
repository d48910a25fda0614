//! What one host call may do in the store.

use std::sync::{Arc, Weak};

use functions::roles::{CallerPlaceholders, Role};
use keys::PublicKey;
use store::Key;

use super::{RunTransaction, error};
use crate::{host, rights::CallerRights};

/// The access of a run to its transaction. A host function that outlives its run does not keep the transaction.
#[derive(Debug, Clone)]
pub(crate) struct StoreAccess {
    transaction: Weak<RunTransaction>,
    rights: StoreRights,
    /// Whether the run may begin again in its turn.
    may_wait: bool,
    /// Bytes that one operation may read.
    max_bytes: usize,
}

/// The keys and topics that a run may use.
#[derive(Debug, Clone)]
pub(crate) enum StoreRights {
    /// All: functions of the circle.
    All,
    /// Those that the role of the caller of a play grants.
    OfCaller(Box<CallerRights>, Option<PublicKey>),
}

impl StoreAccess {
    pub(crate) fn new(
        transaction: &Arc<RunTransaction>,
        rights: StoreRights,
        may_wait: bool,
        max_bytes: usize,
    ) -> Self {
        Self { transaction: Arc::downgrade(transaction), rights, may_wait, max_bytes }
    }

    pub(super) fn transaction(&self) -> host::Result<Arc<RunTransaction>> {
        self.transaction.upgrade().ok_or_else(error::ended)
    }

    pub(super) fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    pub(super) fn may_wait(&self) -> bool {
        self.may_wait
    }

    /// Checks that the run may use a function of the module `store` on a key.
    pub(super) fn check_key(&self, function: &str, key: &str) -> host::Result<()> {
        // The script learns that the key is invalid, and not that the role does not grant it.
        let is_granted =
            Key::new(key).is_err() || self.rights.grant(|role, caller| role.may_use_key(function, key, caller));
        if is_granted { Ok(()) } else { Err(error::forbidden("key", key)) }
    }

    /// Checks that the run may use a function of the module `store` on all keys with a prefix.
    pub(super) fn check_prefix(&self, function: &str, prefix: &str) -> host::Result<()> {
        let is_granted = self.rights.grant(|role, caller| role.may_use_prefix(function, prefix, caller));
        if is_granted { Ok(()) } else { Err(error::forbidden("prefix", prefix)) }
    }

    /// Checks that the run may publish on a topic.
    pub(super) fn check_topic(&self, topic: &str) -> host::Result<()> {
        let is_granted = self.rights.grant(|role, caller| role.may_publish(topic, caller));
        if is_granted { Ok(()) } else { Err(error::forbidden("topic", topic)) }
    }
}

impl StoreRights {
    /// Whether the caller may learn that a key exists.
    pub(crate) fn may_see(&self, key: &str) -> bool {
        self.grant(|role, caller| role.may_use_key("get", key, caller))
    }

    fn grant(&self, grants: impl FnOnce(&Role, &CallerPlaceholders<'_>) -> bool) -> bool {
        match self {
            Self::All => true,
            Self::OfCaller(rights, key) => rights.grant(key.as_ref(), grants),
        }
    }
}
