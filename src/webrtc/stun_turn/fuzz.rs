//! The door for fuzzing: whatever arrives from a server's address, [`Servers::handle`] neither
//! panics nor starts to spin.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::fake::{Fake, PASSWORD, USERNAME};
use super::{Handled, IceServer, Poll, Servers};

/// A scene with requests under way.
struct Scene {
    servers: Servers,
    fake: Fake,
    now: Instant,
    /// Requests not yet answered.
    requests: Vec<Vec<u8>>,
}

fn server() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 3478))
}

fn peer() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 77], 40_000))
}

/// Scenes [`handle`] can be told to begin with.
const STAGES: u8 = 5;

impl Scene {
    /// The first `stage` exchanges of a session: first nothing is answered, in the end there is a
    /// relay, a permission and a channel.
    fn new(stage: u8) -> Self {
        let entry = IceServer {
            urls: vec!["stun:192.0.2.1".into(), "turn:192.0.2.1".into()],
            username: Some(USERNAME.into()),
            credential: Some(PASSWORD.into()),
        };
        let now = Instant::now();
        let mut scene = Self {
            servers: Servers::new(&[entry], now),
            fake: Fake::new(),
            now,
            requests: Vec::new(),
        };
        scene.servers.set_sessions(now, 1);
        scene.servers.permit(now, peer().ip());
        scene.poll();
        for _ in 0..stage {
            for request in std::mem::take(&mut scene.requests) {
                if let Some(answer) = scene.fake.answer(&request) {
                    scene.servers.handle(now, server(), &answer);
                }
            }
            scene.send();
            scene.poll();
        }
        scene
    }

    fn send(&mut self) {
        let relay = self.fake.relay;
        let mut out = Vec::new();
        let segments = [0; 5000];
        self.servers.send(self.now, relay, peer(), &segments, 1000, &mut out);
    }

    fn poll(&mut self) {
        for _ in 0..100 {
            match self.servers.poll(self.now) {
                Poll::Transmit { bytes, .. } => self.requests.push(bytes),
                Poll::Gained(_) | Poll::Lost(_) => {}
                Poll::Wait(until) => {
                    assert!(until > self.now, "a busy loop");
                    return;
                }
            }
        }
        panic!("it never comes to rest");
    }

    fn receive(&mut self, datagram: &[u8]) {
        let mut datagram = datagram.to_vec();
        // No mutation guesses a transaction's number: it is put in where it belongs.
        let request = datagram.get(19).map(|last| usize::from(*last));
        if let Some(request) = request.and_then(|n| self.requests.get(n))
            && datagram[0] < 4
        {
            datagram[8..20].copy_from_slice(&request[8..20]);
        }
        let handled = self.servers.handle(self.now, server(), &datagram);
        if let Handled::Relayed { data, .. } = handled {
            assert!(data.len() + 4 <= datagram.len());
        }
        self.send();
        self.poll();
        self.now += Duration::from_secs(1);
        self.poll();
    }
}

/// One run: the first byte chooses the scene, then come datagrams, each after its length in two
/// bytes.
///
/// # Panics
/// If there is a mistake in this room.
pub fn handle(input: &[u8]) {
    let Some((stage, mut rest)) = input.split_first() else {
        return;
    };
    let mut scene = Scene::new(stage % STAGES);
    while let Some((length, tail)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(tail.len());
        let (datagram, tail) = tail.split_at(length);
        scene.receive(datagram);
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::data_indication;
    use super::*;

    /// Small, and the same everywhere (xorshift64*).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit.max(1)
        }
    }

    /// Good datagrams of all kinds.
    fn samples() -> Vec<Vec<u8>> {
        let mut samples = vec![data_indication(peer(), b"hello"), vec![0x40, 0, 0, 1, 7]];
        for stage in 0..STAGES {
            let mut scene = Scene::new(stage);
            for (number, request) in scene.requests.iter().enumerate() {
                for code in [0, 400, 401, 403, 437, 438, 486, 508] {
                    scene.fake.relent();
                    if code != 0 {
                        scene.fake.refuse_all(code);
                    }
                    let mut answer = scene.fake.answer(request).unwrap();
                    // Found again by `receive`.
                    answer[19] = u8::try_from(number).unwrap();
                    samples.push(answer);
                }
            }
        }
        samples
    }

    fn mutate(dice: &mut Dice, datagram: &mut Vec<u8>) {
        for _ in 0..dice.below(4) {
            let (at, value) = (dice.below(datagram.len()), dice.below(256) as u8);
            match dice.below(6) {
                0 => datagram.truncate(at),
                1 => datagram.insert(at, value),
                2 => datagram.extend_from_within(at..),
                // A length or type that is off by a little.
                3 if !datagram.is_empty() => datagram[at] = datagram[at].wrapping_add(value % 5),
                4 if !datagram.is_empty() => datagram[at] ^= 1 << (value % 8),
                5 if !datagram.is_empty() => datagram[at] = value,
                _ => {}
            }
        }
        if dice.below(2) == 0 && datagram.len() >= 20 {
            // So that the mutation is not merely refused for its length.
            let length = (datagram.len() - 20) as u16;
            datagram[2..4].copy_from_slice(&length.to_be_bytes());
        }
    }

    #[test]
    fn no_datagram_from_a_server_makes_us_panic_or_spin() {
        let (mut dice, samples) = (Dice(20_260_721), samples());
        for _ in 0..20_000 {
            let mut input = vec![dice.below(usize::from(STAGES)) as u8];
            for _ in 0..1 + dice.below(4) {
                let mut datagram = samples[dice.below(samples.len())].clone();
                mutate(&mut dice, &mut datagram);
                input.extend((datagram.len() as u16).to_be_bytes());
                input.extend(datagram);
            }
            handle(&input);
        }
    }

    #[test]
    fn arbitrary_bytes_are_nobodys() {
        let mut dice = Dice(42);
        let mut scene = Scene::new(STAGES - 1);
        for _ in 0..100_000 {
            let length = dice.below(64);
            let mut datagram: Vec<u8> = (0..length).map(|_| dice.below(256) as u8).collect();
            if let Some(first) = datagram.first_mut() {
                *first %= 0x40;
            }
            let handled = scene.servers.handle(scene.now, server(), &datagram);
            assert_eq!(handled, Handled::NotMine);
        }
    }

    /// The scenes are what they claim to be, or the tests above try nothing.
    #[test]
    fn the_last_scene_has_a_channel() {
        let mut scene = Scene::new(STAGES - 1);
        let handled = scene.servers.handle(scene.now, server(), &[0x40, 0, 0, 1, 7]);
        assert!(matches!(handled, Handled::Relayed { data: [7], .. }));
    }
}
