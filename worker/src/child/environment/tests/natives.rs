//! The worker's own functions in plays.

use super::*;
use crate::message::{CALLER_NAME, CALLER_PUBLIC_KEY, CALLER_ROLE};

fn caller(key: &str, name: &str) -> Vec<NamedValue> {
    let constant = |constant, value| NamedValue::new(constant, value).expect("a valid value");
    vec![constant(CALLER_PUBLIC_KEY, Some(key)), constant(CALLER_NAME, Some(name)), constant(CALLER_ROLE, None)]
}

fn session() -> PlaySession {
    PlaySession::new(WorkerLimits::default())
}

#[test]
fn caller_is_that_of_the_play() {
    let mut session = session();
    assert_eq!(session.output("caller()"), r#"#{"key": (), "name": (), "role": ()}"#);
    session.environment.set_constants(&caller("02ab", "alice")).expect("valid");
    assert_eq!(session.output("caller()"), r#"#{"key": "02ab", "name": "alice", "role": ()}"#);
    assert_eq!(
        session.output("fn name() { caller().name } [name(), [1].map(|n| caller().name)[0]]"),
        r#"["alice", "alice"]"#
    );
    session.environment.set_constants(&caller("02cd", "bob")).expect("valid");
    assert_eq!(session.output("name() + caller().key"), "bob02cd");
    session.environment.set_constants(&[]).expect("valid");
    assert_eq!(session.output("caller()"), r#"#{"key": (), "name": (), "role": ()}"#);
}

#[test]
fn caller_of_a_setup_is_its_constants() {
    let setup = WorkerSetup {
        constants: caller("02ab", "alice"),
        init: Some("const AT_START = caller().name; fn at_start() { global::AT_START }".into()),
        ..WorkerSetup::default()
    };
    let mut session = PlaySession::with(setup);
    assert_eq!(session.output("AT_START + caller().key"), "alice02ab");
}

#[test]
fn script_cannot_change_what_caller_returns() {
    let mut session = session();
    session.environment.set_constants(&caller("02ab", "alice")).expect("valid");
    for forgery in [
        "let CALLER_NAME = \"mallory\"; const CALLER_ROLE = \"admin\";",
        "let caller = caller(); caller.name = \"mallory\"; caller.clear();",
        "caller().name = \"mallory\";",
        "caller().set(\"name\", \"mallory\");",
        "let forged = caller(); let share = || forged.name = \"mallory\"; share.call();",
    ] {
        let _either_outcome = session.play(forgery);
        assert_eq!(session.output("caller().name"), "alice", "{forgery}");
    }
}

#[test]
fn variables_and_functions_of_a_script_hide_natives_of_the_same_name() {
    let mut session = session();
    assert_eq!(session.output("let id = 7; id"), "7");
    assert_eq!(session.output("id + 1"), "8");
    assert_eq!(session.output("let id = id(); id.len()"), "36");
    let script = "let caller = 1; let clock = 2; let random = 3; let sortable = 4; caller + clock + random + sortable";
    assert_eq!(session.output(script), "10");
    assert_eq!(session.output("random::int(random, 3) + sortable(0).len()"), "19");
    let functions = "fn id() { 1 } fn caller() { 2 } fn sortable(i) { 3 } [id(), caller(), sortable(0)]";
    assert_eq!(session.output(functions), "[1, 2, 3]");
    assert_eq!(session.output("id()"), "1");
}

#[test]
fn natives_explain_invalid_arguments() {
    let mut session = session();
    for (script, message) in [
        ("random::int(2, 1)", "random::int needs min <= max, but min is 2 and max is 1; swap the arguments"),
        ("random::bytes(1025)", "random::bytes needs a length from 0 to 1024, but the length is 1025"),
        ("random::text(-1)", "random::text needs a length from 0 to 1024, but the length is -1"),
        ("parse_sortable(\"7\")", "parse_sortable needs a text that sortable made: 16 digits of 0-9 and a-f"),
    ] {
        let error = session.error(script);
        assert_eq!((error.message.as_str(), error.thrown), (message, None));
        let caught = format!("let text; try {{ {script} }} catch (why) {{ text = why.message; }} text");
        assert_eq!(session.output(&caught), message);
    }
}

#[test]
fn random_functions_leave_their_array_as_it_is() {
    let mut session = session();
    assert_eq!(
        session.output("const ITEMS = [5, 5]; [random::pick(ITEMS), random::pick([]), random::shuffle(ITEMS)]"),
        "[5, (), [5, 5]]"
    );
    assert_eq!(session.output("let list = [1, 2, 3]; random::shuffle(list); random::pick(list); list"), "[1, 2, 3]");
    assert_eq!(session.output("let list = random::shuffle(list); list.sort(); list"), "[1, 2, 3]");
}

#[test]
fn host_module_replaces_native_module_of_the_same_name() {
    let int = HostFunction { name: "int".into(), params: Vec::new(), doc: String::new(), signature: None };
    let host = vec![HostModule { name: "random".into(), functions: vec![int], keeps_types: false }];
    let setup = WorkerSetup { host, ..WorkerSetup::default() };
    let mut session = PlaySession::with_host(setup, |_| HostReturn::Value("4".into()));
    assert_eq!(session.output("random::int()"), "4");
    assert!(session.error("random::float()").message.contains("random::float"));
}
