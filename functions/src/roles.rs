//! Roles and members: who may call which functions, play scripts, use host modules and the store, and subscribe
//! to changes and events.
//!
//! An operator writes an [`AccessDefinition`]; [`AccessControl::new`] checks and resolves it.
//!
//! ```
//! use functions::roles::{AccessControl, AccessDefinition};
//!
//! let definition: AccessDefinition<String> = serde_json::from_str(
//!     r#"{ "roles": { "visitor": { "call": ["price"] }, "clerk": { "extends": "visitor", "call": ["order.*"] } },
//!          "anyone": "visitor",
//!          "members": [{ "name": "alice", "keys": ["02ab"], "role": "clerk" }] }"#,
//! )?;
//! let control = AccessControl::new(definition).expect("valid");
//! let place = "order.place".parse()?;
//! assert!(!control.anonymous().expect("a role").may_call(&place));
//! let alice = control.member(&"02ab".to_owned()).expect("a member");
//! assert!(alice.role.may_call(&place) && !alice.role.may_play());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access_control;
mod definition;
mod fault;
mod limits;
mod patterns;
mod resolver;
mod role;
mod subscribe_set;
mod text_pattern;
mod use_set;

pub use access_control::{AccessControl, Member};
pub use definition::{AccessDefinition, MemberDefinition, RoleDefinition, deserialize_roles};
pub use fault::{FaultPlace, MemberField, RoleFault, RoleField};
pub use limits::{MAX_EXTENDS, MAX_FAULTS, MAX_MEMBERS, MAX_NAME_BYTES, MAX_PATTERNS, MAX_ROLES};
pub use role::Role;
pub use text_pattern::CallerPlaceholders;

#[cfg(test)]
mod tests;
