mod calls;
mod hints;
mod named_values;
mod natives;
mod stack;
mod traces;

use std::sync::{Arc, Mutex};

use super::*;
use crate::{
    engine::PlayMonitor,
    message::{ErrorKind, HostError, HostFunction, HostModule, LimitKind, ModuleSources, ScriptError, Stream},
};

/// The constants of the setup: a text, and one that plays replace.
fn constants() -> Vec<NamedValue> {
    let constant = |name, value: Option<&str>| NamedValue::new(name, value).expect("a valid value");
    vec![constant("REGION", Some("test")), constant("USER", None)]
}

struct PlaySession {
    environment: Environment,
    prints: Arc<Mutex<Vec<Print>>>,
    calls: Arc<Mutex<Vec<HostCall>>>,
    monitor: Arc<PlayMonitor>,
    plays: u64,
}

impl PlaySession {
    fn new(limits: WorkerLimits) -> Self {
        Self::with(WorkerSetup { constants: constants(), limits, ..WorkerSetup::default() })
    }

    fn with(setup: WorkerSetup) -> Self {
        Self::with_host(setup, |_| HostReturn::Aborted)
    }

    fn with_host(setup: WorkerSetup, host: impl Fn(&HostCall) -> HostReturn + Send + Sync + 'static) -> Self {
        let (prints, monitor) = (Arc::new(Mutex::new(Vec::new())), Arc::new(PlayMonitor::default()));
        let calls = Arc::new(Mutex::new(Vec::new()));
        let meter = Meter::new(monitor.clone(), &setup.limits, || {});
        let (sink, called) = (prints.clone(), calls.clone());
        let call_host = move |call: HostCall| {
            let returned = host(&call);
            called.lock().expect("not poisoned").push(call);
            returned
        };
        let print = move |print| sink.lock().expect("not poisoned").push(print);
        let environment = Environment::new(setup, meter, SharedInventory::default(), print, call_host);
        Self { environment, prints, calls, monitor, plays: 0 }
    }

    fn play_bound(&mut self, script: &str, bind: Option<&str>) -> EvalOutcome {
        self.plays += 1;
        self.environment.play(&Play { number: self.plays, script, name: None, bind })
    }

    fn play(&mut self, script: &str) -> EvalOutcome {
        self.play_bound(script, None)
    }

    fn set_user(&mut self, user: Option<&str>) {
        let user = user.map(|user| NamedValue::new("USER", user).expect("a valid value"));
        self.environment.set_constants(user.as_slice()).expect("a valid value");
    }

    fn output(&mut self, script: &str) -> String {
        match self.play(script) {
            EvalOutcome::Value(value) => value.output,
            outcome => panic!("{script}: {outcome:?}"),
        }
    }

    fn error(&mut self, script: &str) -> ScriptError {
        match self.play(script) {
            EvalOutcome::Failed(error) => error,
            outcome => panic!("{script}: {outcome:?}"),
        }
    }

    /// The host calls since the last time.
    fn calls(&self) -> Vec<HostCall> {
        std::mem::take(&mut *self.calls.lock().expect("not poisoned"))
    }

    fn texts(&self) -> Vec<String> {
        self.prints.lock().expect("not poisoned").drain(..).map(|print| print.text).collect()
    }
}

fn error_position(error: &ScriptError) -> (u32, u32) {
    error.position.map(|position| (position.line, position.column)).expect("a position")
}

#[test]
fn environment_keeps_definitions_between_plays() {
    let mut session = PlaySession::new(WorkerLimits::default());
    // (script, output), all in one session.
    let plays = [
        ("let x = 40; const LIMIT = 7;", ""),
        ("x += 2; x", "42"),
        ("fn double(n) { n * 2 } fn limit() { global::LIMIT }", ""),
        ("double(x)", "84"),
        ("limit()", "7"),
        ("fn double(n) { n * 20 }", ""),
        ("double(x)", "840"),
        ("let n = 0; let next = || { n += 1; n };", ""),
        ("next.call(); next.call()", "2"),
        ("n", "2"),
        ("let add = |a| |b| a + b; let five = add.call(5);", ""),
        ("five.call(6)", "11"),
        ("LIMIT", "7"),
        ("let x = \"again\";", ""),
        ("x", "again"),
        ("[1, 2, 3].map(|v| double(v)).reduce(|a, b| a + b, 0)", "120"),
        ("", ""),
        ("if true { let inner = 1; } 5", "5"),
        // Redeclared and captured: the closure and the session share the newer variable.
        ("let x = 5; let g = || { x += 1 };", ""),
        ("g.call(); x", "6"),
        ("x = 10; g.call(); x", "11"),
    ];
    for (script, output) in plays {
        assert_eq!(session.output(script), output, "{script}");
    }
    assert_eq!(session.error("LIMIT = 8").message, "Cannot modify constant LIMIT");
    assert!(session.error("inner").message.contains("inner"));
}

#[test]
fn init_script_runs_before_first_play() {
    let init = "print(`dropped`); const RATE = 7; fn rated(x) { x * global::RATE }";
    let mut session = PlaySession::with(WorkerSetup { init: Some(init.into()), ..WorkerSetup::default() });
    assert_eq!(session.output("rated(6)"), "42");
    assert_eq!(session.output("fn rated(x) { x } rated(RATE)"), "7");
    assert!(session.texts().is_empty());
    let broken = WorkerSetup { init: Some("1;\n nowhere".into()), ..WorkerSetup::default() };
    let mut session = PlaySession::with(broken);
    for _ in 0..2 {
        let error = session.error("1");
        assert_eq!((error.message.as_str(), error_position(&error)), ("Variable not found: nowhere", (2, 2)));
    }
}

#[test]
fn environment_keeps_imports() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("geo.rhai"), "fn area(a, b) { a * b } export const UNIT = \"m\";")
        .expect("write");
    let modules = ModuleSources::read(directory.path()).expect("readable");
    let mut session = PlaySession::with(WorkerSetup { modules, ..WorkerSetup::default() });
    assert_eq!(session.output("import \"geo\" as g; g::area(2, 3)"), "6");
    assert_eq!(session.output("g::area(4, 5) + g::UNIT"), "20m");
    assert_eq!(session.output("fn f() { import \"geo\" as h; h::area(1, 2) } f()"), "2");
}

#[test]
fn cached_script_behaves_like_parsed_one() {
    let scripts = [
        "fn f(x) { x + 1 } f(1)",
        "fn f(x) { x + 10 } let g = |y| f(y); g.call(1)",
        "g.call(2)",
        "let n = 0; let next = || { n += 1; n }; next.call(); next.call()",
        "next.call()",
        "f(\n  nowhere)",
        "fn f(x) {\n throw x } f(7)",
        "let = 1",
        "/// Stray.\n40 + 2",
        "USER",
    ];
    let (mut kept, mut fresh) = (PlaySession::new(WorkerLimits::default()), PlaySession::new(WorkerLimits::default()));
    // A different order each time: the steps are coprime to ten.
    for (round, step) in [1, 3, 7, 9, 3].into_iter().enumerate() {
        for number in 0..scripts.len() {
            let script = scripts[(number * step + round) % scripts.len()];
            for session in [&mut kept, &mut fresh] {
                session.set_user((round > 2).then_some("02ab"));
            }
            fresh.environment.cache.clear();
            assert_eq!(kept.play(script), fresh.play(script), "{round}: {script}");
        }
    }
}

#[test]
fn variable_size_is_limited_however_it_grows() {
    let limits = WorkerLimits { map_items: 1000, string_bytes: 1000, array_items: 1000, ..WorkerLimits::default() };
    let mut session = PlaySession::new(limits);
    let limit = |kind| EvalOutcome::Limit { kind, max: 1000 };
    assert_eq!(session.play("let m = #{}; for i in 0..1001 { m[\"k\" + i] = i; } 7"), limit(LimitKind::MapSize));
    assert_eq!(session.play("let s = \"\"; for i in 0..400 { s[0..0] = \"abc\"; } 7"), limit(LimitKind::StringSize));
    let caught = "let a = []; try { loop { a.push(1); } } catch {} 7";
    assert_eq!(session.play(caught), limit(LimitKind::ArraySize));
    // A variable over the limit is reported once, and again when it grows.
    assert_eq!(session.output("40 + 2"), "42");
    assert_eq!(session.play("m[\"more\"] = 1; 7"), limit(LimitKind::MapSize));
    assert_eq!(session.output("m = #{a: 1}; s = \"b\"; a = [1]; 40 + 2"), "42");
    assert_eq!(session.output("m.len() + s.len() + a.len()"), "3");
    assert_eq!(session.play("for i in 0..1001 { m[\"k\" + i] = i; }"), limit(LimitKind::MapSize));
}

#[test]
fn size_limits_are_those_of_one_array_or_map() {
    let limits = WorkerLimits { map_items: 100, string_bytes: 100, array_items: 100, ..WorkerLimits::default() };
    let mut session = PlaySession::new(limits);
    // Rhai's own `push` and `set` would count the inner items, too.
    let inner = "let b = []; b.pad(80, i); let s = \"\"; s.pad(80, 'x');";
    let arrays = format!("let a = []; for i in 0..20 {{ {inner} a.push(b); a.push(s); }} a.len");
    assert_eq!(session.output(&arrays), "40");
    let maps = format!("let m = #{{}}; for i in 0..20 {{ {inner} m.set(`b${{i}}`, b); m.set(`s${{i}}`, s); }} m.len()");
    assert_eq!(session.output(&maps), "40");
    let limit = |kind| EvalOutcome::Limit { kind, max: 100 };
    assert_eq!(session.play("for i in 0..61 { a.push(1); }"), limit(LimitKind::ArraySize));
    assert_eq!(session.play("for i in 0..61 { m.set(`n${i}`, 1); }"), limit(LimitKind::MapSize));
}

#[test]
fn exit_returns_value_from_any_depth() {
    let mut session = PlaySession::new(WorkerLimits::default());
    let scripts = [
        "exit(7); 8",
        "loop { exit(7); }",
        "[1, 2].map(|x| { exit(7) }); 8",
        "fn leave() { [1].filter(|x| { [2].for_each(|| exit(7)); true }) } leave(); 8",
    ];
    for script in scripts {
        assert_eq!(session.output(script), "7", "{script}");
    }
    assert_eq!(session.error("[1].map(|x| { throw 7 })").thrown.as_deref(), Some("7"));
}

#[test]
fn cyclic_imports_are_an_error() {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, source) in [
        ("itself", "import \"itself\" as me;"),
        ("there", "import \"back\" as back;"),
        ("back", "import \"there\" as there;"),
        ("late", "fn again() { import \"late\" as me; me::NUMBER } export const NUMBER = 7;"),
    ] {
        std::fs::write(directory.path().join(name).with_extension("rhai"), source).expect("write");
    }
    let modules = ModuleSources::read(directory.path()).expect("readable");
    let mut session = PlaySession::with(WorkerSetup { modules, ..WorkerSetup::default() });
    for name in ["itself", "there", "there"] {
        let error = session.error(&format!("import {name:?} as m;"));
        assert_eq!(error.message, "Runtime error: the module imports itself, directly or through another module");
    }
    assert_eq!(session.output("import \"late\" as m; m::again()"), "7");
}

#[test]
fn import_does_not_leave_its_directory() {
    let outside = tempfile::tempdir().expect("a directory");
    let directory = outside.path().join("modules");
    std::fs::create_dir(&directory).expect("made");
    std::fs::write(outside.path().join("secret.rhai"), "export const X = 1;").expect("write");
    std::os::unix::fs::symlink(outside.path().join("secret.rhai"), directory.join("link.rhai")).expect("linked");
    let absolute = outside.path().join("secret").display().to_string();
    let setup = WorkerSetup { modules: ModuleSources::read(&directory).expect("readable"), ..WorkerSetup::default() };
    let mut session = PlaySession::with(setup);
    for name in ["../secret", "link", "./../secret", "a/../../secret", "", ".", absolute.as_str()] {
        let error = session.error(&format!("import {name:?} as m;"));
        assert!(error.message.starts_with("Module not found"), "{name}: {error:?}");
    }
}

#[test]
fn failed_play_keeps_its_definitions() {
    let mut session = PlaySession::new(WorkerLimits::default());
    session.error("let kept = 1; fn f() { 2 } nothing_like_this; let never = 3;");
    assert_eq!(session.output("kept + f()"), "3");
    session.error("never");
    session.error("let half = 1; fn (");
    session.error("half");
}

#[test]
fn redeclared_variables_do_not_grow_session() {
    let mut session = PlaySession::new(WorkerLimits::default());
    for _ in 0..50 {
        session.output("let x = 1; let y = 2; let x = 3; const Z = x;");
    }
    assert_eq!(session.output("x + y + Z"), "8");
    assert_eq!(session.environment.scope.len(), 3);
    assert_eq!(session.environment.scope.is_constant("Z"), Some(true));
    assert_eq!(session.environment.scope.is_constant("x"), Some(false));
}

#[test]
fn value_is_bound_unless_unit() {
    let mut session = PlaySession::new(WorkerLimits::default());
    session.play_bound("6 * 7", Some("ans"));
    assert_eq!(session.output("ans"), "42");
    session.play_bound("let quiet = 1;", Some("ans"));
    session.play_bound("nothing_like_this", Some("ans"));
    assert_eq!(session.output("ans"), "42");
    session.play_bound("const fixed = 1; [1]", Some("fixed"));
    assert_eq!(session.output("fixed"), "[1]");
}

#[test]
fn error_has_position_in_script() {
    let mut session = PlaySession::new(WorkerLimits::default());
    let error = session.error("let a = 1;\n  a + missing");
    assert_eq!((error_position(&error), error.kind), ((2, 7), ErrorKind::Runtime));
    assert_eq!(error.message, "Variable not found: missing");
    let error = session.error("fn inner() {\n  missing\n}\nfn outer() { inner() }\nouter()");
    assert_eq!((error_position(&error), error.function.as_deref()), ((2, 3), Some("inner")));
    // When called from a later play, only the call is in that play's script.
    let error = session.error("1;\n outer()");
    assert_eq!((error_position(&error), error.function.as_deref()), ((2, 2), Some("inner")));
    let error = session.error("let x = ;");
    assert_eq!((error_position(&error), error.kind), ((1, 9), ErrorKind::Parse));
}

#[test]
fn thrown_value_has_text_and_json() {
    let mut session = PlaySession::new(WorkerLimits::default());
    let error = session.error("throw #{code: 7}");
    assert_eq!(
        (error.message.as_str(), error.thrown.as_deref()),
        ("Runtime error: #{\"code\": 7}", Some("{\"code\":7}"))
    );
    assert_eq!(session.output("let r = 0; try { throw 5 } catch (e) { r = e + 1 } r"), "6");
}

#[test]
fn prints_keep_order_and_debug_position() {
    let mut session = PlaySession::new(WorkerLimits::default());
    session.output("print(1); debug(\"x\");\n print([\"a\"])");
    let prints = session.prints.lock().expect("not poisoned").clone();
    assert_eq!(prints.iter().map(|print| print.text.as_str()).collect::<Vec<_>>(), ["1", "\"x\"", "[\"a\"]"]);
    assert_eq!((prints[1].stream, prints[1].position.map(|position| position.column)), (Stream::Debug, Some(11)));
}

#[test]
fn limit_ends_play_and_keeps_environment() {
    let limits = WorkerLimits {
        operations: Some(100_000),
        output_bytes: 1500,
        call_depth: 40,
        expression_depth: 30,
        string_bytes: 1000,
        array_items: 100,
        map_items: 50,
        ..WorkerLimits::default()
    };
    let deep = format!("{}1{}", "(".repeat(40), ")".repeat(40));
    let cases = [
        ("loop {}", LimitKind::Operations, 100_000),
        ("fn f(n) { f(n + 1) } f(0)", LimitKind::CallDepth, 40),
        (deep.as_str(), LimitKind::ExpressionDepth, 30),
        ("loop { print(\"x\") }", LimitKind::Output, 1500),
        ("let s = \"x\"; loop { s += s; }", LimitKind::StringSize, 1000),
        ("let a = []; loop { a.push(1); }", LimitKind::ArraySize, 100),
        ("let b = blob(); loop { b.push(1); }", LimitKind::ArraySize, 100),
        ("let d = []; for i in 0..70 { d = [d]; } d", LimitKind::ValueDepth, 64),
        ("let r = []; for i in 0..90 { r.push(1234567890123456789); } r", LimitKind::Output, 1500),
        // Callbacks use a copy of the engine's own counter.
        (
            "fn g(n) { if n == 0 { return 0; } let a = [0,0,0,0,0,0,0,0,0,0]; a.for_each(|| g(n - 1)); 0 } g(9)",
            LimitKind::Operations,
            100_000,
        ),
        (
            "let a = []; for i in 0..90 { a.push(90 - i); } loop { a.sort(|x, y| x - y); a.reverse(); }",
            LimitKind::Operations,
            100_000,
        ),
        // A script cannot catch the limit.
        ("loop { try { loop {} } catch {} }", LimitKind::Operations, 100_000),
    ];
    for (script, kind, max) in cases {
        let mut session = PlaySession::new(limits.clone());
        session.output("let kept = 1;");
        let outcome = session.play(script);
        assert_eq!(outcome, EvalOutcome::Limit { kind, max }, "{script}");
        assert_eq!(session.output("kept"), "1", "{script}");
    }
}

#[test]
fn stopped_play_keeps_environment() {
    let mut session = PlaySession::new(WorkerLimits::default());
    session.output("let kept = 1;");
    // A stop before the play begins is not lost.
    session.monitor.stop(session.plays + 1);
    assert_eq!(session.play("kept = 2; loop {}"), EvalOutcome::Stopped);
    assert_eq!(session.output("kept"), "1");
    // A stop of an ended play does not affect the next one.
    session.monitor.stop(session.plays);
    assert_eq!(session.output("kept + 1"), "2");
    // A stop during the play, from another thread.
    let monitor = session.monitor.clone();
    let number = session.plays + 1;
    let stopper = std::thread::spawn(move || {
        while monitor.report().script.is_none() {
            std::thread::yield_now();
        }
        monitor.stop(number);
    });
    assert_eq!(session.play("kept = 5; progress(1, 2, \"half\"); loop {}"), EvalOutcome::Stopped);
    stopper.join().expect("it ends");
    assert_eq!(session.output("kept"), "5");
}

#[test]
fn unbounded_functions_are_disabled() {
    let mut session = PlaySession::new(WorkerLimits::default());
    assert_eq!(session.error("let s = \"eval(s)\"; eval(s)").hint.as_deref(), Some("`eval` is disabled"));
    assert!(session.error("sleep(9223372036854775807)").message.contains("`sleep` is disabled"));
    assert!(session.error("import \"anything\" as a;").message.starts_with("Module not found"));
    assert!(session.texts().is_empty());
}

fn stock() -> Vec<HostModule> {
    let function = |name: &str, params: &[&str]| HostFunction {
        name: name.into(),
        params: params.iter().map(|&param| param.into()).collect(),
        doc: "Of the stock.".into(),
        signature: None,
    };
    let eight = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let functions = vec![function("count", &[]), function("reserve", &["item", "count"]), function("all", &eight)];
    vec![HostModule { name: "stock".into(), functions, keeps_types: false }]
}

fn with_stock() -> WorkerSetup {
    WorkerSetup { host: stock(), ..WorkerSetup::default() }
}

#[test]
fn host_function_exchanges_json_with_script() {
    let value = r#"{"a": [1, -2.5, null, true, "x"], "b": {"c": 9223372036854775807}}"#;
    let mut session = PlaySession::with_host(with_stock(), move |_| HostReturn::Value(value.into()));
    let script =
        "let r = stock::reserve(\"tea\", #{n: [1, 2.0, 'c', ()]}); [r.a[0], r.a[1], r.a[2], r.b.c, type_of(r.a[3])]";
    assert_eq!(session.output(script), r#"[1, -2.5, (), 9223372036854775807, "bool"]"#);
    // All types are accepted, for up to eight parameters.
    assert_eq!(session.output("stock::all(1, 2.0, \"3\", '4', true, (), [7], #{}).b.c"), i64::MAX.to_string());
    assert_eq!(session.output("fn of_function() { stock::count() } of_function().a.len()"), "5");
    let calls: Vec<(u64, u64, u32, String)> =
        session.calls().into_iter().map(|call| (call.play, call.number, call.function, call.args)).collect();
    let all = r#"[1,2.0,"3","4",true,null,[7],{}]"#;
    assert_eq!(
        calls,
        [(1, 1, 1, r#"["tea",{"n":[1,2.0,"c",null]}]"#.into()), (2, 2, 2, all.into()), (3, 3, 0, "[]".into())]
    );
}

#[test]
fn host_function_error_is_catchable_and_has_call_position() {
    let failed = || HostError { message: "out of stock".into(), code: None, data: Some(r#"{"left": 1}"#.into()) };
    let mut session = PlaySession::with_host(with_stock(), move |_| HostReturn::Failed(failed()));
    let caught = "let c; try { stock::count() } catch (e) { c = [e.error, e.function, e.message, e.data.left]; } c";
    assert_eq!(session.output(caught), r#"["HostError", "stock::count", "out of stock", 1]"#);
    let error = session.error("let kept = 3;\n\nlet x = stock::reserve(\"tea\", 2);");
    assert_eq!((error.message.as_str(), error_position(&error)), ("stock::reserve: out of stock", (3, 16)));
    assert!(error.thrown.expect("thrown").contains(r#""data":{"left":1}"#));
    assert_eq!(session.output("kept"), "3");
    let again = session.error("try { stock::count() } catch (e) { throw e }");
    assert_eq!(again.message, "stock::count: out of stock");
}

#[test]
fn wrong_arguments_error_shows_signature() {
    let mut session = PlaySession::with_host(with_stock(), |_| HostReturn::Value("1".into()));
    let error = session.error("stock::reserve(1)");
    assert!(error.message.starts_with("Function not found: stock::reserve"), "{error:?}");
    assert_eq!(error.hint.as_deref(), Some("call it as stock::reserve(item, count)"));
    assert_eq!(session.error("stock::nothing()").hint, None);
    assert!(session.calls().is_empty());
}

#[test]
fn invalid_host_result_is_an_error() {
    for result in ["nonsense", "18446744073709551615", "[1e400]"] {
        let mut session = PlaySession::with_host(with_stock(), move |_| HostReturn::Value(result.into()));
        assert!(session.error("stock::count()").message.starts_with("stock::count: its result"), "{result}");
    }
}

#[test]
fn host_arguments_are_bounded_in_size_and_depth() {
    let limits = WorkerLimits { host_bytes: 100, ..WorkerLimits::default() };
    let mut session = PlaySession::with_host(WorkerSetup { limits, ..with_stock() }, |_| HostReturn::Value("1".into()));
    assert_eq!(session.output("let kept = 1; let t = \"\"; t.pad(40, 'x'); stock::reserve(t, t)"), "1");
    let over = EvalOutcome::Limit { kind: LimitKind::HostBytes, max: 100 };
    for script in ["try { stock::reserve(t + t, t) } catch { }", "let u = t; u.pad(200, 'x'); stock::reserve(u, 1)"] {
        assert_eq!(session.play(script), over, "{script}");
    }
    let deep = EvalOutcome::Limit { kind: LimitKind::ValueDepth, max: 64 };
    assert_eq!(session.play("let a = []; for i in 0..70 { a = [a]; } stock::reserve(a, 1)"), deep);
    assert_eq!(session.output("kept"), "1");
}

#[test]
fn aborted_play_ends_whatever_it_catches() {
    let mut session = PlaySession::with_host(with_stock(), |_| HostReturn::Aborted);
    let script = "let kept = 1; try { stock::count() } catch { } loop { try { stock::count() } catch { } }";
    assert_eq!(session.play(script), EvalOutcome::Stopped);
    assert_eq!(session.output("kept"), "1");
    assert_eq!(session.calls().len(), 1);
}

#[test]
fn init_script_cannot_call_host_functions() {
    let init = Some("let failed = \"\"; try { stock::count() } catch (e) { failed = e.message; }".into());
    let mut session = PlaySession::with_host(WorkerSetup { init, ..with_stock() }, |_| HostReturn::Value("1".into()));
    assert!(session.output("failed").contains("plays"));
    assert!(session.calls().is_empty());
    assert_eq!(session.output("stock::count()"), "1");
}
