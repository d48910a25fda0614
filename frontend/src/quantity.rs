//! Formats sizes, durations and ages for people, in the unit that suits them.

use std::time::Duration;

/// Formats a number of bytes: `512 bytes`, `1.5 KiB`, `41 MiB`.
#[expect(clippy::cast_precision_loss, reason = "it is rounded anyway")]
pub fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") };
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = "KiB";
    for larger in ["MiB", "GiB", "TiB"] {
        if value < 1023.5 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    let digits = usize::from(value < 9.95);
    format!("{value:.digits$} {unit}")
}

/// Formats a duration: `12 µs`, `1.23 ms`, `45 ms`, `6.70 s`.
pub fn duration(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..999.5 => format!("{micros:.0} µs"),
        999.5..9995.0 => format!("{:.2} ms", micros / 1e3),
        9995.0..999_500.0 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.2} s", micros / 1e6),
    }
}

/// Formats an age in four columns at most: `now`, `5m`, `3d`.
pub fn age(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(365 * 86_400, "y"), (86_400, "d"), (3600, "h"), (60, "m")];
    let unit = UNITS.iter().find(|(length, _)| seconds >= *length);
    unit.map_or_else(|| "now".to_owned(), |(length, unit)| format!("{}{unit}", (seconds / length).min(999)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_has_the_unit_that_suits_it() {
        let cases = [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1 << 10, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (10 << 10, "10 KiB"),
            ((1 << 20) - 1, "1.0 MiB"),
            (41 << 20, "41 MiB"),
            (1_536 << 20, "1.5 GiB"),
            (u64::MAX, "16777216 TiB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn duration_has_the_unit_that_suits_it() {
        let cases = [
            (0, "0 µs"),
            (999, "999 µs"),
            (1000, "1.00 ms"),
            (9_996, "10 ms"),
            (999_400, "999 ms"),
            (999_999, "1.00 s"),
            (8_989_000, "8.99 s"),
        ];
        for (micros, text) in cases {
            assert_eq!(duration(Duration::from_micros(micros)), text);
        }
        assert!(duration(Duration::MAX).ends_with(" s"));
    }

    #[test]
    fn age_is_short() {
        assert_eq!([0, 60, 7200, 86_400 * 3, 86_400 * 800].map(age), ["now", "1m", "2h", "3d", "2y"]);
        assert_eq!(age(u64::MAX), "999y");
    }
}
