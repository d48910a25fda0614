//! A response body in chunks. actix copies each piece of a body to its buffer before it writes, so one large piece would
//! be in memory twice.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;

/// The maximum size of a chunk in bytes.
pub(super) const CHUNK: usize = 16 << 10;

/// A body with chunks of bounded size.
pub(super) struct Chunks {
    body: BoxBody,
    /// The rest of the last piece of the body.
    rest: Bytes,
}

impl Chunks {
    pub(super) fn new(body: BoxBody) -> Self {
        Self { body, rest: Bytes::new() }
    }
}

impl MessageBody for Chunks {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(cx)) {
                Some(Ok(bytes)) => self.rest = bytes,
                end => return Poll::Ready(end),
            }
        }
        let length = self.rest.len().min(CHUNK);
        Poll::Ready(Some(Ok(self.rest.split_to(length))))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn chunks_are_bounded_and_complete() {
        let text: Vec<u8> = (0..3 * CHUNK + 5).map(|byte| u8::try_from(byte % 251).expect("a byte")).collect();
        let mut chunks = Chunks::new(BoxBody::new(text.clone()));
        let mut joined = Vec::new();
        while let Some(chunk) = poll_fn(|cx| Pin::new(&mut chunks).poll_next(cx)).await {
            let chunk = chunk.expect("a chunk");
            assert!(!chunk.is_empty() && chunk.len() <= CHUNK);
            joined.extend_from_slice(&chunk);
        }
        assert_eq!(joined, text);
    }
}
