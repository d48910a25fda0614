use proptest::prelude::*;

use super::*;

/// A member of a chain of names, or of an unknown value.
fn member<'t>(prefix: &'t str, names: &[&'t str]) -> (&'t str, CursorContext<'t>) {
    let receiver = match names {
        [] => Receiver::Unknown,
        [variable, names @ ..] => {
            Receiver::Path { variable, steps: names.iter().map(|name| Step::Member(name)).collect() }
        }
    };
    (prefix, CursorContext::Member { receiver })
}

fn literal<'t>(prefix: &'t str, type_name: &'static str) -> (&'t str, CursorContext<'t>) {
    (prefix, CursorContext::Member { receiver: Receiver::Literal(type_name) })
}

fn path<'t>(variable: &'t str, steps: &[Step<'t>]) -> Receiver<'t> {
    Receiver::Path { variable, steps: steps.to_vec() }
}

fn qualified<'t>(prefix: &'t str, path: &[&'t str]) -> (&'t str, CursorContext<'t>) {
    (prefix, CursorContext::Qualified { path: path.to_vec() })
}

#[test]
fn word_is_found_in_code() {
    let cases = [
        ("", ""),
        ("pri", "pri"),
        ("let x = _a1", "_a1"),
        ("f(a, b", "b"),
        ("x ", ""),
        ("0..le", "le"),
        ("a ? b", "b"),
        ("ä + b", "b"),
        ("\"a\" + b", "b"),
        ("'\\'' + b", "b"),
        ("\"a\\\"b\" + b", "b"),
        ("#\"a\"b\"# + b", "b"),
        ("// note\nb", "b"),
        ("/* a /* b */ c */ b", "b"),
        ("`a ${b", "b"),
        ("`a ${ #{x: `${1}`} } ${b", "b"),
        ("`a` + b", "b"),
        ("\"no end\nb", "b"),
        ("}}} b", "b"),
    ];
    for (text, expected) in cases {
        let word = word_at_end(text).map(|word| (word.prefix, matches!(word.context, CursorContext::Plain { .. })));
        assert_eq!(word, Some((expected, true)), "{text}");
    }
}

#[test]
fn word_context_has_plain_names() {
    let cases = [
        ("a.", member("", &["a"])),
        ("a.b", member("b", &["a"])),
        ("x + a . b\n  .c", member("c", &["a", "b"])),
        ("a?.b", member("b", &["a"])),
        ("f(1).b", member("b", &[])),
        ("f(1).a.b", member("b", &[])),
        ("[1].b", literal("b", "array")),
        ("return [1].b", literal("b", "array")),
        ("f([[1], [2]].b", literal("b", "array")),
        ("#{a: [1]}.b", literal("b", "map")),
        ("{ 1 }.b", member("b", &[])),
        ("\"text\".b", literal("b", "string")),
        ("#\"text\"#.b", literal("b", "string")),
        ("'c'.b", literal("b", "char")),
        ("`${x}`.b", literal("b", "string")),
        ("\"text\".c.b", member("b", &[])),
        ("1.b", member("b", &[])),
        ("a::b.c", member("c", &[])),
        ("a::", qualified("", &["a"])),
        ("a::b::c", qualified("c", &["a", "b"])),
        ("import \"ge", ("ge", CursorContext::Import)),
        ("x; import \"a/b", ("a/b", CursorContext::Import)),
    ];
    for (text, expected) in cases {
        assert_eq!(word_at_end(text).map(|word| (word.prefix, word.context)), Some(expected), "{text}");
    }
}

#[test]
fn receiver_may_be_indexed() {
    let member = |receiver| CursorContext::Member { receiver };
    let key = |receiver| CursorContext::Key { receiver };
    let cases = [
        ("rows[0].", member(path("rows", &[Step::Item(0)]))),
        (
            "1 + rows[i + 1].b[\"a key\"].",
            member(path("rows", &[Step::AnyItem, Step::Member("b"), Step::Member("a key")])),
        ),
        ("rows[0]?.", member(path("rows", &[Step::Item(0)]))),
        ("rows[-1].", member(path("rows", &[Step::AnyItem]))),
        ("rows[f(x)[0]].", member(path("rows", &[Step::AnyItem]))),
        ("this[0].", member(path("this", &[Step::Item(0)]))),
        ("f(1)[0].", member(Receiver::Unknown)),
        ("m[\"", key(path("m", &[]))),
        ("m.rows[0][\"", key(path("m", &[Step::Member("rows"), Step::Item(0)]))),
        ("x = m [ \"", key(path("m", &[]))),
    ];
    for (text, expected) in cases {
        assert_eq!(word_at_end(text).map(|word| word.context), Some(expected), "{text}");
    }
    assert_eq!(word_at_end("m[\"a ke").map(|word| (word.start, word.prefix)), Some((3, "a ke")));
    for text in ["[\"", "in [\"a", "f(\"", "m[\"a\\\"", "m[`a", "m['a"] {
        assert_eq!(word_at_end(text), None, "{text}");
    }
}

#[test]
fn declared_names_are_those_of_open_blocks() {
    let cases: [(&str, &[&str]); 12] = [
        ("let total = 1; ", &["total"]),
        ("const MAX = 1; let a = 2; ", &["a", "MAX"]),
        ("fn area(width, height) { ", &["height", "width", "area(width, height)"]),
        ("fn area(width) { let x = 1; } ", &["area(width)"]),
        ("for (item, index) in items { ", &["index", "item"]),
        ("for item in items { f(item); } ", &[]),
        ("try { let a = 1; } catch (err) { ", &["err"]),
        ("items.map(|item| ", &["item"]),
        ("let f = |a, b| ", &["b", "a", "f"]),
        ("a | b | ", &[]),
        ("import \"geo\" as g; ", &["g"]),
        ("`${let` let 1x; x.let y; ", &[]),
    ];
    for (text, expected) in cases {
        let Some(CursorWord { context: CursorContext::Plain { declared }, .. }) = word_at_end(text) else {
            assert!(expected.is_empty(), "{text}");
            continue;
        };
        let names: Vec<&str> = declared
            .iter()
            .map(|declared| if declared.detail.is_empty() { declared.name } else { &declared.detail })
            .collect();
        assert_eq!(names, expected, "{text}");
    }
}

#[test]
fn word_is_not_found_in_strings_comments_and_numbers() {
    let texts = [
        "\"ab",
        "\"a\\\"b",
        "'a",
        "`ab",
        "`a ${1} b",
        "`${`ab",
        "#\"a\" b",
        "// ab",
        "/* ab",
        "/* /* */ ab",
        "12",
        "1.",
        "1.5",
        "0x1f",
        "a::b.c::d",
        "f()::x",
        "import \"a\\",
        "print(\"ab",
    ];
    for text in texts {
        assert_eq!(word_at_end(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn word_lies_within_any_text(text in "([a-z.:\"'`${}/*#?\\\\\n\u{e9} 0-9()]|import \"|//|/\\*|::){0,60}") {
        if let Some(word) = word_at_end(&text) {
            prop_assert_eq!(&text[word.start..], word.prefix);
        }
    }
}
