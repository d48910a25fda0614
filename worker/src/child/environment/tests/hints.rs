//! Hints on errors.

use super::*;

/// Plays the scripts of a row; the hint of the last one's error.
fn hint(session: &mut PlaySession, scripts: &[&str]) -> Option<String> {
    let (last, first) = scripts.split_last().expect("a script");
    for script in first {
        session.output(script);
    }
    session.error(last).hint
}

#[test]
fn hint_names_what_is_near_and_what_exists() {
    let cases: &[(&[&str], Option<&str>)] = &[
        (&["let total = 1;", "totl + 1"], Some("did you mean total?")),
        (&["REGIO"], Some("did you mean REGION?")),
        (&["let mine = 1; mien"], Some("did you mean mine?")),
        (&["fn area(r) { r * r }", "aera(1)"], Some("did you mean area?")),
        (&["fn fresh(a) { a } fersh(1)"], Some("did you mean fresh?")),
        (&["[1].pussh(2)"], Some("did you mean push?")),
        (&["fn area(r) { r * r }", "area()"], Some("call it as area(r)")),
        (&["[1].reserve_nothing_at_all()"], None),
        (&["nowhere_at_all"], None),
    ];
    for (scripts, expected) in cases {
        let mut session = PlaySession::new(WorkerLimits::default());
        assert_eq!(hint(&mut session, scripts).as_deref(), *expected, "{scripts:?}");
    }
    let mut session = PlaySession::new(WorkerLimits::default());
    let native = hint(&mut session, &["push"]).expect("a hint");
    assert!(native.starts_with("push is a function; call it as push("), "{native}");
    let natives = hint(&mut session, &["[1].push()"]).expect("a hint");
    assert!(natives.starts_with("call it as push(array: array, item: any)"), "{natives}");
}

#[test]
fn hint_explains_traps_of_the_language() {
    let let_hint = Some("to make a new variable, write let total = …");
    let pass = Some("functions do not see variables of the session; pass total as a parameter");
    let cases: &[(&[&str], Option<&str>)] = &[
        (&["let total = 1; fn area(r) { r * total }", "area(1)"], pass),
        (
            &["const total = 1; fn area(r) { r * total } area(1)"],
            Some("functions see the constants of the session as global::total"),
        ),
        (&["fn area(r) { r * total }", "area(1)"], None),
        (&["total = 5"], let_hint),
        (&["1;\n  total  = 5"], let_hint),
        (&["total == 5"], None),
        (&["let f = |x| x;", "f(1)"], Some("f is a variable; call the function in it as f.call(…)")),
        (&["let x = 1; x + ()"], Some("() is no value; a function returns () if a ; follows its last expression")),
    ];
    for (scripts, expected) in cases {
        let mut session = PlaySession::new(WorkerLimits::default());
        assert_eq!(hint(&mut session, scripts).as_deref(), *expected, "{scripts:?}");
    }
}

#[test]
fn wrong_types_are_named_as_in_scripts() {
    let mut session = PlaySession::new(WorkerLimits::default());
    let error = session.error("\"a\" * \"b\"");
    assert_eq!(error.message, "Function not found: * (string, string)");
    assert_eq!(error.hint.as_deref(), Some("parse_int(text) and parse_float(text) make numbers of strings"));
    assert_eq!(session.error("[1] - #{}").message, "Function not found: - (array, map)");
}

#[test]
fn hint_leads_to_modules_and_their_functions() {
    let home = tempfile::tempdir().expect("a directory");
    std::fs::write(home.path().join("geo.rhai"), "fn area(a, b) { a * b }").expect("written");
    let modules = ModuleSources::read(home.path()).expect("readable");
    let setup = WorkerSetup { modules, ..WorkerSetup::default() };
    let mut session = PlaySession::with(setup);
    let cases: &[(&str, Option<&str>)] = &[
        ("import \"goe\" as g;", Some("did you mean geo?")),
        ("geo::area(1, 2)", Some("import it first: import \"geo\" as geo;")),
        ("import \"geo\" as g; g::aera(1, 2)", Some("did you mean g::area?")),
        ("g::area(1)", Some("call it as g::area(a, b)")),
    ];
    for (script, expected) in cases {
        assert_eq!(hint(&mut session, &[script]).as_deref(), *expected, "{script}");
    }
}
