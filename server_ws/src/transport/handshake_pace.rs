//! The pace of the TLS handshakes of each address. A handshake costs processor time before the client says who it is. The
//! circle delays handshakes beyond the pace of their address, and not those of others. Pure: the time is an argument.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::quota::{Caller, CallerTable};

/// The interval between two handshakes of an address.
const INTERVAL: Duration = Duration::from_millis(50);

/// The handshakes that an address may make at once: enough for the clients behind one address that connect again after a
/// restart.
const BURST: u32 = 64;

/// The maximum number of addresses with an entry of their own. Further addresses share one entry.
const MAX_ADDRESSES: usize = 4096;

/// The pace of handshakes (the generic cell rate algorithm, with a delay in place of a rejection).
#[derive(Debug)]
pub(crate) struct HandshakePace {
    /// The theoretical arrival times of the algorithm: the ends of the intervals of all handshakes of an address.
    arrivals: Mutex<CallerTable<Instant>>,
}

impl Default for HandshakePace {
    fn default() -> Self {
        Self { arrivals: Mutex::new(CallerTable::new(MAX_ADDRESSES)) }
    }
}

impl HandshakePace {
    /// Returns the delay of a handshake with this address; `None` if it would be longer than the maximum. Then the
    /// handshake delays no later one.
    pub(super) fn delay(&self, address: IpAddr, max_delay: Duration, now: Instant) -> Option<Duration> {
        // No code panics while it holds the lock.
        let mut arrivals = self.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        let arrival = arrivals.entry(Caller::anonymous(address), |arrival| *arrival <= now, now);
        let due = (*arrival).max(now);
        let delay = due.saturating_duration_since(now).saturating_sub(INTERVAL * (BURST - 1));
        if delay > max_delay {
            return None;
        }
        *arrival = due + INTERVAL;
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_DELAY: Duration = Duration::from_secs(1);

    fn address(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn burst_has_no_delay_and_the_rest_takes_turns() {
        let (pace, now) = (HandshakePace::default(), Instant::now());
        for _ in 0..BURST {
            assert_eq!(pace.delay(address(1), MAX_DELAY, now), Some(Duration::ZERO));
        }
        for turn in 1..=20 {
            assert_eq!(pace.delay(address(1), MAX_DELAY, now), Some(INTERVAL * turn));
        }
        // A handshake with too long a delay delays no later one.
        for _ in 0..1000 {
            assert_eq!(pace.delay(address(1), MAX_DELAY, now), None);
        }
        assert_eq!(pace.delay(address(1), MAX_DELAY, now + INTERVAL), Some(MAX_DELAY));
        // Others have no delay, and the address itself has none after a while.
        assert_eq!(pace.delay(address(2), MAX_DELAY, now), Some(Duration::ZERO));
        let later = now + INTERVAL * (BURST + 21);
        assert_eq!(pace.delay(address(1), MAX_DELAY, later), Some(Duration::ZERO));
    }

    #[test]
    fn many_addresses_share_what_is_left() {
        let (pace, now) = (HandshakePace::default(), Instant::now());
        let network = |number: usize| {
            IpAddr::from(std::net::Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) | ((number as u128) << 64)))
        };
        for number in 0..MAX_ADDRESSES {
            assert_eq!(pace.delay(network(number), MAX_DELAY, now), Some(Duration::ZERO));
        }
        for number in 0..1000 {
            let _delay = pace.delay(network(MAX_ADDRESSES + number), MAX_DELAY, now);
        }
        assert_eq!(pace.delay(network(MAX_ADDRESSES), MAX_DELAY, now), None);
        assert_eq!(pace.delay(network(0), MAX_DELAY, now), Some(Duration::ZERO));
        assert!(pace.arrivals.lock().expect("no panic").len() <= MAX_ADDRESSES + 1);
        // Entries that have passed make room.
        let later = now + INTERVAL * 2000;
        assert_eq!(pace.delay(network(MAX_ADDRESSES), MAX_DELAY, later), Some(Duration::ZERO));
    }
}
