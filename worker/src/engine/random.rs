//! The module `random`: random values of cryptographic quality.
//!
//! Each call seeds a generator from the operating system. So no state is copied to a forked worker, and nothing in the
//! memory of a worker predicts a value.

use rand::{
    RngExt, SeedableRng,
    distr::{Alphanumeric, Distribution, Uniform},
    rngs::{StdRng, SysError, SysRng},
    seq::{IndexedRandom, SliceRandom},
};
use rhai::{Array, Blob, Dynamic, Engine, EvalAltResult, FLOAT, INT, Module};

use super::build::{native, native_error};

/// Maximum length of a random blob or text.
const MAX_LENGTH: INT = 1024;

type Result<T> = std::result::Result<T, Box<EvalAltResult>>;

/// Registers the module in an engine.
pub(super) fn register(engine: &mut Engine) {
    let mut module = Module::new();
    let doc = "/// A random integer from `min` to `max`, both included. Each is equally likely.";
    native("int", &["min: i64", "max: i64", "i64"], doc).set_into_module(&mut module, int);
    let doc = "/// A random number from 0.0, included, to 1.0, excluded.";
    native("float", &["f64"], doc).set_into_module(&mut module, float);
    let doc = "/// Random bytes, at most 1024. Fit for secrets.";
    native("bytes", &["length: i64", "blob"], doc).set_into_module(&mut module, bytes);
    let doc =
        "/// A random text of ASCII letters and digits, at most 1024. Fit for secrets: each character has 5.95 bits.";
    native("text", &["length: i64", "string"], doc).set_into_module(&mut module, text);
    let doc = "/// A random item of an array. Returns `()` if the array is empty.";
    native("pick", &["array: array", "any"], doc).with_purity(true).set_into_module(&mut module, pick);
    let doc = "/// Returns the items of an array in random order. The array itself stays as it is.";
    native("shuffle", &["array: array", "array"], doc).set_into_module(&mut module, shuffle);
    engine.register_static_module("random", module.into());
}

/// Returns a new generator with a seed from the operating system.
fn generator() -> Result<StdRng> {
    Ok(StdRng::try_from_rng(&mut SysRng).map_err(system_error)?)
}

/// The error of a script if the operating system refuses random numbers.
pub(super) fn system_error(error: SysError) -> EvalAltResult {
    native_error(format!("cannot read random numbers from the operating system: {error}; retry the script"))
}

fn int(min: INT, max: INT) -> Result<INT> {
    // Not `random_range`, which is slightly biased.
    let range = Uniform::new_inclusive(min, max).map_err(|_| {
        native_error(format!("random::int needs min <= max, but min is {min} and max is {max}; swap the arguments"))
    })?;
    Ok(range.sample(&mut generator()?))
}

fn float() -> Result<FLOAT> {
    Ok(generator()?.random())
}

fn bytes(length: INT) -> Result<Blob> {
    let mut bytes = vec![0; checked_length("bytes", length)?];
    generator()?.fill(&mut bytes[..]);
    Ok(bytes)
}

fn text(length: INT) -> Result<String> {
    let length = checked_length("text", length)?;
    Ok(generator()?.sample_iter(Alphanumeric).take(length).map(char::from).collect())
}

fn checked_length(function: &str, length: INT) -> Result<usize> {
    let valid = (0..=MAX_LENGTH).contains(&length).then(|| usize::try_from(length).ok()).flatten();
    valid.ok_or_else(|| {
        native_error(format!("random::{function} needs a length from 0 to {MAX_LENGTH}, but the length is {length}"))
            .into()
    })
}

// By reference, so that Rhai does not copy the array.
fn pick(array: &mut Array) -> Result<Dynamic> {
    Ok(array.choose(&mut generator()?).cloned().unwrap_or_default())
}

fn shuffle(mut array: Array) -> Result<Array> {
    array.shuffle(&mut generator()?);
    Ok(array)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_reach_both_ends_and_nothing_else() {
        let mut seen = [0; 3];
        for _ in 0..3000 {
            seen[usize::try_from(int(-1, 1).expect("a valid range") + 1).expect("in the range")] += 1;
        }
        // Less than 800 of 3000 has a probability below 10^-13.
        assert!(seen.iter().all(|count| *count > 800), "{seen:?}");
        assert_eq!(int(7, 7).expect("a valid range"), 7);
        let ends = (0..64).map(|_| int(INT::MIN, INT::MAX).expect("a valid range"));
        assert!(ends.clone().any(|value| value < 0) && ends.clone().any(|value| value > 0));
        assert_eq!(
            int(2, 1).expect_err("an empty range").to_string(),
            "random::int needs min <= max, but min is 2 and max is 1; swap the arguments"
        );
    }

    #[test]
    fn floats_are_below_one() {
        let values: Vec<FLOAT> = (0..1000).map(|_| float().expect("a number")).collect();
        assert!(values.iter().all(|value| (0.0..1.0).contains(value)));
        assert!(values.iter().any(|value| *value < 0.5) && values.iter().any(|value| *value >= 0.5));
    }

    #[test]
    fn lengths_are_bounded() {
        for length in [0, 1, MAX_LENGTH] {
            let expected = usize::try_from(length).expect("not negative");
            assert_eq!(bytes(length).expect("a valid length").len(), expected);
            let text = text(length).expect("a valid length");
            assert!(
                text.len() == expected && text.chars().all(|character| character.is_ascii_alphanumeric()),
                "{text}"
            );
        }
        for length in [-1, MAX_LENGTH + 1, INT::MIN, INT::MAX] {
            let expected = format!("needs a length from 0 to 1024, but the length is {length}");
            assert!(bytes(length).expect_err("too long").to_string().ends_with(&expected));
            assert!(text(length).expect_err("too long").to_string().ends_with(&expected));
        }
        assert_ne!(bytes(16).expect("a valid length"), bytes(16).expect("a valid length"));
    }

    #[test]
    fn shuffled_array_has_the_same_items_in_another_order() {
        let array: Array = (0..100).map(|item: INT| item.into()).collect();
        let items = |array: &Array| array.iter().map(|item| item.as_int().expect("an integer")).collect::<Vec<_>>();
        let mut shuffled = items(&shuffle(array.clone()).expect("it shuffles"));
        assert_ne!(shuffled, items(&array));
        shuffled.sort_unstable();
        assert_eq!(shuffled, items(&array));
    }
}
