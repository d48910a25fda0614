//! `cancel`: ends a running or queued play.

use protocol::methods::{CancelParams, CancelResult};

use crate::session::Session;

pub(crate) fn handle(session: &mut Session, params: &CancelParams) -> CancelResult {
    CancelResult { cancelled: session.cancel(&params.play) }
}
