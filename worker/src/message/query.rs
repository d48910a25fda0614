//! What can be asked of an environment beside its plays: completions, what it holds, what a function does.
//!
//! Names, types and functions come from the [`Inventory`], which any thread may read; values and the members of maps
//! from the environment itself, which only the thread that evaluates can see.

mod completion;
mod docs;
mod inventory;
mod library;
mod lookup;
mod scanner;
mod scope;

use rhai::{Engine, Scope};
use serde::{Deserialize, Serialize};

pub(crate) use inventory::{Inventory, SharedInventory};
pub(crate) use scanner::without_stray_docs;

/// Candidates in one answer at the most.
pub const MAX_CANDIDATES: usize = 200;

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
pub(crate) struct Inquiry {
    pub(crate) number: u64,
    pub(crate) query: Query,
}

/// The answer to a [`Query`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Query::Complete`].
    Complete(Completion),
    /// To [`Query::Scope`].
    Scope(Listing),
    /// To [`Query::Lookup`].
    Lookup(Vec<FunctionDoc>),
    /// The answer would have more bytes than the output of a play may have; not to [`Query::Complete`].
    TooLarge,
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
pub struct Listing {
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

/// The environment between plays.
#[derive(Clone, Copy)]
pub(crate) struct Values<'e> {
    pub(crate) engine: &'e Engine,
    pub(crate) scope: &'e Scope<'static>,
}

/// Answers a query; without values while a play runs. What depends on the query alone is found out before the inventory is
/// taken, for which the other thread may wait.
pub(crate) fn answer(query: &Query, inventory: &SharedInventory, values: Option<Values<'_>>) -> Answer {
    match query {
        Query::Complete { before } => Answer::Complete(completion::complete(before, inventory, values)),
        Query::Scope => scope::list(&inventory.lock(), values).map_or(Answer::TooLarge, Answer::Scope),
        Query::Lookup { name } => lookup::find(name, &inventory.lock()).map_or(Answer::TooLarge, Answer::Lookup),
    }
}

impl Answer {
    /// Bytes of it, as [`Budget`] counts them.
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

/// Counts the bytes of an answer against the output limit.
#[derive(Debug)]
struct Budget {
    left: u64,
}

/// What each entry counts beside its texts: more than its encoding adds to them.
const ENTRY_COST: usize = 32;

impl Budget {
    /// Takes the room for one entry; false if there is not enough.
    fn take(&mut self, texts: &[&str]) -> bool {
        self.take_bytes(ENTRY_COST + texts.iter().map(|text| text.len()).sum::<usize>())
    }

    fn take_bytes(&mut self, bytes: usize) -> bool {
        match self.left.checked_sub(bytes as u64) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
