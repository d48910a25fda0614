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

/// What the subject of the answer to a request of a part has between the machine and the token.
pub(crate) const PART_ANSWER: &str = "inbox.part.";

/// Number of hex digits of the token of a request of a part.
const PART_TOKEN_DIGITS: usize = 32;

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

    /// The subjects of the circle whose servers announce themselves on this subject.
    pub(crate) fn of_servers(subject: &str) -> Option<Self> {
        let circle = subject.strip_prefix("circles.")?.strip_suffix(".servers")?;
        SubjectName::new(circle).ok().as_ref().map(Self::new)
    }

    /// The subjects of no circle, for a machine that serves any circle: `_` is not the name of one.
    pub(crate) fn of_no_circle() -> Self {
        Self { prefix: "circles._".into() }
    }

    /// The subjects of the circle of a message to a machine, and the part of the subject that follows the machine.
    pub(crate) fn of_machine<'a>(subject: &'a str, machine: &SubjectName) -> Option<(Self, &'a str)> {
        let (circle, rest) = subject.strip_prefix("circles.")?.split_once('.')?;
        let rest = rest.strip_prefix("worker.")?.strip_prefix(machine.as_str())?.strip_prefix('.')?;
        Some((Self { prefix: format!("circles.{circle}") }, rest))
    }

    /// The name of the circle.
    pub(crate) fn circle(&self) -> &str {
        self.prefix.strip_prefix("circles.").unwrap_or_default()
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

    /// The answer to a machine's request of a part of a setup. Only the server learns the token.
    pub(crate) fn part_answer(&self, machine: &SubjectName, token: &str) -> String {
        format!("{}.part.{token}", self.machine_inbox(machine))
    }

    /// The name of the machine whose [`part_answer`](Self::part_answer) has this subject; `None` if it is the subject of
    /// something else.
    pub(crate) fn machine_of_part_answer<'a>(&self, subject: &'a str) -> Option<&'a str> {
        let (machine, rest) = subject.strip_prefix(&self.prefix)?.strip_prefix(".worker.")?.split_once('.')?;
        let token = rest.strip_prefix(PART_ANSWER)?;
        let is_token = token.len() == PART_TOKEN_DIGITS && token.bytes().all(|digit| digit.is_ascii_hexdigit());
        (is_token && SubjectName::new(machine).is_ok()).then_some(machine)
    }

    /// Payloads for a server.
    pub fn server_link(&self, server: &SubjectName) -> String {
        format!("{}.server.{server}.link", self.prefix)
    }

    /// All subjects of a server, to subscribe to.
    pub fn server_all(&self, server: &SubjectName) -> String {
        format!("{}.server.{server}.>", self.prefix)
    }

    /// The prefix of answers to requests of a server's NATS client. It is not among [`server_all`](Self::server_all): NATS
    /// tells only one of two subscriptions that nobody answers.
    pub(crate) fn server_requests(&self, server: &SubjectName) -> String {
        format!("{}.server.{server}-requests", self.prefix)
    }

    /// The prefix of answers to requests of a machine's NATS client. It is not below
    /// [`machine_inbox`](Self::machine_inbox).
    pub(crate) fn machine_requests(&self, machine: &SubjectName) -> String {
        format!("{}.worker.{machine}.requests", self.prefix)
    }

    /// What all subjects of a server begin with.
    pub(crate) fn server_prefix(&self, server: &SubjectName) -> String {
        format!("{}.server.{server}.", self.prefix)
    }

    /// Whether a subject is one of a machine. A reply subject has to be, because its sender chooses it.
    pub(crate) fn is_of_machine(&self, subject: &str) -> bool {
        subject.strip_prefix(&self.prefix).is_some_and(|rest| rest.starts_with(".worker."))
    }

    /// Whether a subject is one of a server of the circle.
    pub(crate) fn is_of_server(&self, subject: &str) -> bool {
        subject.strip_prefix(&self.prefix).is_some_and(|rest| rest.starts_with(".server."))
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

    /// The subjects to which a server of this build publishes an empty message, to see whether NATS permits that.
    /// Receivers ignore empty messages.
    pub(crate) fn server_probes(&self, build: &SubjectName) -> [String; 3] {
        [self.placements(build), format!("{}.worker.probe", self.prefix), self.servers()]
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
    fn announcement_names_its_circle() {
        let subjects = Subjects::new(&name("team"));
        assert_eq!(Subjects::of_servers(&subjects.servers()), Some(subjects));
        for other in ["circles.servers", "circles..servers", "circles.a.b.servers", "circles.*.servers", "servers"] {
            assert_eq!(Subjects::of_servers(other), None, "{other}");
        }
    }

    #[test]
    fn answer_of_a_part_names_its_machine() {
        let subjects = Subjects::new(&name("team"));
        let token = "0123456789abcdef".repeat(2);
        let subject = subjects.part_answer(&name("m1"), &token);
        assert_eq!(subjects.machine_of_part_answer(&subject), Some("m1"));
        for other in [
            subject.replace("team", "other"),
            subject.replace("m1", "*"),
            subject.replace("part", "beat"),
            subject.replace("worker", "server"),
            format!("{subject}0"),
            format!("{subject}.x"),
            subjects.part_answer(&name("m1"), "0"),
            subjects.part_answer(&name("m1"), &"*".repeat(32)),
            subjects.machine_link(&name("m1")),
        ] {
            assert_eq!(subjects.machine_of_part_answer(&other), None, "{other}");
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
