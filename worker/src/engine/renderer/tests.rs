use super::*;

fn render(script: &str) -> (String, String) {
    let engine = Engine::new();
    let value: Dynamic = engine.eval(script).expect("the script runs");
    let renderer = Renderer { engine: &engine, max_bytes: 4096 };
    (renderer.text(&value).expect("fits"), renderer.json(&value).expect("fits"))
}

#[test]
fn value_text_matches_rhai_print() {
    let scripts = [
        "42",
        "1.0",
        "1e30",
        "0.1",
        "'x'",
        "' '",
        "['\\n', ' ']",
        "\"a\\\"b\\n\"",
        "true",
        "()",
        "[]",
        "#{}",
        "[1, \"x\", 'c', 2.5, (), [true]]",
        "#{a: 1, \"b c\": [#{d: \"e\"}]}",
        "blob(9, 7)",
        "1..4",
        "1..=4",
        "Fn(\"f\")",
        "[Fn(\"f\")]",
    ];
    for script in scripts {
        let printed = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
        let mut engine = Engine::new();
        let sink = printed.clone();
        engine.on_print(move |text| *sink.lock().expect("not poisoned") = text.into());
        engine.run(&format!("print({script})")).expect("it can be printed");
        assert_eq!(render(script).0, *printed.lock().expect("not poisoned"), "{script}");
    }
}

#[test]
fn value_json_matches_protocol() {
    let cases = [
        ("9223372036854775807", "9223372036854775807"),
        ("1.0", "1.0"),
        ("0.0/0.0", "null"),
        ("1.0/0.0", "null"),
        ("'ß'", "\"ß\""),
        ("[' ', '\\t']", r#"[" ","\t"]"#),
        ("\"a\\\"\\u0000\"", r#""a\"\u0000""#),
        ("()", "null"),
        ("true", "true"),
        ("blob(3, 255)", "\"////\""),
        ("[1, [2, ()], \"x\"]", "[1,[2,null],\"x\"]"),
        ("#{b: 1, a: #{c: 'c'}}", "{\"a\":{\"c\":\"c\"},\"b\":1}"),
        ("1..3", "\"1..3\""),
        ("Fn(\"f\")", "\"Fn(f)\""),
    ];
    for (script, json) in cases {
        assert_eq!(render(script).1, json, "{script}");
    }
}

#[derive(Clone)]
struct Money(i64);

#[derive(Clone)]
struct Opaque;

fn native_engine() -> Engine {
    let mut engine = Engine::new();
    engine
        .register_type_with_name::<Money>("Money")
        .register_fn("money", Money)
        .register_fn("to_string", |money: &mut Money| format!("{} cents", money.0))
        .register_fn("to_debug", |money: &mut Money| format!("money({})", money.0))
        .register_fn("to_json", |money: &mut Money| format!("{{\"cents\":{}}}", money.0))
        .register_type_with_name::<Opaque>("Opaque")
        .register_fn("opaque", || Opaque);
    engine
}

#[test]
fn native_type_decides_text_and_json() {
    let engine = native_engine();
    let renderer = Renderer { engine: &engine, max_bytes: 4096 };
    let render = |script: &str| {
        let value: Dynamic = engine.eval(script).expect("the script runs");
        let text = renderer.text(&value).expect("fits");
        let printed: String =
            engine.eval(&format!("let value = {{ {script} }}; value.to_string()")).expect("it can be printed");
        assert_eq!(text, printed, "{script}");
        (text, renderer.json(&value).expect("fits"), renderer.argument(&value).ok())
    };
    let cents = |text: &str, json: &str| (text.to_owned(), json.to_owned(), Some(json.to_owned()));
    assert_eq!(render("money(5)"), cents("5 cents", "{\"cents\":5}"));
    assert_eq!(render("[money(5)]"), cents("[money(5)]", "[{\"cents\":5}]"));
    assert_eq!(render("let m = money(5); let f = || m; m"), cents("5 cents", "{\"cents\":5}"));
    assert_eq!(render("opaque()"), ("Opaque".into(), "\"Opaque\"".into(), None));
}

#[test]
fn argument_names_place_of_value_without_json() {
    let engine = native_engine();
    let renderer = Renderer { engine: &engine, max_bytes: 4096 };
    let argument = |script: &str| renderer.argument(&engine.eval::<Dynamic>(script).expect("the script runs"));
    let no_form =
        |type_name: &str, path: &str| Err(ArgumentError::NoForm { type_name: type_name.into(), path: path.into() });
    assert_eq!(argument("[1, blob(3, 200), 'c', ()]"), Ok("[1,[200,200,200],\"c\",null]".into()));
    assert_eq!(argument("|x| x"), no_form("Fn", ""));
    assert_eq!(argument("timestamp()"), no_form("timestamp", ""));
    assert_eq!(argument("1..3"), no_form("range", ""));
    assert_eq!(argument("[1, #{a: [opaque()]}]"), no_form("Opaque", "[1].a[0]"));
    assert_eq!(argument("#{\"a b\": timestamp()}"), no_form("timestamp", "[\"a b\"]"));
    let too_large = Renderer { max_bytes: 100, ..renderer }.argument(&engine.eval("blob(99, 1)").expect("a blob"));
    assert!(matches!(too_large, Err(ArgumentError::TooLarge(_))));
}

#[test]
fn rendering_is_bounded_in_depth_and_size() {
    let engine = Engine::new();
    let renderer = Renderer { engine: &engine, max_bytes: 100 };
    let nest = |levels: usize| (1..levels).fold(Dynamic::from(Array::new()), |inner, _| vec![inner].into());
    assert!(renderer.json(&nest(64)).is_err_and(|error| error.kind == LimitKind::Output));
    let renderer = Renderer { engine: &engine, max_bytes: 1000 };
    assert!(renderer.json(&nest(64)).is_ok() && renderer.text(&nest(64)).is_ok());
    let deep = Err(TooLarge { kind: LimitKind::ValueDepth, max: 64 });
    assert_eq!(renderer.json(&nest(65)), deep);
    assert_eq!(renderer.text(&nest(65)), deep);
}

#[test]
fn cyclic_value_ends_at_depth_bound() {
    let engine = Engine::new();
    let value: Dynamic = engine.eval("let a = []; let f = || a; a.push(a); a").expect("runs");
    let renderer = Renderer { engine: &engine, max_bytes: 4096 };
    assert!(renderer.json(&value).is_err() || renderer.json(&value).is_ok_and(|json| json.len() < 300));
}
