//! Checks of the keystore, and of the source of passphrases.

use std::{
    env::var_os,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use keys::keystore::{KeyListing, Keystore, KeystoreError};

use super::{
    finding::{Finding, Section, Severity},
    permissions::{backup_path, check_directory, check_private, list_files},
};
use frontend::{error::os_error_text, files::quoted};
use terminal::passphrase::was_in_environment;

/// Exit code of errors found here.
const KEYSTORE_EXIT_CODE: u8 = 6;

pub(super) fn examine() -> Vec<Finding> {
    let mut findings = match Keystore::open_default() {
        Ok(store) => keys(&store),
        Err(error) => vec![Section::Keys.error(&error.into(), "")],
    };
    findings.extend(passphrase());
    findings
}

fn keys(store: &Keystore) -> Vec<Finding> {
    let mut findings = vec![match open_to_writes(store.dir()) {
        Some(mode) => {
            let error = KeystoreError::WritableDirectory { path: store.dir().to_owned(), mode };
            let fix = format!("chmod 700 {}", quoted(store.dir()));
            Section::Keys.finding(Severity::Error(KEYSTORE_EXIT_CODE), error.to_string(), "", fix)
        }
        None => check_directory(Section::Keys, "keys", store.dir(), KEYSTORE_EXIT_CODE),
    }];
    let listing = match store.list() {
        Ok(listing) => listing,
        Err(error) => {
            findings.push(Section::Keys.error(&error.into(), ""));
            return findings;
        }
    };
    let KeyListing { entries, damaged } = &listing;
    let default = entries.iter().find(|entry| entry.default);
    // A damaged default file has a finding of its own.
    let is_default_damaged = damaged.iter().any(|(path, _)| path.extension().is_none());
    findings.push(match (entries.len(), default) {
        (0, _) => Section::Keys.warning(
            "there are no keys",
            "you cannot use circles that require a key",
            "circles keygen NAME",
        ),
        (count, None) if is_default_damaged => Section::Keys.ok(count_text(count)),
        (count, None) => Section::Keys.warning(
            format!("{}, but no default key", count_text(count)),
            "circles that require a key need --key NAME",
            format!("circles keys default {}", entries[0].name),
        ),
        (count, Some(default)) => {
            Section::Keys.ok(format!("{}; the default is {} ({})", count_text(count), default.name, default.public_key))
        }
    });
    let first = entries.first().map_or("NAME", |entry| entry.name.as_str());
    findings.extend(damaged.iter().map(|(path, error)| damaged_finding(path, error, first)));
    let is_key = |path: &PathBuf| path.extension().is_some_and(|suffix| suffix == "json");
    let of_keys: Vec<PathBuf> = list_files(store.dir()).into_iter().filter(is_key).collect();
    let why = "anyone who can read it can try passphrases without limit";
    findings.extend(check_private(Section::Keys, &of_keys, why, KEYSTORE_EXIT_CODE));
    findings.extend(leftovers(store));
    findings
}

/// Finds files of interrupted writes that no later write has removed.
fn leftovers(store: &Keystore) -> Option<Finding> {
    let files = store.leftovers().unwrap_or_default();
    let (first, others) = files.split_first()?;
    let what = match others.len() {
        0 => format!("{} is left over from an interrupted write", first.display()),
        1 => format!("{} and another file are left over from interrupted writes", first.display()),
        count => format!("{} and {count} other files are left over from interrupted writes", first.display()),
    };
    let arguments: Vec<_> = files.iter().map(|file| quoted(file)).collect();
    Some(Section::Keys.warning(
        what,
        "such a file can contain a whole key; the next change to the keystore removes it",
        format!("rm -f {}", arguments.join(" ")),
    ))
}

/// The mode of a directory that others can write to; the keystore refuses to use its keys.
fn open_to_writes(directory: &Path) -> Option<u32> {
    let found = directory.metadata().ok()?;
    let mode = found.permissions().mode() & 0o7777;
    (found.is_dir() && mode & 0o022 != 0).then_some(mode)
}

fn count_text(count: usize) -> String {
    match count {
        1 => "1 key".into(),
        _ => format!("{count} keys"),
    }
}

/// A finding about a damaged file. `first` is a key to suggest as the default.
fn damaged_finding(path: &Path, error: &KeystoreError, first: &str) -> Finding {
    let fix = if path.extension().is_some() {
        format!("restore it from a backup, or move it away: mv {} {}", quoted(path), quoted(&backup_path(path)))
    } else {
        format!("circles keys default {first}")
    };
    Section::Keys.finding(Severity::Error(KEYSTORE_EXIT_CODE), error.to_string(), "", fix)
}

/// Checks the source of a passphrase that needs no prompt, without reading the passphrase.
fn passphrase() -> Option<Finding> {
    let Some(file) = var_os("CIRCLES_PASSPHRASE_FILE").map(PathBuf::from) else {
        return was_in_environment()
            .then(|| Section::Keys.ok("passphrases come from the environment: CIRCLES_PASSPHRASE"));
    };
    if let Err(error) = file.metadata() {
        let what = format!("CIRCLES_PASSPHRASE_FILE names {}, which is not readable", file.display());
        let fix = "unset CIRCLES_PASSPHRASE_FILE";
        return Some(Section::Keys.finding(Severity::Error(KEYSTORE_EXIT_CODE), what, os_error_text(&error), fix));
    }
    let why = "it contains a passphrase";
    let open = check_private(Section::Keys, std::slice::from_ref(&file), why, KEYSTORE_EXIT_CODE);
    Some(open.into_iter().next().unwrap_or_else(|| {
        Section::Keys.ok(format!("passphrases come from {} (CIRCLES_PASSPHRASE_FILE)", file.display()))
    }))
}
