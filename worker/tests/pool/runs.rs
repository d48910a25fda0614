//! Typed runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use worker::{ErrorKind, Layer, RunError, Stream, TraceSource};

use crate::{builder, checkout, pool};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    item: String,
    count: Option<u8>,
}

pub(crate) async fn values_inputs_and_prints_are_typed() {
    let pool = pool().await;
    let mut session = checkout(&pool).await;
    assert!(session.layers().contains(&Layer::Syscalls) && session.layers().contains(&Layer::Memory));
    assert_eq!(session.run::<i64>("let x = 40; x + 2").await.expect("a value"), 42);
    assert_eq!(session.run::<Option<f64>>("x / 0.0").await.expect("a value"), None);
    session.run::<()>("fn twice(n) { n * 2 }").await.expect("nothing");
    let order = Order { item: "tea".into(), count: Some(2) };
    let mut prints = Vec::new();
    let doubled: Order = session
        .run("print(order); debug(x); order.count = twice(order.count); order")
        .input("order", &order)
        .collect_prints(&mut prints)
        .await
        .expect("a value");
    assert_eq!(doubled, Order { item: "tea".into(), count: Some(4) });
    let prints: Vec<_> = prints.iter().map(|print| (print.stream, print.text.as_str())).collect();
    assert_eq!(prints, [(Stream::Print, r#"#{"count": 2, "item": "tea"}"#), (Stream::Debug, "40")]);
    // An input is a variable of the session.
    assert_eq!(session.run::<i64>("order.count").await.expect("a value"), 4);
    let mut lines = 0;
    let all: BTreeMap<String, Value> =
        session.run("for i in 0..3 { print(i) } #{a: [1, 'b', ()]}").on_print(|_| lines += 1).await.expect("a value");
    assert_eq!((lines, json!(all)), (3, json!({ "a": [1, "b", null] })));
    let raw = session.run::<()>("[1, \"a\"]").raw().await.expect("a value");
    assert_eq!((raw.output.as_str(), raw.type_name.as_str()), (r#"[1, "a"]"#, "array"));
    assert_eq!(raw.json, r#"[1,"a"]"#);
    let error = session.run::<u8>("300").await.expect_err("no u8");
    assert_eq!(error.to_string(), "the script's value is not a u8: invalid value: integer `300`, expected u8");
    assert!(matches!(error, RunError::Value { expected: "u8", .. }));
}

pub(crate) async fn errors_have_position_and_trace() {
    let pool = pool().await;
    let mut session = checkout(&pool).await;
    let error = session.run::<()>("let a = 1;\nlet = 2").await.expect_err("it does not parse");
    assert!(error.to_string().ends_with("(line 2, column 5)"), "{error}");
    let RunError::Script(error) = error else { panic!("{error}") };
    assert_eq!(error.kind, ErrorKind::Parse);
    session.run::<()>("fn sell(item) {\n  throw item\n}").name("shop.rhai").await.expect("nothing");
    let error = session.run::<()>("sell(\"tea\")").await.expect_err("it throws");
    assert_eq!(error.to_string(), "the script failed: Runtime error: tea (line 1, column 1)");
    let RunError::Script(error) = error else { panic!("{error}") };
    assert_eq!(error.thrown.as_deref(), Some("\"tea\""));
    assert!(matches!(&error.trace[0].source, TraceSource::Play { name: Some(name), .. } if name == "shop.rhai"));
    // The session remains.
    session.run::<()>("sell").await.expect_err("a function is no value of this type");
    assert!(!session.is_lost());
}

pub(crate) async fn inputs_are_never_code() {
    let pool = pool().await;
    let mut session = checkout(&pool).await;
    for attack in [
        "\"; throw \"code\"; \"",
        "`${throw 1}`",
        "*/ throw 1 /*",
        "\n}\nthrow 1;\n{",
        "\u{0}\u{202e}\\u0022",
        "\\\"; throw 1; //",
        "]}', \"x\": 1, \"a\": [",
    ] {
        let same: String = session.run("text").input("text", attack).await.expect("the text itself");
        assert_eq!(same, attack);
        let members = BTreeMap::from([(attack, attack)]);
        let same: BTreeMap<String, String> = session.run("map").input("map", members).await.expect("a map");
        assert_eq!(same, BTreeMap::from([(attack.into(), attack.into())]));
        // As a name.
        let error = session.run::<()>("()").input(attack, 1).await.expect_err("no name");
        assert!(matches!(error, RunError::Input(_)), "{error}");
    }
}

pub(crate) async fn invalid_inputs_are_errors() {
    let pool = pool().await;
    let mut session = checkout(&pool).await;
    let error = session.run::<()>("print(1)").input("big", u64::MAX).await.expect_err("no i64");
    assert_eq!(
        error.to_string(),
        "cannot pass the value 'big' to the script: 18446744073709551615 does not fit an i64"
    );
    let error = session.run::<()>("print(1)").input("let", 1).input("a b", 1).await.expect_err("a keyword");
    assert!(matches!(&error, RunError::Input(error) if error.name == "let"), "{error}");
    // More items than the limit: the script would have made such a value no more.
    let many = vec![0; 100_001];
    let error = session.run::<()>("()").input("many", &many).await.expect_err("too many");
    assert!(matches!(error, RunError::Limit { max: 100_000, .. }), "{error}");
    assert_eq!(error.to_string(), "the script exceeded its limit of 100000 items of an array");
    assert_eq!(session.run::<i64>("many = (); 1").await.expect("the session remains"), 1);
}

pub(crate) async fn constants_and_init_are_for_every_session() {
    let init = "const RATE = 2; fn rated(n) { n * global::RATE * REGIONS.len() }";
    let pool = builder().constant("REGIONS", ["north", "south"]).init(init).start().await.expect("it starts");
    for _ in 0..2 {
        let mut session = checkout(&pool).await;
        assert_eq!(session.run::<i64>("rated(3)").await.expect("a value"), 12);
        session.run::<()>("REGIONS = 1").await.expect_err("a constant");
        session.run::<()>("let REGIONS = 1; fn rated(n) { 0 }").await.expect("its own");
        assert_eq!(session.run::<i64>("rated(3) + REGIONS").await.expect("a value"), 1);
    }
}
