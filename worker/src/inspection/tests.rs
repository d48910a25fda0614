mod native_modules;

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::{
    child::Environment,
    engine::Meter,
    message::{
        Candidate, CandidateKind, Completion, FunctionDoc, FunctionEntry, HostFunction, HostModule, HostReturn,
        MAX_CANDIDATES, ModuleSources, NamedValue, Origin, Play, Query, QueryAnswer, ScopeListing, VariableEntry,
        WorkerLimits, WorkerSetup,
    },
};

struct QuerySession {
    environment: Environment,
    inventory: SharedInventory,
    plays: u64,
}

impl QuerySession {
    fn with(setup: WorkerSetup) -> Self {
        let inventory = SharedInventory::default();
        let meter = Meter::new(Arc::default(), &setup.limits, || {});
        let environment = Environment::new(setup, meter, inventory.clone(), |_| {}, |_| HostReturn::Aborted);
        Self { environment, inventory, plays: 0 }
    }

    fn new() -> Self {
        Self::with(setup())
    }

    fn play(&mut self, script: &str) -> &mut Self {
        self.plays += 1;
        self.environment.play(&Play { number: self.plays, script, name: None, bind: None });
        self
    }

    fn completion(&self, before: &str) -> Completion {
        match self.environment.answer_query(&Query::Complete { before: before.into() }) {
            QueryAnswer::Complete(completion) => completion,
            answer => panic!("{answer:?}"),
        }
    }

    fn candidates(&self, before: &str) -> Vec<Candidate> {
        self.completion(before).candidates
    }

    /// Answers as during a play.
    fn answer_without_values(&self, query: &Query) -> QueryAnswer {
        answer(query, &self.inventory, None)
    }

    fn texts(&self, before: &str) -> Vec<String> {
        self.candidates(before).into_iter().map(|candidate| candidate.text).collect()
    }

    fn listing(&self) -> ScopeListing {
        match self.environment.answer_query(&Query::Scope) {
            QueryAnswer::Scope(listing) => listing,
            answer => panic!("{answer:?}"),
        }
    }

    fn lookup(&self, name: &str) -> Vec<FunctionDoc> {
        match self.environment.answer_query(&Query::Lookup { name: name.into() }) {
            QueryAnswer::Lookup(functions) => functions,
            answer => panic!("{answer:?}"),
        }
    }
}

fn setup() -> WorkerSetup {
    WorkerSetup { constants: vec![NamedValue::new("REGION", "test").expect("valid")], ..WorkerSetup::default() }
}

fn candidate(text: &str, kind: CandidateKind, detail: &str) -> Candidate {
    Candidate { text: text.into(), kind, detail: detail.into() }
}

#[test]
fn completion_lists_nearest_names_first() {
    let mut session =
        QuerySession::with(WorkerSetup { init: Some("fn push_all(a) {} const PUSHED = 1;".into()), ..setup() });
    session.play("let push_x = 1.5; fn push_me(a, b) {} fn push_me(a) {} let push = 7;");
    assert_eq!(
        session.candidates("1 + pus"),
        [
            candidate("push", CandidateKind::Variable, "i64"),
            candidate("push_me", CandidateKind::Function, "push_me(a) (+1)"),
            candidate("push_x", CandidateKind::Variable, "f64"),
            candidate("push_all", CandidateKind::Function, "push_all(a)"),
        ]
    );
    assert_eq!(session.candidates("PUS"), [candidate("PUSHED", CandidateKind::Constant, "i64")]);
    assert_eq!(session.candidates("whil"), [candidate("while", CandidateKind::Keyword, "")]);
    assert_eq!(session.candidates("REGI"), [candidate("REGION", CandidateKind::Constant, "string")]);
    assert_eq!(session.completion("é + pus").start, 4);
    assert!(session.candidates("").len() > 100);
    assert!(session.candidates("nothing_of_the_kind").is_empty() && session.candidates("\"pus").is_empty());
}

#[test]
fn completion_is_bounded_and_keeps_nearest() {
    let mut session = QuerySession::new();
    let many: Vec<String> = (0..300).map(|number| format!("let zz{number:03} = {number};")).collect();
    session.play(&many.concat());
    let texts = session.texts("");
    assert_eq!((texts.len(), texts[0].as_str(), texts[199].as_str()), (MAX_CANDIDATES, "zz000", "zz199"));
}

#[test]
fn completion_after_dot_offers_members() {
    let mut session = QuerySession::new();
    session.play(
        "let m = #{alpha: 1, \"not a name\": 2, inner: #{beta: [1]}}; let n = 1; let f = || m.alpha; fn gather() {}",
    );
    let members = session.candidates("m.");
    assert_eq!(members[0], candidate("alpha", CandidateKind::Property, "i64"));
    assert_eq!(members[1], candidate("inner", CandidateKind::Property, "map"));
    assert_eq!(session.candidates("m.inner.b"), [candidate("beta", CandidateKind::Property, "array")]);
    assert!(session.texts("m.").contains(&"keys".into()) && !session.texts("n.").contains(&"keys".into()));
    assert!(session.texts("m.inner.beta.").contains(&"push".into()));
    assert!(session.texts("unknown.").contains(&"keys".into()));
    assert_eq!(session.candidates("n.gat"), [candidate("gather", CandidateKind::Method, "gather()")]);
    assert!(session.candidates("m.alpha.beta.").iter().all(|candidate| candidate.kind != CandidateKind::Variable));
    // Without values, the type is known, but not the members.
    let QueryAnswer::Complete(without_values) = session.answer_without_values(&Query::Complete { before: "m.".into() })
    else {
        panic!()
    };
    assert!(without_values.candidates.iter().all(|candidate| candidate.text != "alpha"));
    assert!(without_values.candidates.iter().any(|candidate| candidate.text == "keys"));
}

#[test]
fn completion_follows_indexes_and_literals() {
    let mut session = QuerySession::new();
    session.play(
        "let rows = [#{alpha: 1, \"two words\": [2], \"quo\\\"te\": 3}]; let m = #{inner: rows}; let s = \"text\";",
    );
    assert_eq!(session.candidates("rows[0].al"), [candidate("alpha", CandidateKind::Property, "i64")]);
    assert_eq!(session.candidates("m.inner[i].al"), [candidate("alpha", CandidateKind::Property, "i64")]);
    assert_eq!(session.texts("rows[0][\""), ["alpha", "two words"]);
    assert_eq!(session.candidates("m[\"inner\"][0][\"tw"), [candidate("two words", CandidateKind::Property, "array")]);
    let has = |before: &str, method: &str| session.texts(before).contains(&method.to_owned());
    assert!(has("rows[0][\"two words\"].", "push") && !has("rows[0][\"two words\"].", "keys"));
    assert!(has("\"abc\".", "to_upper") && !has("\"abc\".", "push") && !has("\"abc\".", "keys"));
    assert!(has("[1].", "push") && !has("[1].", "to_upper"));
    assert!(has("#{}.", "keys") && !has("#{}.", "push"));
    assert!(has("s[0].", "to_int") && !has("s[0].", "push"));
    // Nothing is known about these.
    assert!(has("f(1).", "push") && has("rows[7].", "push"));
    assert!(session.texts("s[\"").is_empty() && session.texts("none[\"").is_empty());
    assert_eq!(session.answer_without_values(&Query::Complete { before: "rows[0][\"".into() }), {
        QueryAnswer::Complete(Completion { start: 9, candidates: Vec::new() })
    });
}

#[test]
fn completion_offers_what_the_input_declares() {
    let mut session = QuerySession::new();
    session.play("let total_of_before = 1;");
    assert_eq!(
        session.candidates("let total = 40; tot"),
        [candidate("total", CandidateKind::Variable, ""), candidate("total_of_before", CandidateKind::Variable, "i64")]
    );
    assert_eq!(session.candidates("fn area(width, height) { wid"), [candidate("width", CandidateKind::Variable, "")]);
    assert_eq!(
        session.candidates("fn area(w) { w * w }\nare"),
        [candidate("area", CandidateKind::Function, "area(w)")]
    );
}

#[test]
fn completion_after_module_offers_its_items() {
    let directory = tempfile::tempdir().expect("a directory");
    let module = "/// Of a rectangle.\nfn area(a, b) { a * b } private fn inner() {} export const PI = 3.0;";
    std::fs::write(directory.path().join("geo.rhai"), module).expect("write");
    std::fs::write(directory.path().join("more.rhai"), "import \"geo\" as sub; fn f() {}").expect("write");
    let mut session = QuerySession::with(WorkerSetup {
        modules: ModuleSources::read(directory.path()).expect("readable"),
        ..setup()
    });
    let module = |name| candidate(name, CandidateKind::Module, "");
    assert_eq!(session.candidates("import \""), [module("geo"), module("more")]);
    assert_eq!(session.candidates("import \"ge"), [module("geo")]);
    session.play("import \"geo\" as g; import \"more\" as more;");
    assert_eq!(session.candidates("x = mor"), [module("more")]);
    let area = candidate("area", CandidateKind::Function, "area(a, b)");
    assert_eq!(session.candidates("g::"), [candidate("PI", CandidateKind::Constant, "f64"), area.clone()]);
    assert_eq!(session.candidates("more::s"), [module("sub")]);
    assert_eq!(session.candidates("more::sub::a"), [area]);
    assert!(session.candidates("none::").is_empty());
    let found = session.lookup("g::area");
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].signature.as_str(), found[0].doc.as_str()), ("g::area(a, b)", "Of a rectangle."));
    assert_eq!(found[0].origin, Origin::Module);
    assert!(session.lookup("g::inner").is_empty() && session.lookup("g::").is_empty());
    // Repeating the same import changes nothing; importing another module under that name does.
    session.play("import \"geo\" as g;").play("import \"more\" as g;");
    assert_eq!(session.texts("g::"), ["f", "sub"]);
}

#[test]
fn scope_lists_variables_once_with_small_values() {
    let mut session = QuerySession::new();
    session.play("let x = 1; const C = \"c\"; fn f(a, b) {} let big = \"y\"; big.pad(2000, 'y');").play("let x = [2];");
    let listing = session.listing();
    let shown: Vec<_> = listing
        .variables
        .iter()
        .map(|variable| {
            let VariableEntry { name, type_name, output, length, is_constant } = variable;
            (name.as_str(), type_name.as_str(), output.as_deref(), *length, *is_constant)
        })
        .collect();
    assert_eq!(shown.len(), 3);
    for entry in [
        ("x", "array", Some("[2]"), Some(1), false),
        ("C", "string", Some("c"), Some(1), true),
        ("big", "string", None, Some(2000), false),
    ] {
        assert!(shown.contains(&entry), "{entry:?} {shown:?}");
    }
    assert_eq!(listing.functions, [FunctionEntry { name: "f".into(), params: vec!["a".into(), "b".into()] }]);
    let QueryAnswer::Scope(without_values) = session.answer_without_values(&Query::Scope) else { panic!() };
    assert!(
        without_values.variables.len() == 3
            && without_values.variables.iter().all(|variable| variable.output.is_none() && variable.length.is_none())
    );
}

#[test]
fn scope_counts_the_parts_of_values() {
    let mut session = QuerySession::new();
    session.play(
        r#"let text = "日本"; let items = [1, [2, 3]]; let map = #{a: 1, b: 2}; let bytes = blob(5); let n = 12;"#,
    );
    // A closure shares the variable that it captures.
    session.play("let kept = [1, 2, 3]; let f = || kept;");
    let lengths: Vec<_> =
        session.listing().variables.into_iter().map(|variable| (variable.name, variable.length)).collect();
    let expected = [
        ("text", Some(2)),
        ("items", Some(2)),
        ("map", Some(2)),
        ("bytes", Some(5)),
        ("n", None),
        ("kept", Some(3)),
        ("f", None),
    ];
    assert_eq!(lengths, expected.map(|(name, length)| (name.to_owned(), length)));
}

#[test]
fn inventory_is_updated_after_each_play() {
    let mut session = QuerySession::new();
    session.play("let a = 1; let b = 2;");
    let types = |session: &QuerySession| -> Vec<(String, String)> {
        session.listing().variables.into_iter().map(|variable| (variable.name, variable.type_name)).collect()
    };
    let expected = |entries: &[(&str, &str)]| -> Vec<(String, String)> {
        entries.iter().map(|(name, type_name)| ((*name).into(), (*type_name).into())).collect()
    };
    assert_eq!(types(&session), expected(&[("a", "i64"), ("b", "i64")]));
    session.play("b = \"text\"; let c = (); throw 1");
    assert_eq!(types(&session), expected(&[("a", "i64"), ("b", "string"), ("c", "()")]));
    session.play("let a = 1.5; fn f() { 1 }");
    assert_eq!(types(&session), expected(&[("b", "string"), ("c", "()"), ("a", "f64")]));
    session.play("const b = 'x'; let d = || a;");
    assert_eq!(types(&session), expected(&[("c", "()"), ("a", "f64"), ("d", "Fn"), ("b", "char")]));
    assert!(session.listing().variables.iter().any(|variable| variable.name == "b" && variable.is_constant));
    assert_eq!(session.listing().functions.len(), 1);
    session.play("not a script");
    assert_eq!(types(&session).len(), 4);
}

#[test]
fn lookup_shows_docs_and_origin() {
    let init = "/// Of the init script.\nfn both(a) {} /// Too.\nfn other() {}";
    let mut session = QuerySession::with(WorkerSetup { init: Some(init.into()), ..setup() });
    session.play("/// Of the session,\n/// in two lines.\nfn both(a, b) {}");
    let doc = |signature: &str, doc: &str, origin| FunctionDoc { signature: signature.into(), doc: doc.into(), origin };
    assert_eq!(
        session.lookup("both"),
        [
            doc("both(a, b)", "Of the session,\nin two lines.", Origin::Session),
            doc("both(a)", "Of the init script.", Origin::Init)
        ]
    );
    session.play("fn both(a) {}");
    assert!(session.lookup("both").iter().all(|found| found.origin == Origin::Session));
    assert_eq!(session.lookup("progress")[0].origin, Origin::Native);
    assert!(session.lookup("push").iter().all(|found| found.origin == Origin::Standard && !found.doc.is_empty()));
    assert_eq!(session.lookup("print").len(), 1);
    assert!(session.lookup("no_such_name").is_empty() && session.lookup("").is_empty());
}

#[test]
fn answer_is_bounded_by_output_limit() {
    let limits = WorkerLimits { output_bytes: 1024, ..WorkerLimits::default() };
    let mut session = QuerySession::with(WorkerSetup { limits, ..setup() });
    let text = "x".repeat(400);
    session.play(&format!("let a = \"{text}\"; let b = \"{text}\"; let c = \"{text}\";"));
    let shown = session.listing().variables.iter().filter(|variable| variable.output.is_some()).count();
    assert_eq!(shown, 2);
    let (a, b) = ("p".repeat(500), "q".repeat(500));
    session.play(&format!("let a{a} = 1; let a{b} = 2; /// {text}{text}{text}\nfn f() {{}}"));
    assert_eq!(session.environment.answer_query(&Query::Scope), QueryAnswer::TooLarge);
    assert_eq!(session.environment.answer_query(&Query::Lookup { name: "f".into() }), QueryAnswer::TooLarge);
    // The second name exceeds the budget.
    assert_eq!(session.texts("a").iter().filter(|text| text.len() > 500).count(), 1);
    // An excessively long name is not offered.
    session.play(&format!("let zz{} = 1;", "z".repeat(2000)));
    assert!(session.texts("zz").is_empty());
}

#[test]
fn failed_init_script_keeps_its_definitions() {
    let mut session = QuerySession::with(WorkerSetup { init: Some("let made = 1; throw 2".into()), ..setup() });
    assert_eq!(session.texts("mad"), ["made"]);
    session.play("let later = 1;");
    assert!(session.texts("late").is_empty());
}

#[test]
fn stray_doc_comment_does_not_fail_play() {
    let mut session = QuerySession::new();
    session.play("/// a number\nlet x = 1;\n/// Adds.\nfn add(a) { /// more\n a + 1 }\nlet y = add(x);");
    assert!(session.texts("y").contains(&"y".into()));
    assert_eq!(session.lookup("add")[0].doc, "Adds.");
}

proptest! {
    #[test]
    fn completion_of_any_text_never_panics(
        text in "([a-z.:\"'`${}/*#\n\u{e9}0-9()\\[\\]|,]|import \"|m\\.|m\\.a\\.|m\\[\"|g::|global::|let |fn |for |as ){0,30}"
    ) {
        let mut session = QuerySession::new();
        session.play("let m = #{a: #{b: 1}};");
        let length = text.chars().count() as u64;
        let completion = session.completion(&text);
        prop_assert!(completion.start <= length && completion.candidates.len() <= MAX_CANDIDATES);
    }
}

#[test]
fn host_functions_are_completed_and_looked_up() {
    let function = |name: &str, params: &[&str], doc: &str| HostFunction {
        name: name.into(),
        params: params.iter().map(|&param| param.into()).collect(),
        doc: doc.into(),
        signature: (name == "count").then(|| "count(item: string) -> int".into()),
    };
    let functions = vec![
        function("reserve", &["item", "count"], "Sets some aside."),
        function("reserve", &["item"], "Sets one aside."),
        function("count", &["item"], ""),
    ];
    let host = vec![HostModule { name: "stock".into(), functions, keeps_types: false }];
    let mut session = QuerySession::with(WorkerSetup { host, ..setup() });
    assert_eq!(session.candidates("1 + sto"), [candidate("stock", CandidateKind::Module, "")]);
    assert_eq!(
        session.candidates("stock::"),
        [
            candidate("count", CandidateKind::Function, "count(item: string) -> int"),
            candidate("reserve", CandidateKind::Function, "reserve(item) (+1)"),
        ]
    );
    let found = session.lookup("stock::reserve");
    let signatures: Vec<&str> = found.iter().map(|function| function.signature.as_str()).collect();
    assert_eq!(signatures, ["stock::reserve(item)", "stock::reserve(item, count)"]);
    assert_eq!((found[1].doc.as_str(), found[1].origin), ("Sets some aside.", Origin::Host));
    assert!(session.lookup("stock::nothing").is_empty() && session.lookup("reserve").is_empty());
    session.play("let x = 1;");
    assert_eq!(session.candidates("stock::c").len(), 1);
}
