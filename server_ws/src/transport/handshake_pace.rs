//! The pace of TLS handshakes: how often an address may make one. A handshake costs processor time before the client says
//! who it is. Beyond the pace, handshakes of the address wait; those of others do not. Pure: the time is an argument.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::quota::Caller;

/// The interval between two handshakes of an address.
const INTERVAL: Duration = Duration::from_millis(50);

/// The handshakes that an address may make at once: enough for the clients behind one address that connect again after a
/// restart.
const BURST: u32 = 64;

/// The maximum number of addresses with an entry of their own. Further addresses share one entry.
const MAX_ADDRESSES: usize = 4096;

/// The pace of handshakes (the generic cell rate algorithm, with a wait instead of a rejection).
#[derive(Debug, Default)]
pub(crate) struct HandshakePace {
    /// The theoretical arrival times of the algorithm: when the intervals of all handshakes of an address have passed.
    arrivals: Mutex<HashMap<Option<Caller>, Instant>>,
}

impl HandshakePace {
    /// Returns how long a handshake with this address has to wait; `None` if that is longer than `patience`. Then it
    /// delays no later handshake.
    pub(super) fn wait(&self, address: IpAddr, patience: Duration, now: Instant) -> Option<Duration> {
        // No code panics while it holds the lock.
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let mut caller = Some(Caller::anonymous(address));
        if !arrivals.contains_key(&caller) && arrivals.len() >= MAX_ADDRESSES {
            arrivals.retain(|_, arrival| now < *arrival);
            if arrivals.len() >= MAX_ADDRESSES {
                caller = None;
            }
        }
        let arrival = arrivals.entry(caller).or_insert(now);
        let due = (*arrival).max(now);
        let wait = due.saturating_duration_since(now).saturating_sub(INTERVAL * (BURST - 1));
        if wait > patience {
            return None;
        }
        *arrival = due + INTERVAL;
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(1);

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn burst_goes_at_once_and_the_rest_waits_its_turn() {
        let (pace, now) = (HandshakePace::default(), Instant::now());
        for _ in 0..BURST {
            assert_eq!(pace.wait(address(1), PATIENCE, now), Some(Duration::ZERO));
        }
        for turn in 1..=20 {
            assert_eq!(pace.wait(address(1), PATIENCE, now), Some(INTERVAL * turn));
        }
        // A handshake that would wait too long delays no later one.
        for _ in 0..1000 {
            assert_eq!(pace.wait(address(1), PATIENCE, now), None);
        }
        assert_eq!(pace.wait(address(1), PATIENCE, now + INTERVAL), Some(PATIENCE));
        // Others do not wait, and the address itself does not after a while.
        assert_eq!(pace.wait(address(2), PATIENCE, now), Some(Duration::ZERO));
        let later = now + INTERVAL * (BURST + 21);
        assert_eq!(pace.wait(address(1), PATIENCE, later), Some(Duration::ZERO));
    }

    #[test]
    fn many_addresses_share_what_is_left() {
        let (pace, now) = (HandshakePace::default(), Instant::now());
        let network = |number: usize| {
            IpAddr::from(std::net::Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) | ((number as u128) << 64)))
        };
        for number in 0..MAX_ADDRESSES {
            assert_eq!(pace.wait(network(number), PATIENCE, now), Some(Duration::ZERO));
        }
        for number in 0..1000 {
            let _wait = pace.wait(network(MAX_ADDRESSES + number), PATIENCE, now);
        }
        assert_eq!(pace.wait(network(MAX_ADDRESSES), PATIENCE, now), None);
        assert_eq!(pace.wait(network(0), PATIENCE, now), Some(Duration::ZERO));
        assert!(pace.arrivals.lock().expect("no panic").len() <= MAX_ADDRESSES + 1);
        // Entries that have passed make room.
        let later = now + INTERVAL * 2000;
        assert_eq!(pace.wait(network(MAX_ADDRESSES), PATIENCE, later), Some(Duration::ZERO));
    }
}
