//! An accepted stream with its slot. The slot counts the bytes read and written, and can close the connection
//! independently of its actor.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::quota::Slot;

/// The maximum number of bytes to read without a pause, in which other connections of the thread run.
pub(super) const MAX_READ_IN_A_ROW: usize = 16 << 10;

#[derive(Debug)]
pub(super) struct CountedStream<S> {
    stream: S,
    slot: Arc<Slot>,
    /// The action on the stream once its client may play.
    on_admission: Option<fn(&S)>,
    /// The bytes read since the reader last had to wait.
    read_in_a_row: usize,
}

impl<S> CountedStream<S> {
    pub(super) fn new(stream: S, slot: Arc<Slot>, on_admission: Option<fn(&S)>) -> Self {
        Self { stream, slot, on_admission, read_in_a_row: 0 }
    }

    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    pub(super) fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    pub(super) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    /// Returns an error once the connection is to be closed. The task is woken then.
    pub(super) fn check_open(&self, cx: &Context<'_>) -> io::Result<()> {
        if self.slot.poll_closed(cx) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }
}

impl<S: AsyncRead + Unpin> CountedStream<S> {
    pub(super) fn poll_read_at_most(
        &mut self,
        most: usize,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut allowed = ReadBuf::new(buffer.initialize_unfilled_to(most));
        let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(cx, &mut allowed) else {
            self.read_in_a_row = 0;
            return Poll::Pending;
        };
        result?;
        let read = allowed.filled().len();
        buffer.advance(read);
        self.read_in_a_row += read;
        self.slot.hold_inbound(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CountedStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_open(cx)?;
        if this.read_in_a_row >= MAX_READ_IN_A_ROW {
            this.read_in_a_row = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let allowance = this.slot.allowance().min(buffer.remaining());
        if allowance == 0 && buffer.remaining() > 0 {
            // The task is woken when the allowance changes.
            return Poll::Pending;
        }
        this.poll_read_at_most(allowance, cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CountedStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check_open(cx)?;
        if this.slot.is_admitted()
            && let Some(on_admission) = this.on_admission.take()
        {
            on_admission(&this.stream);
        }
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
        this.slot.release_outbound(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_open(cx)?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_open(cx)?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use futures_util::poll;
    use protocol::Limits;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;
    use crate::quota::{Caller, Connections};

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));

    /// Returns the stream of a stranger who has sent more than the circle reads from one, and the stranger's end.
    async fn stranger() -> (CountedStream<DuplexStream>, DuplexStream) {
        let (mut client, stream) = tokio::io::duplex(1 << 20);
        client.write_all(&vec![0; 256 << 10]).await.expect("room");
        let slot = Connections::new(&Limits::default(), true).accept(Some(ADDRESS)).expect("room");
        slot.upgrade(ADDRESS).expect("room");
        (CountedStream::new(stream, slot, None), client)
    }

    /// Reads until the stream is pending twice in a row. Returns the bytes read in each row.
    async fn read_rows(stream: &mut CountedStream<DuplexStream>) -> Vec<usize> {
        let (mut rows, mut row, mut buffer) = (Vec::new(), 0, [0; 3000]);
        loop {
            match poll!(std::pin::pin!(stream.read(&mut buffer))) {
                Poll::Ready(read) => row += read.expect("bytes"),
                Poll::Pending if row == 0 => return rows,
                Poll::Pending => rows.push(std::mem::take(&mut row)),
            }
        }
    }

    #[tokio::test]
    async fn stranger_is_read_up_to_the_allowance_and_on_after_the_admission() {
        let (mut stream, _client) = stranger().await;
        let slot = stream.slot().clone();
        let allowance = slot.allowance();
        assert_eq!(read_rows(&mut stream).await.iter().sum::<usize>(), allowance);
        slot.release_inbound(1000);
        assert_eq!(read_rows(&mut stream).await, [1000]);
        slot.admit(Caller::anonymous(ADDRESS));
        assert_eq!(read_rows(&mut stream).await.iter().sum::<usize>(), (256 << 10) - allowance - 1000);
    }

    #[tokio::test]
    async fn reader_pauses_for_other_connections() {
        let (mut stream, _client) = stranger().await;
        stream.slot().admit(Caller::anonymous(ADDRESS));
        let rows = read_rows(&mut stream).await;
        assert!(rows.iter().all(|row| *row < MAX_READ_IN_A_ROW + 3000) && rows.len() > 10, "{rows:?}");
    }

    #[tokio::test]
    async fn closed_slot_ends_reads_and_writes() {
        let (mut stream, _client) = stranger().await;
        stream.slot().close();
        assert!(stream.read(&mut [0]).await.is_err() && stream.write(b"x").await.is_err());
    }
}
