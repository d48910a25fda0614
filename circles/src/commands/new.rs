//! `circles new`: make a directory with a circle that has functions and roles.

use std::path::{Path, PathBuf};

use frontend::{
    error::CliError,
    files::quoted,
    new_circle::{self, NewCircle},
    visible::visible,
};
use terminal::output::{to_stderr, to_stdout};

use super::init::default_key;
use crate::cli::NewArgs;

pub(crate) fn run(args: &NewArgs) -> Result<(), CliError> {
    let directory = args.directory.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    let me = default_key()?;
    let NewCircle { port, files } = new_circle::write(&args.name, &directory, me.as_ref())?;
    let mut text = format!("made the circle {} on port {port}, in {}:\n", args.name, shown(&directory));
    for file in &files {
        text.push_str(&format!("  {}\n", shown(file)));
    }
    to_stdout(&text)?;
    let member = match &me {
        Some(key) => format!("your key {} is that of an owner\n", key.name),
        None => "you have no key, so you call as anyone; README.md says how to become an owner\n".into(),
    };
    to_stderr(&format!(
        "{member}next:\n  cd {}\n  circles up                     start the circle\n  \
         circles functions              list what you may call\n  circles call price item=tea    call a function\n",
        quoted(&directory)
    ));
    Ok(())
}

fn shown(path: &Path) -> String {
    visible(&path.display().to_string()).into_owned()
}
