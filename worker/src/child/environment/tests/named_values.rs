//! Constants and inputs.

use super::*;

#[test]
fn constants_of_setup_and_plays_are_visible_in_functions() {
    let mut session = PlaySession::new(WorkerLimits::default());
    assert_eq!(session.output("REGION"), "test");
    assert_eq!(session.output("type_of(USER)"), "()");
    session.output("fn user() { USER }");
    session.set_user(Some("02ab"));
    assert_eq!([session.output("user()"), session.output("user()")], ["02ab", "02ab"]);
    session.error("REGION = \"mine\"");
    assert_eq!(session.output("REGION"), "test");
    session.set_user(None);
    assert_eq!(session.output("type_of(user())"), "()");
    let list = NamedValue::new("LIST", [1, 2]).expect("a valid value");
    session.environment.set_constants(&[list]).expect("a valid value");
    assert_eq!(session.output("LIST"), "[1, 2]");
    session.set_user(None);
    assert_eq!(session.output("type_of(LIST)"), "()", "a constant of earlier plays");
}

#[test]
fn inputs_are_variables() {
    let mut session = PlaySession::new(WorkerLimits::default());
    session.output("let item = 1; const FIXED = 1; let old = || item;");
    let input = |name, value: serde_json::Value| NamedValue::new(name, value).expect("a valid value");
    let attack = "\"; loop {} //`${loop {}}";
    let inputs = [input("item", attack.into()), input("FIXED", serde_json::json!({ "a": [1, 2.5, null, true] }))];
    session.environment.set_inputs(&inputs).expect("valid values");
    assert_eq!(session.output("item"), attack);
    assert_eq!(session.output("FIXED.a.push(3); FIXED"), r#"#{"a": [1, 2.5, (), true, 3]}"#);
    assert_eq!(session.output("old.call()"), "1", "a captured variable is another one");
    assert_eq!(session.output("item = 7; item"), "7");
}
