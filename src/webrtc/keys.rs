//! Getting hold of the SRTP keys, and of the reason where there are none.
//!
//! The WebRTC library negotiates them and keeps them to itself, but lets its DTLS be supplied
//! from outside. [`crypto`] supplies the library's own DTLS with an ear on it: when the handshake
//! yields keying material, a copy is left where [`take`] finds it. Everything that touches a
//! session runs on one thread, so "the material that the call just made has left here" is exact.
//! So it is with what went wrong in the handshake, and [`trouble`].

#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
#[cfg(test)]
mod tests;
mod trouble;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use str0m::crypto::dtls::{
    DtlsCert, DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, DtlsVersion, ProtocolVersion,
    SrtpProfile,
};
use str0m::crypto::{CryptoError, CryptoProvider};

use super::srtp::{DtlsRole, Sealer, SrtpError};

/// Keying material of a finished handshake.
pub(super) struct Keys {
    profile: SrtpProfile,
    material: Vec<u8>,
    role: DtlsRole,
}

impl Keys {
    /// The sending half.
    pub(super) fn sealer(&self) -> Result<Sealer, SrtpError> {
        Sealer::new(self.profile, &self.material, self.role)
    }
}

thread_local! {
    static HEARD: RefCell<Option<Keys>> = const { RefCell::new(None) };
    static TROUBLE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// The keys that the last call into a session on this thread negotiated, if it did.
pub(super) fn take() -> Option<Keys> {
    HEARD.take()
}

/// Why the handshake fails that the last call into a session on this thread went on with, if it
/// does and somebody could act on it. Said of the viewer: "its certificate cannot be read".
pub(super) fn trouble() -> Option<String> {
    TROUBLE.take()
}

/// The library's default cryptography with [`take`] attached.
pub(super) fn crypto() -> Arc<CryptoProvider> {
    static DTLS: Listening = Listening;
    let mut provider = str0m::crypto::from_feature_flags();
    provider.dtls_provider = &DTLS;
    Arc::new(provider)
}

#[derive(Debug)]
struct Listening;

impl Listening {
    fn inner() -> &'static dyn DtlsProvider {
        str0m::crypto::from_feature_flags().dtls_provider
    }
}

impl DtlsProvider for Listening {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        Self::inner().generate_certificate()
    }

    fn new_dtls(
        &self,
        cert: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let inner = Self::inner().new_dtls(cert, now, version, mtu)?;
        Ok(Box::new(ListeningInstance(inner)))
    }
}

#[derive(Debug)]
struct ListeningInstance(Box<dyn DtlsInstance>);

impl DtlsInstance for ListeningInstance {
    fn poll_output<'a>(&mut self, buf: &'a mut [u8]) -> DtlsOutput<'a> {
        let role = if self.0.is_active() { DtlsRole::Client } else { DtlsRole::Server };
        let output = self.0.poll_output(buf);
        if let DtlsOutput::KeyingMaterial(material, profile) = &output {
            let bytes: &[u8] = material.as_ref();
            let material = bytes.to_vec();
            HEARD.set(Some(Keys { profile: *profile, material, role }));
        }
        // The library's buffer for it, which it does not make larger.
        if let DtlsOutput::BufferTooSmall { needed } = &output {
            TROUBLE.set(Some(format!(
                "its certificate is {needed} bytes long, more than the 2000 that are accepted"
            )));
        }
        output
    }

    fn set_active(&mut self, active: bool) {
        self.0.set_active(active);
    }
    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.0.handle_packet(packet).inspect_err(|error| TROUBLE.set(trouble::in_words(error)))
    }
    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.0.handle_timeout(now)
    }
    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.0.send_application_data(data)
    }
    fn is_active(&self) -> bool {
        self.0.is_active()
    }
    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.0.protocol_version()
    }
    fn is_closing(&self) -> bool {
        self.0.is_closing()
    }
    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.0.close()
    }
}
