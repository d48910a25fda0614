//! Export and import.

use super::*;

const VALUES: [(&str, &str); 12] = [
    ("bool", "true"),
    ("blob", r#"{"$circles::blob":"AAEC/w=="}"#),
    ("float", "1.0"),
    ("float/large", "1e300"),
    ("float/tiny", "5e-324"),
    ("int", "1"),
    ("int/max", "9223372036854775807"),
    ("int/min", "-9223372036854775808"),
    ("map", r#"{"a b":[1,2.0,{"":null}],"ä":"\u0000"}"#),
    ("quo\"te\\\n", r#""line\nbreak \"quoted\" \\""#),
    ("zero", "-0.0"),
    ("ö/日本", r#""日本""#),
];

fn fill(home: &Home, circle: &str) {
    let store = open(home, circle);
    for (key, text) in VALUES {
        let value = text.parse::<i64>().map_or_else(|_| json_value(text), Into::into);
        put(&store, key, value);
    }
}

fn names(home: &Home) -> Vec<String> {
    let files = fs::read_dir(home.path().join("data")).expect("a directory");
    let mut names: Vec<_> =
        files.map(|file| file.expect("a file").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn export_and_import_keep_every_value() {
    let home = home();
    fill(&home, "a");
    let exported = home.run(&["store", "export", "--circle", "a"]);
    assert_eq!((exported.code, exported.stderr.as_str()), (Some(0), ""));
    let lines: Vec<Value> = exported.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let (last, lines) = lines.split_last().expect("lines");
    assert_eq!(*last, json!({ "entries": 12 }));
    let keys: Vec<_> = lines.iter().map(|line| line["key"].as_str().expect("a key")).collect();
    let mut expected = VALUES.map(|(key, _)| key);
    expected.sort_unstable();
    assert_eq!(keys, expected);

    let file = home.path().join("export.jsonl");
    let written = home.run(&["store", "export", "export.jsonl", "--circle", "a"]);
    assert_eq!((written.code, written.stdout.as_str()), (Some(0), ""));
    assert!(written.stderr.contains("exported 12 entries of 'a' to export.jsonl"), "{written:?}");
    assert_eq!((fs::read_to_string(&file).expect("a file"), mode(&file)), (exported.stdout.clone(), 0o600));
    let again = home.run(&["store", "export", "export.jsonl", "--circle", "a"]);
    assert!(again.code == Some(2) && again.stderr.contains("name another file, or remove this one"), "{again:?}");

    let imported = home.run(&["store", "import", "export.jsonl", "--circle", "b"]);
    assert_eq!(imported.code, Some(0), "{imported:?}");
    assert_eq!(entries(&home, "b"), entries(&home, "a"));
    assert_eq!((names(&home), mode(&store_file(&home, "b"))), (vec!["a.redb".into(), "b.redb".into()], 0o600));
    assert_eq!(home.run(&["store", "export", "--circle", "b"]).stdout, exported.stdout);
    // The same through pipes, with empty lines.
    let input = exported.stdout.replace('\n', "\r\n\n");
    let replaced = home.run_with(&["store", "import", "-", "--replace", "--yes", "--circle", "b"], &input);
    assert_eq!(replaced.code, Some(0), "{replaced:?}");
    assert_eq!(entries(&home, "b"), entries(&home, "a"));
}

#[test]
fn import_replaces_a_store_only_on_demand() {
    let home = home();
    fill(&home, "a");
    let before = entries(&home, "a");
    let line = "{\"key\":\"int\",\"value\":2}\n{\"entries\":1}\n";
    let import =
        |options: &[&str]| home.run_with(&[&["store", "import", "-", "--circle", "a"], options].concat(), line);
    let refused = import(&[]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.stderr.contains("the store of 'a' is not empty") && refused.stderr.contains("--merge"),
        "{refused:?}"
    );
    let unconfirmed = import(&["--replace"]);
    assert!(unconfirmed.code == Some(2) && unconfirmed.stderr.contains("--yes"), "{unconfirmed:?}");
    assert_eq!(entries(&home, "a"), before);
    assert_eq!(import(&["--merge"]).code, Some(0));
    let mut merged = before;
    merged.iter_mut().filter(|(key, _)| key == "int").for_each(|(_, value)| *value = 2.into());
    assert_eq!(entries(&home, "a"), merged);
    assert_eq!(import(&["--replace", "--yes"]).code, Some(0));
    assert_eq!(entries(&home, "a"), [("int".to_owned(), 2.into())]);
    assert_eq!(names(&home), ["a.redb"]);
}

#[test]
fn import_of_a_faulty_file_is_undone() {
    let home = home();
    fill(&home, "a");
    let before = entries(&home, "a");
    let lines: Vec<_> =
        (0..2500).map(|number| json!({ "key": format!("k/{number:04}"), "value": number }).to_string()).collect();
    let good = lines.join("\n") + "\n";
    for (line, expected) in [
        ("{\"key\":\"a\"}", "missing field `value`"),
        ("{\"key\":\"a\",\"value\":1", "EOF"),
        ("{\"key\":\"a\",\"value\":1,\"x\":1}", "unknown field `x`"),
        ("{\"key\":\"\",\"value\":1}", "the key is empty"),
        ("{\"key\":1,\"value\":1}", "invalid type"),
        ("{\"key\":\"a\",\"value\":null}", "a key is absent"),
        ("{\"key\":\"a\",\"value\":[18446744073709551616]}", "the value of \"a\": 18446744073709551616 is beyond"),
        ("{\"key\":\"a\",\"value\":-0}", "write 0, or -0.0"),
        ("{\"key\":\"a\",\"value\":{\"b\":1,\"b\":2}}", "occurs twice"),
        ("{\"key\":\"k/0001\",\"value\":1}", "an earlier line has the key \"k/0001\", too"),
        ("{\"entries\":-1}", "unknown field `entries`"),
        ("[]", "invalid"),
    ] {
        let input = format!("{good}{line}\n");
        let ran = home.run_with(&["store", "import", "-", "--replace", "--yes", "--circle", "a"], &input);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        let what = "cannot import line 2501 of standard input";
        assert!(ran.stderr.contains(what) && ran.stderr.contains(expected), "{line}: {ran:?}");
        assert_eq!((entries(&home, "a"), names(&home)), (before.clone(), vec!["a.redb".to_owned()]));
    }
    // No store is made for a file that cannot be imported.
    for options in [&[][..], &["--merge"]] {
        let args = [&["store", "import", "-", "--circle", "b"], options].concat();
        let ran = home.run_with(&args, &format!("{good}[]\n"));
        assert!(ran.code == Some(2) && ran.stderr.contains("line 2501 of standard input"), "{ran:?}");
        assert_eq!(names(&home), ["a.redb"]);
    }
    // A merge of it changes nothing.
    let input = format!("{{\"key\":\"int\",\"value\":2}}\n{good}[]\n");
    let merged = home.run_with(&["store", "import", "-", "--merge", "--circle", "a"], &input);
    assert!(merged.code == Some(2) && merged.stderr.contains("line 2502 of standard input"), "{merged:?}");
    assert_eq!((entries(&home, "a"), names(&home)), (before, vec!["a.redb".to_owned()]));
    let unreadable = home.run(&["store", "import", "data", "--merge", "--circle", "a"]);
    let first = unreadable.stderr.lines().next();
    assert!(first.is_some_and(|line| line.starts_with("error: cannot read data")), "{unreadable:?}");
    let merged = home.run_with(&["store", "import", "-", "--merge", "--circle", "b"], &good);
    assert_eq!((merged.code, entries(&home, "b").len()), (Some(0), 2500));
}

#[test]
fn import_detects_an_incomplete_file() {
    let home = home();
    fill(&home, "a");
    let before = entries(&home, "a");
    let (one, two) = ("{\"key\":\"a\",\"value\":1}\n", "{\"key\":\"b\",\"value\":2}\n");
    let import = |options: &[&str], input: &str| {
        home.run_with(&[&["store", "import", "-", "--circle", "a"], options].concat(), input)
    };
    let missing = "it has no last line with the number of entries";
    for (options, input, expected) in [
        (&["--replace", "--yes"][..], "", missing),
        (&["--replace", "--yes"], "\n\n", missing),
        (&["--replace", "--yes"], format!("{one}{two}").as_str(), missing),
        (&["--merge"], "", missing),
        (&["--replace", "--yes"], format!("{one}{{\"entries\":2}}\n").as_str(), "it has 2 entries, and it has 1"),
        (&["--merge"], format!("{one}{{\"entries\":2}}\n").as_str(), "it has 2 entries, and it has 1"),
        (&["--merge"], format!("{one}{{\"entries\":1}}\n{two}").as_str(), "cannot import line 3 of standard input"),
    ] {
        let ran = import(options, input);
        assert!(ran.code == Some(2) && ran.stderr.contains(expected), "{input}: {ran:?}");
        assert_eq!((entries(&home, "a"), names(&home)), (before.clone(), vec!["a.redb".to_owned()]), "{input}");
    }
    let merged = import(&["--merge"], &format!("{one}{two}"));
    assert!(merged.code == Some(0) && merged.stderr.contains("may be incomplete"), "{merged:?}");
    assert_eq!(entries(&home, "a").len(), before.len() + 2);
    let merged = import(&["--merge"], &format!("{one}{{\"entries\":1}}\n"));
    assert!(merged.code == Some(0) && !merged.stderr.contains("incomplete"), "{merged:?}");
    // The export of an empty store has the line, so it can replace a store.
    drop(open(&home, "b"));
    let empty = home.run(&["store", "export", "--circle", "b"]).stdout;
    assert_eq!(empty, "{\"entries\":0}\n");
    assert_eq!(import(&["--replace", "--yes"], &empty).code, Some(0));
    assert!(entries(&home, "a").is_empty());
}

#[test]
fn import_takes_values_of_the_limit_of_the_circle() {
    let home = home();
    let line = |length: usize| json!({ "key": "k\n", "value": "x".repeat(length) }).to_string() + "\n{\"entries\":1}\n";
    // A value has three bytes for its encoding, and the quotes.
    let fits = line(64 * 1024 - 5);
    assert_eq!(home.run_with(&["store", "import", "-", "--circle", "a"], &fits).code, Some(0));
    for options in [&["--merge"][..], &["--replace", "--yes"]] {
        let args = [&["store", "import", "-", "--circle", "a"], options].concat();
        let ran = home.run_with(&args, &line(64 * 1024 - 4));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        for expected in
            ["line 1 of standard input", "the value of \"k\\n\" is larger than 65536 bytes", "raise value_kib"]
        {
            assert!(ran.stderr.contains(expected), "{ran:?}");
        }
    }
    let limits = json!({ "value_kib": 65 });
    let circle = json!({ "name": "a", "port": 0, "store": "data/a.redb", "limits": limits });
    fs::write(home.path().join("circles.json"), json!({ "circles": [circle] }).to_string()).expect("written");
    let ran = home.run_with(&["store", "import", "-", "--merge"], &line(64 * 1024 - 4));
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn import_keeps_a_symbolic_link() {
    let home = home();
    fill(&home, "b");
    let file = home.path().join("disk");
    fs::create_dir(&file).expect("made");
    std::os::unix::fs::symlink("../disk/real.redb", store_file(&home, "a")).expect("a link");
    drop(StoreOptions::new("a").open(file.join("real.redb")).expect("a store"));
    let export = home.run(&["store", "export", "--circle", "b"]).stdout;
    for options in [&[][..], &["--replace", "--yes"]] {
        let args = [&["store", "import", "-", "--circle", "a"], options].concat();
        assert_eq!(home.run_with(&args, "[]").code, Some(2));
        let ran = home.run_with(&args, &export);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let link = fs::symlink_metadata(store_file(&home, "a")).expect("a link");
        assert!(link.is_symlink(), "the link stays");
        assert_eq!(entries(&home, "a"), entries(&home, "b"));
        assert_eq!(fs::read_dir(&file).expect("a directory").count(), 1);
    }
}

#[test]
fn export_that_fails_leaves_no_file() {
    let home = home();
    let store = open(&home, "a");
    put(&store, "a", 1);
    put(&store, "b", vec![9]);
    drop(store);
    assert_eq!(home.run(&["store", "export", "export.jsonl", "--circle", "a"]).code, Some(2));
    assert!(!home.path().join("export.jsonl").exists());
}
