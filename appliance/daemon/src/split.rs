//! HTTP and TURN on one port: what is inside TLS says by its first bytes which it is.
//!
//! Browsers negotiate no protocol (ALPN) for `turns:`, and the first bytes are those of a STUN
//! message; an HTTP client speaks letters first. So one name, one certificate and one port serve
//! both, on networks that let only HTTPS through.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use belfry_media::Handover;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A client that takes longer for its first bytes is dropped.
const FIRST_BYTES_WAIT_MAX: Duration = Duration::from_secs(10);
/// Enough to tell STUN: two bits that are 0, and the magic cookie after four bytes
/// (RFC 8489 section 5).
const FIRST_BYTES: usize = 8;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// What a TURN stream may have under way between client and media process, each way: a TLS record.
const RELAY_BUFFER_BYTES: usize = 16 * 1024;

/// What came out of TLS.
pub(crate) enum Inside {
    Http(Begun),
    Turn(Begun),
}

/// A stream of which the first bytes were read already.
#[derive(Debug)]
pub(crate) struct Begun {
    first: [u8; FIRST_BYTES],
    /// Of `first`, what is still to be read again.
    given: usize,
    length: usize,
    stream: TlsStream<TcpStream>,
}

/// Finds out what a client speaks; `None` if it went or was too slow.
pub(crate) async fn look_inside(stream: TlsStream<TcpStream>) -> Option<Inside> {
    let negotiated = stream.get_ref().1.alpn_protocol().is_some();
    let mut begun = Begun { first: [0; FIRST_BYTES], given: 0, length: 0, stream };
    if negotiated {
        return Some(Inside::Http(begun));
    }
    let reading = begun.read_first();
    tokio::time::timeout(FIRST_BYTES_WAIT_MAX, reading).await.ok()?.ok()?;
    Some(if begun.is_stun() { Inside::Turn(begun) } else { Inside::Http(begun) })
}

impl Begun {
    /// Reads until it is clear; letters are clear at once.
    async fn read_first(&mut self) -> io::Result<()> {
        while self.length < FIRST_BYTES {
            let place = self.first.get_mut(self.length..).unwrap_or_default();
            let count = self.stream.read(place).await?;
            self.length += count;
            if count == 0 || self.first[0] >= 4 {
                break;
            }
        }
        Ok(())
    }

    fn is_stun(&self) -> bool {
        self.length == FIRST_BYTES && self.first[0] < 4 && self.first[4..] == COOKIE
    }
}

impl AsyncRead for Begun {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (given, length) = (self.given, self.length);
        if given < length && buffer.remaining() > 0 {
            let rest = self.first.get(given..length).unwrap_or_default();
            let count = rest.len().min(buffer.remaining());
            buffer.put_slice(rest.get(..count).unwrap_or_default());
            self.given += count;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Begun {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Carries a TURN stream to the media process and back until one of them ends it. The buffers are
/// all that is held: who does not read is not read from.
pub(crate) async fn relay(mut stream: Begun, client: SocketAddr, handover: &Handover) {
    let Ok(mut media) = handover.connect(client).await else {
        tracing::warn!("the media process takes no more streams");
        return;
    };
    let size = RELAY_BUFFER_BYTES;
    // A client that goes away in the middle is everyday life, not an error.
    let _ended = copy_bidirectional_with_sizes(&mut stream, &mut media, size, size).await;
}
