//! Tab completion of circles, keys and known circles. The script that `circles completions` prints runs this program again,
//! with a variable that names the shell. The program then prints only candidates, and starts nothing.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use clap::builder::StyledStr;
use clap_complete::{
    engine::{ArgValueCandidates, CompletionCandidate},
    env::{Bash, EnvCompleter, Fish, Shells, Zsh},
};
use keys::keystore::Keystore;

use frontend::{config, known_circles::KnownCircles, visible::visible};

/// Environment variable that requests completion candidates instead of running a command.
pub(crate) const COMPLETE_VARIABLE: &str = "CIRCLES_COMPLETE";

/// Digits of a public key that are shown: enough to tell the keys of one user apart.
const DIGITS: usize = 12;

pub(crate) const SHELLS: Shells<'static> = Shells(&[&Bash, &Zsh, &Fish]);

/// Shells that `circles completions` supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    /// The completion script of the shell; `program` is the command that the script runs.
    pub(crate) fn script(self, program: &str) -> String {
        let shell: &dyn EnvCompleter = match self {
            Self::Bash => &Bash,
            Self::Zsh => &Zsh,
            Self::Fish => &Fish,
        };
        let (mut script, name) = (Vec::new(), env!("CARGO_PKG_NAME"));
        shell.write_registration(COMPLETE_VARIABLE, name, name, program, &mut script).expect("a Vec takes everything");
        String::from_utf8_lossy(&script).into_owned()
    }
}

/// Completes names of circles in circles.json.
pub(crate) fn circles() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        // The command itself reports an invalid file.
        let circles = config::find(config_argument(std::env::args_os())).ok().flatten();
        let candidates = circles.into_iter().flat_map(|(_, circles)| circles).map(|circle| {
            let description = circle.description.as_deref().map_or(String::new(), |text| format!(", {text}"));
            let url = if circle.address.port() == 0 { "a free port".into() } else { circle.url() };
            candidate(&circle.name, &format!("{url}{description}"))
        });
        candidates.collect()
    })
}

/// Completes names of keys in the keystore.
pub(crate) fn keys() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let listing = Keystore::open_default().and_then(|store| store.list()).unwrap_or_default();
        let candidates = listing.entries.iter().map(|entry| {
            let default = if entry.default { ", the default key" } else { "" };
            let public_key: String = entry.public_key.to_hex().chars().take(DIGITS).collect();
            candidate(entry.name.as_str(), &format!("{public_key}…{default}"))
        });
        candidates.collect()
    })
}

/// Completes names of roles of the circles in circles.json.
pub(crate) fn roles() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let circles = config::find(config_argument(std::env::args_os())).ok().flatten();
        let circles = circles.into_iter().flat_map(|(_, circles)| circles);
        let of_circle = |circle: launcher::CircleConfig| {
            let roles = circle.roles.into_iter().flat_map(|roles| roles.roles.into_keys());
            roles.map(|role| candidate(&role, &circle.name)).collect::<Vec<_>>()
        };
        circles.flat_map(of_circle).collect()
    })
}

/// Completes authorities of known circles.
pub(crate) fn known_circles() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let listing = KnownCircles::open_default().and_then(|known| known.list()).unwrap_or_default();
        let candidates = listing.circles.iter().map(|circle| {
            let public_key: String = circle.public_key.to_hex().chars().take(DIGITS).collect();
            candidate(circle.authority.as_str(), &format!("{public_key}…"))
        });
        candidates.collect()
    })
}

fn candidate(name: &str, help: &str) -> CompletionCandidate {
    let help = visible(help).replace('\n', " ");
    CompletionCandidate::new(name).help(Some(StyledStr::from(help)))
}

/// The value of `--config` on the command line that the user is typing.
fn config_argument(words: impl Iterator<Item = OsString>) -> Option<PathBuf> {
    let mut words = words.skip_while(|word| word != "--").skip(1);
    while let Some(word) = words.next() {
        if word == "--config" {
            return words.next().map(PathBuf::from);
        }
        let bytes = word.as_encoded_bytes();
        if let Some(path) = bytes.strip_prefix(b"--config=") {
            return Some(PathBuf::from(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completion_uses_the_config_of_the_command_line() {
        let cases: &[(&[&str], Option<&str>)] = &[
            (&["circles", "--", "circles", "up", "--config", "a.json", ""], Some("a.json")),
            (&["circles", "--", "circles", "up", "--config=b.json", ""], Some("b.json")),
            (&["circles", "--", "circles", "up", ""], None),
            (&["circles", "--config", "x", "--", "circles", "up", ""], None),
        ];
        for (words, config) in cases {
            assert_eq!(config_argument(words.iter().map(OsString::from)), config.map(PathBuf::from), "{words:?}");
        }
    }

    /// The shells have different quoting rules; the program's path must survive them.
    #[test]
    fn shell_scripts_run_this_program() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = shell.script("/opt/a b/circles");
            assert!(script.contains("'/opt/a b/circles'") && script.contains(COMPLETE_VARIABLE), "{script}");
        }
    }
}
