//! Isolation of a fork server before the first fork, which its workers inherit: it leaves the network and drops all
//! privileges. It keeps its user, so that the server can signal it and read its `/proc` files.

#![expect(unsafe_code, reason = "each use is a single call with a safety comment")]

use std::{fs, io};

use rustix::{
    process::{getgid, getuid},
    thread::{
        CapabilitiesSecureBits, CapabilitySet, CapabilitySets, UnshareFlags, clear_ambient_capability_set,
        set_capabilities, set_capabilities_secure_bits, set_no_new_privs, unshare_unsafe,
    },
};

/// Upper bound of the capability numbers of any kernel.
const MAX_CAPABILITIES: libc::c_ulong = 64;

/// Moves this single-threaded process into an empty network namespace. Returns false if the kernel or its configuration
/// refuses.
///
/// If possible, it also creates a user namespace, in which the user and the group keep their ids. It does not create a
/// namespace of process ids, because the server has to find the true ids in `/proc`.
pub(crate) fn leave_network() -> bool {
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    if unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET).is_ok() {
        // If this fails, the kernel still knows the ids, and the process does not need them.
        let _unmapped = map_ids(user, group);
        return true;
    }
    // Root needs no user namespace.
    unshare(UnshareFlags::NEWNET).is_ok()
}

fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    // SAFETY: these flags unshare nothing that other code relies on, such as descriptors or the working directory.
    unsafe { unshare_unsafe(flags) }
}

fn map_ids(user: u32, group: u32) -> io::Result<()> {
    // An unprivileged process can map a group only after it gives up changing its groups.
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))
}

/// Drops all capabilities permanently: root then has no more rights than any other user.
///
/// # Errors
///
/// Returns an error if the process still has capabilities.
pub(crate) fn drop_privileges() -> io::Result<()> {
    set_no_new_privs(true)?;
    for capability in 0..MAX_CAPABILITIES {
        // SAFETY: the call takes no pointer. It fails for numbers unknown to the kernel, and for an unprivileged
        // process, which gains no capabilities by executing a program anyway.
        unsafe {
            libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0);
        }
    }
    // Keeps root from regaining capabilities. For an unprivileged process it fails and is not needed.
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
