//! `circles init`: write a circles.json that works.

use std::path::PathBuf;

use keys::keystore::{KeyEntry, Keystore};

use crate::cli::InitArgs;
use frontend::{config, error::CliError, files, init, visible::visible};
use terminal::output::{to_stderr, to_stdout};

pub(crate) fn run(args: &InitArgs) -> Result<(), CliError> {
    let path = args.config.clone().unwrap_or_else(|| PathBuf::from(config::FILE));
    if path.symlink_metadata().is_ok() {
        return Err(init::exists(&path));
    }
    let me = default_key()?;
    let written = init::write(&path, args.schema, me.as_ref().map(|key| &key.public_key))?;
    to_stdout(&format!("wrote {}:\n", visible(&path.display().to_string())))?;
    to_stdout(&format!("  sandbox  port {}  open to anyone on this machine\n", written.sandbox))?;
    let members = match &me {
        Some(key) => format!("for members: your key {}", key.name),
        None => "for members: none yet".into(),
    };
    to_stdout(&format!("  team     port {}  {members}\n", written.team))?;
    let file = files::config_flag(args.config.as_deref());
    let admit = if me.is_some() {
        String::new()
    } else {
        format!("  circles keygen me             make a key\n  circles admit team{file}            make it a member\n")
    };
    to_stderr(&format!(
        "next:\n{admit}  circles up{file}                    start both\n  circles repl sandbox{file}          play\n"
    ));
    Ok(())
}

/// Returns the user's default key, if there is one.
pub(super) fn default_key() -> Result<Option<KeyEntry>, CliError> {
    let store = Keystore::open_default()?;
    Ok(store.default_key()?.map(|name| store.show(&name)).transpose()?)
}
