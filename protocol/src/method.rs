//! The traits of a method: its name, its parameters and its result.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{Id, RpcError};

/// A method of the protocol, as a type that server and client share.
pub trait Method {
    /// The name on the wire.
    const NAME: &'static str;
    /// The type of the parameters.
    type Params: Params;
    /// The type of the result.
    type Result: Serialize + DeserializeOwned;
}

/// A visitor of all methods, each passed as a type.
#[cfg(feature = "schema")]
pub(crate) trait MethodVisitor {
    fn method<M: Method<Params: schemars::JsonSchema, Result: schemars::JsonSchema>>(
        &mut self,
        name: crate::MethodName,
    );
}

/// The parameters of a method, by name or by position.
pub trait Params: Serialize + Sized {
    /// The names of the parameters, in the order of their positions.
    const NAMES: &'static [&'static str];

    /// Reads each parameter from the values in a request.
    ///
    /// # Errors
    ///
    /// A parameter is missing or has the wrong type ([`RpcError::InvalidParams`]).
    fn take(param_values: ParamValues<'_>) -> Result<Self, RpcError>;

    /// Reads the `params` of a request; `None` stands for a request without `params`.
    ///
    /// # Errors
    ///
    /// [`RpcError::InvalidParams`], which names the parameter: it is unknown, missing or repeated, it has the wrong
    /// type, or there are too many parameters by position.
    fn from_raw(raw: Option<&RawValue>) -> Result<Self, RpcError> {
        Self::take(ParamValues::read(raw, Self::NAMES)?)
    }
}

/// The parameters of a request by name, as unparsed JSON.
#[derive(Debug)]
pub struct ParamValues<'a>(Vec<(&'static str, &'a RawValue)>);

impl<'a> ParamValues<'a> {
    fn read(raw: Option<&'a RawValue>, names: &'static [&'static str]) -> Result<Self, RpcError> {
        let Some(raw) = raw else { return Ok(Self(Vec::new())) };
        if raw.get().starts_with('[') {
            let values: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|_| RpcError::Parse)?;
            if values.len() > names.len() {
                let reason = format!("too many parameters: at most {}", names.len());
                return Err(invalid(format!("[{}]", names.len()), reason));
            }
            return Ok(Self(names.iter().copied().zip(values).collect()));
        }
        let Members(members) = serde_json::from_str(raw.get()).map_err(|_| RpcError::Parse)?;
        let mut param_values = Self(Vec::with_capacity(members.len().min(names.len())));
        for (name, value) in members {
            let Some(param_name) = names.iter().find(|param_name| **param_name == name) else {
                return Err(invalid(name.into_owned(), "is unknown".into()));
            };
            if param_values.0.iter().any(|(name, _)| name == param_name) {
                return Err(invalid((*param_name).into(), "is repeated".into()));
            }
            param_values.0.push((param_name, value));
        }
        Ok(param_values)
    }

    /// Reads one parameter.
    ///
    /// # Errors
    ///
    /// The parameter is missing or has the wrong type ([`RpcError::InvalidParams`]).
    pub fn param<T: Param>(&self, name: &'static str) -> Result<T, RpcError> {
        let Some((_, raw)) = self.0.iter().find(|(param_name, _)| *param_name == name) else {
            return T::default_if_missing().ok_or_else(|| invalid(name.into(), "is missing".into()));
        };
        serde_json::from_str(raw.get()).map_err(|error| invalid(name.into(), error_reason(&error)))
    }
}

fn invalid(param: String, reason: String) -> RpcError {
    let param = if param.len() > 64 { "(a name of more than 64 bytes)".into() } else { param };
    RpcError::InvalidParams { param, reason }
}

/// The reason without the position that `serde_json` appends: that position counts within the parameter alone and would
/// mislead. The length is bounded because the reason can quote the parameter.
fn error_reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().chars().take(160).collect()
}

/// The members of an object in their order, including members that occur twice.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry::<Name, &RawValue>()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
        deserializer.deserialize_map(Visitor)
    }
}

/// The type of a parameter.
pub trait Param: DeserializeOwned {
    /// The value of a missing parameter; `None` if the parameter is required.
    fn default_if_missing() -> Option<Self> {
        None
    }
}

impl Param for String {}
impl Param for u64 {}
impl Param for Id {}
impl<T: DeserializeOwned> Param for Option<T> {
    fn default_if_missing() -> Option<Self> {
        Some(None)
    }
}
