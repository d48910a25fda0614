//! `circles keys list|show|default`.

use keys::keystore::{KeyName, Keystore};
use serde_json::json;

use crate::{
    cli::KeysVerb,
    error::CliError,
    printing::{self, to_stdout},
};

pub(crate) fn run(verb: &KeysVerb) -> Result<(), CliError> {
    let store = Keystore::open_default()?;
    match verb {
        KeysVerb::List { json } => list(&store, *json),
        KeysVerb::Show { name } => {
            let name = match name {
                Some(name) => name.clone(),
                None => default_or_none(&store)?,
            };
            Ok(to_stdout(&format!("{}\n", store.show(&name)?.public_key))?)
        }
        KeysVerb::Default { name: None } => Ok(to_stdout(&format!("{}\n", default_or_none(&store)?))?),
        KeysVerb::Default { name: Some(name) } => {
            store.set_default(name)?;
            printing::to_stderr(&format!("{name} is the default key\n"));
            Ok(())
        }
    }
}

fn default_or_none(store: &Keystore) -> Result<KeyName, CliError> {
    store.default_key()?.ok_or(CliError::NoDefaultKey)
}

fn list(store: &Keystore, as_json: bool) -> Result<(), CliError> {
    let listing = store.list()?;
    if as_json {
        let keys: Vec<_> = listing
            .entries
            .iter()
            .map(|entry| {
                json!({
                    "name": entry.name.as_str(),
                    "public_key": entry.public_key.to_hex(),
                    "default": entry.default,
                })
            })
            .collect();
        to_stdout(&format!("{}\n", json!({ "keys": keys })))?;
    } else if listing.entries.is_empty() && listing.damaged.is_empty() {
        printing::to_stderr("there are no keys yet\n  make one: circles keygen NAME\n");
    } else {
        let width = listing.entries.iter().map(|entry| entry.name.as_str().len()).max().unwrap_or_default();
        for entry in &listing.entries {
            let mark = if entry.default { "  default" } else { "" };
            to_stdout(&format!("{:width$}  {}{mark}\n", entry.name.as_str(), entry.public_key))?;
        }
    }
    // The others are of use still, so one that cannot be read is told and not more.
    for (_, error) in listing.damaged {
        CliError::Keystore(error).report();
    }
    Ok(())
}
