//! A way for viewers whose network lets no UDP through: ICE-TCP (RFC 6544), where the viewer
//! connects to the same port number by TCP and each datagram travels with its length in front
//! (RFC 4571).
//!
//! Connections come from anybody. One that no session has recognized by a sealed connectivity
//! check soon is closed, and so is one whose session is over. What a connection cannot take in
//! time is dropped, as a network would.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinHandle};

use super::path::plain;
use crate::web::network_of;

/// Connections at once, in all and from one address.
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
    outgoing: Arc<Outgoing>,
    task: AbortHandle,
}

impl Connections {
    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is room for one more from `source`. Where there is none in all, one that
    /// nobody has recognized makes room.
    fn has_room(&self, source: IpAddr) -> bool {
        let (mut connections, network) = (self.lock(), network_of(source));
        let is_there = |remote: &&SocketAddr| network_of(remote.ip()) == network;
        if connections.keys().filter(is_there).count() >= MAX_FROM_ONE {
            return false;
        }
        if connections.len() < MAX_CONNECTIONS {
            return true;
        }
        let stranger = connections.iter().find(|(_, c)| !c.outgoing.is_recognized());
        let Some(remote) = stranger.map(|(remote, _)| *remote) else {
            return false;
        };
        if let Some(connection) = connections.remove(&remote) {
            connection.task.abort();
        }
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
    if let Some(former) = known.insert(remote, Connection { outgoing, task }) {
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
