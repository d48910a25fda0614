//! The identity of a circle: the key that distinguishes it from every other circle.

use keys::{Authority, Challenge, IdentityStatement, KeyPair, PublicKey, RandomError};
use protocol::methods::IdentifyResult;

/// The key of a circle, and whether clients record its public key.
#[derive(Debug)]
pub(crate) struct CircleIdentity {
    keypair: KeyPair,
    is_persistent: bool,
}

impl CircleIdentity {
    /// An identity that the circle keeps at this address after a restart.
    pub(crate) fn persistent(keypair: KeyPair) -> Self {
        Self { keypair, is_persistent: true }
    }

    /// An identity that says nothing about the next circle at this address.
    pub(crate) fn ephemeral(keypair: KeyPair) -> Self {
        Self { keypair, is_persistent: false }
    }

    /// A new ephemeral identity for this process.
    pub(crate) fn generate() -> Result<Self, RandomError> {
        KeyPair::generate().map(Self::ephemeral)
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        self.keypair.public_key()
    }

    /// Returns the answer to a client that dialled `authority`.
    pub(crate) fn identify(&self, authority: &Authority, challenge: Challenge) -> IdentifyResult {
        let statement = IdentityStatement::new(authority, challenge, self.is_persistent);
        IdentifyResult {
            pubkey: self.public_key().to_hex(),
            persistent: self.is_persistent,
            signature: self.keypair.sign_identity(&statement).to_string(),
        }
    }
}
