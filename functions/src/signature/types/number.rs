//! Exact comparison of JSON numbers: a conversion to `f64` would lose digits of large integers.

use std::cmp::Ordering;

use serde_json::Number;

/// Compares a JSON number with a finite number. `None` if the JSON number is not finite, which it never is.
pub(super) fn compare(number: &Number, other: f64) -> Option<Ordering> {
    match as_integer(number) {
        Some(integer) => Some(compare_integer(integer, other)),
        None => number.as_f64()?.partial_cmp(&other),
    }
}

/// Returns a number that has no fraction and fits in 64 bits with sign, also if it is written as `2.0`.
pub(super) fn to_i64(number: &Number) -> Option<i64> {
    /// 2⁶³, which a 64-bit integer with sign does not reach.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if number.is_i64() || number.is_u64() {
        return number.as_i64();
    }
    let float = number.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "the value is whole and within the bounds of i64")]
    let integer = float as i64;
    (float.fract() == 0.0 && (-LIMIT..LIMIT).contains(&float)).then_some(integer)
}

fn as_integer(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn compare_integer(integer: i128, float: f64) -> Ordering {
    /// 2⁶⁴, which is beyond every integer of a JSON number.
    const LIMIT: f64 = 18_446_744_073_709_551_616.0;
    if float >= LIMIT {
        return Ordering::Less;
    }
    if float <= -LIMIT {
        return Ordering::Greater;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the value is whole and within the bounds of i128")]
    let whole = float.trunc() as i128;
    let fraction = float.fract();
    integer.cmp(&whole).then(if fraction > 0.0 {
        Ordering::Less
    } else if fraction < 0.0 {
        Ordering::Greater
    } else {
        Ordering::Equal
    })
}
