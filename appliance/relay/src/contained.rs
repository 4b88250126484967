//! The two ends that the `turn` crate is given instead of sockets: one that catches its answer, and
//! a relayed address that nothing comes from and nothing goes to.

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use turn::allocation::allocation_manager::{Manager, ManagerConfig};
use turn::allocation::five_tuple::FiveTuple;
use turn::auth::AuthHandler;
use turn::proto::PROTO_UDP;
use turn::relay::RelayAddressGenerator;
use turn::server::request::Request;
use webrtc_util::Conn;

/// RFC 8656 section 7.2 asks for the dynamic ports.
const PORTS: std::ops::RangeInclusive<u16> = 49_152..=65_535;
/// Tries to find a free port; a table that is so full is refused before.
const TRIES_MAX: usize = 64;
/// RFC 8656 section 12: a channel binding lasts 10 minutes.
pub(crate) const CHANNEL_LIFETIME: Duration = Duration::from_mins(10);

type UtilResult<T> = Result<T, webrtc_util::Error>;

/// The crate's state, and what it runs on.
pub(crate) struct Contained {
    manager: Arc<Manager>,
    made: Arc<Mutex<Option<Arc<Virtual>>>>,
    realm: String,
}

impl std::fmt::Debug for Contained {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Contained")
    }
}

impl Contained {
    /// `hosts` are the addresses that relayed addresses have, the first of each family.
    pub(crate) fn new(realm: String, hosts: Hosts) -> Self {
        let made = Arc::new(Mutex::new(None));
        let generator = Generator { hosts, ports: Ports::default(), made: Arc::clone(&made) };
        let config =
            ManagerConfig { relay_addr_generator: Box::new(generator), alloc_close_notify: None };
        Self { manager: Arc::new(Manager::new(config)), made, realm }
    }

    /// Has the crate work on a request that is known to be authentic under `key`. The answer, and
    /// the relayed address if it made one.
    pub(crate) async fn run(
        &self,
        client: FiveTuple,
        bytes: &[u8],
        key: &[u8],
        nonce: &str,
    ) -> (Option<Vec<u8>>, Option<Arc<Virtual>>) {
        lock(&self.made).take();
        let answer = Arc::new(Catch { local: client.dst_addr, caught: Mutex::default() });
        // The crate keeps a table of all nonces that it ever gave out; here it gets one that holds
        // the one nonce that the gate has verified, and is dropped with the request.
        let nonces = HashMap::from([(nonce.to_owned(), tokio::time::Instant::now())]);
        let mut request = Request {
            conn: Arc::clone(&answer) as Arc<dyn Conn + Send + Sync>,
            src_addr: client.src_addr,
            buff: bytes.to_vec(),
            allocation_manager: Arc::clone(&self.manager),
            nonces: Arc::new(tokio::sync::Mutex::new(nonces)),
            auth_handler: Arc::new(Known(key.to_vec())),
            realm: self.realm.clone(),
            channel_bind_timeout: CHANNEL_LIFETIME,
        };
        // Its error repeats what the error response says; without a response there is none to give.
        let _said = request.handle_request().await;
        (lock(&answer.caught).take(), lock(&self.made).take())
    }

    pub(crate) async fn delete(&self, client: &FiveTuple) {
        self.manager.delete_allocation(client).await;
    }
}

pub(crate) fn five_tuple(src_addr: SocketAddr, dst_addr: SocketAddr) -> FiveTuple {
    // The crate knows no other; what distinguishes the transports is in `dst_addr`.
    FiveTuple { protocol: PROTO_UDP, src_addr, dst_addr }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The gate has found the key already.
struct Known(Vec<u8>);

impl AuthHandler for Known {
    fn auth_handle(&self, _: &str, _: &str, _: SocketAddr) -> Result<Vec<u8>, turn::Error> {
        Ok(self.0.clone())
    }
}

/// Keeps what would be sent.
#[derive(Debug)]
struct Catch {
    local: SocketAddr,
    caught: Mutex<Option<Vec<u8>>>,
}

#[async_trait]
impl Conn for Catch {
    async fn connect(&self, _: SocketAddr) -> UtilResult<()> {
        closed()
    }

    async fn recv(&self, _: &mut [u8]) -> UtilResult<usize> {
        std::future::pending().await
    }

    async fn recv_from(&self, _: &mut [u8]) -> UtilResult<(usize, SocketAddr)> {
        std::future::pending().await
    }

    async fn send(&self, _: &[u8]) -> UtilResult<usize> {
        closed()
    }

    async fn send_to(&self, bytes: &[u8], _: SocketAddr) -> UtilResult<usize> {
        *lock(&self.caught) = Some(bytes.to_vec());
        Ok(bytes.len())
    }

    fn local_addr(&self) -> UtilResult<SocketAddr> {
        Ok(self.local)
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// An allocation that ends closes the client's end, too; ours outlives it.
    async fn close(&self) -> UtilResult<()> {
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

fn closed<T>() -> UtilResult<T> {
    Err(webrtc_util::Error::ErrClosedListener)
}

/// The ports that are taken.
type Ports = Arc<Mutex<HashSet<SocketAddr>>>;

/// A relayed address.
#[derive(Debug)]
pub(crate) struct Virtual {
    pub(crate) address: SocketAddr,
    closed: AtomicBool,
    ports: Ports,
}

impl Virtual {
    /// The crate ended the allocation: by a Refresh, or because none came.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}

impl Drop for Virtual {
    fn drop(&mut self) {
        lock(&self.ports).remove(&self.address);
    }
}

#[async_trait]
impl Conn for Virtual {
    async fn connect(&self, _: SocketAddr) -> UtilResult<()> {
        closed()
    }

    async fn recv(&self, _: &mut [u8]) -> UtilResult<usize> {
        std::future::pending().await
    }

    /// Never: the crate's reading task ends with its allocation. (An error here would make it
    /// remove whatever allocation the client has by then.)
    async fn recv_from(&self, _: &mut [u8]) -> UtilResult<(usize, SocketAddr)> {
        std::future::pending().await
    }

    async fn send(&self, _: &[u8]) -> UtilResult<usize> {
        closed()
    }

    async fn send_to(&self, _: &[u8], _: SocketAddr) -> UtilResult<usize> {
        closed()
    }

    fn local_addr(&self) -> UtilResult<SocketAddr> {
        Ok(self.address)
    }

    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }

    async fn close(&self) -> UtilResult<()> {
        self.closed.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

/// Where relayed addresses are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hosts {
    pub(crate) ipv4: Option<IpAddr>,
    pub(crate) ipv6: Option<IpAddr>,
}

struct Generator {
    hosts: Hosts,
    ports: Ports,
    made: Arc<Mutex<Option<Arc<Virtual>>>>,
}

#[async_trait]
impl RelayAddressGenerator for Generator {
    fn validate(&self) -> Result<(), turn::Error> {
        Ok(())
    }

    async fn allocate_conn(
        &self,
        use_ipv4: bool,
        _requested_port: u16,
    ) -> Result<(Arc<dyn Conn + Send + Sync>, SocketAddr), turn::Error> {
        let Hosts { ipv4, ipv6 } = self.hosts;
        // A client that asks for nothing gets IPv4 (RFC 8656 section 7.2), unless there is none.
        let host = if use_ipv4 { ipv4.or(ipv6) } else { ipv6 };
        let host = host.ok_or(turn::Error::ErrNilConn)?;
        let mut ports = lock(&self.ports);
        for _ in 0..TRIES_MAX {
            let address = SocketAddr::new(host, rand::random_range(PORTS));
            if ports.insert(address) {
                let ports = Arc::clone(&self.ports);
                let made = Arc::new(Virtual { address, closed: AtomicBool::new(false), ports });
                *lock(&self.made) = Some(Arc::clone(&made));
                return Ok((made, address));
            }
        }
        Err(turn::Error::ErrMaxRetriesExceeded)
    }
}
