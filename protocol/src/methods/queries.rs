//! The queries of an environment: `complete`, `scope`, `lookup`.

use serde::{Deserialize, Serialize};

use crate::{Params, RpcError, method::ParamValues};

params! {
    /// Parameters of `complete`.
    CompleteParams {
        /// The script as typed so far.
        script: String,
        /// The position of the cursor, in Unicode scalar values from the start of the script.
        cursor: u64,
    }

    /// Parameters of `lookup`.
    LookupParams {
        /// The name of a function, or `alias::name` for one of an imported module.
        name: String,
    }
}

results! {
    /// Result of `complete`.
    CompleteResult {
        /// The start of the word that a candidate replaces, up to the cursor; in Unicode scalar values.
        start: u64,
        /// At most 200 candidates, the nearest scope first.
        candidates: Vec<Candidate>,
    }

    /// A candidate for the text at the cursor.
    Candidate {
        /// The replacement for the word.
        text: String,
        /// The kind of the candidate.
        kind: CandidateKind,
        /// The type of a value, or the signature of a function (with `(+2)` if two more functions have this name);
        /// empty for others.
        detail: String,
    }

    /// Result of `scope`.
    ScopeResult {
        /// The variables and constants, in the order of their declaration.
        variables: Vec<Variable>,
        /// The script functions, sorted by name.
        functions: Vec<ScopeFunction>,
    }

    /// A variable or a constant of a script.
    Variable {
        /// The name.
        name: String,
        /// Rhai's name for its type.
        r#type: String,
        /// The value as text; missing while a play runs, and for a value of more than 1 KiB.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
        /// The number of characters of a string, items of an array, properties of a map, or bytes of a blob; missing for
        /// other types, and while a play runs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        length: Option<u64>,
        /// Whether this is a constant.
        constant: bool,
    }

    /// A script function.
    ScopeFunction {
        /// The name.
        name: String,
        /// The names of its parameters.
        params: Vec<String>,
    }

    /// Result of `lookup`.
    LookupResult {
        /// The functions with this name; empty if there are none.
        functions: Vec<FunctionDoc>,
    }

    /// The documentation of a function.
    FunctionDoc {
        /// The name, parameters and result.
        signature: String,
        /// The doc comment; empty if the function has none.
        doc: String,
        /// The origin of the function.
        origin: Origin,
    }
}

/// The kind of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CandidateKind {
    /// A variable.
    Variable,
    /// A constant.
    Constant,
    /// A function.
    Function,
    /// A function called as a method, after a dot.
    Method,
    /// A property of a map or of a type of the engine.
    Property,
    /// A keyword of the language.
    Keyword,
    /// A module, or the name under which it was imported.
    Module,
    /// A kind of a later version of the protocol.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}

/// The origin of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Origin {
    /// A script of this session.
    Session,
    /// The circle's init script.
    Circle,
    /// An imported module.
    Module,
    /// The program that serves the circle.
    Host,
    /// The engine of the circle.
    Native,
    /// Rhai's standard library.
    Standard,
    /// An origin of a later version of the protocol.
    #[serde(other)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Unknown,
}
