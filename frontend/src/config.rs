//! Finds and reads circles.json.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use launcher::CircleConfig;

use crate::{error::CliError, suggest};

/// The name of the configuration file.
pub const FILE: &str = "circles.json";

/// Loads the circles of the named file, or of the default file.
pub fn load(named: Option<&Path>) -> Result<(PathBuf, Vec<CircleConfig>), CliError> {
    let path = path(named)?;
    let circles = launcher::load(&path)?;
    Ok((path, circles))
}

/// Returns the path of the named file, or of the default file.
pub fn path(named: Option<&Path>) -> Result<PathBuf, CliError> {
    named.map(Path::to_owned).or_else(default_path).ok_or_else(|| {
        CliError::usage(
            format!("there is no {FILE}"),
            "neither here nor in the user's configuration directory",
            "write one: circles init; name it: --config FILE; or, where a command takes a circle, give a port (9001), host:port or a ws:// or wss:// URL",
        )
    })
}

/// Loads the circles of the named file, or of the default file if it exists.
pub fn find(named: Option<PathBuf>) -> Result<Option<(PathBuf, Vec<CircleConfig>)>, CliError> {
    let Some(path) = named.or_else(default_path) else { return Ok(None) };
    let circles = launcher::load(&path)?;
    Ok(Some((path, circles)))
}

fn default_path() -> Option<PathBuf> {
    let users = ProjectDirs::from("", "", "circles").map(|dirs| dirs.config_dir().join(FILE));
    [Some(Path::new(FILE).to_owned()), users].into_iter().flatten().find(|path| path.is_file())
}

/// Loads the circles with the given names, or all circles if there are no names.
pub fn circles(named: Option<&Path>, names: &[String]) -> Result<Vec<CircleConfig>, CliError> {
    let circles = match names {
        [] => load(named)?.1,
        names => names.iter().map(|name| circle(named, name)).collect::<Result<_, _>>()?,
    };
    if circles.is_empty() {
        return Err(CliError::usage("there is nothing to start", "circles.json lists no circle", "add one to it"));
    }
    Ok(circles)
}

/// Loads the circle with the given name.
pub fn circle(named: Option<&Path>, name: &str) -> Result<CircleConfig, CliError> {
    let (path, circles) = load(named)?;
    let names: Vec<String> = circles.iter().map(|circle| circle.name.clone()).collect();
    circles.into_iter().find(|circle| circle.name == name).ok_or_else(|| {
        let fix = match suggest::nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean '{near}'?"),
            None if names.is_empty() => {
                "the file lists no circles; a port, host:port or a ws:// or wss:// URL works, too".into()
            }
            None => format!("available: {}", names.join(", ")),
        };
        let what = format!("there is no circle '{}'", crate::visible::visible(name));
        CliError::usage(what, format!("{} does not list it", path.display()), fix)
    })
}
