//! A directory with a first circle that has functions and roles.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use keys::keystore::KeyEntry;
use serde_json::json;

use crate::{config, error::CliError, files, init, visible::visible};

/// The permissions of the files, before the user's mask.
const MODE: u32 = 0o666;

/// The directory of the functions, in that of the circle.
const FUNCTIONS: &str = "functions";

/// The files of functions.
const FUNCTION_FILES: &[(&str, &str)] = &[
    ("catalog.rhai", include_str!("new_circle/catalog.rhai")),
    ("price.rhai", include_str!("new_circle/price.rhai")),
    ("quote.rhai", include_str!("new_circle/quote.rhai")),
];

const README: &str = include_str!("new_circle/README.md");

/// A circle that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCircle {
    /// The port of the circle.
    pub port: u16,
    /// The files, relative to the directory.
    pub files: Vec<PathBuf>,
}

/// Writes circles.json, functions and a README into a directory, which is made, or empty. `owner` is the first member.
/// Blocks.
///
/// # Errors
///
/// The name is not the name of a circle, the directory has files, or a file cannot be written. Nothing is overwritten.
pub fn write(name: &str, directory: &Path, owner: Option<&KeyEntry>) -> Result<NewCircle, CliError> {
    if !protocol::is_circle_name(name) {
        return Err(CliError::usage(
            format!("'{}' is not a name of a circle", visible(name)),
            "a name has lower-case letters, digits and dashes, at least one letter, and at most 64 characters",
            "choose another name: circles new NAME DIR",
        ));
    }
    let shown = || visible(&directory.display().to_string()).into_owned();
    let failed = |error: &io::Error| {
        let fix = "choose another directory: circles new NAME DIR";
        match error.kind() {
            ErrorKind::AlreadyExists => {
                CliError::usage(format!("{} exists already", shown()), "nothing was overwritten", fix)
            }
            _ => CliError::io(format!("cannot write to {}", shown()), error, fix),
        }
    };
    make_empty(directory).map_err(|error| failed(&error))?;
    let port = init::free_ports().next().unwrap_or(0);
    let mut texts = vec![
        (PathBuf::from(config::FILE), config_text(name, port, owner)),
        (PathBuf::from("README.md"), readme(name, owner)),
    ];
    let functions = Path::new(FUNCTIONS);
    texts.extend(FUNCTION_FILES.iter().map(|(file, text)| (functions.join(file), (*text).to_owned())));
    let written = fs::create_dir(directory.join(functions))
        .and_then(|()| texts.iter().try_for_each(|(file, text)| files::write_new(&directory.join(file), text, MODE)));
    written.map_err(|error| failed(&error))?;
    Ok(NewCircle { port, files: texts.into_iter().map(|(file, _)| file).collect() })
}

/// Makes a directory, unless it is there and empty.
fn make_empty(directory: &Path) -> io::Result<()> {
    match fs::create_dir_all(directory) {
        // A file of this name.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(error),
        made => made?,
    }
    match fs::read_dir(directory)?.next() {
        None => Ok(()),
        Some(_) => Err(ErrorKind::AlreadyExists.into()),
    }
}

fn config_text(name: &str, port: u16, owner: Option<&KeyEntry>) -> String {
    let members = match owner {
        Some(key) => format!("[\n        {}\n      ]", member(member_name(key), &key.public_key.to_string())),
        None => "[]".into(),
    };
    format!(
        r#"{{
  "circles": [
    {{
      "name": "{name}",
      "port": {port},
      "description": "functions for anyone, and more for members",
      "functions": "{FUNCTIONS}/",
      "roles": {{
        "visitor": {{ "call": ["price", "catalog.*"] }},
        "customer": {{ "extends": "visitor", "call": ["quote"] }},
        "owner": {{ "extends": "customer", "call": ["*"], "play": true }}
      }},
      "anyone": "visitor",
      "members": {members}
    }}
  ]
}}
"#
    )
}

/// The name of the key, if it is also a name of a member.
fn member_name(key: &KeyEntry) -> &str {
    Some(key.name.as_str()).filter(|name| protocol::is_circle_name(name)).unwrap_or("me")
}

/// A member in circles.json, who is an owner.
fn member(name: &str, key: &str) -> String {
    format!(r#"{{ "name": {}, "keys": ["{key}"], "role": "owner" }}"#, json!(name))
}

fn readme(name: &str, owner: Option<&KeyEntry>) -> String {
    let members = match owner {
        Some(key) => format!(
            "Your key `{}` is that of an owner. To add a member, write an entry into `members`, with the public key that\n\
             `circles keys show` prints on the member's machine.\n",
            key.name
        ),
        None => format!(
            "You have no key yet, so you call as `anyone`. Make a key with `circles keygen me`, which prints the public key.\n\
             Then write yourself into `members`:\n\n```json\n\"members\": [\n  {}\n]\n```\n",
            member("me", "PUBLIC KEY")
        ),
    };
    README.replace("{name}", name).replace("{members}", &members)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn texts(directory: &Path) -> String {
        FUNCTION_FILES
            .iter()
            .map(|(file, _)| fs::read_to_string(directory.join("functions").join(file)).expect(file))
            .collect()
    }

    #[test]
    fn new_circle_has_functions_roles_and_instructions() {
        let parent = tempfile::tempdir().expect("a directory");
        let directory = parent.path().join("a/shop");
        let written = write("shop", &directory, None).expect("written");
        let files: BTreeSet<String> = written.files.iter().map(|file| file.display().to_string()).collect();
        let expected =
            ["README.md", "circles.json", "functions/catalog.rhai", "functions/price.rhai", "functions/quote.rhai"];
        assert_eq!(files, expected.map(String::from).into());
        let config: Value =
            serde_json::from_str(&fs::read_to_string(directory.join("circles.json")).expect("there")).expect("JSON");
        assert_eq!((&config["circles"][0]["name"], &config["circles"][0]["members"]), (&json!("shop"), &json!([])));
        assert_eq!(config["circles"][0]["port"], written.port);
        // Every function that a role names, or whose file it names, is there.
        let functions = texts(&directory);
        for name in ["price", "list", "find", "quote"] {
            assert!(functions.contains(&format!("\nfn {name}(")), "{name}");
        }
        let readme = fs::read_to_string(directory.join("README.md")).expect("there");
        assert!(readme.starts_with("# shop\n") && readme.contains("circles keygen me"), "{readme}");
        assert!(!readme.contains("{name}") && !readme.contains("{members}"), "{readme}");
    }

    #[test]
    fn nothing_is_overwritten() {
        let directory = tempfile::tempdir().expect("a directory");
        write("shop", directory.path(), None).expect("the directory is empty");
        let error = write("shop", directory.path(), None).expect_err("it has files").advice();
        assert!(error.contains("exists already: nothing was overwritten"), "{error}");
        let file = directory.path().join("README.md");
        let before = fs::read_to_string(&file).expect("there");
        assert_eq!(write("shop", &file, None).expect_err("a file").exit_code(), 2);
        assert_eq!(fs::read_to_string(&file).expect("there"), before);
        for name in ["", "Shop", "9001", "a b", "../x"] {
            assert_eq!(write(name, &directory.path().join("new"), None).expect_err(name).exit_code(), 2);
        }
        assert!(!directory.path().join("new").exists());
    }
}
