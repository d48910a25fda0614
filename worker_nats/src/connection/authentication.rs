//! Authentication with the secret that the files have at each connection.

use async_nats::{Auth, AuthError, ConnectOptions};
use tokio::{sync::watch, task::spawn_blocking};

use super::Status;
use crate::config::{NatsConfig, Secret};

/// Returns options that read the secret at each attempt to connect. If the file is not valid then, the status says why.
pub(super) fn options(config: &NatsConfig, status: watch::Sender<Status>) -> ConnectOptions {
    let config = config.clone();
    ConnectOptions::with_auth_callback(move |nonce| {
        let (config, status) = (config.clone(), status.clone());
        async move {
            let auth = spawn_blocking(move || {
                let auth =
                    config.read_secret().map_err(|error| error.to_string()).and_then(|secret| sign(&secret, &nonce));
                status.send_modify(|status| status.secret_error = auth.as_ref().err().cloned());
                auth
            });
            auth.await.map_err(AuthError::new)?.map_err(AuthError::new)
        }
    })
}

/// Signs the nonce of a server.
fn sign(secret: &Secret, nonce: &[u8]) -> Result<Auth, String> {
    let mut auth = Auth::new();
    let pair = match secret {
        Secret::None => return Ok(auth),
        Secret::Password { user, password } => {
            (auth.username, auth.password) = (Some(user.clone()), Some(password.as_str().to_owned()));
            return Ok(auth);
        }
        Secret::Credentials { jwt, pair } => {
            auth.jwt = Some(jwt.as_str().to_owned());
            pair
        }
        Secret::Nkey { pair, public_key } => {
            auth.nkey = Some(public_key.clone());
            pair
        }
    };
    auth.signature = Some(pair.sign(nonce).map_err(|error| error.to_string())?);
    Ok(auth)
}

#[cfg(test)]
mod tests {
    use nkeys::KeyPair;

    use super::*;

    #[test]
    fn nonce_is_signed_with_the_key_of_the_secret() {
        let seed = KeyPair::new_user().seed().expect("a seed");
        let pair = || KeyPair::from_seed(&seed).expect("a pair");
        let public_key = pair().public_key();
        let nkey = sign(&Secret::Nkey { pair: pair(), public_key: public_key.clone() }, b"nonce").expect("signed");
        assert_eq!((nkey.nkey, nkey.jwt), (Some(public_key), None));
        let jwt = "abc.def".to_owned().into();
        let credentials = sign(&Secret::Credentials { jwt, pair: pair() }, b"nonce").expect("signed");
        assert_eq!((credentials.nkey, credentials.jwt.as_deref()), (None, Some("abc.def")));
        for signature in [nkey.signature, credentials.signature] {
            pair().verify(b"nonce", &signature.expect("a signature")).expect("valid");
        }
    }
}
