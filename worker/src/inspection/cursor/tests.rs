use proptest::prelude::*;

use super::*;

fn plain(prefix: &str) -> (&str, CursorContext<'_>) {
    (prefix, CursorContext::Plain)
}

fn member<'t>(prefix: &'t str, receiver: &[&'t str]) -> (&'t str, CursorContext<'t>) {
    (prefix, CursorContext::Member { receiver: (!receiver.is_empty()).then(|| receiver.to_vec()) })
}

fn qualified<'t>(prefix: &'t str, path: &[&'t str]) -> (&'t str, CursorContext<'t>) {
    (prefix, CursorContext::Qualified { path: path.to_vec() })
}

#[test]
fn word_is_found_in_code() {
    let cases = [
        ("", plain("")),
        ("pri", plain("pri")),
        ("let x = _a1", plain("_a1")),
        ("f(a, b", plain("b")),
        ("x ", plain("")),
        ("0..le", plain("le")),
        ("a ? b", plain("b")),
        ("ä + b", plain("b")),
        ("\"a\" + b", plain("b")),
        ("'\\'' + b", plain("b")),
        ("\"a\\\"b\" + b", plain("b")),
        ("#\"a\"b\"# + b", plain("b")),
        ("// note\nb", plain("b")),
        ("/* a /* b */ c */ b", plain("b")),
        ("`a ${b", plain("b")),
        ("`a ${ #{x: `${1}`} } ${b", plain("b")),
        ("`a` + b", plain("b")),
        ("\"no end\nb", plain("b")),
        ("}}} b", plain("b")),
    ];
    for (text, expected) in cases {
        assert_eq!(word_at_end(text).map(|word| (word.prefix, word.context)), Some(expected), "{text}");
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
        ("[1].b", member("b", &[])),
        ("\"text\".b", member("b", &[])),
        ("`${x}`.b", member("b", &[])),
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
