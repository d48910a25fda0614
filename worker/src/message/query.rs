//! Queries about an environment besides its plays, and their answers.

use serde::{Deserialize, Serialize};

/// Maximum number of candidates in one answer.
pub const MAX_CANDIDATES: usize = 200;

/// Cost of an entry besides its texts, in bytes: more than its encoding adds.
pub(crate) const ENTRY_COST: usize = 32;

/// A query about an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// Complete the end of a text.
    Complete {
        /// The script before the cursor.
        before: String,
    },
    /// List the variables and script functions.
    Scope,
    /// Look up the functions of a name.
    Lookup {
        /// `name`, or `alias::name` for a function of an imported module.
        name: String,
    },
}

/// A query with a number that is unique within its worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NumberedQuery {
    pub(crate) number: u64,
    pub(crate) query: Query,
}

/// The answer to a [`Query`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueryAnswer {
    /// The answer to [`Query::Complete`].
    Complete(Completion),
    /// The answer to [`Query::Scope`].
    Scope(ScopeListing),
    /// The answer to [`Query::Lookup`].
    Lookup(Vec<FunctionDoc>),
    /// The answer would exceed the output limit of a play. Never the answer to [`Query::Complete`].
    TooLarge,
}

impl QueryAnswer {
    /// Size of the answer in bytes, as its bound counts them.
    pub(crate) fn weight(&self) -> usize {
        let texts = |texts: &[&str]| ENTRY_COST + texts.iter().map(|text| text.len()).sum::<usize>();
        match self {
            Self::Complete(completion) => {
                completion.candidates.iter().map(|candidate| texts(&[&candidate.text, &candidate.detail])).sum()
            }
            Self::Scope(listing) => {
                let variables = listing.variables.iter().map(|variable| {
                    texts(&[&variable.name, &variable.type_name, variable.output.as_deref().unwrap_or_default()])
                });
                let functions = listing.functions.iter().map(|function| {
                    let params: usize = function.params.iter().map(|param| texts(&[param])).sum();
                    texts(&[&function.name]) + params
                });
                variables.chain(functions).sum()
            }
            Self::Lookup(docs) => docs.iter().map(|doc| texts(&[&doc.signature, &doc.doc])).sum(),
            Self::TooLarge => 0,
        }
    }
}

/// The completions at the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// Start of the word that a candidate replaces, in Unicode scalar values from the start of the text.
    pub start: u64,
    /// The candidates, nearest first, at most [`MAX_CANDIDATES`].
    pub candidates: Vec<Candidate>,
}

/// A completion at the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The replacement of the word.
    pub text: String,
    /// The kind of the candidate.
    pub kind: CandidateKind,
    /// The type of a value, or the signature of a function (with `(+2)` for two more functions of that name); otherwise
    /// empty.
    pub detail: String,
}

/// The kind of a [`Candidate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CandidateKind {
    /// A variable.
    Variable,
    /// A constant.
    Constant,
    /// A function.
    Function,
    /// A function called with a dot.
    Method,
    /// A property of a map or of a native type.
    Property,
    /// A keyword of the language.
    Keyword,
    /// A module, or the alias of an imported one.
    Module,
}

/// The variables and script functions of an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeListing {
    /// The variables, in the order of their declaration.
    pub variables: Vec<VariableEntry>,
    /// The script functions, sorted by name.
    pub functions: Vec<FunctionEntry>,
}

/// A variable or a constant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariableEntry {
    /// The name.
    pub name: String,
    /// The name of the type in Rhai.
    pub type_name: String,
    /// The value as text; `None` while a play runs, or if the value is too large.
    pub output: Option<String>,
    /// The number of characters of a string, items of an array, properties of a map, or bytes of a blob; `None` for other
    /// types, and while a play runs.
    pub length: Option<u64>,
    /// Whether the entry is a constant.
    pub is_constant: bool,
}

/// A script function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionEntry {
    /// The name.
    pub name: String,
    /// The names of the parameters.
    pub params: Vec<String>,
}

/// The documentation of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionDoc {
    /// The function's name, parameters and result.
    pub signature: String,
    /// The doc comment without comment markers, or an empty text.
    pub doc: String,
    /// The origin of the function.
    pub origin: Origin,
}

/// The origin of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// A play of this session.
    Session,
    /// The init script.
    Init,
    /// An imported module.
    Module,
    /// A host module: the program that owns the worker offers the function.
    Host,
    /// The worker's native functions.
    Native,
    /// Rhai's standard library.
    Standard,
}
