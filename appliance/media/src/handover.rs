//! Streams that the control process took out of TLS, on their way to the media process.

use std::io;
use std::net::SocketAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener};
use std::sync::Arc;

use belfry_transport::handed_header;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

/// Random bytes of the socket's name.
const NAME_BYTES: usize = 16;

/// A listening socket that every media process inherits. It has a name without a file (the media
/// process reaches no file, and a data directory may be deeper than a socket's path is long); as
/// anybody on this machine may connect to such a name, the media process looks at who did.
#[derive(Clone, Debug)]
pub struct Handover {
    listener: Arc<UnixListener>,
    name: String,
}

impl Handover {
    pub fn new() -> io::Result<Self> {
        let random: [u8; NAME_BYTES] = rand::random();
        let name = format!("belfry-{:032x}", u128::from_be_bytes(random));
        let listener = UnixListener::bind_addr(&UnixAddress::from_abstract_name(&name)?)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener: Arc::new(listener), name })
    }

    pub(crate) fn listener(&self) -> Arc<UnixListener> {
        Arc::clone(&self.listener)
    }

    /// A stream to the media process for this client.
    pub async fn connect(&self, client: SocketAddr) -> io::Result<UnixStream> {
        let mut stream = UnixStream::connect(format!("\0{}", self.name)).await?;
        stream.write_all(&handed_header(client)).await?;
        Ok(stream)
    }
}
