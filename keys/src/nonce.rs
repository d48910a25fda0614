//! The nonce: the one line of text that is signed to prove who somebody is.

use std::fmt;

use crate::{
    PublicKey,
    authority::{AUTHORITY_MAX_BYTES, Authority, AuthorityError},
};

/// How long a circle takes a nonce back after making it, in seconds.
pub const NONCE_LIFETIME_S: u64 = 60;

/// How long ago, in seconds, a nonce may have lapsed by the client's clock for the client to sign it still. A clock that is
/// somewhat off must not keep anybody out; whether it has lapsed is for the circle's clock to say.
pub const NONCE_LAPSED_TOLERANCE_S: u64 = 300;

/// How far ahead, in seconds, a nonce may lapse by the client's clock for the client to sign it: a circle must not
/// collect signatures that are of use for long.
pub const NONCE_MAX_AHEAD_S: u64 = 3600;

/// The longest nonce, in bytes: the longest authority and the largest time.
pub const NONCE_MAX_BYTES: usize = PURPOSE.len()
    + " aud=".len()
    + AUTHORITY_MAX_BYTES
    + " circle=".len()
    + 66
    + " exp=".len()
    + 20
    + " rnd=".len()
    + 64;

const PURPOSE: &str = "circles.auth.v2";

/// `circles.auth.v2 aud=127.0.0.1:9001 circle=<66 hex digits> exp=1795500000 rnd=<64 hex digits>`: what the signature is for,
/// the authority that was dialled, the identity of the circle, Unix seconds at which it lapses, 32 random bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Nonce {
    text: String,
    authority: Authority,
    circle: PublicKey,
    expires_unix: u64,
}

/// Why a text is no nonce of this protocol. Nothing else is ever signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NonceError {
    /// Longer than [`NONCE_MAX_BYTES`].
    #[error("the nonce is {bytes} bytes long, and {NONCE_MAX_BYTES} is the most")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It does not begin with the purpose: another version of the protocol, or something else altogether.
    #[error("the nonce does not begin with `{PURPOSE}`")]
    Purpose,
    /// A field is missing, or stands in another place.
    #[error("the nonce has no `{name}=` where it belongs")]
    Field {
        /// `aud`, `circle`, `exp` or `rnd`.
        name: &'static str,
    },
    /// `aud` is no authority.
    #[error("`aud` of the nonce is not an authority: {0}")]
    Authority(AuthorityError),
    /// `aud` is not in lower case.
    #[error("`aud` of the nonce is not in lower case")]
    AuthorityCase,
    /// `circle` is not a public key of 66 lower-case hex digits.
    #[error("`circle` of the nonce is not a public key of 66 lower-case hex digits")]
    Circle,
    /// `exp` is not a decimal number of 64 bits without sign or leading zeros.
    #[error("`exp` of the nonce is not a time in Unix seconds")]
    Expiry,
    /// `rnd` is not 64 lower-case hex digits.
    #[error("`rnd` of the nonce is not 64 lower-case hex digits")]
    Random,
    /// Something follows the last field.
    #[error("something follows `rnd` in the nonce")]
    Trailing,
}

/// Why a client does not sign a nonce that is well formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NonceRejection {
    /// It is made for another authority than was dialled: the circle could pass the signature off there. Or the
    /// circle is reached through a tunnel and knows itself by another name.
    #[error(
        "dialled {expected}, but was asked to sign for {claimed}; not signed, as the signature would be valid there"
    )]
    Authority {
        /// The authority that was dialled.
        expected: Authority,
        /// The one in the nonce.
        claimed: Authority,
    },
    /// It names another circle than the one that has identified itself: the circle could pass the signature off there.
    #[error(
        "the circle identified itself as {identified}, but asked for a signature for the circle {claimed}; not signed, \
         as the signature would be valid there"
    )]
    Circle {
        /// The identity that the circle has shown.
        identified: Box<PublicKey>,
        /// The one in the nonce.
        claimed: Box<PublicKey>,
    },
    /// It lapsed more than [`NONCE_LAPSED_TOLERANCE_S`] ago.
    #[error(
        "by this machine's clock the nonce lapsed {lapsed_s} s ago: the clocks of this machine and of the circle \
         differ by about {clocks_differ_s} s, and one of them needs setting"
    )]
    Lapsed {
        /// How long ago, in seconds.
        lapsed_s: u64,
        /// What the two clocks seem to differ by, in seconds, if the nonce is fresh: this machine's is ahead.
        clocks_differ_s: u64,
    },
    /// It lapses more than [`NONCE_MAX_AHEAD_S`] from now.
    #[error(
        "by this machine's clock the nonce lapses only in {ahead_s} s: the clocks of this machine and of the circle \
         differ by about {clocks_differ_s} s, and one of them needs setting"
    )]
    TooFarAhead {
        /// How far ahead, in seconds.
        ahead_s: u64,
        /// What the two clocks seem to differ by, in seconds, if the nonce is fresh: this machine's is behind.
        clocks_differ_s: u64,
    },
}

impl Nonce {
    /// The circle's: `authority` as it was dialled, `circle` its identity, `expires_unix` in Unix seconds ([`NONCE_LIFETIME_S`] from now), and 32
    /// bytes from the operating system's random source.
    pub fn new(authority: &Authority, circle: PublicKey, expires_unix: u64, random: [u8; 32]) -> Self {
        let text = format!("{PURPOSE} aud={authority} circle={circle} exp={expires_unix} rnd={}", hex::encode(random));
        Self { text, authority: authority.clone(), circle, expires_unix }
    }

    /// The client's: takes exactly the form that [`Nonce::new`] makes, fields in that order, one space between them.
    pub fn parse(text: &str) -> Result<Self, NonceError> {
        if text.len() > NONCE_MAX_BYTES {
            return Err(NonceError::TooLong { bytes: text.len() });
        }
        let mut parts = text.split(' ');
        if parts.next() != Some(PURPOSE) {
            return Err(NonceError::Purpose);
        }
        let mut field = |name| {
            parts.next().and_then(|part| part.strip_prefix(name)?.strip_prefix('=')).ok_or(NonceError::Field { name })
        };
        let (authority_text, circle_text, expiry, random) =
            (field("aud")?, field("circle")?, field("exp")?, field("rnd")?);
        if parts.next().is_some() {
            return Err(NonceError::Trailing);
        }
        let authority = Authority::from_host_header(authority_text).map_err(NonceError::Authority)?;
        if authority.as_str() != authority_text {
            return Err(NonceError::AuthorityCase);
        }
        let circle = circle_text.parse::<PublicKey>().map_err(|_| NonceError::Circle)?;
        if circle.to_hex() != circle_text {
            return Err(NonceError::Circle);
        }
        let expires_unix: u64 = expiry.parse().map_err(|_| NonceError::Expiry)?;
        // A sign or leading zeros parse too; written back they are gone.
        if expires_unix.to_string() != expiry {
            return Err(NonceError::Expiry);
        }
        if random.len() != 64 || !random.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(NonceError::Random);
        }
        Ok(Self { text: text.to_owned(), authority, circle, expires_unix })
    }

    /// The line of text, which is what is signed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The authority that the signature is for.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The identity of the circle that the signature is for.
    pub fn circle(&self) -> PublicKey {
        self.circle
    }

    /// When it lapses, in Unix seconds of the circle's clock.
    pub fn expires_unix(&self) -> u64 {
        self.expires_unix
    }

    /// Whether a client that dialled `dialled`, where a circle has identified itself as `identified`, may sign this at
    /// `now_unix` (Unix seconds by its own clock). Both bounds of time are inclusive.
    pub fn check(
        &self,
        target_authority: &Authority,
        identified: PublicKey,
        now_unix: u64,
    ) -> Result<(), NonceRejection> {
        if self.authority != *target_authority {
            return Err(NonceRejection::Authority {
                expected: target_authority.clone(),
                claimed: self.authority.clone(),
            });
        }
        if self.circle != identified {
            return Err(NonceRejection::Circle { identified: identified.into(), claimed: self.circle.into() });
        }
        // A fresh nonce lapses a lifetime after the circle's "now"; the clocks differ by what is off from that.
        let lapsed_s = now_unix.saturating_sub(self.expires_unix);
        if lapsed_s > NONCE_LAPSED_TOLERANCE_S {
            return Err(NonceRejection::Lapsed {
                lapsed_s,
                clocks_differ_s: lapsed_s.saturating_add(NONCE_LIFETIME_S),
            });
        }
        let ahead_s = self.expires_unix.saturating_sub(now_unix);
        if ahead_s > NONCE_MAX_AHEAD_S {
            return Err(NonceRejection::TooFarAhead { ahead_s, clocks_differ_s: ahead_s - NONCE_LIFETIME_S });
        }
        Ok(())
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}
