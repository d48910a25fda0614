//! The ticket of a request, which determines how the session replies. A ticket stays with its request through all
//! stages.

use protocol::Id;

use crate::audit::AuditEntry;

/// The id of a reply.
#[derive(Debug)]
pub(crate) enum ReplyTo {
    /// The request's own id.
    Id(Id),
    /// Null, because the request's id is unknown or belongs to another play.
    Null,
    /// No reply, for a notification.
    Nobody,
}

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestKind {
    Play,
    /// A call of a function.
    Call,
    Other,
}

/// The ticket of a request. Only the admission of a request makes one.
#[derive(Debug)]
pub(crate) struct Ticket {
    reply_to: ReplyTo,
    batch: Option<u64>,
    kind: RequestKind,
    audit: Option<Box<AuditEntry>>,
}

impl Ticket {
    /// Makes the ticket of a request in this batch, or of a single request.
    pub(crate) fn new(reply_to: ReplyTo, batch: Option<u64>) -> Self {
        Self { reply_to, batch, kind: RequestKind::Other, audit: None }
    }

    /// Converts the ticket to that of a play, with its audit record if auditing is on. The id of a play is in use until
    /// the reply, and its outcome is counted.
    pub(crate) fn into_play(self, audit: Option<Box<AuditEntry>>) -> Self {
        Self { kind: RequestKind::Play, audit, ..self }
    }

    /// Converts the ticket to that of a call of a function, with its audit record if auditing is on. As for a play, the
    /// id is in use until the reply, and the outcome is counted.
    pub(crate) fn into_call(self, audit: Option<Box<AuditEntry>>) -> Self {
        Self { kind: RequestKind::Call, audit, ..self }
    }

    /// Returns the id of the reply; `None` is null on the wire.
    pub(super) fn id(&self) -> Option<&Id> {
        if let ReplyTo::Id(id) = &self.reply_to { Some(id) } else { None }
    }

    pub(super) fn has_id(&self, id: &Id) -> bool {
        self.id() == Some(id)
    }

    pub(super) fn is_notification(&self) -> bool {
        matches!(self.reply_to, ReplyTo::Nobody)
    }

    pub(super) fn batch(&self) -> Option<u64> {
        self.batch
    }

    pub(super) fn is_play(&self) -> bool {
        self.kind == RequestKind::Play
    }

    /// Whether the id is in use until the reply.
    pub(super) fn keeps_id(&self) -> bool {
        self.kind != RequestKind::Other
    }

    pub(super) fn audit(&self) -> Option<&AuditEntry> {
        self.audit.as_deref()
    }
}
