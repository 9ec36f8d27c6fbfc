//! The one UDP socket all viewers share.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::path::plain;

/// Kernel memory asked for in each direction. A key frame for a hundred viewers leaves at once;
/// what does not fit is lost, and repaired at the viewers' expense.
const SOCKET_BUFFER: usize = 4 << 20;

/// Datagrams read in one call, and room for what the kernel coalesces into one.
const BATCH: usize = quinn_udp::BATCH_SIZE;
const RECEIVE_BUFFER: usize = 64 << 10;

/// A socket for all addresses of this machine, IPv4 and, where there is any, IPv6.
pub(super) struct UdpTransport {
    socket: UdpSocket,
    state: UdpSocketState,
    dual_stack: bool,
    port: u16,
    buffers: Vec<Vec<u8>>,
    /// Datagrams the kernel had no room for.
    pub(super) dropped: u64,
}

/// Datagrams that came in one after another from one sender.
pub(super) struct Received<'a> {
    pub(super) source: SocketAddr,
    /// The address of ours it was sent to.
    pub(super) destination: SocketAddr,
    pub(super) datagrams: std::slice::Chunks<'a, u8>,
}

impl UdpTransport {
    /// Binds `port`, any free one for 0. IPv4 alone when `ipv6` is false or the machine has none.
    pub(super) fn bind(port: u16, ipv6: bool) -> io::Result<Self> {
        let (socket, dual_stack) = match ipv6.then(|| bind_dual_stack(port)) {
            Some(Ok(socket)) => (socket, true),
            Some(Err(e)) if e.kind() == io::ErrorKind::AddrInUse => return Err(e),
            _ => (bind_any(Domain::IPV4, SocketAddr::from(([0, 0, 0, 0], port)))?, false),
        };
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket.into())?;
        let state = UdpSocketState::new((&socket).into())?;
        // The system may grant less; that is not worth failing for.
        let _ = state.set_send_buffer_size((&socket).into(), SOCKET_BUFFER);
        let _ = state.set_recv_buffer_size((&socket).into(), SOCKET_BUFFER);
        let port = socket.local_addr()?.port();
        let buffers = vec![vec![0; RECEIVE_BUFFER]; BATCH.min(8)];
        Ok(Self { socket, state, dual_stack, port, buffers, dropped: 0 })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn ipv6(&self) -> bool {
        self.dual_stack
    }

    /// Waits until there is something to read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Reads what has come and hands it to `each`; false when nothing had.
    pub(super) fn receive(&mut self, mut each: impl FnMut(Received<'_>)) -> io::Result<bool> {
        let mut metas = [RecvMeta::default(); BATCH];
        let Self { socket, state, buffers, port, .. } = self;
        let count = {
            let mut slices: Vec<io::IoSliceMut<'_>> =
                buffers.iter_mut().map(|b| io::IoSliceMut::new(b)).collect();
            let metas = &mut metas[..slices.len()];
            match socket
                .try_io(Interest::READABLE, || state.recv((&*socket).into(), &mut slices, metas))
            {
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
            }
        };
        for (buffer, meta) in buffers.iter().zip(&metas[..count]) {
            // Without the address it was sent to, ICE cannot know which candidate was reached;
            // and nobody can be answered at port 0.
            let Some(destination) = meta.dst_ip.filter(|_| meta.addr.port() != 0) else {
                continue;
            };
            each(Received {
                source: plain(meta.addr),
                destination: SocketAddr::new(destination.to_canonical(), *port),
                datagrams: buffer[..meta.len].chunks(meta.stride.max(1)),
            });
        }
        Ok(true)
    }

    /// Sends `bytes` as datagrams of `segment` bytes from our address `source`, or from the one
    /// the kernel chooses.
    pub(super) fn send(
        &mut self,
        source: Option<IpAddr>,
        destination: SocketAddr,
        bytes: &[u8],
        segment: usize,
    ) {
        let destination = match destination {
            SocketAddr::V4(v4) if self.dual_stack => {
                SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0).into()
            }
            other => other,
        };
        let limit = segment * self.state.max_gso_segments().max(1);
        for part in bytes.chunks(limit) {
            let transmit = Transmit {
                destination,
                ecn: None,
                contents: part,
                segment_size: (part.len() > segment).then_some(segment),
                src_ip: source,
            };
            let sent = self.socket.try_io(Interest::WRITABLE, || {
                self.state.try_send((&self.socket).into(), &transmit)
            });
            if let Err(error) = sent {
                self.dropped += part.len().div_ceil(segment) as u64;
                log::trace!("cannot send to {destination}: {error}");
            }
        }
    }
}

fn bind_dual_stack(port: u16) -> io::Result<Socket> {
    bind_any(Domain::IPV6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
}

fn bind_any(domain: Domain, address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}
