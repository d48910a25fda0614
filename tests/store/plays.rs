//! `circles store get|list|put|delete`.

use crate::support::background::BackgroundCircles;

use super::*;

#[test]
fn store_commands_are_plays_whose_data_cannot_become_code() {
    let background = BackgroundCircles::start(r#"{ "circles": [{ "name": "a", "port": 0, "store": ":memory:" }] }"#);
    background.run_ok(&["up"]);
    let run = |args: &[&str]| background.run_ok(&[&["store"], args].concat());
    assert_eq!(run(&["get", "k"]), "");
    for (value, shown) in [
        ("12", "12\n"),
        ("-9223372036854775808", "-9223372036854775808\n"),
        ("1.0", "1.0\n"),
        ("\"tea\"", "tea\n"),
        ("[1, {\"a\": [true]}]", "[1, #{\"a\": [true]}]\n"),
    ] {
        assert_eq!(run(&["put", "k", value]), "");
        assert_eq!(run(&["get", "k"]), shown, "{value}");
    }
    for text in ["\"); store::put(\"x\", 1); (\"", "${1}`", "\\", "\n\u{7}ä", "--json", ""] {
        let key = format!("t/{text}");
        assert_eq!(run(&["put", "--text", "--", &key, text]), "");
        let got: Value = serde_json::from_str(&run(&["get", "--json", "--", &key])).expect("JSON");
        assert_eq!(got["value"], text);
    }
    assert_eq!(run(&["get", "x"]), "");
    for number in 0..5 {
        run(&["put", &format!("n/{number}"), &number.to_string()]);
    }
    assert_eq!(run(&["list", "n/", "--limit", "2"]), "n/0\t0\nn/1\t1\n");
    assert_eq!(run(&["list", "n/", "--after", "n/3"]), "n/4\t4\n");
    assert_eq!(run(&["list", "n/", "--reverse", "--limit", "1"]), "n/4\t4\n");
    let listed: Value = serde_json::from_str(&run(&["list", "n/", "--limit", "1", "--json"])).expect("JSON");
    assert_eq!(listed["value"], json!([{ "key": "n/0", "value": 0 }]));
    run(&["delete", "n/0"]);
    assert_eq!(run(&["list", "n/", "--limit", "1"]), "n/1\t1\n");
    // Keys cannot look like other entries.
    for (key, shown) in [
        ("f/a\nf/b\t2", r#""f/a\nf/b\t2""#),
        ("f/\u{1b}[2K", r#""f/\u{1b}[2K""#),
        ("f/\u{202e}x", r#""f/\u{202e}x""#),
        ("f/\"q\"", r#""f/\"q\"""#),
        ("f/\\", r#""f/\\""#),
        ("f/ä b", "f/ä b"),
    ] {
        run(&["put", key, "1"]);
        assert_eq!(run(&["list", "f/"]), format!("{shown}\t1\n"));
        run(&["delete", key]);
    }
    // As deep and as large as a value may be.
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(run(&["put", "k", &nested(32)]), "");
    let got: Value = serde_json::from_str(&run(&["get", "k", "--json"])).expect("JSON");
    assert_eq!(got["value"].to_string(), nested(32));
    let large = "x".repeat(70_000);
    let failed = background.run(&["store", "put", "--text", "k", &large]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stderr.contains("65536 bytes in one value") && !failed.stderr.contains("xxx"), "{failed:?}");
    assert!(!failed.stderr.contains("line 1"), "{failed:?}");
    let piped = background.home.run_with(&["store", "put", "k", "-"], "{\"a\": 1}");
    assert_eq!((piped.code, run(&["get", "k"])), (Some(0), "#{\"a\": 1}\n".to_owned()));
    let failed = background.run(&["store", "list", "n"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let failed = background.run(&["store", "list", "n", "--json"]);
    let error: Value = serde_json::from_str(&failed.stdout).expect("JSON");
    assert_eq!(error["error"]["code"], -32000, "{error}");
}

#[test]
fn roles_bound_the_commands_of_a_play() {
    let background = BackgroundCircles::start("{ \"circles\": [] }");
    let key = background.home.add_key("alice").public_key().to_hex();
    let config = json!({ "circles": [{
        "name": "a", "port": 0, "store": ":memory:",
        "roles": { "clerk": { "play": true, "use": ["store::put:of/{name}/", "store::get:of/{key}/", "store::list:of/"] } },
        "members": [{ "name": "alice", "keys": [key], "role": "clerk" }],
    }] });
    background.configure(&config.to_string());
    background.run_ok(&["up"]);
    let run = |args: &[&str]| background.run(&[&["store"], args].concat()).code;
    assert_eq!(run(&["put", "of/alice/x", "1"]), Some(0));
    assert_eq!(run(&["put", "of/bob/x", "1"]), Some(1));
    assert_eq!(run(&["put", "of/alice", "1"]), Some(1));
    assert_eq!(run(&["get", &format!("of/{key}/x")]), Some(0));
    assert_eq!(run(&["get", "of/alice/x"]), Some(1));
    assert_eq!(background.run_ok(&["store", "list", "of/"]), "of/alice/x\t1\n");
    assert_eq!(run(&["list", "other/"]), Some(1));
    assert_eq!(run(&["delete", "of/alice/x"]), Some(1));
}
