//! Validation of the names of host functions. The program checks them before it starts a worker.

use std::collections::HashSet;

use rhai::{Engine, is_valid_identifier};

use crate::message::HostModule;

/// The reason why host functions cannot be offered to scripts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostNameError {
    /// Scripts cannot write the call: a name in it is not an identifier, or is a keyword.
    Unwritable {
        /// The call.
        call: String,
    },
    /// The function is in no module.
    NoModule {
        /// The function's name.
        name: String,
    },
    /// Two modules have this name, or two functions have this name and the same number of parameters.
    Duplicate {
        /// The name.
        name: String,
    },
    /// The function has more than 8 parameters.
    TooManyParams {
        /// The function's name.
        name: String,
    },
}

impl std::fmt::Display for HostNameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unwritable { call } => write!(f, "scripts cannot call {call}: not every name in it is an identifier"),
            Self::NoModule { name } => write!(f, "{name} is in no module: name it MODULE::{name}"),
            Self::Duplicate { name } => write!(f, "{name} is defined twice"),
            Self::TooManyParams { name } => write!(f, "{name} has more than {MAX_PARAMS} parameters"),
        }
    }
}

impl std::error::Error for HostNameError {}

/// Maximum number of parameters of a host function: each one doubles the time of a function lookup in Rhai.
const MAX_PARAMS: usize = 8;

impl HostModule {
    /// Checks that scripts can call all functions of the modules.
    ///
    /// # Errors
    ///
    /// Returns the first [`HostNameError`].
    pub fn check(modules: &[Self]) -> Result<(), HostNameError> {
        let engine = Engine::new_raw();
        let mut names = HashSet::new();
        for module in modules {
            if module.name.is_empty()
                && let Some(function) = module.functions.first()
            {
                return Err(HostNameError::NoModule { name: function.name.clone() });
            }
            let call = format!("{}::f()", module.name);
            if !is_valid_identifier(&module.name) || module.name == "global" || engine.compile(&call).is_err() {
                let call = module.functions.first().map_or(call, |f| format!("{}::{}", module.name, f.call()));
                return Err(HostNameError::Unwritable { call });
            }
            if !names.insert(module.name.clone()) {
                return Err(HostNameError::Duplicate { name: module.name.clone() });
            }
            for function in &module.functions {
                let name = format!("{}::{}", module.name, function.name);
                if function.params.len() > MAX_PARAMS {
                    return Err(HostNameError::TooManyParams { name });
                }
                let call = format!("{}::{}", module.name, function.call());
                let is_callable =
                    std::iter::once(&function.name).chain(&function.params).all(|name| is_valid_identifier(name))
                        && engine.compile(format!("fn f({}) {{}} {call}", function.params.join(", "))).is_ok();
                if !is_callable {
                    return Err(HostNameError::Unwritable { call });
                }
                if !names.insert(format!("{name} {}", function.params.len())) {
                    return Err(HostNameError::Duplicate { name });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::HostFunction;

    #[test]
    fn host_module_check_rejects_uncallable_names() {
        let check = |module: &str, functions: &[(&str, &[&str])]| {
            let function = |(name, params): &(&str, &[&str])| HostFunction {
                name: (*name).into(),
                params: params.iter().map(|&param| param.into()).collect(),
                doc: String::new(),
                signature: None,
            };
            HostModule::check(&[HostModule {
                keeps_types: false,
                name: module.into(),
                functions: functions.iter().map(function).collect(),
            }])
        };
        assert_eq!(check("stock", &[("reserve", &["item"]), ("reserve", &[]), ("x1", &["a", "b"])]), Ok(()));
        for (module, name, params) in [
            ("stock room", "f", &["a"][..]),
            ("global", "f", &[]),
            ("fn", "f", &[]),
            ("stock", "while", &[]),
            ("stock", "", &[]),
            ("stock", "f", &["let"]),
            ("stock", "f", &["a", "a"]),
            ("stock", "f); loop {} (", &[]),
        ] {
            let checked = check(module, &[(name, params)]);
            assert!(matches!(checked, Err(HostNameError::Unwritable { .. })), "{module}::{name} {checked:?}");
        }
        assert_eq!(check("", &[("f", &[])]), Err(HostNameError::NoModule { name: "f".into() }));
        for module in ["fn", "global", "stock room", ""] {
            assert!(matches!(check(module, &[]), Err(HostNameError::Unwritable { .. })), "{module}");
        }
        assert_eq!(check("stock", &[]), Ok(()));
        let twice = check("stock", &[("f", &["a"]), ("f", &["b"])]);
        assert_eq!(twice, Err(HostNameError::Duplicate { name: "stock::f".into() }));
        assert!(matches!(check("stock", &[("f", &["a"; 9])]), Err(HostNameError::TooManyParams { .. })));
    }
}
