//! The decision whether a client accepts a circle's identity: a pure function.

use std::fmt;

use client_ws::VerifiedIdentity;
use keys::{Authority, PublicKey};

use crate::error::ErrorParts;

/// The input of the decision.
#[derive(Debug, Clone, Copy)]
pub struct DecisionInput<'a> {
    /// The address that the client connects to.
    pub authority: &'a Authority,
    /// The identity that the circle showed.
    pub shown: VerifiedIdentity,
    /// The identity in the known circles for this authority.
    pub known: Option<PublicKey>,
    /// What the user's own circles.json says about the circle there.
    pub own: Own,
    /// Whether the circle is on this machine.
    pub is_loopback: bool,
    /// Whether the user accepts an ephemeral identity of another machine.
    pub accepts_ephemeral: bool,
    /// Whether the system chose the port (port 0). The next circle at this authority is a different one, so the
    /// decision neither uses nor records known identities.
    pub is_system_assigned_port: bool,
}

/// What is known about the circle of the user's own circles.json at an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// No circle of circles.json is there.
    None,
    /// The circle has never been started, so it has no identity.
    Unstarted,
    /// The circle has the identity in a file that circles.json names.
    Stated(PublicKey),
    /// The circle has this identity, according to its supervisor or to a file that the supervisor made.
    Confirmed(PublicKey),
}

/// What a client does about an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Accepts the identity.
    Accept,
    /// Accepts and records the identity at first use, and shows the text.
    AcceptAndRemember(String),
    /// Accepts the identity without recording it, and shows the text.
    Warn(String),
    /// Closes the connection before signing, sending or playing anything.
    Refuse(IdentityRejection),
}

/// Why a client refuses an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityRejection {
    /// The identity differs from the known one.
    KnownMismatch {
        /// The address that the client connects to.
        authority: Authority,
        /// The known identity.
        known: PublicKey,
        /// The identity that the circle showed.
        shown: PublicKey,
        /// Whether the shown identity is persistent.
        is_persistent: bool,
    },
    /// The identity differs from that of the user's own circle.
    OwnMismatch {
        /// The address that the client connects to.
        authority: Authority,
        /// The identity of the user's circle.
        own: PublicKey,
        /// The identity that the circle showed.
        shown: PublicKey,
    },
    /// The identity is ephemeral, so it cannot reveal an impostor.
    Ephemeral {
        /// The address that the client connects to.
        authority: Authority,
        /// The identity that the circle showed.
        shown: PublicKey,
    },
    /// The identity differs from that of this client's previous connection.
    Changed {
        /// The address that the client connects to.
        authority: Authority,
        /// The identity at the previous connection.
        previous: PublicKey,
        /// The identity that the circle shows now.
        shown: PublicKey,
    },
}

/// Decides whether to accept an identity.
pub fn decide(input: &DecisionInput) -> Decision {
    let DecisionInput { authority, .. } = *input;
    let VerifiedIdentity { public_key: shown, is_persistent } = input.shown;
    match input.own {
        Own::Stated(own) | Own::Confirmed(own) if own != shown => {
            return Decision::Refuse(IdentityRejection::OwnMismatch { authority: authority.clone(), own, shown });
        }
        Own::Confirmed(_) => return Decision::Accept,
        // A circles.json in any directory must not outweigh the user's known circles.
        Own::Stated(_) if input.known.is_none() => return Decision::Accept,
        Own::Stated(_) | Own::Unstarted | Own::None => {}
    }
    match input.known.filter(|_| !input.is_system_assigned_port) {
        Some(known) if known == shown => Decision::Accept,
        Some(known) if !is_persistent && input.is_loopback => Decision::Warn(format!(
            "the circle at {authority} had the identity {known}, and has an ephemeral one now: it was started without an \
             identity, or another circle answers there"
        )),
        Some(known) => Decision::Refuse(IdentityRejection::KnownMismatch {
            authority: authority.clone(),
            known,
            shown,
            is_persistent,
        }),
        None if input.own == Own::Unstarted
            && !input.is_system_assigned_port
            && (is_persistent || input.is_loopback) =>
        {
            Decision::Warn(format!(
                "no supervisor started the circle that circles.json has at {authority}, so another program answers there; its \
                 identity {shown} was not remembered"
            ))
        }
        None if !is_persistent => {
            if input.is_loopback || input.accepts_ephemeral {
                Decision::Accept
            } else {
                Decision::Refuse(IdentityRejection::Ephemeral { authority: authority.clone(), shown })
            }
        }
        None if input.is_system_assigned_port => Decision::Accept,
        None => Decision::AcceptAndRemember(format!(
            "first use of the circle at {authority}: remembered its identity {shown}"
        )),
    }
}

impl IdentityRejection {
    /// The parts of the message.
    pub fn parts(&self) -> ErrorParts {
        match self {
            Self::KnownMismatch { authority, known, shown, is_persistent } => {
                let ephemeral = if *is_persistent { "" } else { " (ephemeral)" };
                ErrorParts {
                    what: format!("will not use the circle at {authority}"),
                    why: format!(
                        "its identity has changed from {known} to {shown}{ephemeral}. Another circle or an impostor may have \
                         taken its place, or its operator gave it a new identity"
                    ),
                    fix: format!(
                        "ask its operator; accept the new identity only if it is correct: circles known forget {authority}"
                    ),
                }
            }
            Self::OwnMismatch { authority, own, shown } => ErrorParts {
                what: format!("will not use the circle at {authority}"),
                why: format!(
                    "another program answers in its place: the identity of your circle is {own}, and the program shows {shown}"
                ),
                fix: "find out which program listens there: circles doctor; to start your circle by hand, give its identity: \
                      circles serve --identity FILE"
                    .into(),
            },
            Self::Changed { authority, previous: before, shown } => ErrorParts {
                what: format!("will not reconnect to the circle at {authority}"),
                why: format!(
                    "its identity has changed since the last connection ({before} before, {shown} now): another circle or an \
                     impostor may have taken its place"
                ),
                fix: "ask its operator; reconnect only if the new identity is correct".into(),
            },
            Self::Ephemeral { authority, shown } => ErrorParts {
                what: format!("will not use the circle at {authority}"),
                why: format!(
                    "its identity {shown} is ephemeral, so an impostor in its place would go unnoticed"
                ),
                fix:
                    "ask its operator to give it a persistent identity (circles serve --identity FILE), or accept this one: --accept-ephemeral"
                        .into(),
            },
        }
    }
}

impl fmt::Display for IdentityRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ErrorParts { what, why, fix } = self.parts();
        write!(f, "{what}: {why}; {fix}")
    }
}

#[cfg(test)]
mod tests;
