//! An embedded, durable key-value store in which every transaction is all or nothing, and all are strictly
//! serializable.
//!
//! - [`StoreOptions`] opens a [`Store`]; [`Store::begin`] begins a [`Transaction`], and [`Transaction::commit`] ends it
//!   with a [`PendingCommit`]. [`Store::run`] does both, and runs again after a conflict.
//! - [`Store::once`] makes a request idempotent.
//! - [`Store::on_commit`], [`Store::changes_since`] and [`Store::read_entries`] follow changes and events.
//!
//! The README says to the letter what is promised and what is not.
#![forbid(unsafe_code)]

mod attempts;
mod changes;
mod committer;
mod engine;
mod environment;
mod error;
mod export;
#[cfg(feature = "faults")]
#[doc(hidden)]
pub mod faults;
mod id;
mod key;
mod limits;
mod listeners;
mod lock_holder;
mod log;
mod meta;
mod once;
mod outcome;
mod plan;
mod queue;
mod reads;
mod request;
mod revision;
mod run;
mod snapshot;
mod stats;
mod store;
mod timer;
mod transaction;
mod trim;
mod turns;
mod value;
mod value_cache;
mod waiters;
mod window;
mod writes;

pub use attempts::Attempts;
pub use changes::{
    ChangedEntry, ChangedPage, Changes, ChangesLimit, Cursor, EntryPart, EntryReader, Filter, ParseCursorError,
    PublishedEvent, View,
};
pub use engine::Direction;
pub use error::{CommitEffect, CommitError, Error, Limit, OpenError};
pub use export::{ExportReader, ExportedEntry};
pub use id::StoreId;
pub use key::{KEY_BYTES, Key, KeyError, Prefix};
pub use limits::{StoreLimits, TransactionLimits};
pub use listeners::{CommitNotice, Listener};
pub use meta::FORMAT;
pub use once::{InFlight, Once, OnceClaim, OnceError, OnceKey, ParamsHash, Recorded};
pub use outcome::{CommitResult, PendingCommit};
pub use plan::ENTRY_OVERHEAD;
pub use revision::Revision;
pub use run::{RunError, RunOnceError};
pub use stats::{CommitCounts, StoreObserver, StoreStats};
pub use store::{Store, StoreOptions};
pub use transaction::{Entry, ListOptions, MAX_LIST_ENTRIES, Transaction};
pub use turns::TurnKey;
pub use value::Value;
pub use writes::{Event, Savepoint};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
