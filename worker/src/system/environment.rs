//! Removal of secrets from the environment of the process.

#![expect(unsafe_code, reason = "no safe function changes the environment or wipes its memory")]

use std::ffi::{CStr, OsString};

use libc::c_char;

unsafe extern "C" {
    /// The variables as `NAME=value`, terminated by a null pointer.
    static environ: *const *mut c_char;
}

/// Removes a variable from the environment of this process and returns its value, or `None` if it is not set.
///
/// The value is also wiped in the memory where the kernel put it, so that `/proc/PID/environ` does not show it. Call it
/// before the process has other threads.
pub fn take_variable(name: &str) -> Option<OsString> {
    let value = std::env::var_os(name)?;
    // SAFETY: there is no other thread, so nothing else accesses the environment meanwhile. The entries belong to the
    // process and are zero-terminated, and only bytes before the zero are written.
    unsafe {
        // The environment may contain the variable more than once.
        let mut entry = environ;
        while !(*entry).is_null() {
            let text = CStr::from_ptr(*entry).to_bytes();
            if text.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"=")) {
                let (begin, end) = (name.len() + 1, text.len());
                (begin..end).for_each(|index| (*entry).add(index).write_volatile(0));
            }
            entry = entry.add(1);
        }
        std::env::remove_var(name);
    }
    Some(value)
}
