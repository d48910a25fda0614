//! `circles admit CIRCLE [KEY]`: add a key to the members of a circle in circles.json.

use keys::{
    PublicKey,
    keystore::{KeyName, Keystore},
};
use launcher::{MemberChange, MemberIdentity};

use crate::{cli::AdmitArgs, commands::keys::require_default};
use frontend::{config, error::CliError, members};
use terminal::output::to_stderr;

/// The hex digits of a secret key.
const SECRET_DIGITS: usize = 64;

pub(crate) fn run(args: &AdmitArgs) -> Result<(), CliError> {
    let path = config::path(args.config.path())?;
    // An unknown circle gets a suggestion.
    let circle = config::circle(args.config.path(), &args.circle)?;
    if circle.roles.is_none() && args.name.is_some() {
        let why = format!("the circle '{}' has no roles, so its members have no names", args.circle);
        return Err(CliError::usage("nothing was changed", why, "leave out --name, or add \"roles\" to the circle"));
    }
    let (name, key) = find_key(args.key.as_deref())?;
    let member_name = args.name.clone().or_else(|| members::suggest_name(&name));
    // The digits of a key would make a name that says nothing.
    let member_name = member_name.filter(|member| args.name.is_some() || *member != key.to_hex());
    let identity = MemberIdentity { name: member_name, role: args.role.clone() };
    match members::add(&path, &args.circle, &key, &identity)? {
        MemberChange::Added => to_stderr(&format!(
            "{name} is a member of {} now; a running circle admits it as soon as it has the change\n",
            args.circle
        )),
        MemberChange::AlreadyMember => to_stderr(&format!("{name} was a member of {} before\n", args.circle)),
    }
    Ok(())
}

/// Finds the key that a user named: its digits, one of the user's keys, or the default key.
fn find_key(named: Option<&str>) -> Result<(String, PublicKey), CliError> {
    if let Some(key) = named.and_then(|named| named.parse::<PublicKey>().ok()) {
        return Ok((key.to_hex(), key));
    }
    let is_hex = |named: &str| named.len() == SECRET_DIGITS && named.bytes().all(|byte| byte.is_ascii_hexdigit());
    if named.is_some_and(is_hex) {
        return Err(CliError::usage(
            "KEY is no public key",
            "it has as many digits as a secret key, and a public key has 66",
            "if it is your secret key, remove it from your shell's history; circles keys show prints the public key",
        ));
    }
    let store = Keystore::open_default()?;
    let name = match named {
        Some(named) => named.parse::<KeyName>().map_err(|error| {
            let fix = "give a public key of 66 hex digits, or the name of one of your keys (circles keys list)";
            // The text is not repeated: it might be a secret key.
            CliError::usage("KEY is neither a public key nor the name of a key", error.to_string(), fix)
        })?,
        None => require_default(&store)?,
    };
    let entry = store.show(&name)?;
    Ok((entry.name.to_string(), entry.public_key))
}
