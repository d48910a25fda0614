//! Authentication: the nonces of a session, and the key with which it is authenticated. Pure: the time and the random
//! bytes are arguments.

use keys::{Authority, NONCE_LIFETIME_S, Nonce, PublicKey, Signature};
use protocol::RpcError;

/// The maximum number of unspent nonces of one connection; a further nonce replaces the oldest.
const MAX_NONCES: usize = 8;

/// The number of failed authentications after which the circle closes the connection.
const MAX_FAILURES: u32 = 5;

/// The state of one connection's authentication.
#[derive(Debug)]
pub(crate) struct Authenticator {
    authority: Authority,
    /// The identity of the circle, which signatures cover.
    circle: PublicKey,
    nonces: Vec<(PublicKey, Nonce)>,
    identity: Option<PublicKey>,
    failures: u32,
}

impl Authenticator {
    /// Makes the authenticator of a connection whose client dialled `authority`, to a circle with the identity
    /// `circle`.
    pub(crate) fn new(authority: Authority, circle: PublicKey) -> Self {
        Self { authority, circle, nonces: Vec::new(), identity: None, failures: 0 }
    }

    /// Returns the authority that the client dialled.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Returns the key with which the session is authenticated.
    pub(crate) fn identity(&self) -> Option<PublicKey> {
        self.identity
    }

    /// Authenticates without a signature, for a session within the program.
    pub(crate) fn assume(&mut self, key: PublicKey) {
        self.identity = Some(key);
    }

    /// Whether too many attempts have failed, so that the circle must close the connection.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.failures >= MAX_FAILURES
    }

    /// Makes a nonce for a key. `random` comes from the operating system.
    pub(crate) fn make_nonce(&mut self, key: PublicKey, now_unix: u64, random: [u8; 32]) -> &Nonce {
        if self.nonces.len() == MAX_NONCES {
            self.nonces.remove(0);
        }
        let nonce = Nonce::new(&self.authority, self.circle, now_unix + NONCE_LIFETIME_S, random);
        self.nonces.push((key, nonce));
        &self.nonces.last().expect("one was just pushed").1
    }

    /// Authenticates with a signature. `is_admitted` says whether the circle admits the key.
    pub(crate) fn authenticate(
        &mut self,
        key: &str,
        signature: &str,
        now_unix: u64,
        is_admitted: impl FnOnce(&PublicKey) -> bool,
    ) -> Result<PublicKey, RpcError> {
        if self.is_exhausted() {
            return Err(RpcError::InvalidCredentials);
        }
        let verified = self.verify(key, signature, now_unix, is_admitted);
        match verified {
            Ok(key) => self.identity = Some(key),
            Err(_) => self.failures += 1,
        }
        verified
    }

    fn verify(
        &mut self,
        key: &str,
        signature: &str,
        now_unix: u64,
        is_admitted: impl FnOnce(&PublicKey) -> bool,
    ) -> Result<PublicKey, RpcError> {
        let key: PublicKey = key.parse().map_err(|_| RpcError::InvalidCredentials)?;
        // The nonces are removed before the signature is verified, so that none of them can be used again.
        let mut nonces = Vec::new();
        self.nonces.retain(|(owner, nonce)| {
            let is_other = *owner != key;
            if !is_other {
                nonces.push(nonce.clone());
            }
            is_other
        });
        let signature: Signature = signature.parse().map_err(|_| RpcError::InvalidCredentials)?;
        let is_signed =
            nonces.iter().any(|nonce| now_unix <= nonce.expires_unix() && key.verify_nonce(nonce.as_str(), &signature));
        if !is_signed {
            return Err(RpcError::InvalidCredentials);
        }
        if self.identity.is_some_and(|identity| identity != key) {
            return Err(RpcError::forbidden("this session is authenticated with another key"));
        }
        if !is_admitted(&key) {
            return Err(RpcError::forbidden("the key is not a member of this circle"));
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use keys::KeyPair;

    use super::*;

    const NOW: u64 = 1_795_500_000;

    fn fresh() -> Authenticator {
        Authenticator::new("127.0.0.1:9001".parse().expect("an authority"), pair(9).public_key())
    }

    fn pair(byte: u8) -> KeyPair {
        KeyPair::from_secret_hex(&format!("{byte:064x}")).expect("a key")
    }

    /// Fetches a nonce and signs it.
    fn sign_fresh_nonce(auth: &mut Authenticator, pair: &KeyPair, random: u8) -> (String, String) {
        let nonce = auth.make_nonce(pair.public_key(), NOW, [random; 32]).clone();
        (pair.public_key().to_hex(), pair.sign_nonce(&nonce).to_string())
    }

    fn code(result: Result<PublicKey, RpcError>) -> i64 {
        result.map_or_else(|error| error.code(), |_| 0)
    }

    #[test]
    fn valid_signature_authenticates_session() {
        let (mut auth, alice) = (fresh(), pair(1));
        let (key, signature) = sign_fresh_nonce(&mut auth, &alice, 1);
        assert_eq!(code(auth.authenticate(&key, &signature, NOW + 60, |_| true)), 0);
        assert_eq!(auth.identity(), Some(alice.public_key()));
    }

    #[test]
    fn spent_nonce_is_rejected() {
        let (mut auth, alice) = (fresh(), pair(1));
        let (key, signature) = sign_fresh_nonce(&mut auth, &alice, 1);
        assert_eq!(code(auth.authenticate(&key, &signature, NOW, |_| true)), 0);
        assert_eq!(code(auth.authenticate(&key, &signature, NOW, |_| true)), -32002);
    }

    #[test]
    fn invalid_signature_spends_nonce() {
        let (mut auth, alice) = (fresh(), pair(1));
        let (key, valid) = sign_fresh_nonce(&mut auth, &alice, 1);
        let invalid = pair(2)
            .sign_nonce(&Nonce::new(&"x:1".parse().expect("valid"), alice.public_key(), NOW, [0; 32]))
            .to_string();
        for signature in [invalid.as_str(), "", "30440220", valid.as_str()] {
            assert_eq!(code(auth.authenticate(&key, signature, NOW, |_| true)), -32002, "{signature}");
        }
        assert_eq!(auth.identity(), None);
    }

    #[test]
    fn expired_or_foreign_nonce_is_rejected() {
        let (mut auth, alice) = (fresh(), pair(1));
        let (key, signature) = sign_fresh_nonce(&mut auth, &alice, 1);
        assert_eq!(code(auth.authenticate(&key, &signature, NOW + 61, |_| true)), -32002);
        let (_, signature) = sign_fresh_nonce(&mut auth, &alice, 2);
        assert_eq!(code(auth.authenticate(&pair(2).public_key().to_hex(), &signature, NOW, |_| true)), -32002);
        assert_eq!(code(auth.authenticate("no key", &signature, NOW, |_| true)), -32002);
    }

    #[test]
    fn ninth_nonce_evicts_oldest() {
        let (mut auth, alice) = (fresh(), pair(1));
        let (key, first) = sign_fresh_nonce(&mut auth, &alice, 0);
        for random in 1..=8 {
            sign_fresh_nonce(&mut auth, &alice, random);
        }
        assert_eq!(code(auth.authenticate(&key, &first, NOW, |_| true)), -32002);
        let (key, first) = sign_fresh_nonce(&mut auth, &alice, 0);
        for random in 1..=7 {
            sign_fresh_nonce(&mut auth, &alice, random);
        }
        assert_eq!(code(auth.authenticate(&key, &first, NOW, |_| true)), 0);
    }

    #[test]
    fn session_keeps_its_first_identity() {
        let (mut auth, alice, bob) = (fresh(), pair(1), pair(2));
        for (key_pair, expected) in [(&alice, 0), (&bob, -32003), (&alice, 0)] {
            let (key, signature) = sign_fresh_nonce(&mut auth, key_pair, 1);
            assert_eq!(code(auth.authenticate(&key, &signature, NOW, |_| true)), expected);
        }
        assert_eq!(auth.identity(), Some(alice.public_key()));
    }

    #[test]
    fn authenticated_key_without_membership_is_forbidden_and_counted() {
        let (mut auth, alice) = (fresh(), pair(1));
        for attempt in 0..5 {
            assert!(!auth.is_exhausted(), "{attempt}");
            let (key, signature) = sign_fresh_nonce(&mut auth, &alice, attempt);
            assert_eq!(code(auth.authenticate(&key, &signature, NOW, |_| false)), -32003);
        }
        assert!(auth.is_exhausted());
        // Attempts after the last failure are not evaluated any more.
        let (key, signature) = sign_fresh_nonce(&mut auth, &alice, 9);
        assert_eq!(code(auth.authenticate(&key, &signature, NOW, |_| true)), -32002);
    }
}
