//! `play`: evaluates a script in the session's environment.

use std::sync::Arc;

use protocol::{
    RpcError,
    methods::{MAX_SCRIPT_NAME_BYTES, PlayParams},
};

use crate::{
    audit::AuditedRun,
    session::{Job, Session, Ticket},
};

pub(crate) fn handle(session: &mut Session, ticket: Ticket, params: PlayParams) {
    let params = Arc::new(params);
    let ticket = admit(session, ticket, &params);
    if let Err(error) = check_bind(params.bind.as_deref()).and_then(|()| check_name(params.name.as_deref())) {
        return session.reply_error(&ticket, &error);
    }
    if let Err(error) = session.circle.count_run(|| session.caller(), &session.rights) {
        return session.reply_error(&ticket, &error);
    }
    let caller = session.auth.identity();
    session.enqueue(ticket, Job::Play { params, caller });
}

/// Refuses a play, which counts and gets an audit record like any other.
pub(crate) fn refuse(session: &mut Session, ticket: Ticket, params: PlayParams, error: &RpcError) {
    let ticket = admit(session, ticket, &Arc::new(params));
    session.reply_error(&ticket, error);
}

fn admit(session: &mut Session, ticket: Ticket, params: &Arc<PlayParams>) -> Ticket {
    session.counts.admit_play();
    ticket.into_play(session.audit(|| AuditedRun::Play(params.clone())))
}

fn check_bind(name: Option<&str>) -> Result<(), RpcError> {
    let Some(name) = name else { return Ok(()) };
    let is_name = name.len() <= 64
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
        && name.trim_start_matches('_').starts_with(|character: char| character.is_ascii_alphabetic());
    if is_name {
        return Ok(());
    }
    Err(RpcError::InvalidParams { param: "bind".into(), reason: "is not a valid name of a variable".into() })
}

fn check_name(name: Option<&str>) -> Result<(), RpcError> {
    if name.is_none_or(|name| name.len() <= MAX_SCRIPT_NAME_BYTES) {
        return Ok(());
    }
    Err(RpcError::InvalidParams {
        param: "name".into(),
        reason: format!("is longer than {MAX_SCRIPT_NAME_BYTES} bytes"),
    })
}

#[cfg(test)]
mod tests {
    use super::{check_bind, check_name};

    #[test]
    fn script_name_is_bounded() {
        assert!(check_name(None).is_ok() && check_name(Some(&"ä".repeat(128))).is_ok());
        assert!(check_name(Some(&"ä".repeat(129))).is_err());
    }

    #[test]
    fn bind_name_must_be_identifier() {
        for name in ["ans", "_a", "a1_B"] {
            assert!(check_bind(Some(name)).is_ok(), "{name}");
        }
        for name in ["", "_", "1a", "a b", "a.b", "ä", "let x", &"a".repeat(65)] {
            assert!(check_bind(Some(name)).is_err(), "{name}");
        }
        assert!(check_bind(None).is_ok());
    }
}
