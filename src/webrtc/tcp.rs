//! A way for viewers whose network lets no UDP through: ICE-TCP (RFC 6544), where the viewer
//! connects to the same port number by TCP and each datagram travels with its length in front
//! (RFC 4571).
//!
//! Connections come from anybody. One that no session has recognized by a sealed connectivity
//! check soon is closed, and so is one whose session is over. What a connection cannot take in
//! time is dropped, as a network would.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinHandle};

use super::path::plain;
use crate::web::network_of;

/// Connections at once, in all and from one network.
const MAX_CONNECTIONS: usize = 256;
const MAX_FROM_ONE: usize = 32;

/// A connection that no session has recognized by then is closed.
const RECOGNIZED_WITHIN: Duration = Duration::from_secs(10);

/// A connection that takes nothing for so long is closed.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// No datagram of a viewer is longer: they would not fit through its UDP either.
const MAX_DATAGRAM: usize = 2048;

/// What waits to be sent to one viewer: about a second of video. What would come on top is
/// dropped.
const MAX_QUEUED: usize = 256 << 10;

/// Bytes the kernel holds for a connection beyond that. The less, the fresher the picture.
const SEND_BUFFER: usize = 64 << 10;

/// Datagrams that have come and were not looked at yet. A full line holds the senders back.
const MAX_ARRIVED: usize = 64;

/// Wait before the next accept after one that failed, so that a failure that lasts is no load.
const RETRY: Duration = Duration::from_millis(50);

/// A datagram that came by TCP.
pub(super) struct Arrived {
    pub(super) remote: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) datagram: Bytes,
}

/// The port and all its connections.
pub(super) struct Tcp {
    arrived: mpsc::Receiver<Arrived>,
    connections: Connections,
    accepting: JoinHandle<()>,
}

impl Drop for Tcp {
    fn drop(&mut self) {
        self.accepting.abort();
        self.connections.lock().values().for_each(|c| c.task.abort());
    }
}

impl Tcp {
    /// Listens on `port`, for IPv6 too where `ipv6`. Must be called within the runtime.
    pub(super) fn listen(port: u16, ipv6: bool) -> io::Result<Self> {
        let listener = bind(port, ipv6)?;
        let (sender, arrived) = mpsc::channel(MAX_ARRIVED);
        let connections = Connections::default();
        let accepting = tokio::spawn(accept(listener, connections.clone(), sender));
        Ok(Self { arrived, connections, accepting })
    }

    /// Waits for a datagram.
    pub(super) async fn next(&mut self) -> Option<Arrived> {
        self.arrived.recv().await
    }

    /// A datagram that has come already.
    pub(super) fn try_next(&mut self) -> Option<Arrived> {
        self.arrived.try_recv().ok()
    }

    /// A session has recognized the viewer at `remote`: its connection may stay.
    pub(super) fn recognize(&self, remote: SocketAddr) {
        if let Some(connection) = self.connections.lock().get(&remote) {
            connection.outgoing.recognized.store(true, Ordering::Relaxed);
        }
    }

    /// Ends the connection to `remote`, once what waits for it is sent.
    pub(super) fn close(&self, remote: SocketAddr) {
        if let Some(connection) = self.connections.lock().get(&remote) {
            connection.outgoing.finish();
        }
    }

    /// Sends `bytes` to `remote`, a datagram every `segment` bytes; false when some were dropped.
    pub(super) fn send(&self, remote: SocketAddr, bytes: &[u8], segment: usize) -> bool {
        match self.connections.lock().get(&remote) {
            Some(connection) => connection.outgoing.push(bytes, segment),
            None => false,
        }
    }
}

fn bind(port: u16, ipv6: bool) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let (domain, address) = if ipv6 {
        (Domain::IPV6, SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port)))
    } else {
        (Domain::IPV4, SocketAddr::from((std::net::Ipv4Addr::UNSPECIFIED, port)))
    };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if ipv6 {
        socket.set_only_v6(false)?;
    }
    // A restarted daemon need not wait until the former one's connections are forgotten.
    socket.set_reuse_address(true)?;
    // Accepted connections have the listener's.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// By the viewer's address.
#[derive(Clone, Default)]
struct Connections(Arc<Mutex<HashMap<SocketAddr, Connection>>>);

struct Connection {
    since: Instant,
    outgoing: Arc<Outgoing>,
    task: AbortHandle,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room for one more from `source`. Where there is none, one that nobody has
    /// recognized makes room: one of the same network where that has as many as it may, or else of
    /// the network that has the most of them; there the oldest.
    fn has_room(&self, source: IpAddr) -> bool {
        let (mut connections, network) = (self.lock(), network_of(source));
        let from_there = connections.keys().filter(|r| network_of(r.ip()) == network).count();
        if from_there < MAX_FROM_ONE && connections.len() < MAX_CONNECTIONS {
            return true;
        }
        let strangers = connections.iter().filter(|(_, c)| !c.outgoing.is_recognized());
        let strangers = strangers.map(|(remote, c)| (network_of(remote.ip()), c.since, *remote));
        let strangers = strangers.filter(|(n, ..)| from_there < MAX_FROM_ONE || *n == network);
        let strangers: Vec<_> = strangers.collect();
        let mut counts = HashMap::new();
        for network in strangers.iter().map(|(network, ..)| *network).chain([network]) {
            *counts.entry(network).or_insert(0) += 1;
        }
        let least = strangers.iter().min_by_key(|(n, since, _)| (Reverse(counts[n]), *since));
        let Some(connection) = least.and_then(|(.., remote)| connections.remove(remote)) else {
            return false;
        };
        connection.task.abort();
        true
    }
}

async fn accept(listener: TcpListener, connections: Connections, arrived: mpsc::Sender<Arrived>) {
    loop {
        match listener.accept().await {
            Ok((stream, remote)) => {
                let remote = plain(remote);
                if connections.has_room(remote.ip()) {
                    take(stream, remote, &connections, &arrived);
                }
            }
            Err(error) => {
                log::debug!("cannot accept a TCP connection for WebRTC: {error}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

fn take(
    stream: TcpStream,
    remote: SocketAddr,
    connections: &Connections,
    arrived: &mpsc::Sender<Arrived>,
) {
    let Ok(local) = stream.local_addr().map(plain) else { return };
    let _ = stream.set_nodelay(true);
    let outgoing = Arc::new(Outgoing::default());
    let serving = {
        let (outgoing, arrived) = (outgoing.clone(), arrived.clone());
        let connections = connections.clone();
        async move {
            let (reader, writer) = stream.into_split();
            let ended = tokio::select! {
                ended = read(reader, remote, local, arrived) => ended,
                ended = write(writer, &outgoing) => ended,
                () = stay_a_stranger(&outgoing) => Err(io::ErrorKind::TimedOut.into()),
            };
            if let Err(error) = ended {
                log::debug!("TCP connection with {remote}: {error}");
            }
            let mut connections = connections.lock();
            // Another may have come from the same address meanwhile.
            if connections.get(&remote).is_some_and(|c| Arc::ptr_eq(&c.outgoing, &outgoing)) {
                connections.remove(&remote);
            }
        }
    };
    // Under the lock, so that the connection cannot end before it is known.
    let mut known = connections.lock();
    let task = tokio::spawn(serving).abort_handle();
    if let Some(former) = known.insert(remote, Connection { since: Instant::now(), outgoing, task })
    {
        former.task.abort();
    }
}

/// Comes back when nobody has recognized the viewer in time.
async fn stay_a_stranger(outgoing: &Outgoing) {
    tokio::time::sleep(RECOGNIZED_WITHIN).await;
    if outgoing.is_recognized() {
        std::future::pending::<()>().await;
    }
}

/// Takes datagrams in until the viewer ends the connection, or sends what is none.
async fn read(
    mut reader: OwnedReadHalf,
    remote: SocketAddr,
    local: SocketAddr,
    arrived: mpsc::Sender<Arrived>,
) -> io::Result<()> {
    let mut buffer = [0; MAX_DATAGRAM];
    loop {
        let len = match reader.read_u16().await {
            Ok(len) => usize::from(len),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let Some(datagram) = buffer.get_mut(..len) else {
            let problem = format!("it announces {len} bytes, which is no datagram of WebRTC");
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        };
        reader.read_exact(datagram).await?;
        let datagram = Bytes::copy_from_slice(datagram);
        if arrived.send(Arrived { remote, local, datagram }).await.is_err() {
            return Ok(());
        }
    }
}

/// Sends what is queued, for as long as the viewer takes it.
async fn write(mut writer: OwnedWriteHalf, outgoing: &Outgoing) -> io::Result<()> {
    loop {
        let notified = outgoing.changed.notified();
        let (bytes, finished) = outgoing.take();
        if bytes.is_empty() {
            if finished {
                return writer.shutdown().await;
            }
            notified.await;
            continue;
        }
        // All of the queue at once; the viewer has to take some of it within the time.
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match tokio::time::timeout(WRITE_WITHIN, writer.write(rest)).await {
                Ok(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(Ok(written)) => rest = &rest[written..],
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }
}

/// What is to be sent on a connection.
#[derive(Default)]
struct Outgoing {
    queue: Mutex<Queue>,
    changed: Notify,
    recognized: AtomicBool,
}

#[derive(Default)]
struct Queue {
    bytes: Vec<u8>,
    finished: bool,
}

impl Outgoing {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_recognized(&self) -> bool {
        self.recognized.load(Ordering::Relaxed)
    }

    /// Queues datagrams with their lengths in front; false when one found no room.
    fn push(&self, bytes: &[u8], segment: usize) -> bool {
        let mut queue = self.queue();
        let mut all = true;
        for datagram in bytes.chunks(segment.max(1)) {
            match u16::try_from(datagram.len()) {
                Ok(len) if queue.bytes.len() + 2 + datagram.len() <= MAX_QUEUED => {
                    queue.bytes.extend_from_slice(&len.to_be_bytes());
                    queue.bytes.extend_from_slice(datagram);
                }
                _ => all = false,
            }
        }
        drop(queue);
        self.changed.notify_one();
        all
    }

    fn finish(&self) {
        self.queue().finished = true;
        self.changed.notify_one();
    }

    /// All that is queued, and whether nothing will follow.
    fn take(&self) -> (Vec<u8>, bool) {
        let mut queue = self.queue();
        (std::mem::take(&mut queue.bytes), queue.finished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connections whose tasks never end, of these addresses in this order.
    fn connections(remotes: impl IntoIterator<Item = SocketAddr>) -> Connections {
        let connections = Connections::default();
        remotes.into_iter().for_each(|remote| connections.add(remote));
        connections
    }

    impl Connections {
        fn add(&self, remote: SocketAddr) {
            let task = tokio::spawn(std::future::pending::<()>()).abort_handle();
            let (since, outgoing) = (Instant::now(), Arc::default());
            self.lock().insert(remote, Connection { since, outgoing, task });
        }

        fn has(&self, remote: SocketAddr) -> bool {
            self.lock().contains_key(&remote)
        }
    }

    fn at(source: [u8; 4], port: u16) -> SocketAddr {
        (source, port).into()
    }

    #[tokio::test]
    async fn strangers_make_room_where_there_are_most_of_them_and_the_oldest_first() {
        let many = (0..8).flat_map(|n| (0..MAX_FROM_ONE as u16).map(move |p| at([10, 0, 0, n], p)));
        let connections = connections(many);
        assert_eq!(connections.lock().len(), MAX_CONNECTIONS);
        for n in 0..16 {
            let newcomer = at([192, 0, 2, n], 1);
            assert!(connections.has_room(newcomer.ip()));
            connections.add(newcomer);
            assert_eq!(connections.lock().len(), MAX_CONNECTIONS);
        }
        assert!((0..16).all(|n| connections.has(at([192, 0, 2, n], 1))));
        assert!((0..8).all(|n| (0..2).all(|p| !connections.has(at([10, 0, 0, n], p)))));
    }

    #[tokio::test]
    async fn a_network_makes_room_at_its_own_expense_until_all_of_it_are_viewers() {
        let in_network = |n: u16| -> SocketAddr {
            let host = std::net::Ipv6Addr::new(0x2001, 0xdb8, 1, 1, n, n, n, n);
            (host, 1000 + n).into()
        };
        let other = at([192, 0, 2, 1], 1);
        let all = (0..MAX_FROM_ONE as u16).map(in_network);
        let connections = connections([other].into_iter().chain(all));
        assert!(connections.has_room(in_network(99).ip()));
        assert!(connections.has(other) && !connections.has(in_network(0)));
        connections.add(in_network(99));
        for connection in connections.lock().values() {
            connection.outgoing.recognized.store(true, Ordering::Relaxed);
        }
        assert!(!connections.has_room(in_network(100).ip()));
        assert!(connections.has_room(at([192, 0, 2, 2], 1).ip()));
    }
}
