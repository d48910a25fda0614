//! The program's decision on a connection, before its upgrade.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use http::HeaderMap;
use keys::Authority;

/// The timeout of the program's decision.
const DECISION_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum length of the program's reason for a refusal, in bytes.
const MAX_REASON: usize = 1000;

/// A request to connect to a circle, for [`CircleBuilder::admit`](crate::CircleBuilder::admit).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectionRequest {
    /// The address of the client, as far as trusted proxies tell it.
    pub address: IpAddr,
    /// The authority that the client dialled.
    pub authority: Authority,
    /// The headers of the upgrade request. The client has chosen them.
    pub headers: HeaderMap,
}

/// The program's function that decides on connections.
#[derive(Clone)]
pub(crate) struct AdmissionHook(Arc<dyn Fn(ConnectionRequest) -> BoxFuture<'static, Result<(), String>> + Send + Sync>);

impl AdmissionHook {
    pub(crate) fn new<F>(decide: impl Fn(ConnectionRequest) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self(Arc::new(move |request| Box::pin(decide(request))))
    }

    /// Returns the program's decision. The error is its reason, one line.
    pub(crate) async fn decide(&self, request: ConnectionRequest) -> Result<(), String> {
        let decided = tokio::time::timeout(DECISION_TIMEOUT, (self.0)(request)).await;
        let decided = decided.unwrap_or_else(|_| {
            tracing::warn!("the program did not decide on a connection within {} s", DECISION_TIMEOUT.as_secs());
            Err("the server could not decide on this connection in time: try again later".into())
        });
        decided.map_err(|reason| {
            let end = reason.floor_char_boundary(MAX_REASON);
            reason[..end].chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
        })
    }
}

impl fmt::Debug for AdmissionHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdmissionHook")
    }
}
