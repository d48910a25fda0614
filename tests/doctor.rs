//! `circles doctor`: its findings, and that it changes nothing.

mod faults;

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use crate::support::{CommandOutput, Home, background::BackgroundCircles, command_output};

/// Environment of a terminal with which the doctor finds no problem.
const HEALTHY_ENVIRONMENT: [(&str, &str); 4] =
    [("TERM", "xterm"), ("LANG", "C.UTF-8"), ("EDITOR", "/bin/sh -e"), ("PAGER", "/bin/cat")];

/// Output of `circles doctor --json`.
struct DoctorReport {
    code: Option<i32>,
    findings: Vec<Value>,
}

impl DoctorReport {
    fn of(home: &Home, environment: &[(&str, &str)]) -> Self {
        let output = home
            .command()
            .env_remove("CIRCLES_PASSPHRASE")
            .envs(HEALTHY_ENVIRONMENT)
            .envs(environment.iter().copied())
            .args(["doctor", "--json"])
            .output()
            .expect("the binary runs");
        let CommandOutput { code, stdout, stderr } = command_output(&output);
        assert_eq!(stderr, "");
        let all: Value = serde_json::from_str(&stdout).expect("JSON");
        assert_eq!(all["exit_code"].as_i64(), code.map(i64::from));
        assert_eq!(all["version"], env!("CARGO_PKG_VERSION"));
        Self { code, findings: all["findings"].as_array().expect("a list").clone() }
    }

    /// Warnings and errors as text: level, what, why and fix.
    fn findings(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let is_fine = |finding: &&Value| finding["level"] == "ok";
        self.findings
            .iter()
            .filter(|finding| !is_fine(finding))
            .map(|finding| {
                let [level, what, why, fix] = ["level", "what", "why", "fix"].map(|part| text(&finding[part]));
                assert!(!fix.is_empty() || what.starts_with("more files"), "{finding}: no fix");
                format!("{level} {what}: {why} -> {fix}")
            })
            .collect()
    }

    /// Asserts that there is exactly one warning or error, with these pieces of text.
    fn expect_only(&self, code: i32, pieces: &[&str]) {
        let complaints = self.findings();
        assert_eq!((self.code, complaints.len()), (Some(code), 1), "{complaints:#?}");
        for piece in pieces {
            assert!(complaints[0].contains(piece), "{piece}: {complaints:#?}");
        }
    }

    fn expect_finding(&self, what: &str) -> bool {
        self.findings.iter().any(|finding| finding["what"].as_str().is_some_and(|text| text.contains(what)))
    }
}

/// All files with their contents and modes.
fn tree(directory: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let (mut found, mut left) = (BTreeMap::new(), vec![directory.to_owned()]);
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).expect("it is there") {
            let path = entry.expect("it is there").path();
            let metadata = path.symlink_metadata().expect("it is there");
            if metadata.is_dir() {
                left.push(path.clone());
            }
            let text = if metadata.is_file() { fs::read(&path).expect("readable") } else { Vec::new() };
            let mode = std::os::unix::fs::MetadataExt::mode(&metadata);
            found.insert(path.display().to_string(), (mode, text));
        }
    }
    found
}

#[test]
fn doctor_accepts_an_empty_home_and_changes_nothing() {
    let home = Home::new();
    let examined = DoctorReport::of(&home, &[]);
    let complaints = examined.findings();
    assert_eq!((examined.code, complaints.len()), (Some(0), 2), "{complaints:#?}");
    assert!(complaints[0].contains("there are no keys") && complaints[0].contains("circles keygen"), "{complaints:#?}");
    assert!(complaints[1].contains("there is no circles.json"), "{complaints:#?}");
    assert!(tree(home.path()).is_empty());
}

#[test]
fn doctor_reports_a_healthy_setup_and_changes_nothing() {
    let here = BackgroundCircles::start(r#"{ "circles": [{ "name": "a", "port": 0 }, { "name": "b", "port": 0 }] }"#);
    let alice = here.home.add_key("alice").public_key();
    here.run_ok(&["up"]);
    let before = tree(here.home.path());
    let examined = DoctorReport::of(&here.home, &[]);
    assert_eq!((examined.code, examined.findings()), (Some(0), Vec::new()));
    assert!(examined.expect_finding(&format!("1 key; the default is alice ({alice})")));
    assert!(examined.expect_finding("circles.json lists 2 circles") && examined.expect_finding("the supervisor runs"));
    for circle in ["a", "b"] {
        let url = here.status(circle)["url"].as_str().expect("a URL").to_owned();
        assert!(examined.expect_finding(&format!("{circle} is up at {url}; access: open")));
    }
    let after = tree(here.home.path());
    assert!(before.keys().eq(after.keys()), "{:?}", after.keys());
    // Circles may write to their logs meanwhile.
    let settled = |tree: BTreeMap<String, (u32, Vec<u8>)>| -> Vec<_> {
        tree.into_iter().filter(|(path, _)| Path::new(path).extension().is_none_or(|suffix| suffix != "log")).collect()
    };
    assert_eq!(settled(before), settled(after));
}

#[test]
fn doctor_prints_one_line_per_finding() {
    let home = Home::new();
    home.add_key("alice");
    fs::write(home.keys_directory().join("a\x1b[2J.json"), "").expect("written");
    fs::write(home.path().join("circles.json"), "{").expect("written");
    let output = home.command().arg("doctor").output().expect("the binary runs");
    let CommandOutput { code, stdout, stderr } = command_output(&output);
    assert_eq!((code, stderr.as_str()), (Some(6), ""), "{stdout}");
    let title = format!("circles {} on ", env!("CARGO_PKG_VERSION"));
    assert!(stdout.starts_with(&title), "{stdout}");
    for line in [
        "\nkeys\n  ✓ ok      keys are kept in ",
        "\n  ✓ ok      1 key; the default is alice",
        "\n  ✗ error   ",
        "\ncircles.json\n  ✗ error   circles.json:1:1: ",
        "\nthis machine\n  ✓ ok      the sandbox for scripts ",
        "\n  ! warning the locale is C, which is not UTF-8",
        "→ export LANG=C.UTF-8\n",
        "mv $'",
        "\n3 errors, ",
    ] {
        assert!(stdout.contains(line), "{line}: {stdout}");
    }
    assert!(!stdout.contains('\x1b'), "{stdout}");
    let sections = stdout.lines().filter(|line| !line.starts_with(' ')).count();
    assert_eq!(sections, 5, "{stdout}");
}
