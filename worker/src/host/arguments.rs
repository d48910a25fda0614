//! The conversion from the JSON of a script's values to the arguments of a host function.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::message::HostError;

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
    serde_json::from_str(value).map_err(|error| {
        HostError::new(format!("argument '{param}': {}", reason(&error)))
            .with_data(serde_json::json!({ "param": param }))
    })
}

/// The reason why a script's value does not have a type.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    // The position counts within the JSON, which the script has not written.
    let text = error.to_string();
    let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
    // The reason may quote the whole value.
    let cut = reason.floor_char_boundary(MAX_REASON);
    if cut < reason.len() { format!("{}…", &reason[..cut]) } else { reason.to_owned() }
}

/// Splits the arguments of a call. Returns `None` if they are not what an uncompromised worker sends.
pub(crate) fn split(args: &str, count: usize) -> Option<Vec<&RawValue>> {
    serde_json::from_str(args).ok().filter(|args: &Vec<_>| args.len() == count)
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

    #[test]
    fn arguments_are_read_by_type() {
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
        let error = read::<2, (String, u8)>("[7, 1]").expect_err("no string");
        assert!(error.message.starts_with("argument 'item': invalid type"), "{error}");
    }
}
