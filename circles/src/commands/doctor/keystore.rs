//! The keys, and where passphrases come from.

use std::{
    env::var_os,
    path::{Path, PathBuf},
};

use keys::keystore::{Keystore, KeystoreError, Listing};

use super::{
    finding::{Finding, Level, Section, quoted},
    place::{aside, directory, files, private},
};
use frontend::error::os_text;

/// The exit code of what is wrong here.
const KEYSTORE: u8 = 6;

pub(super) fn examine() -> Vec<Finding> {
    let mut findings = match Keystore::open_default() {
        Ok(store) => keys(&store),
        Err(error) => vec![Section::Keys.fault(&error.into(), "")],
    };
    findings.extend(passphrase());
    findings
}

fn keys(store: &Keystore) -> Vec<Finding> {
    let mut findings = vec![directory(Section::Keys, "keys", store.dir(), KEYSTORE)];
    let listing = match store.list() {
        Ok(listing) => listing,
        Err(error) => {
            findings.push(Section::Keys.fault(&error.into(), ""));
            return findings;
        }
    };
    let Listing { entries, damaged } = &listing;
    let default = entries.iter().find(|entry| entry.default);
    // Said of the file by its own line.
    let is_default_damaged = damaged.iter().any(|(path, _)| path.extension().is_none());
    findings.push(match (entries.len(), default) {
        (0, _) => Section::Keys.warning(
            "there is no key",
            "circles that ask for one are closed to you",
            "circles keygen NAME",
        ),
        (count, None) if is_default_damaged => Section::Keys.fine(counted(count)),
        (count, None) => Section::Keys.warning(
            format!("{}, and none is the default", counted(count)),
            "circles that ask for a key need --key NAME",
            format!("circles keys default {}", entries[0].name),
        ),
        (count, Some(default)) => {
            Section::Keys.fine(format!("{}; the default is {} ({})", counted(count), default.name, default.public_key))
        }
    });
    let first = entries.first().map_or("NAME", |entry| entry.name.as_str());
    findings.extend(damaged.iter().map(|(path, error)| self::damaged(path, error, first)));
    let is_key = |path: &PathBuf| path.extension().is_some_and(|suffix| suffix == "json");
    let of_keys: Vec<PathBuf> = files(store.dir()).into_iter().filter(is_key).collect();
    let why = "who has it can guess its passphrase undisturbed";
    findings.extend(private(Section::Keys, &of_keys, why, KEYSTORE));
    findings
}

fn counted(count: usize) -> String {
    match count {
        1 => "1 key".into(),
        _ => format!("{count} keys"),
    }
}

/// `first` is a key that could be the default.
fn damaged(path: &Path, error: &KeystoreError, first: &str) -> Finding {
    let fix = if path.extension().is_some() {
        format!("restore it from a backup, or move it away: mv {} {}", quoted(path), quoted(&aside(path)))
    } else {
        format!("circles keys default {first}")
    };
    Section::Keys.found(Level::Fault(KEYSTORE), error.to_string(), "", fix)
}

/// Where one comes from that nobody is asked for. It is not read.
fn passphrase() -> Option<Finding> {
    let Some(file) = var_os("CIRCLES_PASSPHRASE_FILE").map(PathBuf::from) else {
        return var_os("CIRCLES_PASSPHRASE")
            .map(|_| Section::Keys.fine("passphrases come from the environment: CIRCLES_PASSPHRASE"));
    };
    if let Err(error) = file.metadata() {
        let what = format!("CIRCLES_PASSPHRASE_FILE names {}, which is not to be had", file.display());
        let fix = "unset CIRCLES_PASSPHRASE_FILE";
        return Some(Section::Keys.found(Level::Fault(KEYSTORE), what, os_text(&error), fix));
    }
    let why = "it holds a passphrase";
    let open = private(Section::Keys, std::slice::from_ref(&file), why, KEYSTORE);
    Some(open.into_iter().next().unwrap_or_else(|| {
        Section::Keys.fine(format!("passphrases come from {} (CIRCLES_PASSPHRASE_FILE)", file.display()))
    }))
}
