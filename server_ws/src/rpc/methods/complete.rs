//! `complete`: what may stand at a cursor.

use protocol::{RpcError, methods::CompleteParams};
use worker::Query;

use crate::session::{Session, Ticket};

pub(crate) fn handle(session: &mut Session, ticket: Ticket, params: CompleteParams) {
    match before_cursor(params) {
        Ok(before) => session.query(ticket, Query::Complete { before }),
        Err(error) => session.reply_error(&ticket, &error),
    }
}

/// What is behind the cursor changes nothing.
fn before_cursor(CompleteParams { mut script, cursor }: CompleteParams) -> Result<String, RpcError> {
    let ends = script.char_indices().map(|(index, _)| index).chain([script.len()]);
    let end = usize::try_from(cursor).ok().and_then(|cursor| ends.into_iter().nth(cursor));
    let end = end.ok_or_else(|| RpcError::InvalidParams {
        param: "cursor".into(),
        reason: "is behind the end of the script".into(),
    })?;
    script.truncate(end);
    // It waits, and what it takes is counted by its length.
    script.shrink_to_fit();
    Ok(script)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_counts_scalar_values_within_script() {
        let before = |script: &str, cursor| before_cursor(CompleteParams { script: script.into(), cursor });
        for (script, cursor, expected) in [("", 0, ""), ("aß🦀b", 0, ""), ("aß🦀b", 3, "aß🦀"), ("aß🦀b", 4, "aß🦀b")]
        {
            let before = before(script, cursor).expect("within");
            assert_eq!((before.as_str(), before.capacity()), (expected, expected.len()));
        }
        for (script, cursor) in [("", 1), ("aß🦀b", 5), ("a", u64::MAX)] {
            let error = before(script, cursor).expect_err("behind the end");
            assert!(matches!(error, RpcError::InvalidParams { param, .. } if param == "cursor"));
        }
    }
}
