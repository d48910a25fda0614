//! Subscriptions to keys and topics.

use super::CircleWsClient;
use crate::{ClientError, SubscribeRequest, Subscription};

impl CircleWsClient {
    /// Opens a subscription. It survives the reconnections of the client.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError::Rpc`] if the circle has no store, does not grant the subscription or the session has 16
    /// subscriptions, and other errors if the connection or the request fails.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use client_ws::{SubscribeRequest, SubscriptionEvent};
    ///
    /// # async fn example(client: client_ws::CircleWsClient) -> Result<(), client_ws::ClientError> {
    /// let mut stock = client.subscribe(SubscribeRequest::keys("stock/")).await?;
    /// while let Some(event) = stock.next().await {
    ///     if let SubscriptionEvent::Changes { entries } = event? {
    ///         println!("{} entries have changed", entries.len());
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn subscribe(&self, request: SubscribeRequest) -> Result<Subscription, ClientError> {
        Subscription::open(self.shared.clone(), request).await
    }
}
