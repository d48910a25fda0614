//! The subscriptions of a circle's store.
//!
//! A subscription is a position in the history of the store and a filter, never a queue. A **feed** is what the
//! subscriptions with one filter have in common. The store reports each group of commits to `feeds`, which marks the
//! feeds whose filter matches. The thread of `ticker` then takes a view of the store, an **epoch**, and wakes the
//! sessions of the marked feeds. It takes at most 20 epochs a second, fewer with many subscriptions. Each session reads
//! what it needs from the epoch; sessions at the same position share one read (`epoch`), which may wait for the disk and
//! so runs off the threads that serve connections. `render` makes the notifications of a read, once for all sessions.

mod counters;
mod epoch;
mod feeds;
mod hub;
mod position;
mod render;
mod ticker;

pub(crate) use counters::{StalledSession, SubscriptionCounters};
pub(crate) use epoch::{Epoch, PendingRead, ReadOutcome};
pub(crate) use feeds::{FeedMember, SessionSignal};
pub(crate) use hub::EventHub;
pub(crate) use position::{EntryPosition, PagePosition, ParsePositionError, ReadFrom};
pub(crate) use render::{ended, gap};
