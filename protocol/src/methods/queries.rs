//! What can be asked of an environment beside its plays: `complete`, `scope`, `lookup`.

use serde::{Deserialize, Serialize};

use crate::{Params, RpcError, method::ParamValues};

params! {
    /// Parameters of `complete`.
    CompleteParams {
        /// The script that is being typed.
        script: String,
        /// Where, in Unicode scalar values from its start.
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
        /// Where the word begins that a candidate replaces up to the cursor; in Unicode scalar values.
        start: u64,
        /// At most 200, the nearest first.
        candidates: Vec<Candidate>,
    }

    /// Something that may stand at the cursor.
    Candidate {
        /// What replaces the word.
        text: String,
        /// What it is.
        kind: CandidateKind,
        /// The type of a value, the signature of a function (with `(+2)` for two more of that name); empty for others.
        detail: String,
    }

    /// Result of `scope`.
    ScopeResult {
        /// The variables and constants, in the order in which they were made.
        variables: Vec<Variable>,
        /// The script functions, by name.
        functions: Vec<ScopeFunction>,
    }

    /// A variable or a constant.
    Variable {
        /// Its name.
        name: String,
        /// Rhai's name for its type.
        r#type: String,
        /// Its value as text; not while a play runs, and not if it has more than 1 KiB.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<String>,
        /// Whether it is a constant.
        constant: bool,
    }

    /// A script function.
    ScopeFunction {
        /// Its name.
        name: String,
        /// The names of its parameters.
        params: Vec<String>,
    }

    /// Result of `lookup`.
    LookupResult {
        /// The functions of that name; none if there is no such name.
        functions: Vec<FunctionDoc>,
    }

    /// What is known of a function.
    FunctionDoc {
        /// Its name, parameters and result.
        signature: String,
        /// Its documentation; empty without one.
        doc: String,
        /// Where it comes from.
        origin: Origin,
    }
}

/// What a candidate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum CandidateKind {
    /// A variable.
    Variable,
    /// A constant.
    Constant,
    /// A function.
    Function,
    /// A function behind a dot.
    Method,
    /// A property of a map or of an engine's type.
    Property,
    /// A word of the language.
    Keyword,
    /// A module, or what it was imported as.
    Module,
}

/// Where a function comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A play of this session.
    Session,
    /// The circle's own script.
    Circle,
    /// A module that was imported.
    Module,
    /// The program that serves the circle.
    Host,
    /// The circle's engine.
    Native,
    /// Rhai.
    Standard,
}
