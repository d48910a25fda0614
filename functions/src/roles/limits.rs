//! Limits of definitions.

/// Roles of one circle.
pub const MAX_ROLES: usize = 256;

/// Roles that one role extends, directly or through others, and the role itself.
pub const MAX_EXTENDS: usize = 64;

/// Patterns in `call`, `use` and `subscribe` of one role, inherited ones included.
pub const MAX_PATTERNS: usize = 1000;

/// Members of one circle.
pub const MAX_MEMBERS: usize = 100_000;

/// Bytes of the name of a role. The name of a member may have up to 64, like that of a circle.
pub const MAX_NAME_BYTES: usize = 48;

/// Faults that one check reports; it omits further ones.
pub const MAX_FAULTS: usize = 100;
