//! Changes a `circles.json` as a person would: everything else in the file stays as it is.

use std::{
    fs, io,
    io::Write,
    ops::Range,
    path::{Path, PathBuf},
};

use keys::PublicKey;
use protocol::methods::Access;

use super::{ConfigLocator, parse, read, role_member::with_role_member};
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
    /// The circle has no roles, so its members have none.
    #[error("the circle '{circle}' has no roles")]
    NoRoles {
        /// Name of the circle.
        circle: String,
    },
    /// A member of the circle needs a name.
    #[error("the circle '{circle}' has roles, so its members have names")]
    NameMissing {
        /// Name of the circle.
        circle: String,
    },
    /// A member of the circle needs a role.
    #[error("the circle '{circle}' has roles, so its members have a role{}", list_roles(roles))]
    RoleMissing {
        /// Name of the circle.
        circle: String,
        /// The roles of the circle.
        roles: Vec<String>,
    },
    /// The circle has no such role.
    #[error("the circle '{circle}' has no role '{role}'{}", list_roles(roles))]
    NoSuchRole {
        /// Name of the circle.
        circle: String,
        /// The role.
        role: String,
        /// The roles of the circle.
        roles: Vec<String>,
    },
    /// The member has another role, or the key is that of a member with another name or role.
    #[error("member '{member}' of '{circle}' {} with the role '{role}'", if *has_key { "has the key, and is a member" } else { "exists" })]
    OtherMember {
        /// Name of the circle.
        circle: String,
        /// Name of the member.
        member: String,
        /// Role of the member.
        role: String,
        /// Whether the key is that of the member.
        has_key: bool,
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

/// Name and role of a member, for circles with roles. In a circle without roles, the name has no effect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberIdentity {
    /// Name of the member.
    pub name: Option<String>,
    /// Role of the member; a member who has a key already keeps the role.
    pub role: Option<String>,
}

fn list_roles(roles: &[String]) -> String {
    if roles.is_empty() { String::new() } else { format!(": {}", roles.join(", ")) }
}

/// Adds a key to the members of a circle in the file. In a circle with roles, adds a member, or a key to the member of
/// that name. The file is replaced atomically and keeps its permissions. Blocks.
///
/// # Errors
///
/// The file is not valid, its circle does not admit members by a list of its own, name and role do not fit the circle, or
/// the file cannot be written. The file is unchanged then.
pub fn add_member(
    path: &Path,
    circle: &str,
    key: &PublicKey,
    identity: &MemberIdentity,
) -> Result<MemberChange, ConfigEditError> {
    let path = &path.canonicalize().map_err(|source| ConfigError::Io { path: path.to_owned(), source })?;
    let text = read(path)?;
    let Some(text_with_member) = with_member(&text, path, circle, key, identity)? else {
        return Ok(MemberChange::AlreadyMember);
    };
    // The text is valid in any case, unless this function has a fault.
    parse(&text_with_member, path)?;
    if read(path)? != text {
        return Err(ConfigEditError::Changed { path: path.clone() });
    }
    replace(path, &text_with_member).map_err(|source| ConfigEditError::Write { path: path.clone(), source })?;
    Ok(MemberChange::Added)
}

/// Returns the text with another member; `None` if the key is a member already.
fn with_member(
    text: &str,
    path: &Path,
    name: &str,
    key: &PublicKey,
    identity: &MemberIdentity,
) -> Result<Option<String>, ConfigEditError> {
    let circle = parse(text, path)?.into_iter().find(|circle| circle.name == name);
    let Some(circle) = circle else {
        return Err(ConfigEditError::NoSuchCircle { path: path.to_owned(), circle: name.to_owned() });
    };
    let locator = ConfigLocator { text: text.to_owned(), path: path.to_owned() };
    if let Some(roles) = &circle.roles {
        return with_role_member(&locator, name, roles, key, identity);
    }
    if identity.role.is_some() {
        return Err(ConfigEditError::NoRoles { circle: name.to_owned() });
    }
    if circle.access != Access::Members {
        return Err(ConfigEditError::NotForMembers { circle: name.to_owned(), access: circle.access });
    }
    if circle.members.contains(key) {
        return Ok(None);
    }
    insert_member(&locator, name, &format!("\"{key}\""), !circle.members.is_empty()).map(Some)
}

/// Returns the text with another item of `members`. `has_members` says whether the circle has any, be it by `defaults`.
pub(super) fn insert_member(
    locator: &ConfigLocator,
    circle: &str,
    item: &str,
    has_members: bool,
) -> Result<String, ConfigEditError> {
    let text = &locator.text;
    let own = locator.own_field(circle, "members");
    if let Some(nothing) = own.as_ref().filter(|list| text[(*list).clone()] == *"null") {
        return Ok(format!("{}[{item}]{}", &text[..nothing.start], &text[nothing.end..]));
    }
    match own {
        Some(list) => Ok(insert_into_list(locator, &list, item)),
        None if has_members => Err(ConfigEditError::SharedMembers { circle: circle.to_owned() }),
        None => {
            let fields = ["access", "authenticated", "anyone", "roles", "name"];
            let field = fields.iter().find_map(|field| locator.own_field(circle, field));
            let at = field.map_or(0, |field| field.end);
            Ok(format!("{}, \"members\": [{item}]{}", &text[..at], &text[at..]))
        }
    }
}

/// Returns the text with another item at the end of a JSON list: on a line of its own, if the last item has one.
pub(super) fn insert_into_list(locator: &ConfigLocator, list: &Range<usize>, item: &str) -> String {
    let text = &locator.text;
    let items = locator.items(list);
    let Some(last) = items.last() else {
        let at = list.start + 1;
        return format!("{}{item}{}", &text[..at], &text[at..]);
    };
    let before_last = &text[list.start..last.start];
    let separator = match before_last.rfind('\n') {
        Some(line) if before_last[line..].trim().is_empty() => format!(",{}", &before_last[line..]),
        _ => ", ".to_owned(),
    };
    format!("{}{separator}{item}{}", &text[..last.end], &text[last.end..])
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
            let next = with_member(&edited, Path::new("circles.json"), "team", key, &MemberIdentity::default())
                .expect("changed")
                .expect("a change");
            let circles = parse(&next, Path::new("circles.json")).expect("valid");
            let circle = circles.iter().find(|circle| circle.name == "team").expect("still there");
            assert!(circle.members.contains(key), "{next}");
            assert!(matches!(
                with_member(&next, Path::new("circles.json"), "team", key, &MemberIdentity::default()),
                Ok(None)
            ));
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
        let none = MemberIdentity::default();
        let refused = |text: &str| {
            with_member(text, Path::new("circles.json"), "team", &key, &none).expect_err("refused").to_string()
        };
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
        assert_eq!(add_member(&link, "team", &key, &MemberIdentity::default()).expect("written"), MemberChange::Added);
        assert_eq!(
            add_member(&link, "team", &key, &MemberIdentity::default()).expect("read"),
            MemberChange::AlreadyMember
        );
        assert!(fs::read_to_string(&file).expect("there").contains(&key.to_string()));
        assert!(link.is_symlink());
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o640);
    }
}
