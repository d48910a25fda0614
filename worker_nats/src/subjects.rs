//! The subjects of a circle in NATS, and the permissions that they need.
//!
//! | subject | from → to | content |
//! | --- | --- | --- |
//! | `circles.C.place.B`, queue group [`PLACEMENT_QUEUE`] | server → a machine of the build `B` | placement request |
//! | `circles.C.worker.M.link` | server → machine `M` | payloads of [`wire`](crate::wire) |
//! | `circles.C.server.S.link` | machine → server `S` | payloads |
//! | `circles.C.server.S.blob` | machine → server `S` | requests for sources by their hash |
//! | `circles.C.server.S.inbox.>`, `circles.C.worker.M.inbox.>` | | answers to requests |
//! | `circles.C.machines` | machine → all servers | state of the machine |
//! | `circles.C.servers` | server → servers | identity, at the start |
//!
//! `C` is the name of the circle. A machine of one circle has no permission for another one, and none for the subjects of
//! another machine. So each machine needs a user of its own: machines that share one can read each other's links.

use std::fmt;

/// The queue group of machines that wait for placement requests.
pub const PLACEMENT_QUEUE: &str = "workers";

/// Maximum length of a name in a subject, in bytes.
const MAX_NAME: usize = 64;

/// A name that is one part of a subject: 1 to 64 letters, digits, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectName(String);

/// A name cannot be part of a subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{name}' cannot be a name in NATS: use 1 to 64 letters, digits, - and _")]
pub struct InvalidSubjectName {
    /// The name, shortened and without control characters.
    name: String,
}

impl SubjectName {
    /// Validates a name.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidSubjectName`] for other characters or another length. Wildcards and dots would change the meaning
    /// of a subject.
    pub fn new(name: &str) -> Result<Self, InvalidSubjectName> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(is_allowed) {
            return Ok(Self(name.to_owned()));
        }
        let name = name.chars().filter(|character| !character.is_control()).take(MAX_NAME).collect();
        Err(InvalidSubjectName { name })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SubjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The subjects to which a NATS user may publish and subscribe, as nats-server writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// The subjects to publish to.
    pub publish: Vec<String>,
    /// The subjects to subscribe to; after a space the queue group.
    pub subscribe: Vec<String>,
}

/// The subjects of one circle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects {
    /// `circles.C`
    prefix: String,
}

impl Subjects {
    /// The subjects of this circle.
    pub fn new(circle: &SubjectName) -> Self {
        Self { prefix: format!("circles.{circle}") }
    }

    /// The subjects of all circles, to subscribe to: for a machine that serves any circle.
    pub fn of_all_circles() -> Self {
        Self { prefix: "circles.*".into() }
    }

    /// The subjects of the circle to which a placement request was sent; `None` if it is the subject of something else.
    pub fn of_placement(subject: &str) -> Option<Self> {
        let mut parts = subject.split('.');
        let (root, circle, place) = (parts.next()?, parts.next()?, parts.next()?);
        let is_placement = root == "circles" && place == "place" && parts.count() == 1;
        is_placement.then(|| SubjectName::new(circle).ok()).flatten().as_ref().map(Self::new)
    }

    /// Placement requests for machines of a build.
    pub fn placements(&self, build: &SubjectName) -> String {
        format!("{}.place.{build}", self.prefix)
    }

    /// Payloads for a machine.
    pub fn machine_link(&self, machine: &SubjectName) -> String {
        format!("{}.worker.{machine}.link", self.prefix)
    }

    /// The prefix of answers for a machine.
    pub fn machine_inbox(&self, machine: &SubjectName) -> String {
        format!("{}.worker.{machine}.inbox", self.prefix)
    }

    /// Payloads for a server.
    pub fn server_link(&self, server: &SubjectName) -> String {
        format!("{}.server.{server}.link", self.prefix)
    }

    /// Requests of sources from a server.
    pub fn server_blob(&self, server: &SubjectName) -> String {
        format!("{}.server.{server}.blob", self.prefix)
    }

    /// The prefix of answers for a server.
    pub fn server_inbox(&self, server: &SubjectName) -> String {
        format!("{}.server.{server}.inbox", self.prefix)
    }

    /// The state of machines.
    pub fn machines(&self) -> String {
        format!("{}.machines", self.prefix)
    }

    /// The identities of servers.
    pub fn servers(&self) -> String {
        format!("{}.servers", self.prefix)
    }

    /// A subject to which servers and machines may publish and nobody subscribes, for
    /// [`Connection::check_permissions`](crate::connection::Connection::check_permissions).
    pub fn probe(&self) -> String {
        format!("{}.server.probe", self.prefix)
    }

    /// What a machine needs.
    pub fn machine_permissions(&self, machine: &SubjectName) -> Permissions {
        let prefix = &self.prefix;
        Permissions {
            publish: vec![format!("{prefix}.server.>"), self.machines()],
            subscribe: vec![format!("{prefix}.place.* {PLACEMENT_QUEUE}"), format!("{prefix}.worker.{machine}.>")],
        }
    }

    /// What the servers of the circle need.
    pub fn server_permissions(&self) -> Permissions {
        let prefix = &self.prefix;
        Permissions {
            publish: vec![
                format!("{prefix}.place.*"),
                format!("{prefix}.worker.>"),
                format!("{prefix}.server.>"),
                self.servers(),
            ],
            subscribe: vec![format!("{prefix}.server.>"), self.servers(), self.machines()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> SubjectName {
        SubjectName::new(name).expect("valid")
    }

    #[test]
    fn names_cannot_change_a_subject() {
        for valid in ["team", "M1_a-b", &"a".repeat(64)] {
            assert_eq!(name(valid).as_str(), valid);
        }
        for invalid in ["", "a.b", "*", ">", "a b", "ä", "a\n", &"a".repeat(65)] {
            let error = SubjectName::new(invalid).expect_err(invalid).to_string();
            assert!(error.ends_with("cannot be a name in NATS: use 1 to 64 letters, digits, - and _"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn placement_request_names_its_circle() {
        let subjects = Subjects::new(&name("team"));
        assert_eq!(Subjects::of_placement(&subjects.placements(&name("b1"))), Some(subjects));
        for other in
            ["circles.team.place", "circles.team.place.b1.x", "circles.*.place.b1", "circles.team.machines", ""]
        {
            assert_eq!(Subjects::of_placement(other), None, "{other}");
        }
    }
}
