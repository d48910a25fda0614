//! Tracebacks of errors.

use super::*;
use crate::message::{CLOSURE, TraceFrame, TraceSource};

/// A frame as one line: function, source, line and column, and the text of the line.
fn line(frame: &TraceFrame) -> String {
    let source = match &frame.source {
        TraceSource::Play { name: Some(name), .. } => name.clone(),
        TraceSource::Play { number, name: None } => format!("input {number}"),
        TraceSource::Init => "init".into(),
        TraceSource::Module(file) | TraceSource::File(file) => file.clone(),
        TraceSource::Unknown => "?".into(),
    };
    let function = frame.function.as_deref().unwrap_or("-");
    let at = frame.position.map_or_else(String::new, |at| format!(":{}:{}", at.line, at.column));
    let text = frame.text.as_deref().unwrap_or("?");
    let counts = match (frame.repeats, frame.omitted) {
        (0, 0) => String::new(),
        (0, omitted) => format!(" …{omitted}"),
        (repeats, _) => format!(" x{repeats}"),
    };
    format!("{function} {source}{at} {text}{counts}")
}

fn trace(error: &ScriptError) -> Vec<String> {
    error.trace.iter().map(line).collect()
}

fn with_modules(modules: &[(&str, &str)], init: Option<&str>) -> (PlaySession, tempfile::TempDir) {
    let home = tempfile::tempdir().expect("a directory");
    for (file, text) in modules {
        std::fs::write(home.path().join(file), text).expect("written");
    }
    let setup = WorkerSetup {
        modules: ModuleSources::read(home.path()).expect("readable"),
        init: init.map(Into::into),
        ..WorkerSetup::default()
    };
    (PlaySession::with(setup), home)
}

#[test]
fn trace_leads_into_functions_of_earlier_plays() {
    let mut session = PlaySession::new(WorkerLimits::default());
    session.output("fn boom(x) {\n    let y = x + 1;\n    throw `boom at ${y}`\n}");
    session.output("fn twice(x) { boom(x) + boom(x) }");
    let error = session.error("let before = 1;\ntwice(before)");
    let expected = [
        "boom input 1:3:5     throw `boom at ${y}`",
        "twice input 2:1:15 fn twice(x) { boom(x) + boom(x) }",
        "- input 3:2:1 twice(before)",
    ];
    assert_eq!(trace(&error), expected);
    assert_eq!((error_position(&error), error.function.as_deref()), ((2, 1), Some("boom")));
    assert_eq!(error.hint, None);
    // The places distinguish functions with one name.
    session.output("fn boom() {\n\n\n boom(1) }");
    let expected = ["boom input 1:3:5     throw `boom at ${y}`", "boom input 4:4:2  boom(1) }"];
    assert_eq!(trace(&session.error("boom()"))[..2], expected);
    // A function that was defined again.
    session.output("fn twice(x) { x.nope() }");
    assert_eq!(trace(&session.error("twice(1)"))[0], "twice input 6:1:17 fn twice(x) { x.nope() }");
    assert_eq!(trace(&session.error("1 + nope")), Vec::<String>::new(), "its position says everything");
}

#[test]
fn trace_shows_the_name_of_a_source() {
    let mut session = PlaySession::new(WorkerLimits::default());
    let play = Play { number: 1, script: "fn f() { nope }", name: Some("work.rhai"), bind: None };
    session.environment.play(&play);
    session.plays = 1;
    assert_eq!(trace(&session.error("f()")), ["f work.rhai:1:10 fn f() { nope }", "- input 2:1:1 f()"]);
    for (script, expected) in [("1;\nnope", "- work.rhai:2:1 nope"), ("1;\nlet = 2", "- work.rhai:2:5 let = 2")] {
        let EvalOutcome::Failed(error) = session.environment.play(&Play { number: 3, script, ..play }) else {
            panic!()
        };
        assert_eq!(trace(&error), [expected]);
    }
}

#[test]
fn trace_leads_through_closures_and_native_functions() {
    let mut session = PlaySession::new(WorkerLimits::default());
    let error = session.error("let by = 0;\n[1, 2, 3].map(|x| x / by)");
    let expected = [
        format!("{CLOSURE} input 1:2:21 [1, 2, 3].map(|x| x / by)"),
        "- input 1:2:11 [1, 2, 3].map(|x| x / by)".into(),
    ];
    assert_eq!(trace(&error), expected);
    assert_eq!((error_position(&error), error.function.as_deref()), ((2, 21), None));
    session.output("let later = |x| {\n x.nope() };");
    session.output("fn each(items, f) { items.map(f) }");
    let expected = [
        format!("{CLOSURE} input 2:2:4  x.nope() }};"),
        "each input 3:1:27 fn each(items, f) { items.map(f) }".into(),
        "- input 4:1:1 each([1], later)".into(),
    ];
    assert_eq!(trace(&session.error("each([1], later)")), expected);
}

#[test]
fn trace_of_rethrown_error_begins_at_the_throw() {
    let mut session = PlaySession::new(WorkerLimits::default());
    session.output("fn inner() { nope }\nfn outer() {\n try { inner() } catch (err) {\n  throw err } }");
    assert_eq!(trace(&session.error("outer()")), ["outer input 1:4:3   throw err } }", "- input 2:1:1 outer()"]);
}

#[test]
fn recursion_is_folded_and_long_traces_are_cut() {
    let limits = WorkerLimits { call_depth: 60, ..WorkerLimits::default() };
    let mut session = PlaySession::new(limits);
    session.output("fn down(n) {\n if n == 0 { nope }\n down(n - 1) }");
    let error = session.error("down(40)");
    let expected =
        ["down input 1:2:14  if n == 0 { nope }", "down input 1:3:2  down(n - 1) } x39", "- input 2:1:1 down(40)"];
    assert_eq!(trace(&error), expected);
    session.output("fn ping(n) { if n == 0 { nope } pong(n - 1) }\nfn pong(n) { ping(n - 1) }");
    let frames = trace(&session.error("ping(50)"));
    assert_eq!(frames.len(), 32);
    // 52 frames: the error, 50 calls, and the play's.
    assert!(frames[15].ends_with(" …20") && frames[31] == "- input 4:1:1 ping(50)", "{frames:?}");
}

#[test]
fn trace_names_modules_and_the_init_script_without_their_text() {
    let rates = "fn bad(x) {\n  helper(x)\n}\nprivate fn helper(x) { x.nope() }\nfn apply(f) { f.call(1) }";
    let modules =
        [("rates.rhai", rates), ("broken.rhai", "let x = 1;\nlet = 2;"), ("fails.rhai", "import \"broken\" as b;")];
    let init = "fn with_tax(x) {\n  x.nope() }";
    let (mut session, _home) = with_modules(&modules, Some(init));
    session.output("import \"rates\" as r;");
    let expected = ["helper rates.rhai:4:26 ?", "bad rates.rhai:2:3 ?", "- input 2:1:4 r::bad(1)"];
    assert_eq!(trace(&session.error("r::bad(1)")), expected);
    let expected = ["with_tax init:2:5 ?", "- input 3:1:1 with_tax(10)"];
    assert_eq!(trace(&session.error("with_tax(10)")), expected);
    // A closure of the session that a module calls.
    let error = session.error("r::apply(|x| x.nope())");
    let expected = [
        format!("{CLOSURE} input 4:1:16 r::apply(|x| x.nope())"),
        "apply rates.rhai:5:17 ?".into(),
        "- input 4:1:4 r::apply(|x| x.nope())".into(),
    ];
    assert_eq!(trace(&error), expected);
    assert_eq!(error_position(&error), (1, 4));
    let error = session.error("1;\nimport \"fails\" as f;");
    let expected = ["- broken.rhai:2:5 ?", "- fails.rhai:1:8 ?", "- input 5:2:8 import \"fails\" as f;"];
    assert_eq!(trace(&error), expected);
    assert!(error.message.contains("Expecting name of a variable"), "{error:?}");
}

#[test]
fn failed_init_script_is_in_the_trace() {
    for (init, expected) in [("1;\n nope", "- init:2:2 ?"), ("1;\n let = 2;", "- init:2:6 ?")] {
        let (mut session, _home) = with_modules(&[], Some(init));
        assert_eq!(trace(&session.error("1")), [expected]);
    }
}

#[test]
fn trace_of_a_thrown_host_error_ends_at_the_call() {
    let stock = HostModule {
        keeps_types: false,
        name: "stock".into(),
        functions: vec![HostFunction {
            name: "left".into(),
            params: vec!["item".into()],
            doc: String::new(),
            signature: None,
        }],
    };
    let setup = WorkerSetup { host: vec![stock], ..WorkerSetup::default() };
    let failed = |_: &HostCall| HostReturn::Failed(HostError { message: "no tea".into(), code: None, data: None });
    let mut session = PlaySession::with_host(setup, failed);
    session.output("fn order(item) {\n  stock::left(item) }");
    let error = session.error("order(\"tea\")");
    assert_eq!(trace(&error), ["order input 1:2:10   stock::left(item) }", "- input 2:1:1 order(\"tea\")"]);
    assert_eq!(error.message, "stock::left: no tea");
}
