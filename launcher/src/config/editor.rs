//! Changes a `circles.json` as a person would: everything else in the file stays as it is.

use std::{
    fs, io,
    io::Write,
    ops::Range,
    path::{Path, PathBuf},
};

use keys::PublicKey;
use protocol::methods::Access;

use super::{ConfigLocator, parse, read};
use crate::config_error::ConfigError;

/// What [`add_member`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberChange {
    /// The key is a member now.
    Added,
    /// The key was a member before; the file is unchanged.
    AlreadyMember,
}

/// Why a file was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigEditError {
    /// The file cannot be read, or is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file lists no circle of this name.
    #[error("{} lists no circle '{circle}'", path.display())]
    NoSuchCircle {
        /// Path of the file.
        path: PathBuf,
        /// Name of the circle.
        circle: String,
    },
    /// The circle does not ask for membership.
    #[error("the circle '{circle}' has no members: its access is {access}")]
    NotForMembers {
        /// Name of the circle.
        circle: String,
        /// Who may play there.
        access: Access,
    },
    /// The circle has the members of `defaults`, which are those of other circles, too.
    #[error("the members of '{circle}' are in \"defaults\", for all circles")]
    SharedMembers {
        /// Name of the circle.
        circle: String,
    },
    /// Somebody else changed the file at the same time.
    #[error("{} was changed at the same time", path.display())]
    Changed {
        /// Path of the file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Path of the file.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
}

/// Adds a key to the members of a circle in the file. The file is replaced atomically and keeps its permissions.
/// Blocks.
///
/// # Errors
///
/// The file is not valid, its circle does not admit members by a list of its own, or the file cannot be written. The
/// file is unchanged then.
pub fn add_member(path: &Path, circle: &str, key: &PublicKey) -> Result<MemberChange, ConfigEditError> {
    let path = &path.canonicalize().map_err(|source| ConfigError::Io { path: path.to_owned(), source })?;
    let text = read(path)?;
    let Some(text_with_member) = with_member(&text, path, circle, key)? else { return Ok(MemberChange::AlreadyMember) };
    // The text is valid in any case, unless this function has a fault.
    parse(&text_with_member, path)?;
    if read(path)? != text {
        return Err(ConfigEditError::Changed { path: path.clone() });
    }
    replace(path, &text_with_member).map_err(|source| ConfigEditError::Write { path: path.clone(), source })?;
    Ok(MemberChange::Added)
}

/// Returns the text with another member; `None` if the key is a member already.
fn with_member(text: &str, path: &Path, name: &str, key: &PublicKey) -> Result<Option<String>, ConfigEditError> {
    let circle = parse(text, path)?.into_iter().find(|circle| circle.name == name);
    let Some(circle) = circle else {
        return Err(ConfigEditError::NoSuchCircle { path: path.to_owned(), circle: name.to_owned() });
    };
    if circle.access != Access::Members {
        return Err(ConfigEditError::NotForMembers { circle: name.to_owned(), access: circle.access });
    }
    if circle.members.contains(key) {
        return Ok(None);
    }
    let locator = ConfigLocator { text: text.to_owned(), path: path.to_owned() };
    let item = format!("\"{key}\"");
    let own = locator.own_field(name, "members");
    if let Some(nothing) = own.as_ref().filter(|list| text[(*list).clone()] == *"null") {
        return Ok(Some(format!("{}[{item}]{}", &text[..nothing.start], &text[nothing.end..])));
    }
    let (at, inserted) = match own {
        Some(list) => insertion_into_list(text, &list, &item),
        None if !circle.members.is_empty() => {
            return Err(ConfigEditError::SharedMembers { circle: name.to_owned() });
        }
        None => {
            let field = locator.own_field(name, "access").or_else(|| locator.own_field(name, "name"));
            (field.map_or(0, |field| field.end), format!(", \"members\": [{item}]"))
        }
    };
    Ok(Some([&text[..at], &inserted, &text[at..]].concat()))
}

/// Returns where to insert an item at the end of a JSON list, and the inserted text: on a line of its own, if the last
/// item has one.
fn insertion_into_list(text: &str, list: &Range<usize>, item: &str) -> (usize, String) {
    let inside = &text[list.start + 1..list.end - 1];
    let at = list.start + 1 + inside.trim_end().len();
    let Some(last) = inside.trim_end().rfind('"').and_then(|end| inside[..end].rfind('"')) else {
        return (list.start + 1, item.to_owned());
    };
    let before_last = &inside[..last];
    let separator = match before_last.rfind('\n') {
        Some(line) if before_last[line..].trim().is_empty() => format!(",{}", &before_last[line..]),
        _ => ", ".to_owned(),
    };
    (at, format!("{separator}{item}"))
}

/// Replaces a file atomically, and keeps its permissions.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let permissions = fs::metadata(path)?.permissions();
    let mut file = tempfile::Builder::new().prefix(".circles.json.").tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(permissions)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|refused| refused.error)?;
    fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use keys::KeyPair;

    use super::*;

    /// Adds two members, and returns the text with the first key as `1` and the second as `2`.
    fn edited(text: &str) -> String {
        let keys = [KeyPair::generate().expect("a key").public_key(), KeyPair::generate().expect("a key").public_key()];
        let mut edited = text.to_owned();
        for key in &keys {
            let next =
                with_member(&edited, Path::new("circles.json"), "team", key).expect("changed").expect("a change");
            let circles = parse(&next, Path::new("circles.json")).expect("valid");
            let circle = circles.iter().find(|circle| circle.name == "team").expect("still there");
            assert!(circle.members.contains(key), "{next}");
            assert!(matches!(with_member(&next, Path::new("circles.json"), "team", key), Ok(None)));
            edited = next;
        }
        edited.replace(&keys[0].to_string(), "1").replace(&keys[1].to_string(), "2")
    }

    #[test]
    fn member_is_added_and_everything_else_stays() {
        let cases = [
            (r#"{"circles":[{"name":"team","port":1,"members":[]}]}"#, r#"["1", "2"]"#),
            ("{\"circles\":[{\"name\":\"team\",\"port\":1,\"members\": [\n  ] }]}", "[\"1\", \"2\"\n  ]"),
            (r#"{"circles":[{"access":"members","members":null,"name":"team","port":1}]}"#, r#""members":["1", "2"],"#),
            (r#"{"circles":[{"access":"members","name":"team","port":1}]}"#, r#""members", "members": ["1", "2"],"#),
            (
                r#"{"defaults":{"access":"members"},"circles":[{"name":"team","port":1}]}"#,
                r#""team", "members": ["1", "2"],"#,
            ),
        ];
        for (before, after) in cases {
            let text = edited(before);
            assert!(text.contains(after), "{text}");
        }
        let key = KeyPair::generate().expect("a key").public_key();
        let before = format!(
            "{{ \"circles\": [\n  {{ \"name\": \"a\", \"port\": 0 }},\n  {{ \"name\": \"team\", \"port\": 0,\n    \
             \"members\": [\n      \"{key}\"\n    ]\n  }}\n] }}\n"
        );
        let listed = edited(&before).replace(&key.to_string(), "0");
        assert_eq!(
            listed,
            before.replace(&key.to_string(), "0").replace("\"0\"\n", "\"0\",\n      \"1\",\n      \"2\"\n")
        );
    }

    #[test]
    fn circle_without_a_list_of_its_own_is_refused() {
        let key = KeyPair::generate().expect("a key").public_key();
        let refused =
            |text: &str| with_member(text, Path::new("circles.json"), "team", &key).expect_err("refused").to_string();
        let other = KeyPair::generate().expect("a key").public_key();
        let shared = format!(r#"{{"defaults":{{"members":["{other}"]}},"circles":[{{"name":"team","port":1}}]}}"#);
        assert!(refused(&shared).contains("\"defaults\""));
        assert!(refused(r#"{"circles":[{"name":"team","port":1}]}"#).contains("access is open"));
        assert!(refused(r#"{"circles":[]}"#).contains("no circle 'team'"));
        assert!(refused("{").contains("circles.json:1:"));
    }

    #[test]
    fn file_is_replaced_with_its_permissions_and_through_a_link() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().expect("a directory");
        let (file, link) = (directory.path().join("real.json"), directory.path().join("circles.json"));
        fs::write(&file, r#"{"circles":[{"name":"team","port":1,"members":[]}]}"#).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("set");
        std::os::unix::fs::symlink(&file, &link).expect("linked");
        let key = KeyPair::generate().expect("a key").public_key();
        assert_eq!(add_member(&link, "team", &key).expect("written"), MemberChange::Added);
        assert_eq!(add_member(&link, "team", &key).expect("read"), MemberChange::AlreadyMember);
        assert!(fs::read_to_string(&file).expect("there").contains(&key.to_string()));
        assert!(link.is_symlink());
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o640);
    }
}
