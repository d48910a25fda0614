//! The times of servers and machines.

use std::time::Duration;

use crate::{association::Timeouts, connection::ConnectionTimeouts};

/// The times of servers and machines. Tests use shorter ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// Heartbeats, and when a peer is given up. A machine publishes its state at the interval of heartbeats.
    pub association: Timeouts,
    /// The connection to NATS.
    pub connection: ConnectionTimeouts,
    /// Delay between attempts of a server to connect to NATS at the start.
    pub connect_delay: Duration,
    /// Interval at which a server announces its identity to other servers of the circle.
    pub announcement: Duration,
    /// Time without an answer of the machine after which a placement is requested again.
    pub placement: Duration,
    /// Time without an answer of any machine after which a placement fails.
    pub unanswered: Duration,
    /// Maximum time of a placement with all its requests.
    pub start: Duration,
    /// Time without an answer after which a machine requests a part of a setup again.
    pub part: Duration,
    /// Time for which a machine that is full or drains refuses requests before it leaves the queue group: NATS may
    /// have sent it requests that are on their way.
    pub refusal: Duration,
    /// Time after which a machine discards a setup that has no worker, and texts that no setup needed. The machine ends the
    /// spare workers of a setup after a twentieth of this time without a placement.
    pub idle_setup: Duration,
    /// Time after which a machine that drains kills the remaining workers.
    pub grace: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            association: Timeouts::default(),
            connection: ConnectionTimeouts::default(),
            connect_delay: Duration::from_secs(1),
            announcement: Duration::from_secs(5),
            placement: Duration::from_secs(1),
            unanswered: Duration::from_secs(6),
            start: Duration::from_secs(30),
            part: Duration::from_secs(2),
            refusal: Duration::from_secs(1),
            idle_setup: Duration::from_mins(10),
            grace: Duration::from_secs(8),
        }
    }
}

impl Timings {
    /// Time after its first refusal after which a placement fails. It is longer than the time for which a machine refuses
    /// requests, so that a machine with room gets the last ones.
    pub(crate) fn refusals(&self) -> Duration {
        self.refusal.saturating_mul(3) / 2
    }

    /// Time after the last placement of a setup after which a machine ends the spare workers of the setup.
    pub(crate) fn idle_spares(&self) -> Duration {
        self.idle_setup / 20
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::MAX_RECONNECT_DELAY;

    #[test]
    fn peers_survive_one_reconnection_of_the_other_side() {
        let Timings { association, connection, .. } = Timings::default();
        // An attempt that began before NATS was back may take its whole time, and the next one may be slow.
        let reconnection = connection.connect * 2 + MAX_RECONNECT_DELAY;
        assert!(association.absence > reconnection, "{association:?}");
        // The client finds out at the third ping that two have no answer.
        let detection = connection.ping * 3;
        assert!(association.silence > detection + reconnection + association.heartbeat, "{association:?}");
    }
}
