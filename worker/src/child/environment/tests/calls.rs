//! Calls of functions of files, and their isolation from each other.

use super::*;
use crate::{
    inspection::inspect_functions,
    message::{CallMessage, FunctionFile, FunctionFiles, TraceSource, Value},
};

/// A worker with function files, which calls functions by `FILE` or `FILE.NAME`.
struct CallSession {
    session: PlaySession,
    names: Vec<String>,
}

fn files(sources: &[(&str, &str)]) -> Vec<FunctionFile> {
    let file = |(name, source): &(&str, &str)| FunctionFile {
        name: (*name).into(),
        path: format!("shop/{name}.rhai"),
        source: (*source).into(),
    };
    sources.iter().map(file).collect()
}

impl CallSession {
    fn new(sources: &[(&str, &str)]) -> Self {
        Self::with(sources, WorkerSetup { constants: constants(), ..WorkerSetup::default() })
    }

    fn with(sources: &[(&str, &str)], setup: WorkerSetup) -> Self {
        Self::with_host(sources, setup, |_| HostReturn::Aborted)
    }

    fn with_host(
        sources: &[(&str, &str)],
        setup: WorkerSetup,
        host: impl Fn(&HostCall) -> HostReturn + Send + Sync + 'static,
    ) -> Self {
        let files = files(sources);
        let declared = inspect_functions(&files, &setup.limits).expect("the files parse");
        let name = |function: &inspection::DeclaredFunction| {
            let file = &files[function.file].name;
            if *file == function.name { file.clone() } else { format!("{file}.{}", function.name) }
        };
        let names = declared.iter().filter(|function| !function.is_private).map(name).collect();
        let functions = Some(FunctionFiles { namespace: "circle".into(), files });
        Self { session: PlaySession::with_host(WorkerSetup { functions, ..setup }, host), names }
    }

    fn call(&mut self, name: &str, args: impl Into<Vec<Value>>) -> EvalOutcome {
        let function = self.names.iter().position(|known| known == name).expect(name);
        self.session.plays += 1;
        let function = u32::try_from(function).expect("few");
        let args = args.into().into();
        self.session.environment.call(CallMessage { number: self.session.plays, function, args })
    }

    fn json(&mut self, name: &str, args: impl Into<Vec<Value>>) -> String {
        match self.call(name, args) {
            EvalOutcome::Value(value) => value.json,
            outcome => panic!("{name}: {outcome:?}"),
        }
    }

    fn error(&mut self, name: &str, args: impl Into<Vec<Value>>) -> ScriptError {
        match self.call(name, args) {
            EvalOutcome::Failed(error) => error,
            outcome => panic!("{name}: {outcome:?}"),
        }
    }
}

/// The outcome of a recursion across files whose function `f` is that of a script; `None` if the script does not parse.
pub(super) fn deepest_recursion(script: &str) -> Option<EvalOutcome> {
    let source = script.replace("f(n + 1)", "circle::deep::f(n + 1)").replace("} f(0)", "}");
    inspect_functions(&files(&[("deep", &source)]), &WorkerLimits::default()).ok()?;
    let mut calls = CallSession::new(&[("deep", &source)]);
    Some(calls.call("deep.f", [Value::Int(0)]))
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

/// The frames of a traceback, as `PATH:LINE FUNCTION | TEXT`.
fn frames(error: &ScriptError) -> Vec<String> {
    let frame = |frame: &TraceFrame| {
        let path = match &frame.source {
            TraceSource::File(path) | TraceSource::Module(path) => path.as_str(),
            other => panic!("{other:?}"),
        };
        let line = frame.position.map_or(0, |position| position.line);
        let (function, text) = (frame.function.as_deref().unwrap_or("-"), frame.text.as_deref().unwrap_or("-"));
        format!("{path}:{line} {function} | {text}")
    };
    error.trace.iter().map(frame).collect()
}

#[test]
fn arguments_keep_their_types() {
    let source = "fn echo(x) { #{ of: type_of(x), x: x } } fn sum(a, b) { a + b } fn none() {}";
    let mut calls = CallSession::new(&[("echo", source)]);
    let members = [("b", Value::Int(2)), ("a", Value::Array(vec![Value::Unit]))];
    let cases = [
        (Value::Unit, "()", "null"),
        (Value::Bool(true), "bool", "true"),
        (Value::Int(i64::MIN), "i64", "-9223372036854775808"),
        (Value::Float(2.0), "f64", "2.0"),
        (text("\"ä\n"), "string", r#""\"ä\n""#),
        (Value::Blob(vec![0, 255]), "blob", r#""AP8=""#),
        (Value::Map(members.map(|(name, value)| (name.to_owned(), value)).into()), "map", r#"{"a":[null],"b":2}"#),
    ];
    for (value, type_name, json) in cases {
        assert_eq!(calls.json("echo", [value]), format!(r#"{{"of":"{type_name}","x":{json}}}"#));
    }
    assert_eq!(calls.json("echo.sum", [Value::Int(40), Value::Float(2.5)]), "42.5");
    assert_eq!(calls.json("echo.none", []), "null");
    assert_eq!(
        calls.error("echo.sum", [Value::Int(1)]).message,
        "echo.sum has 2 parameters, but the call has 1 arguments"
    );
    let long = "x".repeat((1 << 20) + 1);
    assert!(matches!(calls.call("echo", [text(&long)]), EvalOutcome::Limit { kind: LimitKind::StringSize, .. }));
}

#[test]
fn files_call_each_other_and_only_public_functions() {
    // Functions of the calling file do not replace those of the called one, nor those of Rhai.
    let order = "const TAX = 2; private fn len(text) { 1000 } private fn same(x) { -1 }\n\
        private fn helper(x) { x * global::TAX }\n\
        fn place(x) { helper(x) + circle::price(x) + circle::price::base() }\n\
        fn order(x) { place(x) }\n\
        fn sames() { circle::price::sames([1, 2]) }\n\
        fn steal() { circle::price::secret() }\n\
        fn down(n) { if n == 0 { 0 } else { 1 + circle::price::up(n - 1) } }\n\
        fn through(f) { [1, 2].map(|x| helper(x)) }";
    let price = "const TAX = 100;\n\
        private fn secret() { 1 }\n\
        fn price(x) { secret() + x } fn base() { global::TAX }\n\
        private fn same(x) { x }\n\
        fn sames(list) { [list.map(same), list.len(), reached()] }\n\
        private fn reached() { let found = false; try { helper(1); found = true; } catch {} found }\n\
        fn up(n) { circle::order::down(n) }";
    let mut calls = CallSession::new(&[("order", order), ("price", price)]);
    let (order, price) = (&calls.names[..6], &calls.names[6..]);
    assert_eq!(order, ["order.place", "order", "order.sames", "order.steal", "order.down", "order.through"]);
    assert_eq!(price, ["price", "price.base", "price.sames", "price.up"]);
    assert_eq!(calls.json("order", [Value::Int(3)]), "110");
    assert_eq!(calls.json("order.sames", []), "[[1,2],2,false]");
    assert_eq!(calls.json("order.through", [Value::Unit]), "[2,4]");
    let error = calls.error("order.steal", []);
    assert_eq!(error.message, "Function not found: circle::price::secret ()");
    assert_eq!(calls.json("order.down", [Value::Int(20)]), "20");
    let deep = calls.call("order.down", [Value::Int(1_000)]);
    assert!(matches!(deep, EvalOutcome::Limit { kind: LimitKind::CallDepth, max: 256 }), "{deep:?}");
}

#[test]
fn top_level_is_evaluated_once() {
    let source = "const SUM = { let sum = 0; for i in 0..10000 { sum += i; } sum }; fn sum() { global::SUM }";
    let mut calls = CallSession::new(&[("sum", source)]);
    for _ in 0..3 {
        match calls.call("sum", []) {
            EvalOutcome::Value(value) => assert!(value.json == "49995000" && value.operations < 20, "{value:?}"),
            outcome => panic!("{outcome:?}"),
        }
    }
}

#[test]
fn nothing_of_a_call_reaches_the_next_one() {
    let home = tempfile::tempdir().expect("a directory");
    let module = "let n = 0; export const LIST = [];\n\
        export const ME = USER; const inner = || { n += 1; n }; fn count() { global::inner.call() }";
    for name in ["counter", "other"] {
        std::fs::write(home.path().join(format!("{name}.rhai")), module).expect("written");
    }
    let source = "import \"counter\" as c;\n\
        let n = 0; let list = [1]; let nested = 0;\n\
        const LIST = [1]; const COUNTER = || { n += 1; n }; const KEEP = #{ deep: [|x| { list.push(x); list.len() }] };\n\
        const CURRIED = make();\n\
        private fn make() { let count = 0; || { count += 1; count } }\n\
        fn counter() { [global::COUNTER.call(), global::KEEP.deep[0].call(1), global::CURRIED.call()] }\n\
        fn constant(x) { const SECRET = x; let n = x; let found = \"none\";\n\
        try { found = global::SECRET; } catch {} found }\n\
        fn grow() { let mine = global::KEEP; mine.more = 1; let l = global::LIST; [l.push(2), l.len()] }\n\
        fn variables() { let found = []; for name in [\"n\", \"x\", \"mine\"] { found.push(is_def_var(name)); } found }\n\
        fn through() { [c::count(), c::count(), c::ME] }\n\
        fn imported() { import \"other\" as d; [d::count(), d::ME, d::LIST] }\n\
        fn user() { USER } fn region() { [REGION, other()] }\n\
        fn other() { let found = \"none\"; try { found = OTHER; } catch {} found }\n\
        fn set_user() { USER = \"root\"; } fn set_member() { USER.role = \"root\"; USER.role }\n\
        fn attack() {\n\
        try { USER.tags.push(\"x\"); } catch {} try { USER.tags[0] = 1; } catch {} try { USER.remove(\"role\"); } catch {}\n\
        try { USER.clear(); } catch {} try { USER += #{ a: 1 }; } catch {} try { USER.mixin(#{ a: 1 }); } catch {}\n\
        let mine = USER; mine.clear(); let same = || mine; let called = same.call(); called.tags = 1; touch(USER); 1 }\n\
        fn touch(user) { user.clear() }\n\
        fn keep_user() { let mine = USER; mine.role = \"root\"; [mine.role, USER.role] }";
    let setup = WorkerSetup {
        constants: constants(),
        modules: ModuleSources::read(home.path()).expect("readable"),
        ..WorkerSetup::default()
    };
    let mut calls = CallSession::with(&[("file", source)], setup);
    for round in 0..3 {
        assert_eq!(calls.json("file.counter", []), "[1,2,1]", "{round}");
        assert_eq!(calls.json("file.constant", [text("secret")]), "\"none\"", "{round}");
        assert_eq!(calls.json("file.grow", []), "[null,2]", "{round}");
        assert_eq!(calls.json("file.variables", []), "[false,false,false]", "{round}");
        assert_eq!(calls.json("file.through", []), "[1,1,null]", "{round}");
    }
    assert_eq!(calls.json("file.region", []), r#"["test","none"]"#);
    for user in ["alice", "bob"] {
        calls.session.set_user(Some(user));
        assert_eq!(calls.json("file.user", []), format!("\"{user}\""));
        // A module that a call imports is evaluated for this call.
        assert_eq!(calls.json("file.imported", []), format!("[1,\"{user}\",[]]"));
        assert!(calls.error("file.set_user", []).message.contains("USER"));
        assert_eq!(calls.json("file.user", []), format!("\"{user}\""));
    }
    let member = NamedValue::new("USER", serde_json::json!({ "role": "clerk", "tags": ["a"] })).expect("valid");
    let other = NamedValue::new("OTHER", "secret").expect("valid");
    calls.session.environment.set_constants(&[member, other]).expect("valid");
    assert_eq!(calls.json("file.region", []), r#"["test","secret"]"#);
    assert_eq!(calls.json("file.keep_user", []), r#"["root","clerk"]"#);
    drop(calls.call("file.set_member", []));
    assert_eq!(calls.json("file.attack", []), "1");
    assert_eq!(calls.json("file.user", []), r#"{"role":"clerk","tags":["a"]}"#);
    calls.session.set_user(None);
    assert_eq!(calls.json("file.user", []), "null");
    assert_eq!(calls.json("file.region", []), r#"["test",null]"#);
}

#[test]
fn error_of_top_level_fails_every_call() {
    let good = ("good", "fn good() { 1 }");
    let bad = ("bad", "fn bad() { 2 }\nfn fails(x) {\n  throw `no ${x}`\n}\nconst A = fails(\"luck\");");
    let mut calls = CallSession::new(&[good, bad]);
    for name in ["good", "bad", "good"] {
        let error = calls.error(name, []);
        assert_eq!((error.message.as_str(), error.position), ("Runtime error: no luck", None), "{name}");
        assert_eq!(
            frames(&error),
            ["shop/bad.rhai:3 fails |   throw `no ${x}`", "shop/bad.rhai:5 - | const A = fails(\"luck\");"]
        );
    }
    let limits = WorkerLimits { operations: Some(1000), ..WorkerLimits::default() };
    let setup = WorkerSetup { limits, ..WorkerSetup::default() };
    let mut calls = CallSession::with(&[("endless", "loop {}"), good], setup);
    assert!(matches!(calls.call("good", []), EvalOutcome::Limit { kind: LimitKind::Operations, max: 1000 }));
    let mut calls =
        CallSession::with_host(&[("host", "const COUNT = stock::count(); fn host() { 1 }")], with_stock(), |_| {
            HostReturn::Value("1".into())
        });
    assert!(calls.error("host", []).message.contains("only by plays and calls"));
}

#[test]
fn traceback_of_call_has_files_and_lines() {
    // Both files have functions of the same names at the same positions.
    let a =
        "fn a(n) {\n  check(n)\n}\nprivate fn check(n) {\n  if n == 0 { circle::b(n) }\n  [1].map(|x| x.nothing())\n}";
    let b = "fn b(n) {\n  check(n)\n}\nprivate fn check(n) {\n  throw #{ code: 7 };\n\n}";
    let mut calls = CallSession::new(&[("a", a), ("b", b)]);
    let error = calls.error("a", [Value::Int(0)]);
    assert_eq!(
        frames(&error),
        [
            "shop/b.rhai:5 check |   throw #{ code: 7 };",
            "shop/b.rhai:2 b |   check(n)",
            "shop/a.rhai:5 check |   if n == 0 { circle::b(n) }",
            "shop/a.rhai:2 a |   check(n)",
        ]
    );
    assert_eq!((error.thrown.as_deref(), error.position), (Some(r#"{"code":7}"#), None));
    assert_eq!(error.function.as_deref(), Some("check"));
    let error = calls.error("a", [Value::Int(1)]);
    assert_eq!(error.message, "Function not found: nothing (i64)");
    assert_eq!(frames(&error)[0], "shop/a.rhai:6 |…| |   [1].map(|x| x.nothing())");
    assert_eq!(frames(&error).last().map(String::as_str), Some("shop/a.rhai:2 a |   check(n)"));
}

#[test]
fn calls_have_the_limits_of_plays() {
    let source = "fn endless() { loop {} } fn prints() { loop { print(\"x\"); } }\n\
        fn grows() { let s = \"x\"; loop { s += s; } } fn ends() { exit(5); 6 }\n\
        fn catches() { try { loop {} } catch { 1 } } fn hello(x) { print(`hello ${x}`); 1 }";
    let limits = WorkerLimits { operations: Some(10_000), output_bytes: 2_000, ..WorkerLimits::default() };
    let setup = WorkerSetup { limits, ..WorkerSetup::default() };
    let mut calls = CallSession::with(&[("limits", source)], setup);
    let cases = [
        ("limits.endless", LimitKind::Operations),
        ("limits.prints", LimitKind::Output),
        ("limits.grows", LimitKind::StringSize),
        ("limits.catches", LimitKind::Operations),
    ];
    for (name, expected) in cases {
        match calls.call(name, []) {
            EvalOutcome::Limit { kind, .. } => assert_eq!(kind, expected, "{name}"),
            outcome => panic!("{name}: {outcome:?}"),
        }
        calls.session.texts();
        assert_eq!(calls.json("limits.hello", [text("you")]), "1");
        assert_eq!(calls.session.texts(), ["hello you"]);
    }
    assert_eq!(calls.json("limits.ends", []), "5");
    // The call has not begun.
    let next = calls.session.plays + 1;
    calls.session.monitor.stop(next);
    assert_eq!(calls.call("limits.ends", []), EvalOutcome::Stopped);
}

#[test]
fn call_calls_host_functions() {
    let source = "fn count(x) { stock::count() + x } fn caught() { try { stock::count() } catch { 1 } }";
    let mut calls = CallSession::with_host(&[("count", source)], with_stock(), |_| HostReturn::Value("40".into()));
    assert_eq!(calls.json("count", [Value::Int(2)]), "42");
    assert_eq!(calls.session.calls().iter().map(|call| call.play).collect::<Vec<_>>(), [1]);
    let mut calls = CallSession::with_host(&[("count", source)], with_stock(), |_| HostReturn::Aborted);
    assert_eq!(calls.call("count.caught", []), EvalOutcome::Stopped);
}

#[test]
fn call_without_functions_fails() {
    let mut session = PlaySession::with(WorkerSetup::default());
    let call = CallMessage { number: 1, function: 0, args: Vec::new().into() };
    match session.environment.call(call) {
        EvalOutcome::Failed(error) => assert_eq!(error.message, "there is no function with the index 0"),
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn caller_is_that_of_the_call_in_every_file() {
    let forged = "fn caller() { \"forged\" } fn own() { caller() }";
    let order = "fn order() { [caller().name, circle::forged::own(), [1].map(|n| caller().name)[0], nested()] }\n\
        private fn nested() { circle::forged::own(); caller().name }";
    let mut calls = CallSession::new(&[("forged", forged), ("order", order)]);
    for user in ["alice", "bob"] {
        let name = NamedValue::new(crate::message::CALLER_NAME, user).expect("valid");
        calls.session.environment.set_constants(&[name]).expect("valid");
        assert_eq!(calls.json("forged.own", []), "\"forged\"");
        assert_eq!(calls.json("order", []), format!(r#"["{user}","forged","{user}","{user}"]"#));
    }
    calls.session.environment.set_constants(&[]).expect("valid");
    assert_eq!(calls.json("order", []), r#"[null,"forged",null,null]"#);
}
