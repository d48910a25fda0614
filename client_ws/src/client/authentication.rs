//! Authentication with a key.

use std::sync::Arc;

use keys::{KeyPair, Nonce};
use protocol::methods::{self, AuthenticateParams, FetchNonceParams, FetchNonceResult};

use super::{CircleWsClient, Connection, Shared};
#[cfg(doc)]
use crate::CircleWsClientBuilder;
use crate::{ClientError, transport::platform};

impl CircleWsClient {
    /// Authenticates with the client's key.
    ///
    /// The client does not sign a nonce for another authority or another circle than the connected one, or one with an
    /// implausible time ("Authentication" in `docs/protocol.md` defines this rule).
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::NoKey`] if the client has no key, [`ClientError::NotEncrypted`] if the URL is `ws://` and
    /// of another machine and [`insecure`](CircleWsClientBuilder::insecure) does not allow that, [`ClientError::NonceRejected`] or
    /// [`ClientError::BadNonce`] if it refuses to sign the nonce, [`ClientError::Rpc`] if the circle refuses the key,
    /// and other errors if the connection or the request fails.
    pub async fn authenticate(&self) -> Result<(), ClientError> {
        let keypair = self.shared.state().keypair.clone().ok_or(ClientError::NoKey)?;
        self.shared.authenticate(&*self.connection().await?, keypair).await
    }

    /// Checks whether the client may authenticate at this URL, before it asks for a passphrase.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::NotEncrypted`] if the URL is `ws://` and of another machine, and
    /// [`insecure`](CircleWsClientBuilder::insecure) does not allow that.
    pub fn check_encryption(&self) -> Result<(), ClientError> {
        self.shared.check_encryption()
    }

    /// Authenticates with another key, and keeps it as the client's key if the circle accepts it.
    ///
    /// If the future is dropped, or fails for another reason than the circle's answer, the circle may still have
    /// authenticated the session with that key.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`authenticate`](Self::authenticate).
    pub async fn authenticate_as(&self, keypair: impl Into<Arc<KeyPair>>) -> Result<(), ClientError> {
        let keypair = keypair.into();
        self.shared.authenticate(&*self.connection().await?, keypair.clone()).await?;
        self.set_keypair(keypair);
        Ok(())
    }
}

impl Shared {
    fn check_encryption(&self) -> Result<(), ClientError> {
        if self.is_insecure || self.url.is_private() {
            return Ok(());
        }
        Err(ClientError::NotEncrypted { url: self.url.to_string() })
    }

    /// Authenticates the session of a connection.
    pub(super) async fn authenticate(&self, connection: &Connection, keypair: Arc<KeyPair>) -> Result<(), ClientError> {
        self.check_encryption()?;
        let requests = &connection.requests;
        let pubkey = keypair.public_key().to_hex();
        let params = FetchNonceParams { pubkey: pubkey.clone() };
        let FetchNonceResult { nonce } = requests.call::<methods::FetchNonce>(&params, self.timeout).await?;
        let nonce = Nonce::parse(&nonce)?;
        nonce.check(&connection.target_authority, connection.identity.public_key, platform::now_unix())?;
        let signature = keypair.sign_nonce(&nonce).to_string();
        requests.call::<methods::Authenticate>(&AuthenticateParams { pubkey, signature }, self.timeout).await?;
        connection.set_authenticated(keypair);
        Ok(())
    }
}
