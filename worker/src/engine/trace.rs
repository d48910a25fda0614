//! Tracebacks: the places in scripts that lead to an error.
//!
//! Rhai reports the names of the functions that an error has passed through, and the positions of their calls, but not
//! in which script the functions are. All functions of a session are in one library. So a function is found by its name
//! and by the position inside of it.

use std::{collections::HashMap, rc::Rc};

use rhai::{AST, EvalAltResult, ImmutableString, Module, Position as RhaiPosition, ScriptFuncDef, Shared};

use super::{
    failure::{MAX_NAME, shorten},
    function_sources::{FunctionSources, PlaySource},
    meter::INIT_PLAY,
    modules::ModuleLoader,
    position::to_position,
};
use crate::message::{CLOSURE, Play, Position, TraceFrame, TraceSource};

/// Maximum number of frames at either end of a traceback.
const MAX_FRAMES: usize = 16;

/// Maximum size of the shown part of a line, in bytes.
const MAX_LINE: usize = 1 << 10;

/// A function file.
pub(crate) struct FileSource {
    /// The path, which Rhai associates with the functions of the file.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The functions, private ones and closures included.
    pub(crate) functions: Shared<Module>,
}

/// The outermost level of the tracebacks of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TraceRoot {
    /// The script of the play.
    Script,
    /// The top level of a function file, by its index.
    File(usize),
    /// A call, which has no script.
    Call,
}

/// The sources to which the errors of a play can refer.
pub(crate) struct Sources<'a> {
    pub(crate) root: TraceRoot,
    /// The play.
    pub(crate) play: &'a Play<'a>,
    /// The functions of the session, those of the play included.
    pub(crate) functions: &'a AST,
    /// The sources of these functions.
    pub(crate) origins: &'a FunctionSources,
    pub(crate) modules: &'a ModuleLoader,
    pub(crate) files: &'a [FileSource],
}

/// A source of code.
#[derive(Debug, Clone)]
enum CodeSource {
    /// The script of the running play, or the init script while it runs.
    Current,
    /// A play, or the init script.
    Play(Rc<PlaySource>),
    /// A module, by the path of its file.
    Module(ImmutableString),
    /// A function file, by its index.
    File(usize),
    Unknown,
}

impl PartialEq for CodeSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Current, Self::Current) | (Self::Unknown, Self::Unknown) => true,
            (Self::Play(one), Self::Play(other)) => Rc::ptr_eq(one, other),
            (Self::Module(one), Self::Module(other)) => one == other,
            (Self::File(one), Self::File(other)) => one == other,
            _ => false,
        }
    }
}

/// The top level of a source, or one of its functions.
#[derive(Debug, Clone, PartialEq)]
struct Place {
    source: CodeSource,
    function: Option<String>,
}

/// An error without its calls, and the calls.
pub(super) struct Unwound {
    /// The error where it occurred, without its position.
    pub(super) error: EvalAltResult,
    /// The position in the script of the play: of the error, or of the call that leads to it.
    pub(super) position: Option<Position>,
    /// The innermost script function, if it has a name.
    pub(super) function: Option<String>,
    /// The place where the error occurred.
    pub(super) at: TraceFrame,
    /// The frames, innermost first; as in [`ScriptError::trace`](crate::ScriptError::trace).
    pub(super) trace: Vec<TraceFrame>,
}

/// Separates an error from the calls that lead to it.
pub(super) fn unwind(mut error: EvalAltResult, sources: &Sources<'_>) -> Unwound {
    let mut finder = FunctionFinder { sources, functions: HashMap::new() };
    let source = match sources.root {
        TraceRoot::Script | TraceRoot::Call => CodeSource::Current,
        TraceRoot::File(index) => CodeSource::File(index),
    };
    let mut place = Place { source, function: None };
    // Outermost first.
    let mut levels: Vec<(Place, RhaiPosition)> = Vec::new();
    loop {
        match error {
            EvalAltResult::ErrorInFunctionCall(name, source, inner, call) => {
                // A native function that calls back has no source. Its callback has the position of the native's call.
                if let Some(source) = finder.find(&name, &source, inner.position()) {
                    let function = Some(if name.starts_with("anon$") { CLOSURE.into() } else { name });
                    levels.push((std::mem::replace(&mut place, Place { source, function }), call));
                }
                error = *inner;
            }
            EvalAltResult::ErrorInModule(name, inner, import) => {
                let source = CodeSource::Module(ModuleLoader::file(&name));
                levels.push((std::mem::replace(&mut place, Place { source, function: None }), import));
                error = *inner;
            }
            _ => break,
        }
    }
    let at = error.take_position();
    let innermost = frame(place.clone(), at, sources);
    let function = place.function.clone().filter(|name| name != CLOSURE).map(|name| shorten(name, MAX_NAME));
    levels.push((place, at));
    if sources.root == TraceRoot::Call {
        levels.remove(0);
    }
    let own = levels.iter().take_while(|(place, _)| place.source == CodeSource::Current);
    let position = own.last().and_then(|(_, position)| to_position(*position));
    let trace = match sources.root {
        TraceRoot::Script if levels.len() == 1 => top_level(sources.play, at),
        _ => frames(levels, sources),
    };
    Unwound { error, position, function, at: innermost, trace }
}

/// The traceback of an error at the top level of a play's script. The position of the error says everything, unless the
/// script has a name, or is the init script, which no client has sent.
pub(super) fn top_level(play: &Play<'_>, position: RhaiPosition) -> Vec<TraceFrame> {
    if play.name.is_none() && play.number != INIT_PLAY {
        return Vec::new();
    }
    vec![describe_frame(Place { source: CodeSource::Current, function: None }, position, play, &[])]
}

/// Finds the sources of functions.
struct FunctionFinder<'a> {
    sources: &'a Sources<'a>,
    /// The functions of a name, because a recursion can have many frames.
    functions: HashMap<String, Vec<(Shared<ScriptFuncDef>, CodeSource)>>,
}

impl FunctionFinder<'_> {
    /// Finds the function that contains a position. Returns `None` if no script function can have this name there, so
    /// that it is a native one. `module` is the file of the module that Rhai associates with the call, or empty.
    fn find(&mut self, name: &str, module: &str, inside: RhaiPosition) -> Option<CodeSource> {
        if !self.functions.contains_key(name) {
            self.functions.insert(name.to_owned(), self.named(name));
        }
        let candidates = self.functions.get(name)?;
        let is_named = |source: &CodeSource| match source {
            CodeSource::Module(file) => file == module,
            CodeSource::File(index) => self.sources.files.get(*index).is_some_and(|file| file.path == module),
            _ => false,
        };
        let fitting = candidates.iter().filter(|(function, _)| contains(function, inside));
        // Rhai associates a closure with the module that calls it. Of several functions, the smallest is likely the one.
        let found = fitting.min_by_key(|(function, source)| (!is_named(source), size(function)));
        match found {
            Some((_, source)) => Some(source.clone()),
            // Another input has defined the same closure since.
            None => name.starts_with("anon$").then_some(CodeSource::Unknown),
        }
    }

    /// The script functions of a name: first those of the session, as scripts find them.
    fn named(&self, name: &str) -> Vec<(Shared<ScriptFuncDef>, CodeSource)> {
        let is_named = |function: &&Shared<ScriptFuncDef>| function.name == name;
        let source_of = |function: &ScriptFuncDef| match self.sources.origins.source(function) {
            Some(source) if source.number == self.sources.play.number => CodeSource::Current,
            Some(source) => CodeSource::Play(source.clone()),
            None => CodeSource::Unknown,
        };
        let session = self.sources.functions.iter_fn_def().filter(is_named);
        let mut found: Vec<_> = session.map(|function| (function.clone(), source_of(function))).collect();
        self.sources.modules.each_function(|file, function| {
            if is_named(&function) {
                found.push((function.clone(), CodeSource::Module(file.clone())));
            }
        });
        for (index, file) in self.sources.files.iter().enumerate() {
            let functions = file.functions.iter_script_fn_info().map(|(.., function)| function).filter(is_named);
            found.extend(functions.map(|function| (function.clone(), CodeSource::File(index))));
        }
        found
    }
}

/// Whether the body of a function contains a position, as far as Rhai knows.
fn contains(function: &ScriptFuncDef, position: RhaiPosition) -> bool {
    let (start, end) = (function.body.start_position(), function.body.end_position());
    position.is_none() || start.is_none() || (start <= position && (end.is_none() || position <= end))
}

/// The size of a function's body, for comparisons: lines, and characters of its last line.
fn size(function: &ScriptFuncDef) -> (usize, usize) {
    let (start, end) = (function.body.start_position(), function.body.end_position());
    let lines = end.line().unwrap_or_default().saturating_sub(start.line().unwrap_or_default());
    (lines, end.position().unwrap_or_default())
}

/// Converts levels, outermost first, to frames, innermost first. Repeated frames become one, and the middle of a long
/// traceback is left out.
fn frames(levels: Vec<(Place, RhaiPosition)>, sources: &Sources<'_>) -> Vec<TraceFrame> {
    let mut folded: Vec<(Place, RhaiPosition, u64)> = Vec::new();
    for (place, position) in levels.into_iter().rev() {
        match folded.last_mut() {
            Some((last, at, repeats)) if *at == position && *last == place => *repeats += 1,
            _ => folded.push((place, position, 0)),
        }
    }
    let total = folded.len();
    let is_shown = |index: usize| index < MAX_FRAMES || index + MAX_FRAMES >= total;
    let omitted = folded.iter().enumerate().filter(|(index, _)| !is_shown(*index));
    let omitted = omitted.map(|(_, (.., repeats))| repeats + 1).sum();
    let shown = folded.into_iter().enumerate().filter(|(index, _)| is_shown(*index));
    let frame = |(index, (place, position, repeats))| {
        let omitted = if index + 1 == MAX_FRAMES { omitted } else { 0 };
        TraceFrame { repeats, omitted, ..frame(place, position, sources) }
    };
    shown.map(frame).collect()
}

fn frame(place: Place, position: RhaiPosition, sources: &Sources<'_>) -> TraceFrame {
    describe_frame(place, position, sources.play, sources.files)
}

fn describe_frame(
    Place { source, function }: Place,
    position: RhaiPosition,
    play: &Play<'_>,
    files: &[FileSource],
) -> TraceFrame {
    let position = to_position(position);
    // The texts of the init script and of modules are the operator's.
    let text = position.and_then(|position| match &source {
        CodeSource::Current if play.number != INIT_PLAY => line(play.script, position),
        CodeSource::Play(source) => source.with_text(|text| line(text, position))?,
        CodeSource::File(index) => line(&files.get(*index)?.text, position),
        _ => None,
    });
    let of_play = |number: u64, name: Option<&str>| match number {
        INIT_PLAY => TraceSource::Init,
        _ => TraceSource::Play { number, name: name.map(Into::into) },
    };
    let source = match source {
        CodeSource::Current => of_play(play.number, play.name),
        CodeSource::Play(source) => of_play(source.number, source.name.as_deref()),
        CodeSource::Module(file) => TraceSource::Module(shorten(file.to_string(), MAX_NAME)),
        CodeSource::File(index) => match files.get(index) {
            Some(file) => TraceSource::File(shorten(file.path.clone(), MAX_NAME)),
            None => TraceSource::Unknown,
        },
        CodeSource::Unknown => TraceSource::Unknown,
    };
    let function = function.map(|name| shorten(name, MAX_NAME));
    TraceFrame { source, function, position, text, repeats: 0, omitted: 0 }
}

/// A line of a text up to a maximum size. Returns `None` if the position is beyond that.
fn line(text: &str, position: Position) -> Option<String> {
    // Rhai counts lines only up to 65,535.
    let line = Some(position.line).filter(|line| *line < u32::from(u16::MAX))?;
    let line = text.lines().nth(usize::try_from(line.checked_sub(1)?).ok()?)?;
    let shown = &line[..line.floor_char_boundary(MAX_LINE)];
    let is_inside = shown.len() == line.len() || shown.chars().count() >= usize::try_from(position.column).ok()?;
    is_inside.then(|| shown.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_line_is_cut_unless_the_position_is_beyond() {
        let at = |line, column| Position { line, column };
        assert_eq!(line("a\nb ä\n", at(2, 3)).as_deref(), Some("b ä"));
        assert_eq!(line("a", at(2, 1)), None);
        let long = "ä".repeat(MAX_LINE);
        assert_eq!(line(&long, at(1, 1)).map(|line| line.len()), Some(MAX_LINE));
        assert_eq!(line(&long, at(1, 1000)), None);
    }
}
