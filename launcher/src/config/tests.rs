use super::*;

mod roles;
mod worker_pool;

fn parse_text(text: &str) -> Result<Vec<CircleConfig>, ConfigError> {
    parse(text, Path::new("circles.json"))
}

#[test]
fn own_field_overrides_default() {
    let key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    let text = format!(
        r#"{{
        "$schema": "docs/circles.schema.json",
        "defaults": {{ "description": "of ours", "access": "authenticated", "limits": {{ "play_ms": 100, "batch": 3 }} }},
        "circles": [
            {{ "name": "sandbox", "port": 9001, "access": "open", "limits": {{ "play_ms": 200 }}, "restart": "never" }},
            {{ "name": "team", "port": 9002, "host": "0.0.0.0", "access": "members", "members": ["{key}"], "hosts": ["team.example"] }},
            {{ "name": "lab", "port": 9003 }}
        ] }}"#
    );
    let circles = parse_text(&text).expect("valid");
    let [sandbox, team, lab] = &circles[..] else { panic!("three") };
    assert_eq!((sandbox.limits.play_ms, sandbox.limits.batch, sandbox.limits.workers), (200, 3, 1024));
    assert_eq!((sandbox.access, sandbox.restart), (Access::Open, RestartPolicy::Never));
    assert_eq!(
        (team.access, team.limits.play_ms, team.description.as_deref()),
        (Access::Members, 100, Some("of ours"))
    );
    assert_eq!((lab.access, lab.limits.batch), (Access::Authenticated, 3));
    assert_eq!((sandbox.url(), team.url()), ("ws://127.0.0.1:9001".into(), "ws://127.0.0.1:9002".into()));
    assert_eq!(team.members[0].to_hex(), key);
}

#[test]
fn members_are_bounded() {
    let key = r#""0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798""#;
    let with = |members: usize| {
        let members = vec![key; members].join(",");
        parse_text(&format!(r#"{{ "circles": [{{ "name": "a", "port": 1, "members": [{members}] }}] }}"#))
    };
    assert_eq!(with(10_000).expect("as many as may be")[0].members.len(), 10_000);
    let error = with(10_001).expect_err("one too many").to_string();
    assert!(error.contains("at most 10000"), "{error}");
}

/// Texts with a mark where the error is (for unreadable JSON, before the last character that was read), and a piece of
/// the message.
#[test]
fn error_has_line_and_column() {
    let cases = [
        ("§{", "EOF"),
        ("[§]", "expected"),
        ("{\n  \"circles\": [],\n  \"x§\": 1\n}", "unknown field `x`"),
        ("{\"circles\": [\n {\"name\": \"a\", \"port\": 1,\n  \"acess§\": \"open\"}]}", "did you mean `access`?"),
        ("{\"circles\": [\n §{\"port\": 1}]}", "needs a name"),
        ("{\"circles\": [{\"name\":\n  §\"9001\", \"port\": 1}]}", "at least one letter"),
        ("{\"circles\": [§{\"name\": \"a\"}]}", "needs a port"),
        ("{\"circles\": [{\"name\": \"ä\", \"port\": 7000§0}]}", "70000"),
        (
            "{\"circles\": [{\"name\": \"a\", \"port\": 1},\n{\"name\": §\"a\", \"port\": 2}]}",
            "duplicate circle name 'a'",
        ),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1},\n{\"name\": \"b\", \"port\": §1}]}", "used by circle 'a'"),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1, \"host\": §\"0.0.0.0\"}]}", "allow_open"),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1, \"members\": [\n §\"02ff\"]}]}", "66"),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1, \"limits\": {\"luck\": §1}}]}", "luck"),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1, \"limits\": {\"workers\": §0}}]}", "cannot be 0"),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1, \"origins\": [§\"a,b\"]}]}", "invalid origin"),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1, \"trusted_proxies\": [§\"10.0.0.0/8\"]}]}", "invalid proxy"),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1, \"origins\": [§\"http://*\"]}]}", "with a * matches nothing"),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1, \"hosts\": [\"a\", §\"*\"]}]}", "with a * matches nothing"),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1, \"description\": §\"x\\u0000y\"}]}", "control"),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1, \"init\": §\"nowhere.rhai\"}]}", "nowhere.rhai"),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1, \"modules\": §\"nowhere/\"}]}", "nowhere"),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1, \"tls\": §{\"cert\": \"c.pem\", \"key\": \"k\"}}]}", "c.pem"),
        (
            "{\"circles\": [{\"name\": \"a\", \"port\": 1, \"store\": §\"nowhere/a.redb\"}]}",
            "create the directory: mkdir -p",
        ),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1, \"store\": §\"\"}]}", "name a file such as"),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1, \"store\": §\"nowhere/\"}]}", "name a file such as"),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1, \"store\": §\"/\"}]}", "name a file such as"),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1, \"store\": §\"..\"}]}", "name a file such as"),
        ("{\"circles\": [{\"name\": \"a\", \"port\": 1, \"store\": §\"/dev/null\"}]}", "is not a regular file"),
        (
            "{\"circles\": [{\"name\": \"a\", \"port\": 1, \"store\": \"s\"},\n{\"name\": \"b\", \"port\": 2, \"store\": §\"./s\"}]}",
            "already that of circle 'a'",
        ),
        ("{\"defaults\": {\"store\": §\"a\"},\n \"circles\": []}", "its own store"),
        ("{\"defaults\": {\"port\": §1},\n \"circles\": []}", "its own port"),
        ("{\"defaults\": {\"identity\": §\"a\"},\n \"circles\": []}", "its own identity"),
    ];
    for (marked, piece) in cases {
        let mark = marked.find('§').expect("a mark");
        let text = marked.replace('§', "");
        let ConfigError::Invalid { line, column, message: what, .. } = parse_text(&text).expect_err(&text) else {
            panic!("{text}")
        };
        assert!(what.contains(piece), "{text}: {what}");
        let before = &marked[..mark];
        let last = before.rsplit('\n').next().unwrap_or_default();
        assert_eq!((line, column), (before.matches('\n').count() + 1, last.chars().count() + 1), "{marked}");
    }
}

#[test]
fn members_imply_members_access() {
    let key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
    let text = |access: &str| format!(r#"{{"circles": [{{"name": "a", "port": 1, {access} "members": ["{key}"]}}]}}"#);
    assert_eq!(parse_text(&text("")).expect("valid")[0].access, Access::Members);
    let mistake = parse_text(&text(r#""access": "open","#)).expect_err("a contradiction");
    assert!(mistake.to_string().contains("remove one of the two"), "{mistake}");
}

#[test]
fn paths_are_relative_to_file() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("scripts")).expect("made");
    std::fs::write(directory.path().join("team.rhai"), "").expect("written");
    let file = directory.path().join("circles.json");
    std::fs::write(&file, r#"{"circles": [{"name": "a", "port": 1, "init": "team.rhai", "modules": "scripts/"}]}"#)
        .expect("written");
    let circles = load(&file).expect("valid");
    assert_eq!(circles[0].init, Some(directory.path().join("team.rhai")));
    assert_eq!(circles[0].store, None);
    assert!(matches!(load(&directory.path().join("none.json")), Err(ConfigError::Io { .. })));
}

#[test]
fn sandbox_is_required_beyond_loopback() {
    let text = r#"{ "circles": [
        { "name": "a", "port": 1 },
        { "name": "b", "port": 2, "host": "0.0.0.0", "access": "authenticated" },
        { "name": "c", "port": 3, "host": "0.0.0.0", "access": "authenticated", "sandbox": "best-effort" },
        { "name": "d", "port": 4, "sandbox": "required" }
    ] }"#;
    let circles = parse(text, Path::new("circles.json")).expect("valid");
    let sandboxes: Vec<Sandbox> = circles.iter().map(|circle| circle.sandbox).collect();
    assert_eq!(sandboxes, [Sandbox::BestEffort, Sandbox::Required, Sandbox::BestEffort, Sandbox::Required]);
}

#[test]
fn store_is_a_file_of_one_circle_or_in_memory() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("data")).expect("made");
    std::os::unix::fs::symlink("data", directory.path().join("link")).expect("linked");
    let with = |first: &str, second: &str| {
        let text = format!(
            r#"{{ "circles": [{{ "name": "a", "port": 0, "store": "{first}" }}, {{ "name": "b", "port": 0, "store": "{second}" }}] }}"#
        );
        parse(&text, &directory.path().join("circles.json"))
    };
    let stores = |first: &str, second: &str| {
        let circles = with(first, second).expect("valid").into_iter();
        circles.map(|circle| circle.store.expect("a store")).collect::<Vec<_>>()
    };
    let file = |path: &str| StoreConfig::File(directory.path().join(path));
    assert_eq!(stores("data/a.redb", "./b.redb"), [file("data/a.redb"), file("b.redb")]);
    assert_eq!(stores(":memory:", ":memory:"), [StoreConfig::Memory, StoreConfig::Memory]);
    assert_eq!(StoreConfig::from(std::ffi::OsString::from(StoreConfig::Memory.to_string())), StoreConfig::Memory);
    // The same file by another path, before and after it is created.
    for _ in 0..2 {
        let error = with("data/a.redb", "link/a.redb").expect_err("one file").to_string();
        assert!(error.contains("already that of circle 'a': name another file"), "{error}");
        std::fs::write(directory.path().join("data/a.redb"), "").expect("written");
    }
    std::os::unix::fs::symlink("data/a.redb", directory.path().join("b.redb")).expect("linked");
    with("data/a.redb", "b.redb").expect_err("one file");
}
