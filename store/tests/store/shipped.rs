//! No program has the feature `faults`: no manifest of the workspace enables it.

use std::{fs, path::Path};

/// The lines of a manifest without comments.
fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| line.split('#').next().unwrap_or_default().trim().to_owned()).collect()
}

#[test]
fn no_manifest_enables_the_feature_faults() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own.parent().expect("a parent directory");
    let own_lines = lines(&own.join("Cargo.toml"));
    assert!(own_lines.iter().any(|line| line == "faults = []"), "the feature has this name");
    assert!(!own_lines.iter().any(|line| line.starts_with("default ")), "the crate has no default features");
    // The package alone, outside of the workspace, has no other manifests.
    if !root.join("Cargo.toml").exists() {
        return;
    }
    let root_lines = lines(&root.join("Cargo.toml"));
    let members = root_lines.iter().find_map(|line| line.strip_prefix("members = [")).expect("the members");
    let members: Vec<&str> =
        members.trim_end_matches(']').split(',').map(|member| member.trim().trim_matches('"')).collect();
    assert!(members.contains(&"store") && members.contains(&"circles"), "{members:?}");
    for member in members.into_iter().filter(|member| *member != "store").chain(["."]) {
        let manifest = root.join(member).join("Cargo.toml");
        let enabled: Vec<String> = lines(&manifest).into_iter().filter(|line| line.contains("faults")).collect();
        assert!(enabled.is_empty(), "{} enables a feature that is for tests alone: {enabled:?}", manifest.display());
    }
}
