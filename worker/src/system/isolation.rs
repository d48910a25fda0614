//! What a fork server gives up before the first fork, so that each of its workers is born without it: the network and every
//! privilege. It stays the same user, so the server can signal it and read its `/proc` files as before.

#![expect(unsafe_code, reason = "each is one call, and where it may be made is said beside it")]

use std::{fs, io};

use rustix::{
    process::{getgid, getuid},
    thread::{
        CapabilitiesSecureBits, CapabilitySet, CapabilitySets, UnshareFlags, clear_ambient_capability_set,
        set_capabilities, set_capabilities_secure_bits, set_no_new_privs, unshare_unsafe,
    },
};

/// Capabilities are numbers below this one, in any kernel.
const MAX_CAPABILITIES: libc::c_ulong = 64;

/// Moves this process, which must have one thread, to a network namespace of its own that holds nothing. It makes a user
/// namespace for that where it can, in which the user and the group keep their numbers. Returns false where the kernel
/// refuses, or whoever configured it.
///
/// There is no namespace of process ids: the ids that the server reads in `/proc` must be true.
pub(crate) fn leave_network() -> bool {
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    if unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET).is_ok() {
        // Where this fails, the kernel still knows the ids, and the process does not need their numbers.
        let _unmapped = map_ids(user, group);
        return true;
    }
    // Root needs no user namespace for it.
    unshare(UnshareFlags::NEWNET).is_ok()
}

fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: with these flags nothing is unshared that other code relies on: no descriptor, no working directory.
    unsafe { unshare_unsafe(flags) }
}

fn map_ids(user: u32, group: u32) -> io::Result<()> {
    // Without privilege a group can be mapped by a process alone that cannot change its groups any more.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))
}

/// Gives up all capabilities for good: root then has no more rights than any other user.
///
/// # Errors
///
/// An error says that the process still has capabilities.
pub(crate) fn drop_privileges() -> io::Result<()> {
    set_no_new_privs(true)?;
    for capability in 0..MAX_CAPABILITIES {
        // SAFETY: it takes no pointer. It fails for numbers that the kernel does not know, and for a process without the
        // privilege, which gains nothing by executing a program either.
        unsafe {
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
    }
    // Root gets no capability back by being root. Without privilege it fails, and is of no use.
    let bits = CapabilitiesSecureBits::NO_ROOT
        | CapabilitiesSecureBits::NO_ROOT_LOCKED
        | CapabilitiesSecureBits::NO_SETUID_FIXUP
        | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
        | CapabilitiesSecureBits::KEEP_CAPS_LOCKED
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
        | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED;
    let _unprivileged = set_capabilities_secure_bits(bits);
    let _none = clear_ambient_capability_set();
    let none = CapabilitySet::empty();
    Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
}
