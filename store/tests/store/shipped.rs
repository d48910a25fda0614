//! No program has the feature `faults`: only features and dependencies of tests enable it.

use std::{fs, path::Path};

/// The lines of a manifest that name faults, each behind the name of its section.
fn faults(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (mut section, mut found) = ("", Vec::new());
    for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
        if line.starts_with('[') {
            section = line;
        }
        if line.contains("faults") {
            found.push(format!("{section} {line}"));
        }
    }
    found
}

#[test]
fn only_tests_enable_the_feature_faults() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let required = r#"[[test]] required-features = ["faults"]"#;
    assert_eq!(faults(&own.join("Cargo.toml")), ["[features] faults = []", required], "no default has the feature");
    // The package alone, outside of the workspace, has no other manifests.
    let root = own.parent().expect("a parent directory");
    let Ok(manifest) = fs::read_to_string(root.join("Cargo.toml")) else { return };
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = [")).expect("the members");
    let members: Vec<&str> =
        members.trim_end_matches(']').split(',').map(|member| member.trim().trim_matches('"')).collect();
    assert!(members.contains(&"store") && members.contains(&"circles"), "{members:?}");
    for member in members.into_iter().filter(|member| *member != "store").chain(["."]) {
        // The server forwards the feature, and the end-to-end tests enable it for the server in their own process.
        let expected = match member {
            "server_ws" => vec![r#"[features] faults = ["store/faults"]"#],
            "circles" => vec![r#"[dev-dependencies] server_ws = { workspace = true, features = ["faults"] }"#],
            _ => Vec::new(),
        };
        assert_eq!(faults(&root.join(member).join("Cargo.toml")), expected, "the manifest of {member}");
    }
}
