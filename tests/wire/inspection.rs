//! `complete`, `scope` and `lookup`: queries that are answered while plays run.

use keys::KeyPair;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::{
    Home,
    process::{ServeProcess, wait_until_stopped},
    wire::WireClient,
};

fn complete(wire: &mut WireClient, before: &str) -> Value {
    wire.call("complete", json!([before, before.chars().count()]))["result"].clone()
}

/// Kind and detail of the candidate with this text.
fn candidate(result: &Value, text: &str) -> Option<(String, String)> {
    let candidates = result["candidates"].as_array().expect("a list");
    let mut named = candidates.iter().filter(|candidate| candidate["text"] == text);
    let found = named.next()?;
    assert!(named.next().is_none(), "{text} is there twice");
    let part = |name: &str| found[name].as_str().expect("text").to_owned();
    Some((part("kind"), part("detail")))
}

fn expect(wire: &mut WireClient, before: &str, text: &str, kind: &str, detail: &str) {
    let result = complete(wire, before);
    assert_eq!(candidate(&result, text), Some((kind.into(), detail.into())), "{before}: {result}");
}

/// The only worker of the server.
fn worker(server: &ServeProcess) -> Pid {
    let [worker] = server.workers()[..] else { panic!("one worker") };
    worker
}

fn signal(process: Pid, signal: Signal) {
    kill_process(process, signal).expect("it is there");
}

/// Stops a process, and waits until all of its threads have stopped.
fn stop(process: Pid) {
    signal(process, Signal::STOP);
    wait_until_stopped(process);
}

#[test]
fn complete_offers_each_kind_of_candidate() {
    let home = Home::new();
    std::fs::write(home.path().join("init.rhai"), "fn circle_fn(a) { a }").expect("written");
    std::fs::create_dir(home.path().join("modules")).expect("made");
    let module = "/// Of a rectangle.\nfn area(a, b) { a * b }";
    std::fs::write(home.path().join("modules/geo.rhai"), module).expect("written");
    let path = |name: &str| home.path().join(name).display().to_string();
    let server = ServeProcess::start(&["--init", &path("init.rhai"), "--modules", &path("modules")]);
    let mut wire = server.connect();
    // A session without a worker gets one for the query.
    expect(&mut wire, "circ", "circle_fn", "function", "circle_fn(a)");
    assert_eq!(server.workers().len(), 1);
    wire.value("let my_var = 1; const MY_CONST = 1.5; fn my_fn(a, b) {} let my_map = #{key: #{inner: `x`}}; import \"geo\" as my_geo;");
    let cases = [
        ("my_", "my_var", "variable", "i64"),
        ("1 + MY", "MY_CONST", "constant", "f64"),
        ("my_f", "my_fn", "function", "my_fn(a, b)"),
        ("my_", "my_geo", "module", ""),
        ("my_geo::", "area", "function", "area(a, b)"),
        ("my_map.", "key", "property", "map"),
        ("my_map.key.i", "inner", "property", "string"),
        ("my_map.k", "keys", "method", "keys(map: map) -> array"),
        ("my_var.my", "my_fn", "method", "my_fn(a, b)"),
        ("pus", "push", "function", "push(array: array, item: any) (+1)"),
        ("wh", "while", "keyword", ""),
        ("CIRCLE", "CIRCLE_NAME", "constant", "string"),
        ("CALLER", "CALLER_PUBLIC_KEY", "constant", "()"),
        ("import \"", "geo", "module", ""),
        ("print(`${my_v", "my_var", "variable", "i64"),
    ];
    for (before, text, kind, detail) in cases {
        expect(&mut wire, before, text, kind, detail);
    }
    for before in ["\"my_", "// my_", "/* my_", "`my_", "12", "'m"] {
        assert_eq!(complete(&mut wire, before)["candidates"], json!([]), "{before}");
    }
}

#[test]
fn complete_counts_scalar_values_and_ignores_text_after_the_cursor() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.value("let total = 1;");
    let script = "\"ß🦀\" + tot + \"";
    let result = wire.call("complete", json!({ "script": script, "cursor": 10 }))["result"].clone();
    assert_eq!((&result["start"], &result["candidates"][0]["text"]), (&json!(7), &json!("total")));
    assert_eq!(wire.call("complete", json!([script, 3]))["result"]["candidates"], json!([]));
    for cursor in [json!(15), json!(u64::MAX), json!(-1), json!("1"), Value::Null] {
        let error = wire.call("complete", json!([script, cursor]))["error"].clone();
        assert_eq!((&error["code"], &error["data"]["param"]), (&json!(-32602), &json!("cursor")), "{cursor}");
    }
}

#[test]
fn scope_shows_variables_and_functions_after_each_play() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    assert_eq!(wire.call("scope", json!([]))["result"], json!({ "variables": [], "functions": [] }));
    wire.value("let x = [1, `a`]; const C = 'c'; fn f(a, b) {}");
    let result = wire.call("scope", json!([]))["result"].clone();
    assert_eq!(
        result,
        json!({
            "variables": [
                { "name": "x", "type": "array", "output": "[1, \"a\"]", "length": 2, "constant": false },
                { "name": "C", "type": "char", "output": "c", "constant": true },
            ],
            "functions": [{ "name": "f", "params": ["a", "b"] }],
        })
    );
    wire.error("let x = 1.5; throw 1");
    wire.value("fn f(a, b) { 1 } fn f() { 2 }");
    let result = wire.call("scope", json!([]))["result"].clone();
    assert_eq!(result["variables"][1], json!({ "name": "x", "type": "f64", "output": "1.5", "constant": false }));
    assert_eq!(result["functions"], json!([{ "name": "f", "params": [] }, { "name": "f", "params": ["a", "b"] }]));
    wire.call("reset", json!([]));
    assert_eq!(wire.call("scope", json!([]))["result"], json!({ "variables": [], "functions": [] }));
    assert_eq!(candidate(&complete(&mut wire, "x"), "x"), None);
}

#[test]
fn queries_during_a_play_answer_from_the_state_before_it() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.value("let before = #{key: 1}; fn known(a) {}");
    let play = wire.request("play", json!(["let during = 1; before = 7; fn unknown() {} print(`begun`); loop {}"]));
    wire.expect_print("begun");
    expect(&mut wire, "bef", "before", "variable", "map");
    expect(&mut wire, "before.", "keys", "method", "keys(map: map) -> array");
    assert_eq!(candidate(&complete(&mut wire, "before."), "key"), None);
    for before in ["dur", "unk"] {
        assert_eq!(complete(&mut wire, before)["candidates"], json!([]), "{before}");
    }
    let scope = json!({
        "variables": [{ "name": "before", "type": "map", "constant": false }],
        "functions": [{ "name": "known", "params": ["a"] }],
    });
    assert_eq!(wire.call("scope", json!([]))["result"], scope);
    assert_eq!(wire.call("lookup", json!(["known"]))["result"]["functions"][0]["origin"], "session");
    assert_eq!(wire.call("cancel", json!([play]))["result"]["cancelled"], true);
    assert_eq!(wire.answer(&play)["error"]["code"], -32005);
    expect(&mut wire, "dur", "during", "variable", "i64");
    assert_eq!(wire.call("scope", json!([]))["result"]["variables"][0]["output"], "7");
}

#[test]
fn endless_prints_do_not_delay_queries() {
    let server = ServeProcess::start(&["--limit", "output_kib=1048576"]);
    let mut wire = server.connect();
    wire.value("let before = 1;");
    let play = wire.request("play", json!(["loop { print(`x`); }"]));
    wire.expect_print("x");
    for _ in 0..20 {
        expect(&mut wire, "bef", "before", "variable", "i64");
    }
    wire.call("cancel", json!([play]));
    assert_eq!(wire.answer(&play)["error"]["code"], -32005);
}

#[test]
fn lookup_finds_signatures_docs_and_origins() {
    let home = Home::new();
    std::fs::write(home.path().join("init.rhai"), "/// Of the circle.\nfn greet(name) {}").expect("written");
    std::fs::create_dir(home.path().join("modules")).expect("made");
    std::fs::write(home.path().join("modules/geo.rhai"), "/// Of a module.\nfn area(a, b) {}").expect("written");
    let path = |name: &str| home.path().join(name).display().to_string();
    let server = ServeProcess::start(&["--init", &path("init.rhai"), "--modules", &path("modules")]);
    let mut wire = server.connect();
    wire.value("import \"geo\" as g; /** Of the\n  session. */\nfn mine() {} /// stray\nlet x = 1;");
    let cases = [
        ("greet", "greet(name)", "Of the circle.", "circle"),
        ("g::area", "g::area(a, b)", "Of a module.", "module"),
        ("mine", "mine()", "Of the\nsession.", "session"),
        ("type_of", "type_of(value: any) -> string", "The name of a value's type.", "standard"),
    ];
    for (name, signature, doc, origin) in cases {
        let found = wire.call("lookup", json!({ "name": name }))["result"].clone();
        assert_eq!(found, json!({ "functions": [{ "signature": signature, "doc": doc, "origin": origin }] }), "{name}");
    }
    let found = wire.call("lookup", json!(["progress"]))["result"]["functions"].clone();
    assert_eq!((found.as_array().map(Vec::len), &found[0]["origin"]), (Some(2), &json!("native")));
    let found = wire.call("lookup", json!(["push"]))["result"]["functions"].clone();
    assert_eq!(
        (&found[0]["signature"], &found[0]["origin"]),
        (&json!("push(array: array, item: any)"), &json!("standard"))
    );
    assert!(found[0]["doc"].as_str().expect("text").contains("element"), "{found}");
    for name in ["nothing", "g::nothing", "nothing::area", "", "+"] {
        assert_eq!(wire.call("lookup", json!([name]))["result"], json!({ "functions": [] }), "{name}");
    }
}

#[test]
fn queries_require_authentication_like_plays() {
    let server = ServeProcess::start(&["--access", "authenticated"]);
    let mut wire = server.connect();
    let calls = [("complete", json!(["", 0])), ("scope", json!([])), ("lookup", json!(["print"]))];
    for (method, params) in calls.clone() {
        assert_eq!(wire.call(method, params)["error"]["code"], -32001, "{method}");
    }
    assert_eq!(server.workers(), []);
    wire.authenticate(&KeyPair::generate().expect("a key"));
    for (method, params) in calls {
        assert!(wire.call(method, params)["result"].is_object(), "{method}");
    }
}

#[test]
fn batched_queries_are_one_array_and_notifications_get_no_answer() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.send(
        json!([
            { "jsonrpc": "2.0", "id": 1, "method": "play", "params": ["let x = 1;"] },
            { "jsonrpc": "2.0", "id": 2, "method": "complete", "params": ["whi", 3] },
            { "jsonrpc": "2.0", "method": "scope" },
            { "jsonrpc": "2.0", "id": 3, "method": "lookup", "params": ["print"] },
            { "jsonrpc": "2.0", "id": 4, "method": "complete", "params": ["x", 2] },
            { "jsonrpc": "2.0", "id": 5, "method": "scope" },
            { "jsonrpc": "2.0", "id": 6, "method": "reset" },
        ])
        .to_string(),
    );
    let answers = wire.next();
    let answer = |id: u64| {
        let answers = answers.as_array().expect("an array");
        answers.iter().find(|answer| answer["id"] == id).unwrap_or_else(|| panic!("{id}")).clone()
    };
    assert_eq!(answers.as_array().map(Vec::len), Some(6));
    assert_eq!(answer(2)["result"]["candidates"][0]["text"], "while");
    assert_eq!(answer(3)["result"]["functions"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer(4)["error"]["data"]["param"], "cursor");
    assert!(answer(5)["result"]["variables"].is_array());
    assert_eq!(answer(6)["result"]["reset"], true);
}

#[test]
fn batched_answers_respect_the_output_limit() {
    let server = ServeProcess::start(&["--limit", "output_kib=4"]);
    let mut wire = server.connect();
    let text = "x".repeat(900);
    wire.value(&format!("let a = \"{text}\"; let b = a; let c = a;"));
    let scope = |id: u64| json!({ "jsonrpc": "2.0", "id": id, "method": "scope" });
    let answers = wire.exchange(&json!([scope(1), scope(2), scope(3)]).to_string());
    let errors = answers.as_array().expect("an array").iter().filter(|answer| answer["error"]["code"] == -32004);
    assert_eq!(errors.count(), 2, "{answers}");
}

#[test]
fn pending_queries_are_bounded_and_all_answered() {
    let server = ServeProcess::start(&["--limit", "queued_kib=1"]);
    let mut wire = server.connect();
    wire.value("let x = 1;");
    let worker = worker(&server);
    stop(worker);
    let queries: Vec<Value> = (0..70).map(|_| wire.request("scope", json!([]))).collect();
    for id in &queries[64..] {
        let error = wire.answer(id)["error"].clone();
        assert_eq!((&error["code"], &error["data"]), (&json!(-32006), &json!({ "limit": "queued", "max": 64 })));
    }
    // A reset waits for earlier queries.
    let reset = wire.request("reset", json!([]));
    signal(worker, Signal::CONT);
    for id in &queries[..64] {
        assert_eq!(wire.answer(id)["result"]["variables"][0]["name"], "x");
    }
    assert_eq!(wire.answer(&reset)["result"]["reset"], true);

    wire.value("1");
    stop(self::worker(&server));
    let script = "x".repeat(600);
    let first = wire.request("complete", json!([script, 600]));
    let second = wire.request("complete", json!([script, 600]));
    assert_eq!(wire.answer(&second)["error"]["data"], json!({ "limit": "queued", "max": 1 }));
    signal(self::worker(&server), Signal::CONT);
    assert_eq!(wire.answer(&first)["result"]["candidates"], json!([]));
}

#[test]
fn expired_query_is_busy_and_its_late_answer_is_dropped() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.value("let x = 1;");
    let worker = worker(&server);
    stop(worker);
    let error = wire.call("scope", json!([]))["error"].clone();
    assert_eq!((&error["code"], &error["data"]), (&json!(-32006), &json!({ "limit": "running", "max": 1 })));
    signal(worker, Signal::CONT);
    assert_eq!(wire.call("scope", json!([]))["result"]["variables"][0]["output"], "1");
    assert_eq!(wire.value("x"), 1);
}

#[test]
fn lost_worker_leaves_no_query_unanswered() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.value("let x = 1;");
    let worker = worker(&server);
    stop(worker);
    let queries = [wire.request("scope", json!([])), wire.request("complete", json!(["x", 1]))];
    // The circle has accepted all earlier queries.
    wire.call("describe", json!([]));
    signal(worker, Signal::KILL);
    for id in queries {
        let error = wire.answer(&id)["error"].clone();
        assert_eq!((&error["code"], &error["data"]["reason"]), (&json!(-32009), &json!("killed")));
    }
    assert_eq!(wire.notification("session.reset"), json!({ "reason": "killed" }));
    assert_eq!(wire.call("scope", json!([]))["result"]["variables"], json!([]));
}

#[test]
fn shutdown_leaves_no_query_unanswered() {
    let mut server = ServeProcess::open();
    let mut wire = server.connect();
    wire.value("let x = 1;");
    stop(worker(&server));
    let queries = wire.request("scope", json!([]));
    wire.call("describe", json!([]));
    server.signal(Signal::TERM);
    assert_eq!(wire.answer(&queries)["error"]["code"], -32008);
    assert_eq!(wire.close_code(), 1001);
    server.wait();
}

#[test]
fn query_without_a_free_worker_is_busy() {
    let server = ServeProcess::start(&["--limit", "workers=1", "--limit", "sessions_per_caller=2"]);
    let (mut first, mut second) = (server.connect(), server.connect());
    first.value("1");
    let error = second.call("complete", json!(["x", 1]))["error"].clone();
    assert_eq!((&error["code"], &error["data"]["limit"]), (&json!(-32006), &json!("workers")));
}

#[test]
fn answers_about_a_hostile_session_are_bounded() {
    let server = ServeProcess::start(&["--limit", "output_kib=64"]);
    let mut wire = server.connect();
    wire.value(
        "let m = #{}; for i in 0..50000 { m[`key_${i}`] = i; } let deep = #{}; for i in 0..60 { deep = #{d: deep}; }",
    );
    let result = complete(&mut wire, "m.key_");
    assert_eq!(result["candidates"].as_array().map(Vec::len), Some(200));
    let long = "n".repeat(100_000);
    wire.value(&format!("let {long} = 1; let s = `y`; s.pad(500000, 'y'); let all = [s];"));
    assert!(complete(&mut wire, "n").to_string().len() < 64 << 10);
    let error = wire.call("scope", json!([]))["error"].clone();
    assert_eq!(
        (&error["code"], &error["data"]),
        (&json!(-32004), &json!({ "limit": "output", "max": 64, "setting": "output_kib" }))
    );
    let chain = format!("deep{}.", ".d".repeat(30_000));
    assert!(complete(&mut wire, &chain)["candidates"].is_array());
    assert_eq!(wire.value("m.len()"), 50_000);
}

#[test]
fn client_methods_match_the_documentation() {
    let server = ServeProcess::open();
    let client = client_ws::CircleWsClient::builder(&server.url).build().expect("a URL");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        client.connect().await.expect("it listens");
        client.play("let total = 7; /// Adds.\nfn add(a, b) { a + b }").await.expect("it plays");
        let completion = client.complete("1 + tot", 7).await.expect("it answers");
        assert_eq!((completion.start, completion.candidates[0].text.as_str()), (4, "total"));
        assert_eq!(completion.candidates[0].kind, client_ws::CandidateKind::Variable);
        let scope = client.scope().await.expect("it answers");
        assert_eq!(scope.variables[0].output.as_deref(), Some("7"));
        assert_eq!(scope.functions[0].params, ["a", "b"]);
        let found = client.lookup("add").await.expect("it answers");
        assert_eq!((found[0].doc.as_str(), found[0].origin), ("Adds.", client_ws::Origin::Session));
    });
}
