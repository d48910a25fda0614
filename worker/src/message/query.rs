//! Questions to an environment beside its plays, and the answers.

use serde::{Deserialize, Serialize};

/// Candidates in one answer at the most.
pub const MAX_CANDIDATES: usize = 200;

/// What each entry counts beside its texts: more than its encoding adds to them.
pub(crate) const ENTRY_COST: usize = 32;

/// A question to an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// What may stand at the end of this text.
    Complete {
        /// The script before the cursor.
        before: String,
    },
    /// The variables and script functions.
    Scope,
    /// The functions of a name.
    Lookup {
        /// `name`, or `alias::name` for one of an imported module.
        name: String,
    },
}

/// A query under a number that tells the queries of one worker apart.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct NumberedQuery {
    pub(crate) number: u64,
    pub(crate) query: Query,
}

/// The answer to a [`Query`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueryAnswer {
    /// To [`Query::Complete`].
    Complete(Completion),
    /// To [`Query::Scope`].
    Scope(ScopeListing),
    /// To [`Query::Lookup`].
    Lookup(Vec<FunctionDoc>),
    /// The answer would have more bytes than the output of a play may have; not to [`Query::Complete`].
    TooLarge,
}

impl QueryAnswer {
    /// Bytes of it, as the bound of an answer counts them.
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

/// What may stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completion {
    /// Where the word begins that a candidate replaces; counts Unicode scalar values from the start of the text.
    pub start: u64,
    /// At most [`MAX_CANDIDATES`], the nearest first.
    pub candidates: Vec<Candidate>,
}

/// Something that may stand at the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// What replaces the word.
    pub text: String,
    /// What it is.
    pub kind: CandidateKind,
    /// The type of a value, the signature of a function (`(+2)` for two more of that name); empty for others.
    pub detail: String,
}

/// What a [`Candidate`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// What an environment holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeListing {
    /// In the order in which they were made.
    pub variables: Vec<VariableEntry>,
    /// The script functions, by name.
    pub functions: Vec<FunctionEntry>,
}

/// A variable or a constant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariableEntry {
    /// Its name.
    pub name: String,
    /// Rhai's name of its type.
    pub type_name: String,
    /// Its value as text; `None` while a play runs, or if it is too large.
    pub output: Option<String>,
    /// Whether it is a constant.
    pub is_constant: bool,
}

/// A script function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionEntry {
    /// Its name.
    pub name: String,
    /// The names of its parameters.
    pub params: Vec<String>,
}

/// What is known of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionDoc {
    /// Its name, parameters and result.
    pub signature: String,
    /// Its doc comment, without what marks it as one; empty without one.
    pub doc: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a function comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// A play of this session.
    Session,
    /// The circle's own script.
    Circle,
    /// A module that was imported.
    Module,
    /// The program that holds the worker: a function of one of its modules.
    Host,
    /// The worker.
    Native,
    /// Rhai.
    Standard,
}
