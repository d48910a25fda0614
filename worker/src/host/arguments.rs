//! The conversion from the JSON of a script's values to the arguments of a host function.

use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};

use crate::message::{HostCall, HostError};

/// The maximum length in bytes of the reason for an invalid value; the rest is truncated.
const MAX_REASON: usize = 200;

/// A tuple of `N` arguments, each read with serde: `()`, `(A,)`, `(A, B)`, up to eight.
#[diagnostic::on_unimplemented(
    message = "the types of the arguments do not match the {N} parameter names",
    label = "expected a tuple of {N} types that implement `DeserializeOwned`; at most eight"
)]
pub trait Arguments<const N: usize>: Sized + Send + 'static {
    /// Reads the arguments.
    ///
    /// # Errors
    ///
    /// An argument has the wrong type; the error names its parameter.
    #[doc(hidden)]
    fn read(values: &[&RawValue], params: &[String]) -> Result<Self, HostError>;
}

fn read_one<T: DeserializeOwned>(index: usize, values: &[&RawValue], params: &[String]) -> Result<T, HostError> {
    let param = params.get(index).map_or("?", String::as_str);
    let value = values.get(index).map_or("null", |value| value.get());
    from_script(value).map_err(|reason| {
        HostError::new(format!("argument '{param}': {reason}")).with_data(serde_json::json!({ "param": param }))
    })
}

/// Converts the JSON of a script's value. An error is the reason why the value does not have the type.
pub(crate) fn from_script<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|mut error| {
        // The value is valid JSON, so a syntax error says only that serde expected something else. The same value in
        // memory has an error that names both.
        if error.is_syntax()
            && let Ok(value) = serde_json::from_str::<Value>(json)
            && let Err(named) = serde_json::from_value::<T>(value)
        {
            error = named;
        }
        // The position counts within the JSON, which the script has not written.
        let text = error.to_string();
        let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
        // The reason may quote the whole value.
        let cut = reason.floor_char_boundary(MAX_REASON);
        if cut < reason.len() { format!("{}…", &reason[..cut]) } else { reason.to_owned() }
    })
}

impl HostCall {
    /// Splits the arguments. Returns `None` if they are not the JSON of `count` arguments, as an uncompromised worker
    /// sends it.
    pub fn arguments(&self, count: usize) -> Option<Vec<&RawValue>> {
        serde_json::from_str(&self.args).ok().filter(|args: &Vec<_>| args.len() == count)
    }
}

macro_rules! arguments {
    ($($count:literal: $($name:ident $index:literal),*;)*) => {
        $(impl<$($name: DeserializeOwned + Send + 'static),*> Arguments<$count> for ($($name,)*) {
            fn read(_values: &[&RawValue], _params: &[String]) -> Result<Self, HostError> {
                Ok(($(read_one::<$name>($index, _values, _params)?,)*))
            }
        })*
    };
}

arguments! {
    0: ;
    1: A 0;
    2: A 0, B 1;
    3: A 0, B 1, C 2;
    4: A 0, B 1, C 2, D 3;
    5: A 0, B 1, C 2, D 3, E 4;
    6: A 0, B 1, C 2, D 3, E 4, F 5;
    7: A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<const N: usize, A: Arguments<N>>(json: &str) -> Result<A, HostError> {
        let values: Vec<&RawValue> = serde_json::from_str(json).expect("an array");
        let params: Vec<String> = ["item", "count"].map(Into::into).to_vec();
        A::read(&values, &params)
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    enum Unit {
        Piece,
        Weight { grams: u32 },
    }

    #[test]
    fn arguments_are_read_by_type() {
        assert_eq!(read::<1, (Unit,)>(r#"["Piece"]"#), Ok((Unit::Piece,)));
        assert_eq!(read::<1, (Unit,)>(r#"[{"Weight": {"grams": 5}}]"#), Ok((Unit::Weight { grams: 5 },)));
        assert_eq!(read::<2, (String, i64)>(r#"["tea", 2]"#), Ok(("tea".into(), 2)));
        assert_eq!(read::<1, (Option<Vec<f64>>,)>("[null]"), Ok((None,)));
        assert_eq!(read::<0, ()>("[]"), Ok(()));
    }

    #[test]
    fn invalid_argument_names_parameter() {
        let error = read::<2, (String, u8)>(r#"["tea", 300]"#).expect_err("no u8");
        assert_eq!(error.message, "argument 'count': invalid value: integer `300`, expected u8");
        assert_eq!(error.data.as_deref(), Some(r#"{"param":"count"}"#));
        let long = format!("[\"{}\", \"{}\"]", "a", "ß".repeat(1000));
        let error = read::<2, (String, u8)>(&long).expect_err("no u8");
        assert!(error.message.len() < 300 && error.message.ends_with('…'), "{error}");
        for json in ["[1.5]", "[true]", "[[1]]", "[null]"] {
            let error = read::<1, (Unit,)>(json).expect_err("no unit");
            assert!(error.message.starts_with("argument 'item': invalid type"), "{json} {error}");
            assert!(error.message.contains("expected"), "{json} {error}");
        }
        let error = read::<2, (String, u8)>("[7, 1]").expect_err("no string");
        assert!(error.message.starts_with("argument 'item': invalid type"), "{error}");
    }
}
