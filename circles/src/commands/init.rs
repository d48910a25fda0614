//! `circles init`: write a circles.json that works.

use std::{
    fs::File,
    io::{ErrorKind, Write},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use keys::keystore::{KeyEntry, Keystore};
use launcher::port;

use crate::cli::InitArgs;
use frontend::error::CliError;
use terminal::output::{to_stderr, to_stdout};

const FILE: &str = "circles.json";

const SCHEMA_FILE: &str = "circles.schema.json";

const SCHEMA: &str = include_str!("../../../docs/circles.schema.json");

/// The first port to try.
const FIRST_PORT: u16 = 9001;

pub(crate) fn run(args: &InitArgs) -> Result<(), CliError> {
    let path = args.config.clone().unwrap_or_else(|| PathBuf::from(FILE));
    if path.symlink_metadata().is_ok() {
        return Err(exists(&path));
    }
    let me = default_key()?;
    let mut ports = (FIRST_PORT..).filter(|port| is_free(*port));
    let (sandbox, team) = (ports.next().unwrap_or(0), ports.next().unwrap_or(0));
    if args.schema {
        write_schema(&path.with_file_name(SCHEMA_FILE))?;
    }
    let member = me.as_ref().map_or(String::new(), |key| format!("\"{}\"", key.public_key));
    let schema = if args.schema { format!("  \"$schema\": \"{SCHEMA_FILE}\",\n") } else { String::new() };
    let text = format!(
        "{{\n{schema}  \"circles\": [\n    \
         {{ \"name\": \"sandbox\", \"port\": {sandbox}, \"description\": \"a place to try things\" }},\n    \
         {{ \"name\": \"team\", \"port\": {team}, \"access\": \"members\",\n      \"members\": [{member}] }}\n  ]\n}}\n"
    );
    write_new(&path, &text)?;
    to_stdout(&format!("wrote {}:\n", path.display()))?;
    to_stdout(&format!("  sandbox  port {sandbox}  open to anyone on this machine\n"))?;
    let members = match &me {
        Some(key) => format!("for members: your key {}", key.name),
        None => "for members: none yet".into(),
    };
    to_stdout(&format!("  team     port {team}  {members}\n"))?;
    let file = if args.config.is_some() { format!(" --config {}", path.display()) } else { String::new() };
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
fn default_key() -> Result<Option<KeyEntry>, CliError> {
    let store = Keystore::open_default()?;
    Ok(store.default_key()?.map(|name| store.show(&name)).transpose()?)
}

fn is_free(port: u16) -> bool {
    port::check_address(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)).is_ok()
}

/// Writes the schema, unless it is there already.
fn write_schema(path: &Path) -> Result<(), CliError> {
    match write_new(path, SCHEMA) {
        Err(_) if std::fs::read_to_string(path).is_ok_and(|text| text == SCHEMA) => Ok(()),
        written => written,
    }
}

/// Writes a file that does not exist yet.
fn write_new(path: &Path, text: &str) -> Result<(), CliError> {
    let written = File::options().write(true).create_new(true).open(path).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => exists(path),
        _ => CliError::io(format!("cannot write {}", path.display()), &error, "choose another file: --config FILE"),
    })
}

fn exists(path: &Path) -> CliError {
    CliError::usage(
        format!("{} exists already", path.display()),
        "nothing was changed",
        "start its circles: circles up; or write another file: circles init --config FILE",
    )
}
