//! The function `id`: UUIDs of version 7 (RFC 9562), which sort by the time of their creation.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use rand::{TryRng, rngs::SysRng};
use rhai::{Engine, EvalAltResult};

use super::{build::native, clock::since_1970, random::system_error};

/// Registers the function in an engine.
pub(super) fn register(engine: &mut Engine) {
    let doc = "/// A new unique id: a UUID of version 7 as text. Ids sort by the time of their creation. Ids are not secret: \
        use `random::text` for what nobody may guess.";
    let last = AtomicU64::new(0);
    native("id", &["string"], doc).register_into_engine(engine, move || new_id(&last));
}

/// Returns a new id. `last` is the time of the id before, whose successor is greater.
///
/// A forked worker has a copy of `last`. Its ids are unique nevertheless: 62 bits of each are random.
fn new_id(last: &AtomicU64) -> Result<String, Box<EvalAltResult>> {
    let random = SysRng.try_next_u64().map_err(system_error)?;
    let now = time_bits(since_1970());
    let mut time = now;
    // Never fails, because the closure always returns a value.
    let _before = last.fetch_update(Relaxed, Relaxed, |last| {
        time = now.max(last + 1);
        Some(time)
    });
    Ok(format(time, random))
}

/// The time as 60 bits: milliseconds since 1970, and 4096ths of a millisecond (RFC 9562, section 6.2, method 3).
fn time_bits(time: Duration) -> u64 {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX) & ((1 << 48) - 1);
    let fraction = u64::from(time.subsec_nanos() % 1_000_000) * 4096 / 1_000_000;
    (milliseconds << 12) | fraction
}

/// Formats an id of 60 bits of time and 62 random bits.
fn format(time: u64, random: u64) -> String {
    let (high, middle, low) = ((time >> 28) & 0xffff_ffff, (time >> 12) & 0xffff, time & 0xfff);
    let variant = ((random >> 48) & 0x3fff) | 0x8000;
    let node = random & 0xffff_ffff_ffff;
    format!("{high:08x}-{middle:04x}-7{low:03x}-{variant:04x}-{node:012x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_has_the_layout_of_version_7() {
        // The example of RFC 9562, appendix A.6: 2022-02-22 19:22:22 UTC, with its random bits.
        let time = time_bits(Duration::from_secs(1_645_557_742)) | 0xcc3;
        assert_eq!(format(time, 0x18c4_dc0c_0c07_398f), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
        assert_eq!(format(u64::MAX >> 4, u64::MAX), "ffffffff-ffff-7fff-bfff-ffffffffffff");
        assert_eq!(time_bits(Duration::new(1, 999_999)), (1000 << 12) | 4095);
    }

    #[test]
    fn ids_of_an_engine_ascend_even_if_the_clock_is_set_back() {
        let ahead = time_bits(since_1970() + Duration::from_hours(1));
        for start in [0, ahead] {
            let last = AtomicU64::new(start);
            let ids: Vec<String> = (0..10_000).map(|_| new_id(&last).expect("an id")).collect();
            assert!(ids.is_sorted_by(|a, b| a < b));
            assert!(ids[0] > format(start, 0));
        }
    }
}
