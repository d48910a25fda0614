//! `circles keys list|show|default|export|import|passwd|rename|remove`.

mod export;
mod import;

use keys::keystore::{KeyEntry, KeyName, Keystore, KeystoreError};
use serde_json::{Value, json};

use crate::{
    cli::{KeysVerb, NewPassphraseArgs, PassphraseArgs},
    confirmation,
};
use frontend::error::CliError;
use terminal::{
    output::{self, to_stdout},
    passphrase,
};

pub(crate) fn run(verb: &KeysVerb) -> Result<(), CliError> {
    let store = Keystore::open_default()?;
    match verb {
        KeysVerb::List { json } => list(&store, *json),
        KeysVerb::Show { name, json } => {
            let name = match name {
                Some(name) => name.clone(),
                None => require_default(&store)?,
            };
            print_public_key(&store.show(&name)?, *json)
        }
        KeysVerb::Default { name: None, json: true } => print_public_key(&store.show(&require_default(&store)?)?, true),
        KeysVerb::Default { name: None, json: false } => Ok(to_stdout(&format!("{}\n", require_default(&store)?))?),
        KeysVerb::Default { name: Some(name), .. } => {
            store.set_default(name)?;
            output::to_stderr(&format!("{name} is the default key\n"));
            Ok(())
        }
        KeysVerb::Export { name, secret: false, .. } => Ok(to_stdout(&store.export(name)?)?),
        KeysVerb::Export { name, secret: true, yes, passphrase } => {
            export::export_secret(&store, name, *yes, passphrase)
        }
        KeysVerb::Import(args) => import::run(&store, args),
        KeysVerb::Passwd { name, passphrase, new_passphrase } => passwd(&store, name, passphrase, new_passphrase),
        KeysVerb::Rename { old, new } => {
            let entry = store.rename(old, new)?;
            let note = if entry.default { " (default key)" } else { "" };
            output::to_stderr(&format!("renamed {old} to {new}{note}\n"));
            Ok(())
        }
        KeysVerb::Remove { name, yes } => remove(&store, name, *yes),
    }
}

/// Prints a public key, which operators need to admit it.
pub(crate) fn print_public_key(entry: &KeyEntry, is_json: bool) -> Result<(), CliError> {
    let text = if is_json { as_json(entry).to_string() } else { entry.public_key.to_hex() };
    Ok(to_stdout(&format!("{text}\n"))?)
}

fn as_json(entry: &KeyEntry) -> Value {
    json!({
        "name": entry.name.as_str(),
        "public_key": entry.public_key.to_hex(),
        "default": entry.default,
    })
}

fn passwd(store: &Keystore, name: &KeyName, old: &PassphraseArgs, new: &NewPassphraseArgs) -> Result<(), CliError> {
    // Reports a missing key before prompting, and a wrong passphrase before the user has to think of a new one.
    store.show(name)?;
    let _restoring = terminal::runtime::client_runtime()?;
    let keypair = passphrase::unlock(store, name, old.passphrase_fd)?;
    let chosen = passphrase::choose_new(new.new_passphrase_fd, &format!("New passphrase of {name}: "))?;
    store.change_passphrase(name, &keypair, &chosen, passphrase::WORK_FACTOR)?;
    output::to_stderr(&format!(
        "changed the passphrase of {name}; older copies, such as backups, still open with the old one\n"
    ));
    Ok(())
}

fn remove(store: &Keystore, name: &KeyName, is_confirmed: bool) -> Result<(), CliError> {
    let listing = store.list()?;
    let entry = listing.entries.iter().find(|entry| entry.name == *name);
    let is_default = entry.is_some_and(|entry| entry.default);
    let what = match entry {
        Some(entry) if is_default => format!("{name} ({}), the default key", entry.public_key),
        Some(entry) => format!("{name} ({})", entry.public_key),
        None => match store.show(name) {
            Err(error @ KeystoreError::NoSuchKey { .. }) => return Err(error.into()),
            _ => format!("{name}, which is damaged"),
        },
    };
    confirmation::confirm(
        is_confirmed,
        &format!("Remove {what}? Without a backup the key is lost for good."),
        &format!("cannot remove the key '{name}'"),
    )?;
    store.remove(name)?;
    output::to_stderr(&format!("removed {name}\n"));
    if is_default && listing.entries.len() > 1 {
        output::to_stderr("there is no default key now\n  choose one: circles keys default NAME\n");
    }
    Ok(())
}

pub(crate) fn require_default(store: &Keystore) -> Result<KeyName, CliError> {
    store.default_key()?.ok_or(CliError::NoDefaultKey)
}

fn list(store: &Keystore, is_json: bool) -> Result<(), CliError> {
    let listing = store.list()?;
    if is_json {
        let keys: Vec<_> = listing.entries.iter().map(as_json).collect();
        to_stdout(&format!("{}\n", json!({ "keys": keys })))?;
    } else if listing.entries.is_empty() && listing.damaged.is_empty() {
        output::to_stderr("there are no keys yet\n  make one: circles keygen NAME\n");
    } else {
        let width = listing.entries.iter().map(|entry| entry.name.as_str().len()).max().unwrap_or_default();
        for entry in &listing.entries {
            let mark = if entry.default { "  default" } else { "" };
            to_stdout(&format!("{:width$}  {}{mark}\n", entry.name.as_str(), entry.public_key))?;
        }
    }
    // A damaged key is reported but is no failure: the other keys still work.
    for (_, error) in listing.damaged {
        output::report(&CliError::Keystore(error));
    }
    Ok(())
}
