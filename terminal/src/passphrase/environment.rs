//! Passphrases of the environment: taken out of it when the program starts, and kept for a program that needs them.

use std::{
    ffi::OsString,
    sync::{Mutex, MutexGuard, PoisonError},
};

use zeroize::Zeroizing;

use super::{CURRENT, NEW};

/// In the order of [`OLD`] and [`NEW`].
static PASSPHRASES: Mutex<EnvironmentPassphrases> =
    Mutex::new(EnvironmentPassphrases { texts: [const { None }; 2], is_set: false });

struct EnvironmentPassphrases {
    texts: [Option<Zeroizing<String>>; 2],
    /// Whether [`OLD`] was set, whatever became of it.
    is_set: bool,
}

/// Keeps the passphrases of the environment. `take` takes a variable out of it, so that nothing else finds the passphrase
/// there.
pub fn take_from_environment(take: impl Fn(&str) -> Option<OsString>) {
    let texts = [CURRENT, NEW].map(|names| {
        let value = take(names.text)?;
        let bytes = Zeroizing::new(value.into_encoded_bytes());
        std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.to_owned()))
    });
    *lock() = EnvironmentPassphrases { is_set: texts[0].is_some(), texts };
}

/// Wipes them, in a program that needs none.
pub fn wipe() {
    lock().texts = [const { None }; 2];
}

/// Whether the environment had the passphrase of a key.
pub fn was_in_environment() -> bool {
    lock().is_set
}

pub(super) fn text(name: &str) -> Option<Zeroizing<String>> {
    let index = [CURRENT, NEW].iter().position(|names| names.text == name)?;
    lock().texts[index].clone()
}

fn lock() -> MutexGuard<'static, EnvironmentPassphrases> {
    // Nothing that can panic is done with it.
    PASSPHRASES.lock().unwrap_or_else(PoisonError::into_inner)
}
