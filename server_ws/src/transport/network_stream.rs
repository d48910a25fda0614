//! The stream of an accepted socket: TCP, or TLS over TCP.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::rt::net::TcpStream;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
#[cfg(feature = "tls")]
use tokio_rustls::server::TlsStream;

pub(super) enum NetworkStream {
    Tcp(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<PeekableStream<TlsStream<TcpStream>>>),
    /// A stream that the program has accepted.
    Other(Box<PeekableStream<Box<dyn ProgramStream>>>),
}

/// A stream of the program.
pub(super) trait ProgramStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ProgramStream for S {}

/// A stream, and bytes of it that were peeked at.
pub(super) struct PeekableStream<S> {
    stream: S,
    peeked: BytesMut,
}

impl NetworkStream {
    #[cfg(feature = "tls")]
    pub(super) fn encrypted(stream: TlsStream<TcpStream>) -> Self {
        Self::Tls(Box::new(PeekableStream { stream, peeked: BytesMut::new() }))
    }

    pub(super) fn other(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self::Other(Box::new(PeekableStream { stream: Box::new(stream), peeked: BytesMut::new() }))
    }

    /// Returns the socket, if the circle has accepted it itself.
    pub(super) fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            #[cfg(feature = "tls")]
            Self::Tls(encrypted) => Some(encrypted.stream.get_ref().0),
            Self::Other(_) => None,
        }
    }

    /// Copies the next bytes to the buffer without consuming them. Returns how many they are; 0 at the end of the
    /// stream.
    pub(super) fn poll_peek(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => stream.poll_peek(cx, buffer),
            #[cfg(feature = "tls")]
            Self::Tls(encrypted) => encrypted.poll_peek(cx, buffer),
            Self::Other(stream) => stream.poll_peek(cx, buffer),
        }
    }

    fn writer(&mut self) -> Pin<&mut (dyn AsyncWrite + Unpin)> {
        match self {
            Self::Tcp(stream) => Pin::new(stream),
            #[cfg(feature = "tls")]
            Self::Tls(encrypted) => Pin::new(&mut encrypted.stream),
            Self::Other(other) => Pin::new(&mut other.stream),
        }
    }
}

impl<S: AsyncRead + Unpin> PeekableStream<S> {
    fn poll_peek(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        if self.peeked.is_empty() {
            self.peeked.resize(buffer.remaining(), 0);
            let mut peeked = ReadBuf::new(&mut self.peeked);
            let polled = Pin::new(&mut self.stream).poll_read(cx, &mut peeked);
            let length = peeked.filled().len();
            self.peeked.truncate(length);
            ready!(polled)?;
        }
        let length = self.peeked.len().min(buffer.remaining());
        buffer.put_slice(&self.peeked[..length]);
        Poll::Ready(Ok(length))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.peeked.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let length = self.peeked.len().min(buffer.remaining());
        buffer.put_slice(&self.peeked[..length]);
        self.peeked.advance(length);
        if self.peeked.is_empty() {
            // Otherwise the buffer would stay for as long as the connection lasts.
            self.peeked = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for NetworkStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            #[cfg(feature = "tls")]
            Self::Tls(encrypted) => encrypted.poll_read(cx, buffer),
            Self::Other(other) => other.poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for NetworkStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // The common case without a virtual call.
        if let Self::Tcp(stream) = this {
            return Pin::new(stream).poll_write(cx, bytes);
        }
        this.writer().poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().writer().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().writer().poll_shutdown(cx)
    }
}
