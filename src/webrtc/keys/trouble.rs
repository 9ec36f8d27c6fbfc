//! What went wrong in a handshake, in words for whoever can do something about it: the owner of
//! the camera, or of the viewer.

use dimpl::{CertificateError, CryptoError, CryptoOperation, Error, SecurityError};

/// What is accepted of a viewer's certificate.
const ACCEPTED: &str = "ECDSA keys on P-256 and P-384, and RSA keys of 2048 to 8192 bits";

/// Why the handshake fails, as what is said of the viewer. Nothing where neither side could act
/// on it: the network lost packets, or somebody sent nonsense.
pub(super) fn in_words(error: &Error) -> Option<String> {
    let words = match error {
        Error::CryptoError(error) => of_signature(error)?,
        Error::CertificateError(CertificateError::NoClientCertificateReceived) => {
            format!("it has no certificate of a kind that is accepted: {ACCEPTED} are")
        }
        Error::CertificateError(CertificateError::UnsupportedHashAlgorithm(_)) => {
            "it does not accept ECDSA with SHA-256, which the camera's certificate is for".into()
        }
        Error::SecurityError(error) => of_negotiation(error)?,
        _ => return None,
    };
    Some(words)
}

fn of_signature(error: &CryptoError) -> Option<String> {
    Some(match error {
        CryptoError::UnsupportedRsaKeySize { bits } => {
            format!("its certificate has an RSA key of {bits} bits; 2048 to 8192 are accepted")
        }
        CryptoError::UnsupportedPublicKeyAlgorithm | CryptoError::UnsupportedEcCurve => {
            format!("its certificate has a key of a kind that is not accepted: {ACCEPTED} are")
        }
        CryptoError::UnsupportedSignaturePair { signature, hash } => {
            format!("it signs with {signature:?} and {hash:?}, which is not accepted")
        }
        CryptoError::CertificateParseFailed
        | CryptoError::MissingEcCurveParameter
        | CryptoError::InvalidEcCurveParameter
        | CryptoError::InvalidSubjectPublicKey => "its certificate cannot be read".into(),
        CryptoError::SignatureVerificationFailed { .. }
        | CryptoError::OperationFailed(CryptoOperation::VerifySignature) => {
            "its signature was not made with the key in its certificate".into()
        }
        _ => return None,
    })
}

fn of_negotiation(error: &SecurityError) -> Option<String> {
    Some(match error {
        SecurityError::NoMutuallyAcceptableCipherSuite => {
            "it offers no cipher suite with ECDHE_ECDSA, which the camera's certificate is for"
                .into()
        }
        SecurityError::NoCommonKeyExchangeGroup => {
            "it offers none of the key exchanges X25519, P-256 and P-384".into()
        }
        SecurityError::UnsupportedClientVersion(_) | SecurityError::UnsupportedServerVersion(_) => {
            "it speaks another version of DTLS than 1.2".into()
        }
        SecurityError::ExtendedMasterSecretNotNegotiated => {
            "its DTLS lacks the extended master secret (RFC 7627)".into()
        }
        SecurityError::FatalAlert { description } => {
            format!("it ended the DTLS handshake with alert {description}{}", alert(*description))
        }
        _ => return None,
    })
}

/// The name of an alert (RFC 5246 §7.2), of those that tell a reason.
fn alert(description: u8) -> &'static str {
    match description {
        40 => " (handshake failure)",
        42 => " (bad certificate)",
        43 => " (unsupported certificate)",
        44 => " (certificate revoked)",
        45 => " (certificate expired)",
        46 => " (certificate unknown)",
        48 => " (unknown certificate authority)",
        51 => " (decrypt error)",
        70 => " (protocol version)",
        71 => " (insufficient security)",
        _ => "",
    }
}
