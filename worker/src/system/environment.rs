//! Secrets in the environment of the process, taken out of it.

#![expect(unsafe_code, reason = "no safe function changes the environment, or wipes the memory where it is")]

use std::ffi::{CStr, OsString};

use libc::c_char;

unsafe extern "C" {
    /// `NAME=value`, as often as there are variables, and a null pointer behind the last.
    static environ: *const *mut c_char;
}

/// Takes a variable out of the environment of this process; none, if it is not set. The value is wiped where the kernel put
/// it, so `/proc/PID/environ` does not show it either.
///
/// To be called before there are other threads.
pub fn take_variable(name: &str) -> Option<OsString> {
    let value = std::env::var_os(name)?;
    // SAFETY: there is no other thread, so nothing changes or reads the environment meanwhile. What it points to is the
    // process's own, ends with a zero each, and keeps its length: only bytes before that zero are written.
    unsafe {
        // A program may have been started with the variable more than once.
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
