//! The memory that this process may use.

use rustix::process::{Resource, getrlimit};

/// Returns the memory in bytes that this process may use: that of the machine, within the limit of its address space.
pub(crate) fn memory_limit() -> Option<u64> {
    let address_space = getrlimit(Resource::As).current;
    worker::machine_memory().into_iter().chain(address_space).min()
}
