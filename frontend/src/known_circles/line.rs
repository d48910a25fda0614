//! Parses the lines of `known_circles`.

use std::collections::BTreeMap;

use keys::{Authority, PublicKey};

use super::{KnownCircle, KnownCircleList, UnreadableLine};

/// A parsed line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KnownCirclesLine {
    /// A comment or a blank line.
    Blank,
    Circle(KnownCircle),
    Unreadable {
        reason: String,
        authority: Option<Authority>,
    },
}

impl KnownCirclesLine {
    pub(super) fn parse(line: &str) -> Self {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Self::Blank;
        }
        let (host, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let authority: Authority = match host.parse() {
            Ok(authority) => authority,
            Err(error) => {
                return Self::Unreadable {
                    reason: format!("it does not begin with HOST:PORT: {error}"),
                    authority: None,
                };
            }
        };
        match rest.trim().parse::<PublicKey>() {
            Ok(public_key) => Self::Circle(KnownCircle { authority, public_key }),
            Err(error) => {
                let reason = format!("no public key follows {authority}: {error}");
                Self::Unreadable { reason, authority: Some(authority) }
            }
        }
    }

    /// The authority that the line is about.
    pub(super) fn authority(&self) -> Option<&Authority> {
        match self {
            Self::Blank => None,
            Self::Circle(circle) => Some(&circle.authority),
            Self::Unreadable { authority, .. } => authority.as_ref(),
        }
    }
}

/// Parses a whole file. A second identity for the same authority makes its line invalid.
pub(super) fn parse_file(text: &str) -> KnownCircleList {
    let (mut circles, mut unreadable) = (BTreeMap::<Authority, (PublicKey, usize)>::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        match KnownCirclesLine::parse(line) {
            KnownCirclesLine::Blank => {}
            KnownCirclesLine::Circle(KnownCircle { authority, public_key }) => match circles.get(&authority) {
                Some((first, _)) if *first == public_key => {}
                Some((_, first)) => {
                    let reason = format!("line {first} has another identity of {authority}");
                    unreadable.push(UnreadableLine { number, reason, authority: Some(authority) });
                }
                None => {
                    circles.insert(authority, (public_key, number));
                }
            },
            KnownCirclesLine::Unreadable { reason, authority } => {
                unreadable.push(UnreadableLine { number, reason, authority });
            }
        }
    }
    let circles =
        circles.into_iter().map(|(authority, (public_key, _))| KnownCircle { authority, public_key }).collect();
    KnownCircleList { circles, unreadable }
}
