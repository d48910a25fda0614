//! Conformance to JSON-RPC 2.0.

use serde_json::{Value, json};

use crate::support::process::ServeProcess;

/// Messages and their answers. `null` in an expected answer stands for any value.
#[test]
fn requests_get_the_documented_answers() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let cases = [
        // JSON-RPC 2.0 §5.1, §7
        ("hello", json!({ "id": null, "error": { "code": -32700, "message": "Parse error" } })),
        ("{\"jsonrpc\":\"2.0\",\"id\":1", json!({ "id": null, "error": { "code": -32700, "message": "Parse error" } })),
        ("[1,", json!({ "id": null, "error": { "code": -32700, "message": "Parse error" } })),
        ("[]", json!({ "id": null, "error": { "code": -32600 } })),
        ("1", json!({ "id": null, "error": { "code": -32600 } })),
        ("{}", json!({ "id": null, "error": { "code": -32600 } })),
        (r#"{"jsonrpc":"2.0","method":1,"params":"bar"}"#, json!({ "id": null, "error": { "code": -32600 } })),
        (
            r#"{"jsonrpc":"2.0","id":"7","method":"nothing"}"#,
            json!({ "id": "7", "error": { "code": -32601, "data": { "method": "nothing" } } }),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"subscribe","params":["x/"]}"#,
            json!({ "id": 1, "error": { "code": -32602, "data": { "param": "keys" } } }),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"unsubscribe","params":[1]}"#,
            json!({ "id": 1, "result": { "unsubscribed": false } }),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"resume","params":["x",1]}"#,
            json!({ "id": 1, "error": { "code": -32601 } }),
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"rpc.nothing"}"#, json!({ "id": 1, "error": { "code": -32601 } })),
        // params by name and by position
        (
            r#"{"jsonrpc":"2.0","id":2,"method":"play","params":["1 + 1"]}"#,
            json!({ "id": 2, "result": { "value": 2, "type": "i64", "output": "2" } }),
        ),
        (
            r#"{"jsonrpc":"2.0","id":2,"method":"play","params":{"script":"1 + 2"}}"#,
            json!({ "id": 2, "result": { "value": 3 } }),
        ),
        (
            r#"{"jsonrpc":"2.0","id":3,"method":"play"}"#,
            json!({ "id": 3, "error": { "code": -32602, "data": { "param": "script" } } }),
        ),
        (
            r#"{"jsonrpc":"2.0","id":3,"method":"play","params":{"script":"1","x":1}}"#,
            json!({ "id": 3, "error": { "code": -32602, "data": { "param": "x" } } }),
        ),
        (
            r#"{"jsonrpc":"2.0","id":3,"method":"play","params":[1]}"#,
            json!({ "id": 3, "error": { "code": -32602, "data": { "param": "script" } } }),
        ),
        (
            r#"{"jsonrpc":"2.0","id":3,"method":"play","params":["1",-5]}"#,
            json!({ "id": 3, "error": { "code": -32602, "data": { "param": "timeout_ms" } } }),
        ),
        (
            r#"{"jsonrpc":"2.0","id":3,"method":"play","params":["1",null,"a b"]}"#,
            json!({ "id": 3, "error": { "code": -32602, "data": { "param": "bind" } } }),
        ),
        (
            r#"{"jsonrpc":"2.0","id":3,"method":"describe","params":[1]}"#,
            json!({ "id": 3, "error": { "code": -32602, "data": { "param": "[0]" } } }),
        ),
        (
            r#"{"jsonrpc":"2.0","id":3,"method":"fetch_nonce","params":["02"]}"#,
            json!({ "id": 3, "error": { "code": -32602, "data": { "param": "pubkey" } } }),
        ),
        // batches
        (r"[1]", json!([{ "id": null, "error": { "code": -32600 } }])),
        (
            r#"[{"jsonrpc":"2.0","method":"play","params":["1"]},{"jsonrpc":"2.0","id":4,"method":"cancel","params":[9]}]"#,
            json!([{ "id": 4, "result": { "cancelled": false } }]),
        ),
    ];
    for (sent, expected) in cases {
        let answer = wire.exchange(sent);
        assert!(covers(&answer, &expected), "{sent}\n{answer}\n{expected}");
        let members = answer.as_array().cloned().unwrap_or_else(|| vec![answer.clone()]);
        for member in members {
            assert_eq!(member["jsonrpc"], "2.0", "{sent}");
            assert!(member.get("id").is_some(), "{sent}");
            assert!(member.get("result").is_some() != member.get("error").is_some(), "{sent}: {member}");
        }
    }
}

/// Returns whether an answer contains everything that is expected.
fn covers(answer: &Value, expected: &Value) -> bool {
    match (answer, expected) {
        (Value::Object(answer), Value::Object(expected)) => {
            expected.iter().all(|(name, value)| answer.get(name).is_some_and(|found| covers(found, value)))
        }
        (Value::Array(answer), Value::Array(expected)) => {
            answer.len() == expected.len() && answer.iter().zip(expected).all(|(found, value)| covers(found, value))
        }
        _ => answer == expected,
    }
}

#[test]
fn id_is_returned_verbatim() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    for id in ["0", "1.0", "1e2", "-0", "123456789012345678901234567890", "null", r#""""#, r#""\u0041\/""#] {
        wire.send(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"cancel","params":[1]}}"#));
        let text = wire.socket.read().expect("an answer").into_text().expect("text");
        assert!(text.contains(&format!("\"id\":{id},")), "{id}: {text}");
    }
    let longest = format!("\"{}\"", "x".repeat(126));
    wire.send(format!(r#"{{"jsonrpc":"2.0","id":{longest},"method":"cancel","params":[1]}}"#));
    assert_eq!(wire.next()["id"], "x".repeat(126));
    for id in [format!("\"{}\"", "x".repeat(127)), "true".into(), "[]".into(), "{\"a\":1}".into()] {
        wire.send(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"cancel","params":[1]}}"#));
        let answer = wire.next();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32600)), "{id}");
        assert_eq!(answer["error"]["data"]["id"].to_string(), id);
        assert!(answer["error"]["data"]["reason"].is_string());
    }
}

/// Ids that are valid JSON but cannot be represented as values.
#[test]
fn unusable_id_is_returned_verbatim() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let surrogates = format!("\"{}\"", r"\ud800".repeat(30));
    for id in [deep, "7".repeat(400), surrogates] {
        for text in [
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"describe"}}"#),
            format!(r#"[{{"jsonrpc":"2.0","id":{id},"method":"describe"}}]"#),
        ] {
            wire.send(text);
            let answer = wire.socket.read().expect("an answer").into_text().expect("text");
            assert!(answer.contains(&format!("\"id\":{id}}}")) && answer.contains("-32600"), "{answer}");
        }
    }
    // Short enough for the id of a play; the second use is a duplicate.
    for id in ["1e999", r#""\ud800""#] {
        for _ in 0..2 {
            wire.send(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"play","params":["loop {{}}",1000]}}"#));
        }
        let answer = wire.socket.read().expect("an answer").into_text().expect("text");
        assert!(answer.contains(&format!("\"id\":{id}}}")) && answer.contains("-32600"), "{answer}");
        wire.send(format!(r#"{{"jsonrpc":"2.0","method":"cancel","params":[{id}]}}"#));
        let answer = wire.socket.read().expect("an answer").into_text().expect("text");
        assert!(answer.contains(&format!("\"id\":{id},")) && answer.contains("-32005"), "{answer}");
    }
}

#[test]
fn duplicate_id_of_a_running_play_is_rejected_under_null() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.send(r#"{"jsonrpc":"2.0","id":"a","method":"play","params":["print(1); loop {}"]}"#);
    wire.expect_print("1");
    for method in ["play", "describe", "nothing"] {
        let answer = wire.exchange(&format!(r#"{{"jsonrpc":"2.0","id":"\u0061","method":"{method}","params":["1"]}}"#));
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32600)), "{method}");
        assert_eq!(answer["error"]["data"]["id"], "a");
    }
    // The duplicate has not affected the play.
    let cancelled = wire.exchange(r#"{"jsonrpc":"2.0","id":"b","method":"cancel","params":["\u0061"]}"#);
    let answers = [cancelled, wire.next()];
    assert!(answers.iter().any(|answer| answer["id"] == "b" && answer["result"]["cancelled"] == true), "{answers:?}");
    assert!(answers.iter().any(|answer| answer["id"] == "a" && answer["error"]["code"] == -32005), "{answers:?}");
    // The id is free again.
    assert_eq!(wire.exchange(r#"{"jsonrpc":"2.0","id":"a","method":"play","params":["2"]}"#)["result"]["value"], 2);
}

#[test]
fn notification_is_executed_and_never_answered() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    wire.send(r#"{"jsonrpc":"2.0","method":"play","params":["let n = 5; print(`unheard`); nowhere"]}"#);
    wire.send(r#"{"jsonrpc":"2.0","method":"nothing"}"#);
    wire.send(r#"{"jsonrpc":"2.0","method":"play"}"#);
    wire.send(r#"[{"jsonrpc":"2.0","method":"play","params":["n += 1"]},{"jsonrpc":"2.0","method":"nothing"}]"#);
    // The next message answers this request: the notification had no answer.
    let answer = wire.exchange(r#"{"jsonrpc":"2.0","id":1,"method":"play","params":["n"]}"#);
    assert_eq!((&answer["id"], &answer["result"]["value"]), (&json!(1), &json!(6)));
}

#[test]
fn batch_is_answered_by_one_array() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "play", "params": ["let a = 1; a"] },
        { "jsonrpc": "2.0", "id": 2, "method": "describe" },
        { "jsonrpc": "2.0", "method": "play", "params": ["a += 1"] },
        { "jsonrpc": "2.0", "id": 3, "method": "play", "params": ["a"] },
        { "jsonrpc": "2.0", "id": 4, "method": "reset" },
        { "jsonrpc": "2.0", "id": 5, "method": "play", "params": ["a"] },
        7,
    ]);
    let answer = wire.exchange(&batch.to_string());
    let by_id =
        |id: Value| answer.as_array().expect("an array").iter().find(|member| member["id"] == id).expect("answered");
    assert_eq!(answer.as_array().map(Vec::len), Some(6));
    assert_eq!(by_id(json!(1))["result"]["value"], 1);
    assert_eq!(by_id(json!(2))["result"]["protocol"], 1);
    assert_eq!(by_id(json!(3))["result"]["value"], 2);
    assert_eq!(by_id(json!(4))["result"]["reset"], true);
    assert_eq!(by_id(json!(5))["error"]["data"]["kind"], "runtime");
    assert_eq!(by_id(Value::Null)["error"]["code"], -32600);
}

#[test]
fn play_id_is_reserved_until_its_batch_is_answered() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let member = |id: u64, script: &str| json!({ "jsonrpc": "2.0", "id": id, "method": "play", "params": [script] });
    wire.send(json!([member(1, "1"), member(2, "print(`begun`); loop {}")]).to_string());
    wire.expect_print("begun");
    let refused = wire.exchange(&member(1, "3").to_string());
    assert_eq!((&refused["id"], &refused["error"]["data"]["id"]), (&Value::Null, &json!(1)));
    wire.send(r#"{"jsonrpc":"2.0","method":"cancel","params":[2]}"#);
    let batch = wire.next();
    assert_eq!((&batch[0]["result"]["value"], &batch[1]["error"]["code"]), (&json!(1), &json!(-32005)));
    assert_eq!(wire.exchange(&member(1, "3").to_string())["result"]["value"], 3);
}

#[test]
fn documents_of_one_batch_are_bounded_together() {
    let server = ServeProcess::start(&["--limit", "output_kib=150"]);
    let call = |id, method| json!({ "jsonrpc": "2.0", "id": id, "method": method });
    let batch = json!([call(1, "rpc.discover"), call(2, "rpc.discover"), call(3, "rpc.discover"), call(4, "describe")]);
    let mut wire = server.connect();
    let answers = wire.exchange(&batch.to_string());
    assert!(answers[0]["result"].is_object() && answers[1]["result"].is_object() && answers[3]["result"].is_object());
    assert_eq!(answers[2]["error"]["data"], json!({ "limit": "output", "max": 150, "setting": "output_kib" }));
    assert!(wire.call("rpc.discover", json!([]))["result"].is_object(), "alone it is as large as it is");
}

#[test]
fn batch_is_bounded_in_members_and_results() {
    let server = ServeProcess::start(&["--limit", "batch=3", "--limit", "output_kib=1"]);
    let mut wire = server.connect();
    let member = |id: u64, script: &str| json!({ "jsonrpc": "2.0", "id": id, "method": "play", "params": [script] });
    let too_many: Vec<_> = (0..4).map(|id| member(id, "1")).collect();
    let answer = wire.exchange(&json!(too_many).to_string());
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32600)));
    let long = "let s = \"\"; s.pad(600, 'x'); s";
    let answer = wire.exchange(&json!([member(1, long), member(2, long), member(3, "let kept = 1; kept")]).to_string());
    assert!(answer[0]["result"].is_object());
    let lost = json!({ "limit": "output", "max": 1, "setting": "output_kib", "happened": true });
    assert_eq!(answer[1]["error"]["data"], lost);
    assert_eq!(wire.value("kept"), 1);
}

#[test]
fn requests_other_than_plays_are_answered_during_a_play() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let play = wire.request("play", json!(["print(1); loop {}"]));
    wire.expect_print("1");
    assert_eq!(wire.call("describe", json!([]))["result"]["name"], "circle");
    assert!(wire.call("rpc.discover", json!([]))["result"]["methods"].is_array());
    assert_eq!(wire.call("cancel", json!([play]))["result"]["cancelled"], true);
    assert_eq!(wire.answer(&play)["error"]["code"], -32005);
}

#[test]
fn openrpc_contract_matches_the_answers() {
    let server = ServeProcess::open();
    let mut wire = server.connect();
    let contract = wire.call("rpc.discover", json!([]))["result"].clone();
    assert_eq!(contract, serde_json::from_str::<Value>(protocol::OPENRPC).expect("JSON"));
    for method in contract["methods"].as_array().expect("an array") {
        let answer = wire.call(method["name"].as_str().expect("a name"), json!({ "no such": 1 }));
        assert_eq!(answer["error"]["code"], -32602, "{method}");
    }
}
