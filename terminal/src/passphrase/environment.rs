//! Passphrases from the environment: removed from it at start, and kept for the commands that need them.

use std::{
    ffi::OsString,
    sync::{Mutex, MutexGuard, PoisonError},
};

use zeroize::Zeroizing;

use super::{CURRENT, NEW};

/// The passphrases, in the order of [`CURRENT`] and [`NEW`].
static PASSPHRASES: Mutex<EnvironmentPassphrases> =
    Mutex::new(EnvironmentPassphrases { texts: [const { None }; 2], is_set: false });

struct EnvironmentPassphrases {
    texts: [Option<Zeroizing<String>>; 2],
    /// Whether [`CURRENT`] was set, even if it was wiped since.
    is_set: bool,
}

/// Moves the passphrases out of the environment, so that nothing else finds them there. `take` removes a variable and
/// returns its value.
pub fn take_from_environment(take: impl Fn(&str) -> Option<OsString>) {
    let texts = [CURRENT, NEW].map(|names| {
        let value = take(names.text)?;
        let bytes = Zeroizing::new(value.into_encoded_bytes());
        std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.to_owned()))
    });
    *lock() = EnvironmentPassphrases { is_set: texts[0].is_some(), texts };
}

/// Wipes the passphrases, for a command that needs none.
pub fn wipe() {
    lock().texts = [const { None }; 2];
}

/// Whether the environment held the passphrase of a key.
pub fn was_in_environment() -> bool {
    lock().is_set
}

pub(super) fn text(name: &str) -> Option<Zeroizing<String>> {
    let index = [CURRENT, NEW].iter().position(|names| names.text == name)?;
    lock().texts[index].clone()
}

fn lock() -> MutexGuard<'static, EnvironmentPassphrases> {
    // No code panics while it holds the lock.
    PASSPHRASES.lock().unwrap_or_else(PoisonError::into_inner)
}
