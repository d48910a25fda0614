use worker_nats::config::NatsSettings;

use super::*;

/// A directory with the files `team.creds`, `seed` and `ca.pem`.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["team.creds", "seed", "ca.pem"] {
        std::fs::write(directory.path().join(name), "").expect("written");
    }
    directory
}

#[test]
fn pool_is_that_of_the_circle_or_the_default() {
    let directory = directory();
    let text = r#"{
        "defaults": { "worker_pool": { "nats": "tls://n1:4222,tls://n2:4222", "nkey": "seed", "ca": "ca.pem" } },
        "circles": [
            { "name": "a", "port": 1 },
            { "name": "b", "port": 2, "worker_pool": { "nats": "n3", "credentials": "team.creds" } },
            { "name": "c", "port": 3, "worker_pool": { "nats": "n3", "user": "c", "password_file": "./seed" } }
        ] }"#;
    let circles = parse(text, &directory.path().join("circles.json")).expect("valid");
    let pools: Vec<NatsSettings> = circles.into_iter().map(|circle| circle.worker_pool.expect("a pool")).collect();
    let path = |name: &str| Some(directory.path().join(name));
    let settings = |servers: &str| NatsSettings { servers: servers.into(), ..NatsSettings::default() };
    let expected = [
        NatsSettings { nkey: path("seed"), ca: path("ca.pem"), ..settings("tls://n1:4222,tls://n2:4222") },
        NatsSettings { credentials: path("team.creds"), ..settings("n3") },
        NatsSettings { user: Some("c".into()), password_file: path("seed"), ..settings("n3") },
    ];
    assert_eq!(pools, expected);
    let without = parse_text(r#"{ "circles": [{ "name": "a", "port": 1 }] }"#).expect("valid");
    assert_eq!(without[0].worker_pool, None);
}

#[test]
fn invalid_pool_is_located_at_its_field() {
    let directory = directory();
    let path = directory.path().join("circles.json");
    for (marked, piece) in [
        (r#"{ "nats": §"http://n1" }"#, "its scheme is 'http'; write nats://HOST:PORT or tls://HOST:PORT"),
        (r#"{ "nats": §"" }"#, "no NATS server is set"),
        (r#"{ "nkey": "seed" §}"#, "missing field `nats`"),
        (r#"{ "nats": "n1", "credential§": "team.creds" }"#, "unknown field `credential`, expected one of `nats`"),
        (r#"{ "nats": "n1", "credentials": "team.creds", "nkey": §"seed" }"#, "keep one of credentials, nkey, or user"),
        (r#"{ "nats": "n1", "user": §"a" }"#, "user is set for NATS without password_file: set both or neither"),
        (r#"{ "nats": "n1", "key": §"seed" }"#, "key is set for NATS without cert"),
        (r#"{ "nats": "n1", "nkey": §"none" }"#, "none: No such file"),
        (r#"{ "nats": "n1", "ca": §"/dev/null" }"#, "cannot read /dev/null: not a regular file"),
    ] {
        let marked = format!(r#"{{ "circles": [{{ "name": "a", "port": 1, "worker_pool": {marked} }}] }}"#);
        let mark = marked.find('§').expect("a mark");
        let error = parse(&marked.replace('§', ""), &path).expect_err(&marked);
        let ConfigError::Invalid { column, message, .. } = error else { panic!("{error}") };
        assert!(message.contains(piece), "{marked}: {message}");
        assert_eq!(column, mark + 1, "{marked}: {message}");
    }
}

#[test]
fn error_about_a_password_in_a_url_does_not_show_it() {
    for servers in ["nats://u:hunter2@n1:4222", "nats://u:hunter2@n1:port"] {
        let text =
            format!(r#"{{ "circles": [{{ "name": "a", "port": 1, "worker_pool": {{ "nats": "{servers}" }} }}] }}"#);
        let error = parse_text(&text).expect_err("refused");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn password_in_a_url_is_refused_with_what_to_set() {
    let text = r#"{ "circles": [{ "name": "a", "port": 1, "worker_pool": { "nats": "tls://u:p@n1" } }] }"#;
    let error = parse_text(text).expect_err("refused").to_string();
    assert!(error.ends_with("remove them, and set credentials, nkey, or user and password_file"), "{error}");
}
