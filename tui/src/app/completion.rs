//! Candidates for what is being typed, and the one that is chosen.

/// What may stand where the cursor is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Completion {
    /// What was asked about: an answer to another text is of no use.
    pub input: String,
    /// Where the replaced word begins, and where the cursor is, in characters.
    pub start: usize,
    pub cursor: usize,
    pub candidates: Vec<Candidate>,
}

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub text: String,
    pub detail: String,
}
