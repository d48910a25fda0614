//! The circles that this user's clients know: which identity each authority has shown, as ssh's `known_hosts` has it.
//!
//! `known_circles` is a text file beside the keystore, with a line `AUTHORITY PUBLIC_KEY` for each circle. Blank lines, comments
//! (`#`) and lines that cannot be read stay as they are. Whoever changes the file holds the lock of `.lock` beside it; readers
//! need none, since the file is replaced in one step.

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

/// Bytes of the file.
const MAX_BYTES: u64 = 4 << 20;

/// Circles that are remembered.
const MAX_ENTRIES: usize = 10_000;

/// The known circles of a user. Making one touches nothing; each call reads the disk anew.
#[derive(Debug, Clone)]
pub struct KnownCircles {
    dir: PathBuf,
}

/// A circle and its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCircle {
    /// How it is dialled.
    pub authority: Authority,
    /// The identity that it showed.
    pub public_key: PublicKey,
}

/// A line that is no circle, comment or blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableLine {
    /// Its number, from 1.
    pub number: usize,
    /// What is wrong with it.
    pub reason: String,
    /// The authority that it begins with, if it does: circles there are refused until the line is gone.
    pub authority: Option<Authority>,
}

/// All that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownCircleList {
    /// The circles, by authority.
    pub circles: Vec<KnownCircle>,
    /// Lines that cannot be read, by number.
    pub unreadable: Vec<UnreadableLine>,
}

impl KnownCircles {
    /// Those in `dir`, which need not exist: the first change creates it, mode 0700.
    pub fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Those of the user: in the data directory of `circles` (on Linux `$XDG_DATA_HOME/circles`, by default
    /// `~/.local/share/circles`), where the keystore is, too.
    pub fn open_default() -> Result<Self, KnownCirclesError> {
        let dirs = ProjectDirs::from("", "", "circles").ok_or(KnownCirclesError::NoHome)?;
        Ok(Self::at(dirs.data_dir().to_owned()))
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }

    /// The identity that a circle has shown before. 127.0.0.1, `[::1]` and `localhost` with the same port are one place. A line of this authority that cannot be read is an error: it could have
    /// said that the identity is another.
    pub fn get(&self, authority: &Authority) -> Result<Option<PublicKey>, KnownCirclesError> {
        self.find(&self.list()?, authority)
    }

    /// Records the identity of a circle at its first use. One that is there already stays: [`KnownCirclesError::Other`] if it is
    /// another, as when a second client has just used another circle there.
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

    /// Forgets a circle, at both loopback addresses where it is on one: its next identity is accepted as at a first use. Lines of this authority that cannot be read go, too.
    pub fn forget(&self, authority: &Authority) -> Result<(), KnownCirclesError> {
        let is_about = |line: &str| {
            KnownCirclesLine::parse(line).authority().is_some_and(|other| is_same_circle(other, authority))
        };
        let unknown = |listing: KnownCircleList| {
            let known = listing.circles.into_iter().map(|circle| circle.authority.to_string()).collect();
            KnownCirclesError::Unknown { authority: authority.clone(), known }
        };
        // Nothing is made where nothing is known.
        let (text, listing) = self.read()?;
        if !text.lines().any(is_about) {
            return Err(unknown(listing));
        }
        let _lock = self.begin_change()?;
        let (text, _) = self.read()?;
        let rest: String = text.split_inclusive('\n').filter(|line| !is_about(line)).collect();
        self.replace(&rest)
    }

    /// All known circles, and the lines that cannot be read. Without the file there are none.
    pub fn list(&self) -> Result<KnownCircleList, KnownCirclesError> {
        Ok(self.read()?.1)
    }

    /// The error about a line that cannot be read.
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
        // The file behind a link is replaced, not the link.
        let path = fs::canonicalize(self.path()).unwrap_or_else(|_| self.path());
        Ok(private_files::replace(path.parent().unwrap_or(Path::new("/")), &path, text)?)
    }
}

/// Whether two authorities lead to the same circle: a circle on loopback has one port on both addresses.
fn is_same_circle(one: &Authority, other: &Authority) -> bool {
    one == other || loopback_port(one).is_some_and(|port| loopback_port(other) == Some(port))
}

/// What follows 127.0.0.1, `[::1]` or `localhost`.
fn loopback_port(authority: &Authority) -> Option<&str> {
    let port = |host| authority.as_str().strip_prefix(host).filter(|rest| rest.is_empty() || rest.starts_with(':'));
    ["127.0.0.1", "[::1]", "localhost"].into_iter().find_map(port)
}

#[cfg(test)]
mod tests;
