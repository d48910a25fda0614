//! Arguments of a call.

#[cfg(test)]
mod tests;

use serde_json::{Value as Json, value::RawValue};

use super::{
    Mismatch, Parameter, Range, Signature, Type, Value,
    json::{self, Params},
    tags::MAX_TIMEOUT_MS,
    text::{did_you_mean, excerpt, truncate},
    types::{describe_value, push_member},
};

/// The reserved name among named parameters.
pub(super) const META: &str = "_meta";

/// What a request asks of a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Arguments {
    /// One value for each parameter, in the order of the parameters. An optional parameter without a value has its
    /// default, or [`Value::Unit`].
    pub values: Vec<Value>,
    /// `_meta.timeout_ms`, in milliseconds: 1 to 86,400,000.
    pub timeout_ms: Option<u64>,
    /// `_meta.once`, which the circle checks.
    pub once: Option<String>,
}

/// Parameters of a request that do not fit the function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct ArgumentFault {
    /// The parameter, as a path: `items[2].count`, `_meta.timeout_ms`, `[3]` for a surplus position, empty for `params`
    /// itself. At most 200 characters.
    pub param: String,
    /// What the function expects, and what the value is.
    pub reason: String,
}

impl ArgumentFault {
    fn new(param: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { param: param.into(), reason: reason.into() }
    }

    fn text(&self) -> String {
        if self.param.is_empty() { self.reason.clone() } else { format!("{}: {}", self.param, self.reason) }
    }
}

impl From<Mismatch> for ArgumentFault {
    fn from(mismatch: Mismatch) -> Self {
        Self { param: mismatch.path, reason: mismatch.reason }
    }
}

impl Signature {
    /// Checks the `params` of a request, given by name or by position, and fills in what is absent.
    ///
    /// `null` for an optional parameter is the same as no value. The values convert to the declared types: JSON's `1` is
    /// `Float(1.0)` for a `float`, and `2.0` is `Int(2)` for an `int`. A value is at most 64 levels deep, and each name of
    /// an object is there once.
    ///
    /// # Errors
    ///
    /// The first parameter that does not fit.
    pub fn arguments(&self, params: Option<&RawValue>) -> Result<Arguments, ArgumentFault> {
        let params = match params {
            None => Params::Absent,
            Some(raw) => serde_json::from_str(raw.get())
                .map_err(|error| ArgumentFault::new("", truncate(&json::invalid_json(&error), 200)))?,
        };
        let mut given: Vec<Option<Json>> = vec![None; self.params.len()];
        let mut meta = Meta::default();
        match params {
            Params::Absent => {}
            Params::Scalar => return Err(ArgumentFault::new("", "expected an object or an array")),
            Params::ByPosition(values) => {
                if values.len() > self.params.len() {
                    let param = format!("[{}]", self.params.len());
                    return Err(ArgumentFault::new(param, format!("surplus value, {}", self.expected_names())));
                }
                for ((slot, parameter), raw) in given.iter_mut().zip(&self.params).zip(values) {
                    *slot = Some(json::read(raw.get(), &parameter.name)?);
                }
            }
            Params::ByName(members) => {
                let mut has_meta = false;
                for (name, raw) in members {
                    if name == META {
                        if std::mem::replace(&mut has_meta, true) {
                            return Err(ArgumentFault::new(META, "given twice: keep one"));
                        }
                        meta = Meta::read(raw)?;
                        continue;
                    }
                    let found = self.params.iter().zip(&mut given).find(|(parameter, _)| parameter.name == name);
                    let Some((_, slot)) = found else { return Err(self.unknown_parameter(&name)) };
                    if slot.is_some() {
                        return Err(ArgumentFault::new(name, "given twice: keep one"));
                    }
                    *slot = Some(json::read(raw.get(), &name)?);
                }
            }
        }
        let values = self.params.iter().zip(given).map(|(parameter, value)| parameter.argument(value.as_ref()));
        Ok(Arguments { values: values.collect::<Result<_, _>>()?, timeout_ms: meta.timeout_ms, once: meta.once })
    }

    fn unknown_parameter(&self, name: &str) -> ArgumentFault {
        let mut param = String::new();
        push_member(&mut param, name);
        let names = self.params.iter().map(|parameter| &*parameter.name);
        let reason = match did_you_mean(name, names) {
            Some(near) => format!("unknown parameter, did you mean {near}?"),
            None => format!("unknown parameter, {}", self.expected_names()),
        };
        ArgumentFault::new(param, reason)
    }

    fn expected_names(&self) -> String {
        let names: Vec<_> = self.params.iter().map(|parameter| &*parameter.name).collect();
        let names = if names.is_empty() { "no parameters".to_owned() } else { truncate(&names.join(", "), 200) };
        format!("{} expects {names}", self.name)
    }

    /// Checks a result against `@returns`.
    ///
    /// # Errors
    ///
    /// The first part of the value that does not fit.
    pub fn check_result(&self, value: &Json) -> Result<(), Mismatch> {
        self.returns.r#type.check(value)
    }
}

impl Parameter {
    fn argument(&self, value: Option<&Json>) -> Result<Value, ArgumentFault> {
        match value {
            None | Some(Json::Null) if self.is_optional => Ok(self.default.clone().unwrap_or(Value::Unit)),
            None => {
                let expected = truncate(&self.r#type.to_string(), 200);
                Err(ArgumentFault::new(&self.name, format!("expected {expected}, but it is missing")))
            }
            Some(value) => self.r#type.convert(value).map_err(|mismatch| self.locate(mismatch)),
        }
    }

    /// Puts the name of the parameter before the path.
    fn locate(&self, mismatch: Mismatch) -> ArgumentFault {
        let separator = if mismatch.path.is_empty() || mismatch.path.starts_with('[') { "" } else { "." };
        let param = format!("{}{separator}{}", self.name, mismatch.path);
        ArgumentFault::new(truncate(&param, 200), mismatch.reason)
    }
}

/// What `_meta` has.
#[derive(Default)]
struct Meta {
    timeout_ms: Option<u64>,
    once: Option<String>,
}

impl Meta {
    fn read(raw: &RawValue) -> Result<Self, ArgumentFault> {
        let meta = json::read(raw.get(), META)?;
        let members = match &meta {
            Json::Null => return Ok(Self::default()),
            Json::Object(members) => members,
            _ => {
                let reason = format!("expected {{ timeout_ms?: int, once?: string }}, got {}", describe_value(&meta));
                return Err(ArgumentFault::new(META, reason));
            }
        };
        if let Some(name) = members.keys().find(|name| !["timeout_ms", "once"].contains(&name.as_str())) {
            let mut path = META.to_owned();
            push_member(&mut path, name);
            let reason = format!("unknown member {}, expected timeout_ms or once", excerpt(name));
            return Err(ArgumentFault::new(path, reason));
        }
        let member = |name| members.get(name).filter(|value| !value.is_null());
        let once = match member("once") {
            None => None,
            Some(Json::String(once)) => Some(once.clone()),
            Some(other) => {
                let reason = format!("expected a string, got {}", describe_value(other));
                return Err(ArgumentFault::new("_meta.once", reason));
            }
        };
        Ok(Self { timeout_ms: member("timeout_ms").map(read_timeout).transpose()?.flatten(), once })
    }
}

fn read_timeout(value: &Json) -> Result<Option<u64>, ArgumentFault> {
    let timeout = Type::Int { range: Range { start: Some(1), end: MAX_TIMEOUT_MS.try_into().ok() } };
    match timeout.convert(value) {
        Ok(Value::Int(timeout_ms)) => Ok(timeout_ms.try_into().ok()),
        Ok(_) => Ok(None),
        Err(mismatch) => Err(ArgumentFault::new("_meta.timeout_ms", format!("{}, in milliseconds", mismatch.reason))),
    }
}
