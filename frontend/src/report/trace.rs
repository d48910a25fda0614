//! Formats tracebacks: the places that lead to an error, each with its source line where the circle shows it.

use protocol::error::{CLOSURE, ScriptError, TraceFrame, TraceSource};

use super::caret_excerpt;
use crate::text::{Style, StyledLine, SyntaxKind};

/// The maximum number of frames to show. A circle sends at most 32.
const MAX_FRAMES: usize = 64;

/// The columns before the source line of a frame.
const INDENT: usize = 4;

/// The name of the played script, if the error is at the top level of that script; `None` if the error has a traceback
/// to show.
#[expect(clippy::option_option, reason = "a script needs no name")]
pub(super) fn own_name(error: &ScriptError) -> Option<Option<&str>> {
    match error.trace.as_slice() {
        [] => Some(None),
        [frame] if frame.source == TraceSource::Play && frame.function.is_none() => Some(frame.name.as_deref()),
        _ => None,
    }
}

/// Formats the frames, innermost first. `script` is the script that was played.
pub(super) fn lines(script: &str, error: &ScriptError, width: usize) -> Vec<StyledLine> {
    let mut lines = Vec::new();
    let mut called: Option<&TraceFrame> = None;
    for frame in error.trace.iter().take(MAX_FRAMES) {
        lines.extend(place(frame, called).wrapped_with_indent(width, INDENT));
        let is_own = error.trace.last().is_some_and(|last| std::ptr::eq(last, frame)) && frame.line == error.line;
        let own = || script.lines().nth(usize::try_from(frame.line?.checked_sub(1)?).ok()?);
        let text = frame.text.as_deref().or_else(|| if is_own { own() } else { None });
        if let (Some(text), Some(line), Some(column)) = (text, frame.line, frame.column) {
            let excerpt = caret_excerpt(line as usize, column as usize, text, width.saturating_sub(INDENT));
            let indent = StyledLine::of(Style::Plain, &" ".repeat(INDENT));
            lines.extend(excerpt.iter().map(|line| indent.clone().with_line(line)));
        }
        if frame.omitted > 0 {
            lines.push(StyledLine::of(Style::Dim, &format!("  … {} more calls …", frame.omitted)));
        }
        called = Some(frame);
    }
    lines
}

/// The line that says where a frame is: `  in NAME, PLACE` for the innermost frame, `  called from NAME, PLACE` for the
/// others.
fn place(frame: &TraceFrame, called: Option<&TraceFrame>) -> StyledLine {
    let lead = match called {
        None if frame.function.is_some() => "  in ",
        None => "  at ",
        Some(called) if called.source == TraceSource::Module && called.function.is_none() => "  imported from ",
        Some(_) => "  called from ",
    };
    let mut line = StyledLine::of(Style::Dim, lead);
    match frame.function.as_deref() {
        Some(CLOSURE) => line.push(Style::Plain, "a closure, "),
        Some(name) => {
            line.push(Style::Syntax(SyntaxKind::Function), name);
            line.push(Style::Plain, ", ");
        }
        None => {}
    }
    line.push(Style::Plain, &position(frame));
    if frame.repeats > 0 {
        line.push(Style::Dim, &format!(" ({} times)", frame.repeats.saturating_add(1)));
    }
    line
}

/// The position of a frame: `FILE:LINE:COLUMN` for a source with a name, `line LINE of input NUMBER` for others.
fn position(frame: &TraceFrame) -> String {
    let source = match (frame.source, &frame.name, frame.number) {
        (TraceSource::Play | TraceSource::Module, Some(name), _) => {
            let place = [frame.line, frame.column].into_iter().flatten().map(|number| format!(":{number}"));
            return format!("{name}{}", place.collect::<String>());
        }
        (TraceSource::Play, None, Some(number)) => format!("input {number}"),
        (TraceSource::Play, None, None) => "another input".into(),
        (TraceSource::Init, ..) => "the init script".into(),
        (TraceSource::Module, ..) => "a module".into(),
        _ => "an unknown script".into(),
    };
    frame.line.map_or_else(|| source.clone(), |line| format!("line {line} of {source}"))
}

#[cfg(test)]
mod tests {
    use protocol::error::ScriptErrorKind;

    use super::{super::script, *};

    fn frame(source: TraceSource, function: Option<&str>, line: u32, column: u32) -> TraceFrame {
        TraceFrame {
            source,
            number: (source == TraceSource::Play).then_some(12),
            name: None,
            function: function.map(Into::into),
            line: Some(line),
            column: Some(column),
            text: None,
            repeats: 0,
            omitted: 0,
        }
    }

    fn error(trace: Vec<TraceFrame>) -> ScriptError {
        ScriptError {
            message: "Runtime error: boom".into(),
            kind: ScriptErrorKind::Runtime,
            line: Some(1),
            column: Some(1),
            function: Some("boom".into()),
            hint: Some("mind the gap".into()),
            thrown: None,
            trace,
        }
    }

    fn shown(played: &str, trace: Vec<TraceFrame>) -> Vec<String> {
        script(played, &error(trace), 80).iter().map(StyledLine::to_string).collect()
    }

    #[test]
    fn traceback_has_the_source_line_of_each_frame() {
        let text = |frame: TraceFrame, text: &str| TraceFrame { text: Some(text.into()), ..frame };
        let (play, module) = (TraceSource::Play, TraceSource::Module);
        let rates = TraceFrame { name: Some("rates.rhai".into()), ..frame(module, Some("tax"), 5, 5) };
        let trace = vec![
            text(frame(play, Some("boom"), 3, 2), "\tthrow 1"),
            TraceFrame { repeats: 39, ..frame(play, Some(CLOSURE), 1, 1) },
            TraceFrame { omitted: 7, ..rates },
            frame(TraceSource::Init, Some("with_tax"), 2, 2),
            text(TraceFrame { number: Some(13), ..frame(play, None, 1, 1) }, "boom(1)"),
        ];
        let expected = [
            "error: Runtime error: boom",
            "  in boom, line 3 of input 12",
            "    3 |  throw 1",
            "         ^",
            "  called from a closure, line 1 of input 12 (40 times)",
            "  called from tax, rates.rhai:5:5",
            "  … 7 more calls …",
            "  called from with_tax, line 2 of the init script",
            "  called from line 1 of input 13",
            "    1 | boom(1)",
            "        ^",
            "  hint: mind the gap",
        ];
        assert_eq!(shown("boom(1)", trace), expected);
    }

    #[test]
    fn error_in_a_module_leads_to_its_import() {
        let broken = TraceFrame { name: Some("broken.rhai".into()), ..frame(TraceSource::Module, None, 2, 5) };
        let lines = shown("import \"broken\" as b;", vec![broken, frame(TraceSource::Play, None, 1, 1)]);
        let expected =
            ["  at broken.rhai:2:5", "  imported from line 1 of input 12", "    1 | import \"broken\" as b;"];
        assert_eq!(lines[1..4], expected);
    }

    #[test]
    fn script_with_a_name_has_its_positions_by_that_name() {
        let own = TraceFrame { name: Some("rep.rhai".into()), ..frame(TraceSource::Play, None, 1, 1) };
        let expected = ["1 | boom(1)", "    ^", "error: Runtime error: boom (rep.rhai:1:1)"];
        assert_eq!(shown("boom(1)", vec![own])[..3], expected);
    }

    #[test]
    fn traceback_of_a_hostile_circle_is_bounded_and_visible() {
        let hostile = TraceFrame {
            name: Some("\u{1b}[2J".repeat(100)),
            text: Some("\u{1b}]0;x".into()),
            line: Some(u32::MAX),
            column: Some(u32::MAX),
            omitted: u64::MAX,
            repeats: u64::MAX,
            ..frame(TraceSource::Play, Some("\u{7}"), 1, 1)
        };
        let lines = shown("1", vec![hostile; 10_000]);
        assert!(lines.len() < 2000 && lines.iter().all(|line| !line.contains(['\u{1b}', '\u{7}'])), "{}", lines.len());
        let odd = [TraceSource::Unknown, TraceSource::Module, TraceSource::Play].map(|source| TraceFrame {
            number: None,
            line: None,
            ..frame(source, Some("f"), 1, 1)
        });
        assert_eq!(shown("1", odd.to_vec())[1..3], ["  in f, an unknown script", "  called from f, a module"]);
    }
}
