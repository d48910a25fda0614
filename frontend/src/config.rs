//! The circles.json that is meant, and the circles in it.

use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use launcher::CircleConfig;

use crate::{error::CliError, suggest};

/// Its name, wherever it is.
const FILE: &str = "circles.json";

/// The circles of the file that was named, or of the default one.
pub fn load(named: Option<&Path>) -> Result<(PathBuf, Vec<CircleConfig>), CliError> {
    let path = path(named)?;
    let circles = launcher::load(&path)?;
    Ok((path, circles))
}

/// The file that was named, or the default one.
pub fn path(named: Option<&Path>) -> Result<PathBuf, CliError> {
    named.map(Path::to_owned).or_else(default_path).ok_or_else(|| {
        CliError::usage(
            format!("there is no {FILE}"),
            "neither here nor in the user's configuration directory",
            "write one (docs/operating.md shows how), name it with --config FILE, or give a port (9001), host:port or a ws:// URL",
        )
    })
}

/// The circles of the file that was named, or of the default one if it is there.
pub fn find(named: Option<PathBuf>) -> Result<Option<(PathBuf, Vec<CircleConfig>)>, CliError> {
    let Some(path) = named.or_else(default_path) else { return Ok(None) };
    let circles = launcher::load(&path)?;
    Ok(Some((path, circles)))
}

fn default_path() -> Option<PathBuf> {
    let users = ProjectDirs::from("", "", "circles").map(|dirs| dirs.config_dir().join(FILE));
    [Some(Path::new(FILE).to_owned()), users].into_iter().flatten().find(|path| path.is_file())
}

/// The circles of those names; all that there are, without any.
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

/// The circle of that name.
pub fn circle(named: Option<&Path>, name: &str) -> Result<CircleConfig, CliError> {
    let (path, circles) = load(named)?;
    let names: Vec<String> = circles.iter().map(|circle| circle.name.clone()).collect();
    circles.into_iter().find(|circle| circle.name == name).ok_or_else(|| {
        let fix = match suggest::nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean '{near}'?"),
            None if names.is_empty() => "there is none; a port, host:port or a ws:// URL will do, too".into(),
            None => format!("there are: {}", names.join(", ")),
        };
        let what = format!("there is no circle '{}'", crate::visible::visible(name));
        CliError::usage(what, format!("{} does not have it", path.display()), fix)
    })
}
