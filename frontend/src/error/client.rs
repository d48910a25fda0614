//! Errors of connections and of requests that are neither plays nor calls.

use client_ws::{ClientError, MissingRight, RpcError};
use keys::keystore::KeyName;

use super::{
    ErrorParts, rpc_exit_code, rpc_fix, store_errors, to_visible,
    transport_fixes::{not_upgraded_parts, tls_fix},
};
use crate::{circle_target::CircleTarget, known_circles::check::IdentityError};

/// The exit code of an error of a client.
pub(super) fn exit_code(error: &ClientError) -> u8 {
    match error {
        ClientError::BadUrl { .. } => 2,
        ClientError::NoKey | ClientError::NonceRejected(_) | ClientError::BadNonce(_) => 4,
        ClientError::Refused { status: 403, .. } => 4,
        ClientError::IdentityRefused(error) => error.downcast_ref().map_or(4, IdentityError::exit_code),
        ClientError::OtherIdentity { .. } | ClientError::EphemeralIdentity { .. } => 4,
        // Nobody knows who answers there.
        ClientError::Tls { .. } | ClientError::NotEncrypted { .. } => 4,
        ClientError::BadCaFile { .. } | ClientError::NoCaCertificates { .. } => 2,
        ClientError::ConnectionLost { code: Some(1008), .. } => 4,
        ClientError::ConnectionLost { code: Some(1009), .. } => 5,
        ClientError::Rpc(error) => rpc_exit_code(error),
        _ => 3,
    }
}

/// Returns the parts of the error for a key that a circle does not admit.
pub(super) fn refused_key_parts(target: &CircleTarget, key: Option<&KeyName>, reason: &str) -> ErrorParts {
    let key = key.map(|name| format!(" {name}")).unwrap_or_default();
    ErrorParts {
        what: format!("{target} does not admit this key"),
        why: to_visible(reason),
        fix: format!("give its operator your public key (circles keys show{key}), or use another key: --key NAME"),
    }
}

/// Returns the parts of the error for a caller whose role may call functions but not play.
pub(super) fn missing_play_parts(circle: &str, reason: &str) -> ErrorParts {
    ErrorParts {
        what: format!("{circle} does not let you play scripts"),
        why: to_visible(reason),
        fix: "list what you may call instead: circles functions; call one: circles call NAME".into(),
    }
}

/// The parts of the message about an error of a client.
pub(super) fn parts(target: &CircleTarget, error: &ClientError) -> ErrorParts {
    let parts = |what: String, why: String, fix: &str| ErrorParts { what, why: to_visible(&why), fix: fix.into() };
    let url = to_visible(target.url.trim_end_matches('/'));
    match error {
        ClientError::BadUrl { reason, .. } => parts(
            format!("'{}' is not a circle", to_visible(target.label())),
            reason.clone(),
            "give a port (9001), host:port, or a ws:// or wss:// URL",
        ),
        ClientError::Unreachable { reason, .. } => {
            parts(format!("cannot reach {target}"), reason.clone(), &target.start_hint())
        }
        ClientError::Tls { fault, .. } => {
            parts(format!("cannot trust the server at {url}"), fault.to_string(), tls_fix(fault))
        }
        ClientError::BadCaFile { path, reason } => parts(
            format!("cannot use the CA file {}", to_visible(&path.to_string_lossy())),
            reason.clone(),
            "name a PEM file with the certificate of the CA: --ca FILE",
        ),
        ClientError::NoCaCertificates { reason } => parts(
            "cannot verify any server".into(),
            format!("the CA certificates of this system cannot be loaded: {reason}"),
            "install them (Debian's package is ca-certificates), or name a PEM file with CAs: --ca FILE",
        ),
        ClientError::NotUpgraded { status, location, .. } => {
            let (why, fix) = not_upgraded_parts(*status, location.as_deref());
            parts(format!("no circle answers at {url}"), why, &fix)
        }
        ClientError::NotEncrypted { .. } => parts(
            format!("will not authenticate to {target}"),
            "the connection is not encrypted, so anyone on the way could read and change everything".into(),
            "use wss:// or a tunnel; if you trust the network, add --insecure",
        ),
        ClientError::NotACircle { reason, .. } => parts(
            format!("no circle answers at {url}"),
            reason.clone(),
            "check the port: another program may be using it",
        ),
        ClientError::Refused { status, reason, .. } => parts(
            format!("{target} refused the connection"),
            reason.clone(),
            match status {
                421 => "connect to the address that the circle expects, or name that address: --authority HOST:PORT",
                503 => "try again later",
                _ => "ask its operator",
            },
        ),
        ClientError::ConnectionLost { code: Some(1009), .. } => parts(
            format!("{target} rejected the script"),
            "it is larger than the circle's message limit".into(),
            "split it, or ask its operator to raise message_kib",
        ),
        ClientError::ConnectionLost { reason, .. } => parts(
            format!("lost the connection to {target}"),
            reason.clone(),
            "plays without an answer may still have run; check before you retry them",
        ),
        ClientError::TimedOut { .. } => parts(
            format!("{target} does not answer"),
            error.to_string(),
            "check that it is a circle, and that its machine is not overloaded",
        ),
        ClientError::IdentityRefused(error) => match error.downcast_ref::<IdentityError>() {
            Some(error) => error.parts(),
            None => parts(format!("will not use {target}"), error.to_string(), "ask its operator"),
        },
        ClientError::NonceRejected(keys::NonceRejection::Authority { .. }) => parts(
            format!("will not authenticate to {target}"),
            error.to_string(),
            "someone could misuse the signature at the other address; if you connect through a tunnel, add --authority HOST:PORT",
        ),
        ClientError::NonceRejected(keys::NonceRejection::Circle { .. }) => parts(
            format!("will not authenticate to {target}"),
            error.to_string(),
            "another circle may answer there; ask its operator",
        ),
        ClientError::NonceRejected(_) | ClientError::BadNonce(_) => {
            parts(format!("will not authenticate to {target}"), error.to_string(), "check the clocks of both machines")
        }
        ClientError::Rpc(RpcError::Forbidden { reason, missing: Some(MissingRight::Play) }) => {
            missing_play_parts(&target.to_string(), reason)
        }
        ClientError::Rpc(RpcError::Forbidden { reason, missing: Some(MissingRight::Subscribe) }) => parts(
            format!("{target} does not let you subscribe"),
            reason.clone(),
            "ask its operator for \"subscribe\" in your role, or use another key: --key NAME",
        ),
        ClientError::Rpc(RpcError::Forbidden { reason, .. }) => refused_key_parts(target, None, reason),
        ClientError::Rpc(error) => {
            let fix = rpc_fix(error);
            match store_errors::reason(error) {
                Some((what, why)) => parts(what.into(), why, &fix),
                None => parts(format!("{target} returned an error"), error.to_string(), &fix),
            }
        }
        other => parts(format!("cannot use {target}"), other.to_string(), ""),
    }
}
