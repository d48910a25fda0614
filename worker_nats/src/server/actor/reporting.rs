//! What the task of a hub reports about its connection, to operators and to other servers.

use std::time::Instant;

use super::{Actor, Counts, Sums, lock};
use crate::messages;

impl Actor {
    /// Reports the state of the connection.
    pub(super) fn report_connection(&mut self) {
        self.report(Counts { workers: self.endpoint.peers.end_count(), waiting: self.placements.len() });
        if self.first.is_some() {
            return;
        }
        let (connected, status) = (self.endpoint.connected(), self.endpoint.connection().status());
        let limit = self.endpoint.connection().payload_limit().filter(|_| connected.1);
        let mut shared = lock(&self.shared);
        let shared = &mut shared.status;
        (shared.connections, shared.is_connected) = connected;
        shared.is_refused = !connected.1 && status.is_refused;
        shared.set_error(match (connected.1, limit) {
            (true, Some(limit)) => {
                Some(format!("NATS accepts only {limit} bytes: set max_payload to 1MB in its configuration"))
            }
            (true, None) => status.violation_text(),
            (false, _) => status.error_text().or_else(|| shared.error.clone()),
        });
    }

    /// Replaces the numbers of this task among those of the hub, and adds to the sums.
    pub(super) fn report(&mut self, counts: Counts) {
        let connection = self.endpoint.connection();
        let sums = Sums {
            resent: self.endpoint.peers.resent(),
            lost: connection.full_subscriptions(),
            traffic: connection.traffic(),
        };
        let (counts_before, sums_before) = (self.counts, self.sums);
        (self.counts, self.sums) = (counts, sums);
        if counts_before == counts && sums_before == sums {
            return;
        }
        let shared = &mut lock(&self.shared).status;
        shared.workers = (shared.workers + counts.workers).saturating_sub(counts_before.workers);
        shared.waiting = (shared.waiting + counts.waiting).saturating_sub(counts_before.waiting);
        shared.resent += sums.resent.saturating_sub(sums_before.resent);
        shared.lost += sums.lost.saturating_sub(sums_before.lost);
        shared.traffic.add_increase(&sums_before.traffic, &sums.traffic);
    }

    /// Announces the identity to the other servers from time to time: a network that was split may be whole again.
    pub(super) fn announce(&mut self, now: Instant) {
        if now < self.announce_at {
            return;
        }
        let interval = self.options.timings.announcement;
        self.announce_at = now + interval;
        if self.endpoint.connected().1 && self.first.is_none() {
            self.endpoint.outbox.push(self.subjects.servers(), None, messages::encode(self.identity()));
        }
        let is_over = |seen: &mut Instant| now.saturating_duration_since(*seen) > interval.saturating_mul(3);
        if self.conflict_seen.take_if(is_over).is_some() {
            lock(&self.shared).status.conflict = None;
        }
    }
}
