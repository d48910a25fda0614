//! The ticket of a request says how the session replies to it. A ticket goes with its request through all stages.

use protocol::Id;

use crate::audit::AuditEntry;

/// The id that a reply is sent under.
#[derive(Debug)]
pub(crate) enum ReplyTo {
    /// The request's own id.
    Id(Id),
    /// Null: the request's id is not known, or it is the id of another play.
    Null,
    /// A notification has no reply.
    Nobody,
}

/// Made where a request is admitted, and nowhere else.
#[derive(Debug)]
pub(crate) struct Ticket {
    reply_to: ReplyTo,
    batch: Option<u64>,
    is_play: bool,
    audit: Option<Box<AuditEntry>>,
}

impl Ticket {
    /// The ticket of a request that came in this batch, or alone.
    pub(crate) fn new(reply_to: ReplyTo, batch: Option<u64>) -> Self {
        Self { reply_to, batch, is_play: false, audit: None }
    }

    /// Turns the ticket into one of a play, with its audit record if auditing is on. The id of a play is taken until
    /// the reply, and its outcome is counted.
    pub(crate) fn into_play(self, audit: Option<Box<AuditEntry>>) -> Self {
        Self { is_play: true, audit, ..self }
    }

    /// The id to reply under; `None` is null on the wire.
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
        self.is_play
    }

    pub(super) fn audit(&self) -> Option<&AuditEntry> {
        self.audit.as_deref()
    }
}
