//! The end of peers: those that are silent, lost or unused.

use std::time::{Duration, Instant};

use async_nats::message::OutboundMessage;

use super::{End, Entry, Failure, Peers, message};
use crate::{ids::AssociationId, peer::farewell, subjects::SubjectName};

/// Time after which an association without a link ends.
pub(super) const UNUSED_TIMEOUT: Duration = Duration::from_mins(1);

/// Number of associations that were given up and that are remembered.
const MAX_GIVEN_UP: usize = 1024;

impl<E: End> Peers<E> {
    /// This side has lost messages that had arrived: no peer is silent because of that.
    pub(crate) fn excuse_all(&mut self, now: Instant) {
        self.entries.values_mut().for_each(|entry| entry.peer.excuse(now));
    }

    /// Tells the ends of peers that are silent. Gives up the peers that are out of reach. Returns the messages that tell
    /// them, each with the name of the peer if that costs workers unexpectedly.
    pub(crate) fn give_up(&mut self, now: Instant) -> Vec<(Option<SubjectName>, OutboundMessage)> {
        for entry in self.entries.values_mut() {
            if let Some(lost_at) = entry.peer.take_silence(now) {
                entry.ends.values_mut().for_each(|end| end.end.note_silence(lost_at));
            }
        }
        self.remove_if(|entry| entry.peer.is_given_up(now))
    }

    /// Ends the associations that have had no link for some time. Returns the messages that tell the peers. The next worker
    /// makes a new association.
    pub(crate) fn remove_unused(&mut self, now: Instant) -> Vec<OutboundMessage> {
        let removed = self.remove_if(|entry| {
            if entry.peer.link_count() > 0 {
                entry.unused_since = None;
                return false;
            }
            let since = *entry.unused_since.get_or_insert(now);
            now.saturating_duration_since(since) >= UNUSED_TIMEOUT
        });
        removed.into_iter().map(|(_, farewell)| farewell).collect()
    }

    fn remove_if(
        &mut self,
        mut is_over: impl FnMut(&mut Entry<E>) -> bool,
    ) -> Vec<(Option<SubjectName>, OutboundMessage)> {
        let over: Vec<_> = self.entries.iter_mut().filter_map(|(id, entry)| is_over(entry).then_some(*id)).collect();
        over.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Gives up all peers: this side ends.
    pub(crate) fn give_up_all(&mut self) -> Vec<(Option<SubjectName>, OutboundMessage)> {
        let all: Vec<_> = self.entries.keys().copied().collect();
        all.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    fn remove(&mut self, id: AssociationId) -> Option<(Option<SubjectName>, OutboundMessage)> {
        let mut entry = self.entries.remove(&id)?;
        self.turns.retain(|turn| *turn != id);
        if self.given_up.len() >= MAX_GIVEN_UP {
            self.given_up.pop_front();
        }
        self.given_up.push_back(id);
        entry.ends.values_mut().for_each(|end| end.end.fail(Failure::Unreachable));
        // A peer that drains has said so.
        let name = (!entry.ends.is_empty() && !entry.is_leaving).then_some(entry.name);
        Some((name, message(entry.subject, None, farewell(id))))
    }
}
