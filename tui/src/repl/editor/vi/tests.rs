//! Tests of the vi keys.

use super::{super::place::index, *};

/// Types keys in the normal mode (`␛` is Esc), from the begin of a text; returns the text with `|` at the cursor.
fn typed(text: &str, keys: &str) -> String {
    let mut area = TextArea::default();
    area.insert_str(text);
    area.move_cursor(CursorMove::Jump(0, 0));
    let mut vi = ViKeys { is_normal: true, ..ViKeys::default() };
    for letter in keys.chars() {
        let code = if letter == '␛' { KeyCode::Esc } else { KeyCode::Char(letter) };
        if let ViOutcome::Pass(key) = vi.key(&mut area, KeyEvent::new(code, KeyModifiers::NONE)) {
            match key.code {
                KeyCode::Char('j') if key.modifiers == KeyModifiers::CONTROL => area.insert_newline(),
                _ => {
                    area.input(key);
                }
            }
        }
    }
    let place = index(&area, cursor(&area));
    let text: Vec<char> = area.lines().join("\n").chars().collect();
    let (before, after) = text.split_at(place);
    before.iter().chain(['|'].iter()).chain(after).collect()
}

#[test]
fn vi_motions_move_the_cursor() {
    let text = "let total = sum(a, b);\n  next_one";
    let cases = [
        ("w", "let |total = sum(a, b);\n  next_one"),
        ("2w", "let total |= sum(a, b);\n  next_one"),
        ("e", "le|t total = sum(a, b);\n  next_one"),
        ("$", "let total = sum(a, b)|;\n  next_one"),
        ("$b", "let total = sum(a, b|);\n  next_one"),
        ("$3B", "let total |= sum(a, b);\n  next_one"),
        ("lll0", "|let total = sum(a, b);\n  next_one"),
        ("99l", "let total = sum(a, b)|;\n  next_one"),
        ("G^", "let total = sum(a, b);\n  |next_one"),
        ("Gggw", "let |total = sum(a, b);\n  next_one"),
        ("ft;", "let |total = sum(a, b);\n  next_one"),
        ("2ft,", "le|t total = sum(a, b);\n  next_one"),
        ("ta", "let to|tal = sum(a, b);\n  next_one"),
        ("f(%", "let total = sum(a, b|);\n  next_one"),
        ("f)%", "let total = sum|(a, b);\n  next_one"),
        ("fx", "|let total = sum(a, b);\n  next_one"),
        ("j^", "let total = sum(a, b);\n  |next_one"),
    ];
    for (keys, expected) in cases {
        assert_eq!(typed(text, keys), expected, "{keys}");
    }
}

#[test]
fn vi_operators_delete_change_and_copy() {
    let cases = [
        ("let a = 1", "dw", "|a = 1"),
        ("let a = 1", "wdw", "let |= 1"),
        ("let a = 1", "cwvar␛", "va|r a = 1"),
        ("let a = 1", "d$", "|"),
        ("let a = 1", "wD", "let| "),
        ("let a = 1", "wC␛", "let| "),
        ("let a = 1", "x", "|et a = 1"),
        ("let a = 1", "3x", "| a = 1"),
        ("let a = 1", "$X", "let a =|1"),
        ("let a = 1", "rs", "|set a = 1"),
        ("let a = 1", "sS␛", "|Set a = 1"),
        ("let a = 1", "dt=", "|= 1"),
        ("f(a, b)", "f(d%", "|f"),
        ("let a = 1", "yw$p", "let a = 1let| "),
        ("one\ntwo\nthree", "dd", "|two\nthree"),
        ("one\ntwo\nthree", "jdd", "one\n|three"),
        ("one\ntwo\nthree", "Gdd", "one\n|two"),
        ("one\ntwo\nthree", "2dd", "|three"),
        ("one\ntwo\nthree", "dj", "|three"),
        ("one\ntwo\nthree", "ddp", "two\n|one\nthree"),
        ("one\ntwo\nthree", "jddP", "one\n|two\nthree"),
        ("one\ntwo", "ccx␛", "|x\ntwo"),
        ("one\ntwo", "Yp", "one\n|one\ntwo"),
        ("one", "dd", "|"),
        ("one\ntwo", "ddu", "|one\ntwo"),
        ("one two", "dwu", "|one two"),
        ("one two\nthree", "wdw", "one| \nthree"),
        ("one", "d␛x", "|ne"),
        ("one", "dzx", "|ne"),
    ];
    for (text, keys, expected) in cases {
        assert_eq!(typed(text, keys), expected, "{keys}");
    }
}

#[test]
fn vi_text_objects_are_words_strings_and_brackets() {
    let cases = [
        ("let total = 1", "wldiw", "let | = 1"),
        ("let total = 1", "wldaw", "let |= 1"),
        ("let total", "wdaw", "le|t"),
        ("let total = 1", "2daw", "|= 1"),
        ("let total = 1", "2diw", "|total = 1"),
        ("a  b", "ldaw", "|a"),
        ("sum(a.b, c)", "wwdiW", "| c)"),
        ("sum(a, b)", "fadi(", "sum(|)"),
        ("sum(a, b)", "da(", "|sum(a, b)"),
        ("sum(a, b)", "f(da(", "su|m"),
        ("sum(a, b)", "$ci)x␛", "sum(|x)"),
        ("f(g(1), 2)", "f1dib", "f(g(|), 2)"),
        ("f(g(1), 2)", "f12di(", "f(|)"),
        ("f(g(1), 2)", "f12da(", "|f"),
        ("[1, [2], 3]", "f2di[", "[1, [|], 3]"),
        ("[1, [2], 3]", "f3da]", "|"),
        ("#{a: 1}", "fadi{", "#{|}"),
        ("{\n  a;\n  b\n}", "jdi{", "{\n|}"),
        ("{\n  a\n}", "jci{x␛", "{\n|x\n}"),
        ("{}", "ci{x␛", "{|x}"),
        ("print(\"a b\", c)", "di\"", "print(\"|\", c)"),
        ("print(\"a \\\" b\")", "fbdi\"", "print(\"|\")"),
        ("say \"a b\" now", "f\"ldaw", "say \"|b\" now"),
        ("say \"a b\" now", "fada\"", "say |now"),
        ("say \"a b\"", "fada\"", "sa|y"),
        ("'a' + 'b'", "f+ci'c␛", "'a' + '|c'"),
        ("say \"a", "di\"", "|say \"a"),
        ("", "diwdi(di\"da{", "|"),
        ("abc", "yiwP", "ab|cabc"),
        ("abc", "dizx", "|bc"),
    ];
    for (text, keys, expected) in cases {
        assert_eq!(typed(text, keys), expected, "{keys} in {text}");
    }
}

#[test]
fn vi_repeat_makes_the_last_change_again() {
    let cases = [
        ("one two three four", "dw.", "|three four"),
        ("one two three four", "2dw.", "|"),
        ("one two three four", "dw2.", "|four"),
        ("abcdef", "x..", "|def"),
        ("abcdef", "2x.", "|ef"),
        ("one two", "ciwx␛w.", "x |x"),
        ("f(a, b)\nf(c, d)", "f(ci(x␛j0f(.", "f(x)\nf(|x)"),
        ("ab", "ix␛.", "|xxab"),
        ("ab", "Ax␛.", "abx|x"),
        ("a", "ox␛.", "a\nx\n|x"),
        ("abc", "rx.l.", "x|xc"),
        ("a,b,c,d", "df,.", "|c,d"),
        ("one\ntwo\nthree", "dd.", "|three"),
        ("one", "yyp.", "one\none\n|one"),
        ("abc", "xu.", "|bc"),
        ("abc", "xl.", "|b"),
        ("abc", ".", "|abc"),
        ("abc", "xyl.", "|c"),
    ];
    for (text, keys, expected) in cases {
        assert_eq!(typed(text, keys), expected, "{keys} in {text}");
    }
}

#[test]
fn vi_insertions_begin_at_their_place() {
    let cases = [
        ("ab", "ix␛", "|xab"),
        ("ab", "ax␛", "a|xb"),
        ("ab", "Ax␛", "ab|x"),
        ("  ab", "Ix␛", "  |xab"),
        ("ab", "ox␛", "ab\n|x"),
        ("ab", "Ox␛", "|x\nab"),
        ("", "ax␛", "|x"),
        ("", "xXpDddu", "|"),
    ];
    for (text, keys, expected) in cases {
        assert_eq!(typed(text, keys), expected, "{keys}");
    }
}

#[test]
fn vi_keys_at_random_never_panic() {
    // A small generator: the same keys at each run.
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 40).unwrap_or(0)
    };
    let letters: Vec<char> =
        "hjklwbeWBE0^$fFtT;,ggG%dcyxXsSrDCYpPuiaIAoO␛␛␛␛1239( )日=/:....iaiaw\"{}[]".chars().collect();
    for text in ["", "one", "fn f(x) {\n  日本 + x\n}\n", "\n\n"] {
        for _ in 0..200 {
            let keys: String = (0..40).map(|_| letters[next() % letters.len()]).collect();
            typed(text, &keys);
        }
    }
}
