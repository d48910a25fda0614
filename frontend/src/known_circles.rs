//! The circles that this user's clients know: the identity that each authority has shown, like ssh's `known_hosts`.
//!
//! `known_circles` is a text file beside the keystore, with a line `AUTHORITY PUBLIC_KEY` for each circle. Changes keep
//! blank lines, comments (`#`) and invalid lines. A writer holds the lock of `.lock` beside the file; readers need no
//! lock, because writers replace the file atomically.

pub mod check;
pub mod decision;
mod error;
mod line;
mod own_circle;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use directories::ProjectDirs;
use keys::{
    Authority, PublicKey,
    private_files::{self, RequiredPermissions},
};

pub use error::KnownCirclesError;
use line::KnownCirclesLine;

const FILE: &str = "known_circles";

/// The maximum size of the file, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// The maximum number of circles in the file.
const MAX_ENTRIES: usize = 10_000;

/// The known circles of a user. The constructors touch no file; each method reads the file again.
#[derive(Debug, Clone)]
pub struct KnownCircles {
    dir: PathBuf,
}

/// A circle and its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCircle {
    /// The address that clients connect to.
    pub authority: Authority,
    /// The identity that the circle showed.
    pub public_key: PublicKey,
}

/// An invalid line: neither a circle, nor a comment, nor blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableLine {
    /// The line number, from 1.
    pub number: usize,
    /// Why the line is invalid.
    pub reason: String,
    /// The authority at the beginning of the line, if there is one. Clients refuse circles there until the line is
    /// gone.
    pub authority: Option<Authority>,
}

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownCircleList {
    /// The circles, ordered by authority.
    pub circles: Vec<KnownCircle>,
    /// The invalid lines, ordered by number.
    pub unreadable: Vec<UnreadableLine>,
}

impl KnownCircles {
    /// Returns the known circles in `dir`. The first change creates the directory with mode 0700.
    pub fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Returns the known circles of the user, in the data directory of `circles` (on Linux `$XDG_DATA_HOME/circles`, by
    /// default `~/.local/share/circles`), which also holds the keystore.
    pub fn open_default() -> Result<Self, KnownCirclesError> {
        let dirs = ProjectDirs::from("", "", "circles").ok_or(KnownCirclesError::NoHome)?;
        Ok(Self::at(dirs.data_dir().to_owned()))
    }

    /// The path of the file.
    pub fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    /// Returns the identity that a circle has shown before. 127.0.0.1, `[::1]` and `localhost` with the same port are
    /// one circle. An invalid line of this authority is an error, because it may have held a different identity.
    pub fn get(&self, authority: &Authority) -> Result<Option<PublicKey>, KnownCirclesError> {
        self.find(&self.list()?, authority)
    }

    /// Records the identity of a circle at its first use. Fails with [`KnownCirclesError::IdentityMismatch`] if the
    /// file holds a different identity, for example because another client has just recorded one.
    pub fn remember(&self, authority: &Authority, public_key: PublicKey) -> Result<(), KnownCirclesError> {
        let _lock = self.begin_change()?;
        let (text, listing) = self.read()?;
        match self.find(&listing, authority)? {
            Some(known) if known == public_key => return Ok(()),
            Some(known) => return Err(KnownCirclesError::IdentityMismatch { authority: authority.clone(), known }),
            None => {}
        }
        if listing.circles.len() >= MAX_ENTRIES {
            return Err(KnownCirclesError::Full { path: self.path() });
        }
        let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        self.replace(&format!("{text}{newline}{authority} {public_key}\n"))
    }

    /// Removes a circle and the invalid lines of its authority, so that the next connection accepts any identity.
    /// Removes a loopback circle at all loopback addresses.
    pub fn forget(&self, authority: &Authority) -> Result<(), KnownCirclesError> {
        let is_about = |line: &str| {
            KnownCirclesLine::parse(line).authority().is_some_and(|other| is_same_circle(other, authority))
        };
        let unknown = |listing: KnownCircleList| {
            let known = listing.circles.into_iter().map(|circle| circle.authority.to_string()).collect();
            KnownCirclesError::Unknown { authority: authority.clone(), known }
        };
        // Checked before the lock, which would create the directory.
        let (text, listing) = self.read()?;
        if !text.lines().any(is_about) {
            return Err(unknown(listing));
        }
        let _lock = self.begin_change()?;
        let (text, _) = self.read()?;
        let rest: String = text.split_inclusive('\n').filter(|line| !is_about(line)).collect();
        self.replace(&rest)
    }

    /// Returns all known circles and the invalid lines; an empty list if there is no file.
    pub fn list(&self) -> Result<KnownCircleList, KnownCirclesError> {
        Ok(self.read()?.1)
    }

    /// Returns the error about an invalid line.
    pub fn unreadable_line_error(&self, line: UnreadableLine) -> KnownCirclesError {
        KnownCirclesError::Unreadable { path: self.path(), line }
    }

    fn find(&self, listing: &KnownCircleList, authority: &Authority) -> Result<Option<PublicKey>, KnownCirclesError> {
        let is_same = |other: &Authority| is_same_circle(other, authority);
        if let Some(line) = listing.unreadable.iter().find(|line| line.authority.as_ref().is_some_and(is_same)) {
            return Err(self.unreadable_line_error(line.clone()));
        }
        let exact = listing.circles.iter().find(|circle| circle.authority == *authority);
        let known = exact.or_else(|| listing.circles.iter().find(|circle| is_same(&circle.authority)));
        Ok(known.map(|circle| circle.public_key))
    }

    fn read(&self) -> Result<(String, KnownCircleList), KnownCirclesError> {
        let path = self.path();
        let text = private_files::read_text(&self.dir, &path, MAX_BYTES, RequiredPermissions::Trusted)?;
        let text = text.map(|text| text.as_str().to_owned()).unwrap_or_default();
        let listing = line::parse_file(&text);
        Ok((text, listing))
    }

    fn begin_change(&self) -> Result<Option<File>, KnownCirclesError> {
        Ok(private_files::begin_change(&self.dir)?)
    }

    fn replace(&self, text: &str) -> Result<(), KnownCirclesError> {
        if text.len() as u64 > MAX_BYTES {
            return Err(KnownCirclesError::Full { path: self.path() });
        }
        // A link stays a link: its target is replaced.
        let path = fs::canonicalize(self.path()).unwrap_or_else(|_| self.path());
        Ok(private_files::replace(path.parent().unwrap_or(Path::new("/")), &path, text)?)
    }
}

/// Whether two authorities lead to the same circle. A circle on loopback has the same port on all loopback addresses.
fn is_same_circle(one: &Authority, other: &Authority) -> bool {
    one == other || loopback_port(one).is_some_and(|port| loopback_port(other) == Some(port))
}

/// Returns the part after 127.0.0.1, `[::1]` or `localhost`.
fn loopback_port(authority: &Authority) -> Option<&str> {
    let port = |host| authority.as_str().strip_prefix(host).filter(|rest| rest.is_empty() || rest.starts_with(':'));
    ["127.0.0.1", "[::1]", "localhost"].into_iter().find_map(port)
}

#[cfg(test)]
mod tests;
