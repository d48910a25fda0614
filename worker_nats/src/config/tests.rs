use std::{fs, os::unix::fs::PermissionsExt};

use super::*;

fn settings(servers: &str) -> NatsSettings {
    NatsSettings { servers: servers.into(), ..NatsSettings::default() }
}

#[track_caller]
fn error(settings: &NatsSettings) -> String {
    NatsConfig::new(settings).and_then(|config| config.check_files()).expect_err("not valid").to_string()
}

/// A directory with a file of this mode.
fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file");
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
    (directory, path)
}

#[test]
fn servers_are_a_list_of_urls() {
    for (servers, expected) in [
        (" nats://n1.example:4222, n2.example,,n3:4", "nats://n1.example:4222,nats://n2.example,nats://n3:4"),
        ("tls://n2.example,tls://[::1]:5", "tls://n2.example,tls://[::1]:5"),
    ] {
        assert_eq!(NatsConfig::new(&settings(servers)).expect("valid").servers(), expected);
    }
}

#[test]
fn urls_that_are_not_valid_get_a_reason() {
    for (servers, reason) in [
        ("http://n1:4222", "'http://n1:4222' is not a NATS server: its scheme is 'http'; write nats://HOST:PORT"),
        ("ws://n1:4222", "its scheme is 'ws'"),
        ("nats://", "is not a NATS server: "),
        ("nats://n1:0", "its port is 0"),
        ("nats://n1:99999", "invalid port number"),
        ("nats://n1/circles", "it has a path, a query or a fragment"),
        ("nats://n1?tls=1", "it has a path, a query or a fragment"),
        ("nats://n 1", "is not a NATS server: "),
        ("", "no NATS server is set: write nats://HOST:PORT or tls://HOST:PORT"),
        (" , ", "no NATS server is set"),
        ("tls://n1,tls://n2,n3:4", "some NATS servers have tls:// and others nats://, as nats://n3:4: write tls://"),
        (&"n,".repeat(33), "33 NATS servers are set: name at most 32"),
    ] {
        let error = error(&settings(servers));
        assert!(error.contains(reason), "{servers}: {error}");
    }
}

#[test]
fn password_in_a_url_is_refused_and_not_repeated() {
    for servers in ["nats://u:hunter2@n1:4222", "u:hunter2@n1:4222", "nats://hunter2@n1:4222"] {
        let error = error(&settings(servers));
        assert!(error.contains("n1:4222 has a user or a password: remove them"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    // Not even if the URL cannot be parsed.
    let error = error(&settings("nats://u:hunter2@n1:port"));
    assert!(error.contains("'nats://n1:port' is not a NATS server") && !error.contains("hunter2"), "{error}");
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let path = || Some(PathBuf::from("file"));
    let name = || Some("m1".to_owned());
    let base = settings("n1");
    for (settings, expected) in [
        (
            NatsSettings { credentials: path(), nkey: path(), ..base.clone() },
            "credentials and nkey are both set for NATS: keep one of credentials, nkey, or user and password_file",
        ),
        (NatsSettings { nkey: path(), user: name(), ..base.clone() }, "nkey and user are both set"),
        (
            NatsSettings { user: name(), ..base.clone() },
            "user is set for NATS without password_file: set both or neither",
        ),
        (NatsSettings { password_file: path(), ..base.clone() }, "password_file is set for NATS without user"),
        (NatsSettings { cert: path(), ..base.clone() }, "cert is set for NATS without key"),
        (NatsSettings { key: path(), ..base }, "key is set for NATS without cert"),
    ] {
        let error = error(&settings);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn errors_name_their_field() {
    let path = || Some(PathBuf::from("/nowhere"));
    let base = settings("n1");
    for (settings, field) in [
        (settings(""), "nats"),
        (settings("nats://u:p@n1"), "nats"),
        (settings("nats://n1,tls://n2"), "nats"),
        (NatsSettings { credentials: path(), nkey: path(), ..base.clone() }, "nkey"),
        (NatsSettings { credentials: path(), ..base.clone() }, "credentials"),
        (NatsSettings { nkey: path(), ..base.clone() }, "nkey"),
        (NatsSettings { user: Some("m1".into()), password_file: path(), ..base.clone() }, "password_file"),
        (NatsSettings { ca: path(), ..base.clone() }, "ca"),
        (NatsSettings { cert: path(), ..base.clone() }, "cert"),
        (NatsSettings { cert: path(), key: path(), ..base }, "cert"),
    ] {
        let error = NatsConfig::new(&settings).and_then(|config| config.check_files()).expect_err("not valid");
        assert_eq!(error.field(), field, "{error}");
    }
}

#[test]
fn servers_without_tls_are_those_on_other_machines_that_do_not_require_it() {
    let servers = "nats://n1,nats://localhost,nats://127.0.0.2,nats://[::1],nats://10.0.0.1:4";
    let open = |settings: &NatsSettings| {
        let config = NatsConfig::new(settings).expect("valid");
        config.servers_without_tls().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(open(&settings(servers)), ["nats://n1", "nats://10.0.0.1:4"]);
    assert!(open(&NatsSettings { ca: Some("ca.pem".into()), ..settings(servers) }).is_empty());
    assert!(open(&settings("tls://n1,tls://n2")).is_empty());
}

#[test]
fn secret_that_others_can_read_is_refused() {
    let seed = nkeys::KeyPair::new_user().seed().expect("a seed");
    for mode in [0o640, 0o604, 0o660] {
        let (_directory, path) = file(&seed, mode);
        let error = error(&NatsSettings { nkey: Some(path.clone()), ..settings("n1") });
        let expected =
            format!("the NATS nkey file {0} is open to others (mode {mode:04o}); run: chmod 600 {0}", path.display());
        assert_eq!(error, expected);
    }
}

#[test]
fn nkey_file_has_the_seed_of_a_user() {
    let user = nkeys::KeyPair::new_user();
    let (_directory, path) = file(&format!("{}\n", user.seed().expect("a seed")), 0o600);
    let config = NatsConfig::new(&NatsSettings { nkey: Some(path), ..settings("n1") }).expect("valid");
    let secret = config.read_files().expect("a seed");
    assert!(matches!(&secret, Secret::Nkey { public_key, .. } if *public_key == user.public_key()));
    assert_eq!(format!("{secret:?}"), "Nkey");
    let server = nkeys::KeyPair::new_server().seed().expect("a seed");
    for text in [&server, "", "SUAAA", &user.public_key()] {
        let (_directory, path) = file(text, 0o600);
        let error = error(&NatsSettings { nkey: Some(path), ..settings("n1") });
        assert!(
            error.contains("does not have the seed of a user's nkey; write the one line that begins with SU"),
            "{error}"
        );
        assert!(text.is_empty() || !error.contains(text), "{error}");
    }
}

#[test]
fn password_file_has_one_line() {
    let user = |path| NatsSettings { user: Some("m1".into()), password_file: Some(path), ..settings("n1") };
    let (_directory, path) = file("hunter2\n", 0o600);
    let config = NatsConfig::new(&user(path)).expect("valid");
    let secret = config.read_files().expect("a password");
    assert!(matches!(secret, Secret::Password { user, password } if user == "m1" && *password == "hunter2"));
    for text in ["", "\n", "hunter2\nmore\n"] {
        let (_directory, path) = file(text, 0o600);
        let error = error(&user(path));
        assert!(error.contains("does not have one line; write the password, and nothing else, into it"), "{error}");
    }
}

#[test]
fn credentials_file_has_a_jwt_and_a_seed() {
    let seed = nkeys::KeyPair::new_user().seed().expect("a seed");
    let text = format!(
        "-----BEGIN NATS USER JWT-----\nabc.def\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    let (_directory, path) = file(&text, 0o600);
    let config = NatsConfig::new(&NatsSettings { credentials: Some(path), ..settings("n1") }).expect("valid");
    let secret = config.read_files().expect("credentials");
    assert!(
        matches!(&secret, Secret::Credentials { jwt, pair } if **jwt == "abc.def" && pair.seed().ok() == Some(seed.clone()))
    );
    assert_eq!(format!("{secret:?}"), "Credentials");
    let (_directory, path) = file(&seed, 0o600);
    let error = error(&NatsSettings { credentials: Some(path), ..settings("n1") });
    assert!(error.contains("is not a credentials file") && !error.contains(&seed), "{error}");
}

#[test]
fn files_that_are_missing_or_something_else_are_named() {
    let missing = error(&NatsSettings { ca: Some("/none/ca.pem".into()), ..settings("n1") });
    assert_eq!(missing, "the NATS CA file /none/ca.pem does not exist; check the path, or create the file");
    let (directory, path) = file("hello", 0o600);
    let no_pem = error(&NatsSettings { ca: Some(path.clone()), ..settings("n1") });
    assert!(
        no_pem.contains("contains no certificate in PEM; name a file with -----BEGIN CERTIFICATE-----"),
        "{no_pem}"
    );
    let other = error(&NatsSettings { nkey: Some(directory.path().to_owned()), ..settings("n1") });
    assert!(other.contains("is not a regular file; check the path"), "{other}");
    let certificate = directory.path().join("cert.pem");
    fs::write(&certificate, "-----BEGIN CERTIFICATE-----\n").expect("written");
    let no_key = error(&NatsSettings { cert: Some(certificate), key: Some(path), ..settings("n1") });
    assert!(no_key.contains("contains no private key in PEM"), "{no_key}");
}
