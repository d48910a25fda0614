use std::{fmt, path::PathBuf};

/// Where the store of a circle is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreLocation {
    /// In memory, until the circle ends: for tests.
    Memory,
    /// In a file, which is created if there is none. Its directory must exist.
    File(PathBuf),
    /// In a file, without one of the checks of a commit, for the tests that must find that it is skipped. Needs the feature
    /// `faults`, which no program enables.
    #[cfg(feature = "faults")]
    #[doc(hidden)]
    Faulty {
        /// The file.
        path: PathBuf,
        /// The skipped check.
        skipped: SkippedCheck,
    },
}

/// A check of commits that a store skips.
#[cfg(feature = "faults")]
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SkippedCheck {
    /// Whether the intervals that a transaction scanned have changed.
    Intervals,
    /// Whether earlier members of the group of the commit have changed what the transaction read.
    Group,
}

#[cfg(feature = "faults")]
impl SkippedCheck {
    /// Skips the check.
    pub(super) fn apply(self, options: store::StoreOptions) -> store::StoreOptions {
        match self {
            Self::Intervals => options.skip_intervals(),
            Self::Group => options.skip_group(),
        }
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("in memory"),
            Self::File(path) => path.display().fmt(f),
            #[cfg(feature = "faults")]
            Self::Faulty { path, .. } => path.display().fmt(f),
        }
    }
}
