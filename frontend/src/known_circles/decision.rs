//! Whether a client goes on with a circle that has identified itself. Pure.

use std::fmt;

use client_ws::VerifiedIdentity;
use keys::{Authority, PublicKey};

use crate::error::ErrorParts;

/// All that the decision depends on.
#[derive(Debug, Clone, Copy)]
pub struct DecisionInput<'a> {
    /// How the circle is dialled.
    pub authority: &'a Authority,
    /// The identity that the circle showed.
    pub shown: VerifiedIdentity,
    /// The identity that is recorded for this authority.
    pub known: Option<PublicKey>,
    /// What the user's own circles.json says of the circle there.
    pub own: Own,
    /// Whether the circle is on this machine.
    pub is_loopback: bool,
    /// Whether the user accepts an ephemeral identity off loopback.
    pub accepts_ephemeral: bool,
    /// Whether the system chose the port (port 0): the next circle at this authority is another one, so nothing is recorded,
    /// and what is recorded is of another circle.
    pub is_system_assigned_port: bool,
}

/// What is known of the circle of the user's own circles.json at an authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// No circle of circles.json is there.
    None,
    /// The circle has never been started, so it has no identity.
    Unstarted,
    /// The circle has the identity of a file that circles.json names.
    Stated(PublicKey),
    /// The circle has this identity, as its supervisor says or has made it.
    Confirmed(PublicKey),
}

/// What a client does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Goes on.
    Accept,
    /// Records the identity, says the text, and goes on: this is the first use.
    AcceptAndRemember(String),
    /// Says the text, and goes on; records nothing.
    Warn(String),
    /// Closes the connection, before anything is signed, sent or played.
    Refuse(IdentityRejection),
}

/// Why a client does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityRejection {
    /// The identity is not the one that is known.
    KnownMismatch {
        /// How the circle is dialled.
        authority: Authority,
        /// What is recorded.
        known: PublicKey,
        /// What the circle showed.
        shown: PublicKey,
        /// Whether it keeps that.
        is_persistent: bool,
    },
    /// The identity is not the one of the user's own circle.
    OwnMismatch {
        /// How the circle is dialled.
        authority: Authority,
        /// The identity of the user's circle.
        own: PublicKey,
        /// What the circle showed.
        shown: PublicKey,
    },
    /// The identity is ephemeral, so it tells nothing about who answers.
    Ephemeral {
        /// How the circle is dialled.
        authority: Authority,
        /// What the circle showed.
        shown: PublicKey,
    },
    /// The identity is not the one that this client saw on its connection before.
    Changed {
        /// How the circle is dialled.
        authority: Authority,
        /// What the circle showed before.
        previous: PublicKey,
        /// What the circle showed now.
        shown: PublicKey,
    },
}

/// Decides.
pub fn decide(encounter: &DecisionInput) -> Decision {
    let DecisionInput { authority, .. } = *encounter;
    let VerifiedIdentity { public_key: shown, is_persistent } = encounter.shown;
    match encounter.own {
        Own::Stated(own) | Own::Confirmed(own) if own != shown => {
            return Decision::Refuse(IdentityRejection::OwnMismatch { authority: authority.clone(), own, shown });
        }
        Own::Confirmed(_) => return Decision::Accept,
        // A circles.json that lies in some directory does not outweigh what the user knows.
        Own::Stated(_) if encounter.known.is_none() => return Decision::Accept,
        Own::Stated(_) | Own::Unstarted | Own::None => {}
    }
    match encounter.known.filter(|_| !encounter.is_system_assigned_port) {
        Some(known) if known == shown => Decision::Accept,
        Some(known) if !is_persistent && encounter.is_loopback => Decision::Warn(format!(
            "the circle at {authority} had the identity {known}, and its identity is ephemeral now: it was started without \
             one, or it is another circle"
        )),
        Some(known) => Decision::Refuse(IdentityRejection::KnownMismatch {
            authority: authority.clone(),
            known,
            shown,
            is_persistent,
        }),
        None if encounter.own == Own::Unstarted
            && !encounter.is_system_assigned_port
            && (is_persistent || encounter.is_loopback) =>
        {
            Decision::Warn(format!(
                "no supervisor has started the circle of circles.json at {authority}, so another program answers there: its \
                 identity {shown} is not remembered"
            ))
        }
        None if !is_persistent => {
            if encounter.is_loopback || encounter.accepts_ephemeral {
                Decision::Accept
            } else {
                Decision::Refuse(IdentityRejection::Ephemeral { authority: authority.clone(), shown })
            }
        }
        None if encounter.is_system_assigned_port => Decision::Accept,
        None => Decision::AcceptAndRemember(format!(
            "first use of the circle at {authority}: remembered its identity {shown}"
        )),
    }
}

impl IdentityRejection {
    /// What failed, why, and what to do.
    pub fn parts(&self) -> ErrorParts {
        match self {
            Self::KnownMismatch { authority, known, shown, is_persistent } => {
                let ephemeral = if *is_persistent { "" } else { ", which ends with its process" };
                ErrorParts {
                    what: format!("will not use the circle at {authority}"),
                    why: format!(
                        "its identity has changed: {known} is known, and it shows {shown}{ephemeral}. Another circle, or an \
                         impostor, may have taken its place; or its operator has given it a new identity"
                    ),
                    fix: format!(
                        "ask its operator; only if the new identity is right, accept it: circles known forget {authority}"
                    ),
                }
            }
            Self::OwnMismatch { authority, own, shown } => ErrorParts {
                what: format!("will not use the circle at {authority}"),
                why: format!(
                    "another program answers in its place: the identity of your circle is {own}, and the program shows {shown}"
                ),
                fix: "see who listens there: circles doctor; a circle that you start by hand has the identity of: circles serve \
                      --identity FILE"
                    .into(),
            },
            Self::Changed { authority, previous: before, shown } => ErrorParts {
                what: format!("will not go on with the circle at {authority}"),
                why: format!(
                    "it shows another identity than before ({before} before, {shown} now): another circle, or an impostor, may have \
                     taken its place"
                ),
                fix: "ask its operator; only if the new identity is right, connect again".into(),
            },
            Self::Ephemeral { authority, shown } => ErrorParts {
                what: format!("will not use the circle at {authority}"),
                why: format!(
                    "its identity {shown} is ephemeral, so nothing tells the circle from another one that takes its place"
                ),
                fix:
                    "have its operator give it one (circles serve --identity FILE), or accept that: --accept-ephemeral"
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
