//! What a shell offers at Tab: which circles and keys there are, and which circles are known. The script that `circles completions` prints runs this
//! program again, with a variable that says for which shell; nothing is said that is no candidate, and nothing started.

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

/// The variable that asks for candidates instead of running a command.
pub(crate) const COMPLETE_VARIABLE: &str = "CIRCLES_COMPLETE";

/// Digits of a public key that tell it from the others beside it.
const DIGITS: usize = 12;

pub(crate) const SHELLS: Shells<'static> = Shells(&[&Bash, &Zsh, &Fish]);

/// Shells whose completion knows this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Shell {
    /// What the shell is to evaluate. `program` is how it runs this one.
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

/// Names of the circles of circles.json.
pub(crate) fn circles() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        // A file with a mistake is told by the command, if it is run.
        let circles = config::find(config_argument(std::env::args_os())).ok().flatten();
        let candidates = circles.into_iter().flat_map(|(_, circles)| circles).map(|circle| {
            let description = circle.description.as_deref().map_or(String::new(), |text| format!(", {text}"));
            let place = if circle.address.port() == 0 { "a free port".into() } else { circle.url() };
            candidate(&circle.name, &format!("{place}{description}"))
        });
        candidates.collect()
    })
}

/// Names of the keys of the keystore.
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

/// Authorities of the circles that are known.
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

/// The `--config` of the line that is being typed.
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

    /// Bash, zsh and fish have different rules; the script is what they get.
    #[test]
    fn shell_scripts_run_this_program() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = shell.script("/opt/a b/circles");
            assert!(script.contains("'/opt/a b/circles'") && script.contains(COMPLETE_VARIABLE), "{script}");
        }
    }
}
