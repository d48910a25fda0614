//! Tracebacks of `circles play`.

use serde_json::{Value, json};

use crate::support::{Home, process::ServeProcess};

const SCRIPT: &str = "fn boom(x) {\n    throw `boom at ${x}`\n}\nlet y = 1;\nboom(y)";

#[test]
fn file_has_its_name_in_positions_and_tracebacks() {
    let home = Home::new();
    let play = |script: &str| {
        std::fs::create_dir_all(home.path().join("deep")).expect("made");
        std::fs::write(home.path().join("deep/rep.rhai"), script).expect("written");
        let ran = home.run(&["play", "deep/rep.rhai"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        ran.stderr
    };
    let expected = "5 |   y.nope()\n        ^\nerror: Function not found: nope (i64) (rep.rhai:5:5)\n";
    assert!(play("let y = 1;\n\n\n\n  y.nope()").starts_with(expected));
    assert!(play("1;\n1 +").contains("error: Script is incomplete (rep.rhai:2:4)\n"));
    let expected = "error: Runtime error: boom at 1\n  in boom, rep.rhai:2:5\n    2 |     throw `boom at ${x}`\n            ^\n  \
                    called from rep.rhai:5:1\n    5 | boom(y)\n        ^\n";
    assert_eq!(play(SCRIPT), expected);
}

#[test]
fn json_has_the_trace_as_the_circle_sends_it() {
    let home = Home::new();
    std::fs::write(home.path().join("rep.rhai"), SCRIPT).expect("written");
    let ran = home.run(&["play", "--json", "rep.rhai"]);
    let object: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let own = |rest: Value| {
        let mut frame = json!({ "source": "play", "number": 1, "name": "rep.rhai" });
        frame.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
        frame
    };
    let expected = json!([
        own(json!({ "function": "boom", "line": 2, "column": 5, "text": "    throw `boom at ${x}`" })),
        own(json!({ "line": 5, "column": 1, "text": "boom(y)" })),
    ]);
    assert_eq!(object["error"]["data"]["trace"], expected);
}

/// The sources of the init script and of modules are the operator's: their places are shown, their text is not.
#[test]
fn traceback_leads_into_modules_and_the_init_script() {
    let home = Home::new();
    let write = |file: &str, text: &str| std::fs::write(home.path().join(file), text).expect("written");
    std::fs::create_dir(home.path().join("modules")).expect("made");
    write("modules/rates.rhai", "fn apply(f) {\n  \"secret\"; f.call(1)\n}");
    write("modules/broken.rhai", "let x = 1;\n let = \"secret\";");
    write("init.rhai", "fn with_tax(x) {\n  \"secret\"; x.nope()\n}");
    let path = |name: &str| home.path().join(name).display().to_string();
    let server = ServeProcess::start(&["--init", &path("init.rhai"), "--modules", &path("modules")]);
    let play = |script: &str| home.run(&["play", "--circle", &server.url, "-e", script]).stderr;
    let expected = "error: Function not found: nope (i64)\n  in with_tax, line 2 of the init script\n  called from line 1 of \
                    input 1\n    1 | with_tax(10)\n        ^\n";
    assert_eq!(play("with_tax(10)"), expected);
    let script = "import \"rates\" as r;\nr::apply(|x| x / 0)";
    let expected = "error: Division by zero: 1 / 0\n  in a closure, line 2 of input 1\n    2 | r::apply(|x| x / 0)\n                       \
                    ^\n  called from apply, rates.rhai:2:15\n  called from line 2 of input 1\n    2 | r::apply(|x| x / \
                    0)\n           ^\n";
    assert_eq!(play(script), expected);
    let broken = play("import \"broken\" as b;");
    let expected = "  at broken.rhai:2:6\n  imported from line 1 of input 1\n    1 | import \"broken\" as b;\n";
    assert!(broken.contains(expected) && !broken.contains("secret"), "{broken}");
}
