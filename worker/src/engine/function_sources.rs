//! The sources of a session's script functions, for tracebacks.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
};

use rhai::{AST, ImmutableString, ScriptFuncDef};

use super::meter::INIT_PLAY;
use crate::message::Play;

/// Maximum number of kept texts.
const MAX_TEXTS: usize = 1024;

/// Maximum size of all kept texts, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// Number of bytes of session memory for each byte of kept text. The functions of a text take more than that.
const MEMORY_SHARE: u64 = 64;

/// A script that a play or the init script has evaluated.
#[derive(Debug)]
pub(crate) struct PlaySource {
    pub(crate) number: u64,
    pub(crate) name: Option<Box<str>>,
    /// The script; `None` once it is dropped, and for the init script, whose text no traceback shows.
    text: RefCell<Option<Box<str>>>,
}

impl PlaySource {
    /// The source of a play, with its text.
    pub(super) fn new(play: &Play<'_>) -> Rc<Self> {
        let text = (play.number != INIT_PLAY).then(|| play.script.into());
        Rc::new(Self { number: play.number, name: play.name.map(Into::into), text: RefCell::new(text) })
    }

    /// Calls a function with the text, if it is kept.
    pub(crate) fn with_text<T>(&self, read: impl FnOnce(&str) -> T) -> Option<T> {
        self.text.borrow().as_deref().map(read)
    }
}

/// The key by which Rhai identifies a function: name, number of parameters and type of `this`.
type FunctionKey = (ImmutableString, usize, Option<ImmutableString>);

fn key(function: &ScriptFuncDef) -> FunctionKey {
    (function.name.clone(), function.params.len(), function.this_type.clone())
}

/// The sources of the functions that plays and the init script have defined.
///
/// The texts of plays without functions are not kept, because no later play can have a frame in them. The texts count
/// to the session's memory.
#[derive(Debug)]
pub(crate) struct FunctionSources {
    functions: BTreeMap<FunctionKey, Rc<PlaySource>>,
    /// The sources with texts, oldest first.
    kept: VecDeque<Rc<PlaySource>>,
    bytes: usize,
    max_bytes: usize,
}

impl FunctionSources {
    /// Creates the sources of a session with a memory limit, in bytes.
    pub(crate) fn new(memory: u64) -> Self {
        let max_bytes = usize::try_from(memory / MEMORY_SHARE).unwrap_or(MAX_BYTES).min(MAX_BYTES);
        Self { functions: BTreeMap::new(), kept: VecDeque::new(), bytes: 0, max_bytes }
    }

    /// Records a play that defines functions.
    pub(crate) fn add(&mut self, play: &Play<'_>, ast: &AST) {
        let source = PlaySource::new(play);
        for function in ast.iter_fn_def() {
            self.functions.insert(key(function), source.clone());
        }
        self.keep(source);
    }

    fn keep(&mut self, source: Rc<PlaySource>) {
        let length = |source: &PlaySource| source.with_text(str::len).unwrap_or_default();
        self.bytes += length(&source);
        self.kept.push_back(source);
        if self.bytes <= self.max_bytes && self.kept.len() <= MAX_TEXTS {
            return;
        }
        // First the texts whose functions later plays have replaced.
        self.kept.retain(|source| Rc::strong_count(source) > 1);
        self.bytes = self.kept.iter().map(|source| length(source)).sum();
        while self.bytes > self.max_bytes || self.kept.len() > MAX_TEXTS {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.bytes -= length(&oldest);
            oldest.text.replace(None);
        }
    }

    /// The source of a function of the session.
    pub(crate) fn source(&self, function: &ScriptFuncDef) -> Option<&Rc<PlaySource>> {
        self.functions.get(&key(function))
    }
}

#[cfg(test)]
mod tests {
    use rhai::Engine;

    use super::*;

    fn add(sources: &mut FunctionSources, number: u64, script: &str) -> AST {
        let ast = Engine::new().compile(script).expect("it parses");
        sources.add(&Play { number, script, name: None, bind: None }, &ast);
        ast
    }

    fn text_of(sources: &FunctionSources, ast: &AST) -> Option<String> {
        let function = ast.iter_fn_def().next().expect("a function").clone();
        sources.source(&function)?.with_text(str::to_owned)
    }

    #[test]
    fn texts_are_bounded_in_number_and_bytes() {
        let mut sources = FunctionSources::new(64 << 20);
        let first = add(&mut sources, 1, "fn first() { 1 }");
        for number in 2..2000 {
            add(&mut sources, number, &format!("fn f{number}() {{ 1 }}"));
        }
        assert_eq!(sources.kept.len(), MAX_TEXTS);
        assert_eq!(text_of(&sources, &first), None);
        let huge = "x".repeat(MAX_BYTES);
        let last = add(&mut sources, 2000, "fn last() { 1 }");
        add(&mut sources, 2001, &format!("fn huge() {{ 1 }} // {huge}"));
        assert!(sources.bytes <= MAX_BYTES && sources.kept.is_empty());
        assert_eq!(text_of(&sources, &last), None);
        let number = |ast: &AST| {
            let function = ast.iter_fn_def().next().expect("a function").clone();
            sources.source(&function).map(|source| source.number)
        };
        assert_eq!((number(&first), number(&last)), (Some(1), Some(2000)));
    }

    #[test]
    fn text_of_replaced_functions_goes_first() {
        let mut sources = FunctionSources::new(64 << 20);
        let kept = add(&mut sources, 1, "fn kept() { 1 }");
        for number in 2..5000 {
            add(&mut sources, number, &format!("fn f() {{ {number} }}"));
        }
        assert_eq!(text_of(&sources, &kept).as_deref(), Some("fn kept() { 1 }"));
        assert_eq!(sources.bytes, sources.kept.iter().filter_map(|source| source.with_text(str::len)).sum::<usize>());
    }

    #[test]
    fn session_with_little_memory_keeps_little_text() {
        let mut sources = FunctionSources::new(1 << 10);
        let long = add(&mut sources, 1, "fn f() { /* longer than sixteen bytes */ 1 }");
        assert_eq!((text_of(&sources, &long), sources.bytes), (None, 0));
    }
}
