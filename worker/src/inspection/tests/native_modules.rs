//! Queries about the worker's own modules and functions.

use super::*;

#[test]
fn native_modules_are_completed_and_documented() {
    let mut session = QuerySession::new();
    assert_eq!(session.candidates("rando"), [candidate("random", CandidateKind::Module, "")]);
    assert_eq!(session.candidates("random::f"), [candidate("float", CandidateKind::Function, "float() -> f64")]);
    assert_eq!(session.texts("clock::"), ["now"]);
    let docs = session.lookup("random::int");
    assert_eq!((docs.len(), docs[0].origin), (1, Origin::Native));
    assert_eq!(docs[0].signature, "random::int(min: i64, max: i64) -> i64");
    assert!(docs[0].doc.starts_with("A random integer from"), "{}", docs[0].doc);
    for (name, signature) in [
        ("caller", "caller() -> map"),
        ("id", "id() -> string"),
        ("sortable", "sortable(value: i64) -> string"),
        ("parse_sortable", "parse_sortable(text: string) -> i64"),
    ] {
        let docs = session.lookup(name);
        assert_eq!((docs.len(), docs[0].origin, docs[0].signature.as_str()), (1, Origin::Native, signature));
        assert!(!docs[0].doc.is_empty(), "{name}");
    }
    // Without its module, a function is unknown.
    assert!(session.lookup("now").is_empty());
    session.play("fn caller() { 1 }");
    assert_eq!(session.lookup("caller")[0].origin, Origin::Session);
}
