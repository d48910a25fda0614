//! Roles and members: who may call which functions, play scripts, and use host modules.
//!
//! An operator writes an [`AccessDefinition`]; [`AccessControl::new`] checks and resolves it.

mod access_control;
mod definition;
mod fault;
mod limits;
mod patterns;
mod resolver;
mod role;

pub use access_control::{AccessControl, Member};
pub use definition::{AccessDefinition, MemberDefinition, RoleDefinition, deserialize_roles};
pub use fault::{FaultPlace, MemberField, RoleFault, RoleField};
pub use limits::{MAX_EXTENDS, MAX_FAULTS, MAX_MEMBERS, MAX_NAME_BYTES, MAX_PATTERNS, MAX_ROLES};
pub use role::Role;

#[cfg(test)]
mod tests;
