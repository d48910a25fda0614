//! The stream of an accepted socket: TCP, or TLS over TCP.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::rt::net::TcpStream;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

#[derive(Debug)]
pub(super) enum NetworkStream {
    Tcp(TcpStream),
    Tls(Box<EncryptedStream>),
}

/// A TLS stream, and decrypted bytes that were peeked at.
#[derive(Debug)]
pub(super) struct EncryptedStream {
    stream: TlsStream<TcpStream>,
    peeked: BytesMut,
}

impl NetworkStream {
    pub(super) fn encrypted(stream: TlsStream<TcpStream>) -> Self {
        Self::Tls(Box::new(EncryptedStream { stream, peeked: BytesMut::new() }))
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        match self {
            Self::Tcp(stream) => stream,
            Self::Tls(encrypted) => encrypted.stream.get_ref().0,
        }
    }

    /// Copies the next bytes to the buffer without consuming them. Returns how many they are; 0 at the end of the
    /// stream.
    pub(super) fn poll_peek(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let encrypted = match self {
            Self::Tcp(stream) => return stream.poll_peek(cx, buffer),
            Self::Tls(encrypted) => encrypted,
        };
        if encrypted.peeked.is_empty() {
            encrypted.peeked.resize(buffer.remaining(), 0);
            let mut peeked = ReadBuf::new(&mut encrypted.peeked);
            let polled = Pin::new(&mut encrypted.stream).poll_read(cx, &mut peeked);
            let length = peeked.filled().len();
            encrypted.peeked.truncate(length);
            ready!(polled)?;
        }
        let length = encrypted.peeked.len().min(buffer.remaining());
        buffer.put_slice(&encrypted.peeked[..length]);
        Poll::Ready(Ok(length))
    }
}

impl AsyncRead for NetworkStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Tls(encrypted) if encrypted.peeked.is_empty() => {
                Pin::new(&mut encrypted.stream).poll_read(cx, buffer)
            }
            Self::Tls(encrypted) => {
                let length = encrypted.peeked.len().min(buffer.remaining());
                buffer.put_slice(&encrypted.peeked[..length]);
                encrypted.peeked.advance(length);
                if encrypted.peeked.is_empty() {
                    // Otherwise the buffer would stay for as long as the connection lasts.
                    encrypted.peeked = BytesMut::new();
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

impl AsyncWrite for NetworkStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Tls(encrypted) => Pin::new(&mut encrypted.stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(encrypted) => Pin::new(&mut encrypted.stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(encrypted) => Pin::new(&mut encrypted.stream).poll_shutdown(cx),
        }
    }
}
