//! `circles store`: use the store of a circle with plays, and export, import and check its file.

mod check;
pub(super) mod export;
pub(crate) mod file;
mod import;
pub(super) mod literal;
mod play;

use frontend::{config, error::CliError, target};

use crate::cli::{ConfigArgs, StoreVerb};

pub(crate) fn run(verb: &StoreVerb) -> Result<(), CliError> {
    match verb {
        StoreVerb::Get(args) => play::get(args),
        StoreVerb::List(args) => play::list(args),
        StoreVerb::Put(args) => play::put(args),
        StoreVerb::Delete(args) => play::delete(args),
        StoreVerb::Export(args) => export::run(args),
        StoreVerb::Import(args) => import::run(args),
        StoreVerb::Check(args) => check::run(args),
    }
}

/// Returns the circle that the user named, or the only circle of circles.json that has a store.
fn circle_name(named: Option<&str>, config: &ConfigArgs) -> Result<String, CliError> {
    if let Some(named) = target::argument_or_env(named) {
        return Ok(named);
    }
    let fix = "name a circle: --circle NAME";
    let Some((path, circles)) = config::find(config.path().map(Into::into))? else {
        let why = format!("you named none, and there is no {} here", config::FILE);
        return Err(CliError::usage("there is no circle with a store", why, fix));
    };
    let names: Vec<String> =
        circles.into_iter().filter(|circle| circle.store.is_some()).map(|circle| circle.name).collect();
    match names.as_slice() {
        [only] => Ok(only.clone()),
        [] => {
            let why = format!("no circle in {} has \"store\"", path.display());
            Err(CliError::usage("there is no circle with a store", why, fix))
        }
        several => {
            let why = format!("several in {} have a store: {}", path.display(), several.join(", "));
            Err(CliError::usage("you named no circle", why, fix))
        }
    }
}
