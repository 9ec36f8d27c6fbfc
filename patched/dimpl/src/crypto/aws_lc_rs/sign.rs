//! Signing and key loading implementations using aws-lc-rs.

use std::str;

use aws_lc_rs::signature::ECDSA_P384_SHA384_ASN1_SIGNING;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, UnparsedPublicKey};
use aws_lc_rs::signature::{ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1};
use aws_lc_rs::signature::{EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256};
use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters};
use der::{Decode, Encode};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoOwned};
use x509_cert::Certificate as X509Certificate;

use super::super::{KeyProvider, SignatureVerifier, SigningKey, check_verify_scheme};
use super::super::{OID_P256, OID_P384};
use crate::buffer::Buf;
use crate::types::{HashAlgorithm, NamedGroup, SignatureAlgorithm};
use crate::{CryptoError, CryptoOperation};

/// ECDSA signing key implementation.
struct EcdsaSigningKey {
    key_pair: EcdsaKeyPair,
    signing_algorithm: &'static EcdsaSigningAlgorithm,
}

impl std::fmt::Debug for EcdsaSigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EcdsaSigningKey")
            .field("signing_algorithm", &self.signing_algorithm)
            .finish()
    }
}

impl SigningKey for EcdsaSigningKey {
    fn sign(
        &mut self,
        data: &[u8],
        hash_alg: HashAlgorithm,
        buf: &mut Buf,
    ) -> Result<(), CryptoError> {
        let key_hash = self.hash_algorithm();
        if hash_alg != key_hash {
            return Err(CryptoError::SigningKeyHashMismatch {
                key_hash,
                requested: hash_alg,
            });
        }
        let rng = aws_lc_rs::rand::SystemRandom::new();
        let signature = self
            .key_pair
            .sign(&rng, data)
            .map_err(|_| CryptoError::OperationFailed(CryptoOperation::Sign))?;
        buf.clear();
        buf.extend_from_slice(signature.as_ref());
        Ok(())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }

    fn hash_algorithm(&self) -> HashAlgorithm {
        if self.signing_algorithm == &ECDSA_P256_SHA256_ASN1_SIGNING {
            HashAlgorithm::SHA256
        } else if self.signing_algorithm == &ECDSA_P384_SHA384_ASN1_SIGNING {
            HashAlgorithm::SHA384
        } else {
            panic!("Unsupported signing algorithm")
        }
    }

    fn supported_hash_algorithms(&self) -> &[HashAlgorithm] {
        // aws-lc-rs locks the hash at key-load time; only one is supported.
        if self.signing_algorithm == &ECDSA_P256_SHA256_ASN1_SIGNING {
            &[HashAlgorithm::SHA256]
        } else if self.signing_algorithm == &ECDSA_P384_SHA384_ASN1_SIGNING {
            &[HashAlgorithm::SHA384]
        } else {
            panic!("Unsupported signing algorithm")
        }
    }
}

/// Key provider implementation.
#[derive(Debug)]
pub(super) struct AwsLcKeyProvider;

impl KeyProvider for AwsLcKeyProvider {
    fn load_private_key(&self, key_der: &[u8]) -> Result<Box<dyn SigningKey>, CryptoError> {
        // Try PKCS#8 DER format first (most common)
        if let Ok(key_pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, key_der) {
            return Ok(Box::new(EcdsaSigningKey {
                key_pair,
                signing_algorithm: &ECDSA_P256_SHA256_ASN1_SIGNING,
            }));
        }
        if let Ok(key_pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, key_der) {
            return Ok(Box::new(EcdsaSigningKey {
                key_pair,
                signing_algorithm: &ECDSA_P384_SHA384_ASN1_SIGNING,
            }));
        }

        // Try parsing as SEC1 DER format (OpenSSL EC private key format)
        if let Ok(ec_key) = sec1::EcPrivateKey::try_from(key_der) {
            let private_key_len = ec_key.private_key.len();

            let curve_oid = if let Some(params) = &ec_key.parameters {
                match params {
                    sec1::EcParameters::NamedCurve(oid) => Some(*oid),
                }
            } else if private_key_len == 32 {
                Some(ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7")) // P-256
            } else if private_key_len == 48 {
                Some(ObjectIdentifier::new_unwrap("1.3.132.0.34")) // P-384
            } else {
                None
            };

            if let Some(curve_oid) = curve_oid {
                let ec_alg_oid = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
                let curve_params_der = curve_oid
                    .to_der()
                    .map_err(|_| CryptoError::OperationFailed(CryptoOperation::EncodeKey))?;
                let curve_params_any = der::asn1::AnyRef::try_from(curve_params_der.as_slice())
                    .map_err(|_| CryptoError::OperationFailed(CryptoOperation::EncodeKey))?;

                let algorithm = spki::AlgorithmIdentifierRef {
                    oid: ec_alg_oid,
                    parameters: Some(curve_params_any),
                };

                let private_key = der::asn1::OctetStringRef::new(key_der)
                    .map_err(|_| CryptoError::OperationFailed(CryptoOperation::EncodeKey))?;
                let pkcs8 = pkcs8::PrivateKeyInfoRef {
                    algorithm,
                    private_key,
                    public_key: None,
                };

                let pkcs8_der = pkcs8
                    .to_der()
                    .map_err(|_| CryptoError::OperationFailed(CryptoOperation::EncodeKey))?;

                let p256_curve = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
                if curve_oid == p256_curve
                    && let Ok(key_pair) =
                        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &pkcs8_der)
                {
                    return Ok(Box::new(EcdsaSigningKey {
                        key_pair,
                        signing_algorithm: &ECDSA_P256_SHA256_ASN1_SIGNING,
                    }));
                }

                let p384_curve = ObjectIdentifier::new_unwrap("1.3.132.0.34");
                if curve_oid == p384_curve
                    && let Ok(key_pair) =
                        EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, &pkcs8_der)
                {
                    return Ok(Box::new(EcdsaSigningKey {
                        key_pair,
                        signing_algorithm: &ECDSA_P384_SHA384_ASN1_SIGNING,
                    }));
                }
            }
        }

        // Check if it's a PEM encoded key
        if let Ok(pem_str) = str::from_utf8(key_der)
            && pem_str.contains("-----BEGIN")
            && let Ok((_label, doc)) = pkcs8::Document::from_pem(pem_str)
        {
            return self.load_private_key(doc.as_bytes());
        }

        Err(CryptoError::InvalidPrivateKey)
    }
}

/// Signature verifier implementation.
#[derive(Debug)]
pub(super) struct AwsLcSignatureVerifier;

impl SignatureVerifier for AwsLcSignatureVerifier {
    fn verify_signature(
        &self,
        cert_der: &[u8],
        data: &[u8],
        signature: &[u8],
        hash_alg: HashAlgorithm,
        sig_alg: SignatureAlgorithm,
    ) -> Result<(), CryptoError> {
        let rsa_algorithm = rsa_verification_algorithm(hash_alg, sig_alg);
        if sig_alg != SignatureAlgorithm::ECDSA && rsa_algorithm.is_none() {
            return Err(CryptoError::UnsupportedSignaturePair {
                signature: sig_alg,
                hash: hash_alg,
            });
        }

        let cert =
            X509Certificate::from_der(cert_der).map_err(|_| CryptoError::CertificateParseFailed)?;
        let spki = cert.tbs_certificate().subject_public_key_info();

        if let Some(algorithm) = rsa_algorithm {
            return verify_rsa(algorithm, spki, data, signature);
        }

        const OID_EC_PUBLIC_KEY: ObjectIdentifier =
            ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

        if spki.algorithm.oid != OID_EC_PUBLIC_KEY {
            return Err(CryptoError::UnsupportedPublicKeyAlgorithm);
        }

        let pubkey_bytes = spki
            .subject_public_key
            .as_bytes()
            .ok_or(CryptoError::InvalidSubjectPublicKey)?;

        let curve_oid: ObjectIdentifier = spki
            .algorithm
            .parameters
            .as_ref()
            .ok_or(CryptoError::MissingEcCurveParameter)?
            .decode_as()
            .map_err(|_| CryptoError::InvalidEcCurveParameter)?;

        let group = match curve_oid {
            OID_P256 => NamedGroup::Secp256r1,
            OID_P384 => NamedGroup::Secp384r1,
            _ => return Err(CryptoError::UnsupportedEcCurve),
        };

        check_verify_scheme(sig_alg, hash_alg, group)?;

        let algorithm: &EcdsaVerificationAlgorithm = match (group, hash_alg) {
            (NamedGroup::Secp256r1, HashAlgorithm::SHA256) => &ECDSA_P256_SHA256_ASN1,
            (NamedGroup::Secp256r1, HashAlgorithm::SHA384) => &ECDSA_P256_SHA384_ASN1,
            (NamedGroup::Secp384r1, HashAlgorithm::SHA256) => &ECDSA_P384_SHA256_ASN1,
            (NamedGroup::Secp384r1, HashAlgorithm::SHA384) => &ECDSA_P384_SHA384_ASN1,
            // unreachable: check_verify_scheme already validated
            _ => unreachable!(),
        };

        let public_key = UnparsedPublicKey::new(algorithm, pubkey_bytes);
        public_key
            .verify(data, signature)
            .map_err(|_| CryptoError::SignatureVerificationFailed {
                signature: sig_alg,
                hash: hash_alg,
                group,
            })
    }

    fn verifies_rsa(&self) -> bool {
        true
    }
}

/// How an RSA key's signature is verified, for the pairs that are. Not with SHA-1.
fn rsa_verification_algorithm(
    hash_alg: HashAlgorithm,
    sig_alg: SignatureAlgorithm,
) -> Option<&'static RsaParameters> {
    match (hash_alg, sig_alg) {
        (HashAlgorithm::SHA256, SignatureAlgorithm::RSA) => Some(&RSA_PKCS1_2048_8192_SHA256),
        (HashAlgorithm::SHA384, SignatureAlgorithm::RSA) => Some(&RSA_PKCS1_2048_8192_SHA384),
        (HashAlgorithm::SHA512, SignatureAlgorithm::RSA) => Some(&RSA_PKCS1_2048_8192_SHA512),
        (HashAlgorithm::Intrinsic, SignatureAlgorithm::RSA_PSS_RSAE_SHA256) => {
            Some(&RSA_PSS_2048_8192_SHA256)
        }
        (HashAlgorithm::Intrinsic, SignatureAlgorithm::RSA_PSS_RSAE_SHA384) => {
            Some(&RSA_PSS_2048_8192_SHA384)
        }
        (HashAlgorithm::Intrinsic, SignatureAlgorithm::RSA_PSS_RSAE_SHA512) => {
            Some(&RSA_PSS_2048_8192_SHA512)
        }
        _ => None,
    }
}

fn verify_rsa(
    algorithm: &'static RsaParameters,
    spki: &SubjectPublicKeyInfoOwned,
    data: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    const OID_RSA_ENCRYPTION: ObjectIdentifier =
        ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

    if spki.algorithm.oid != OID_RSA_ENCRYPTION {
        return Err(CryptoError::UnsupportedPublicKeyAlgorithm);
    }

    let pubkey_bytes = spki
        .subject_public_key
        .as_bytes()
        .ok_or(CryptoError::InvalidSubjectPublicKey)?;

    // Known before anything is computed with a key that is too long.
    let bits = RsaParameters::public_modulus_len(pubkey_bytes)
        .map_err(|_| CryptoError::InvalidSubjectPublicKey)?;
    if !(algorithm.min_modulus_len()..=algorithm.max_modulus_len()).contains(&bits) {
        return Err(CryptoError::UnsupportedRsaKeySize { bits });
    }

    UnparsedPublicKey::new(algorithm, pubkey_bytes)
        .verify(data, signature)
        .map_err(|_| CryptoError::OperationFailed(CryptoOperation::VerifySignature))
}

/// Static instance of the key provider.
pub(super) static KEY_PROVIDER: AwsLcKeyProvider = AwsLcKeyProvider;

/// Static instance of the signature verifier.
pub(super) static SIGNATURE_VERIFIER: AwsLcSignatureVerifier = AwsLcSignatureVerifier;

#[cfg(all(test, feature = "rcgen"))]
mod tests {
    use super::*;
    use crate::certificate::generate_self_signed_certificate;

    #[test]
    fn invalid_signature_returns_structured_verification_error() {
        let cert = generate_self_signed_certificate().expect("generate cert");
        let mut key = KEY_PROVIDER
            .load_private_key(&cert.private_key)
            .expect("load private key");
        let data = b"signed data";
        let mut signature = Buf::new();
        key.sign(data, HashAlgorithm::SHA256, &mut signature)
            .expect("sign data");

        let last = signature.len() - 1;
        signature[last] ^= 0x01;

        let err = SIGNATURE_VERIFIER
            .verify_signature(
                &cert.certificate,
                data,
                &signature,
                HashAlgorithm::SHA256,
                SignatureAlgorithm::ECDSA,
            )
            .expect_err("corrupt signature should fail");

        assert_eq!(
            err,
            CryptoError::SignatureVerificationFailed {
                signature: SignatureAlgorithm::ECDSA,
                hash: HashAlgorithm::SHA256,
                group: NamedGroup::Secp256r1,
            }
        );
    }

    /// A certificate with an RSA key of `size`, and the key.
    fn rsa_certificate(size: rcgen::RsaKeySize) -> (Vec<u8>, aws_lc_rs::rsa::KeyPair) {
        let key = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size)
            .expect("generate RSA key");
        let params = rcgen::CertificateParams::new(Vec::<String>::new()).expect("params");
        let cert = params.self_signed(&key).expect("self-signed");
        let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(&key.serialize_der()).expect("RSA key pair");
        (cert.der().to_vec(), pair)
    }

    const PAIRS: [(u16, &dyn aws_lc_rs::signature::RsaEncoding); 6] = [
        (0x0401, &aws_lc_rs::signature::RSA_PKCS1_SHA256),
        (0x0501, &aws_lc_rs::signature::RSA_PKCS1_SHA384),
        (0x0601, &aws_lc_rs::signature::RSA_PKCS1_SHA512),
        (0x0804, &aws_lc_rs::signature::RSA_PSS_SHA256),
        (0x0805, &aws_lc_rs::signature::RSA_PSS_SHA384),
        (0x0806, &aws_lc_rs::signature::RSA_PSS_SHA512),
    ];

    fn verify(cert: &[u8], scheme: u16, signature: &[u8]) -> Result<(), CryptoError> {
        let [hash, sig] = scheme.to_be_bytes();
        SIGNATURE_VERIFIER.verify_signature(
            cert,
            b"signed data",
            signature,
            HashAlgorithm::from_u8(hash),
            SignatureAlgorithm::from_u8(sig),
        )
    }

    #[test]
    fn rsa_signatures_are_verified_under_their_own_scheme_alone() {
        let (cert, key) = rsa_certificate(rcgen::RsaKeySize::_2048);
        for (made, encoding) in PAIRS {
            let mut signature = vec![0; key.public_modulus_len()];
            let rng = aws_lc_rs::rand::SystemRandom::new();
            key.sign(encoding, &rng, b"signed data", &mut signature)
                .expect("sign");
            for (claimed, _) in PAIRS {
                let verified = verify(&cert, claimed, &signature);
                assert_eq!(
                    verified.is_ok(),
                    made == claimed,
                    "{made:#x} as {claimed:#x}"
                );
            }
            signature[0] ^= 1;
            assert_eq!(
                verify(&cert, made, &signature),
                Err(CryptoError::OperationFailed(
                    CryptoOperation::VerifySignature
                ))
            );
            signature.truncate(signature.len() - 1);
            assert!(verify(&cert, made, &signature).is_err());
            assert!(verify(&cert, made, &[]).is_err());
        }
    }

    #[test]
    fn rsa_with_sha1_md5_and_unknown_schemes_is_refused() {
        let (cert, _) = rsa_certificate(rcgen::RsaKeySize::_2048);
        for scheme in [
            0x0101, 0x0201, 0x0301, 0x0801, 0x0404, 0x0809, 0x0807, 0xffff,
        ] {
            assert!(
                matches!(
                    verify(&cert, scheme, &[0; 256]),
                    Err(CryptoError::UnsupportedSignaturePair { .. })
                ),
                "{scheme:#x}"
            );
        }
    }

    #[test]
    fn a_signature_of_another_kind_of_key_is_refused() {
        let (rsa, _) = rsa_certificate(rcgen::RsaKeySize::_2048);
        assert_eq!(
            verify(&rsa, 0x0403, &[0; 70]),
            Err(CryptoError::UnsupportedPublicKeyAlgorithm)
        );
        let ecdsa = generate_self_signed_certificate().expect("generate cert");
        assert_eq!(
            verify(&ecdsa.certificate, 0x0401, &[0; 256]),
            Err(CryptoError::UnsupportedPublicKeyAlgorithm)
        );
    }

    /// A certificate with a modulus of that many bytes in its key.
    fn with_modulus(bytes: usize) -> Vec<u8> {
        use der::asn1::{Any, BitString};

        let (cert, _) = rsa_certificate(rcgen::RsaKeySize::_2048);
        let cert = X509Certificate::from_der(&cert).expect("parse");
        let element = |tag, content: Vec<u8>| {
            Any::new(tag, content)
                .expect("short enough")
                .to_der()
                .expect("DER")
        };
        let mut modulus = vec![0x5a; bytes];
        *modulus.last_mut().expect("some") |= 1;
        let mut numbers = element(der::Tag::Integer, modulus);
        numbers.extend_from_slice(&element(der::Tag::Integer, vec![1, 0, 1]));
        let key = element(der::Tag::Sequence, numbers);
        let mut spki = cert.tbs_certificate().subject_public_key_info().clone();
        spki.subject_public_key = BitString::from_bytes(&key).expect("bits");
        // The certificate is taken apart and put together again with the other key.
        let old = cert
            .tbs_certificate()
            .subject_public_key_info()
            .to_der()
            .expect("DER");
        let tbs = cert.tbs_certificate().to_der().expect("DER");
        let at = tbs
            .windows(old.len())
            .position(|window| window == old)
            .expect("in there");
        let inner = Any::from_der(&tbs).expect("sequence");
        let head = tbs.len() - inner.value().len();
        let mut new = tbs[head..at].to_vec();
        new.extend_from_slice(&spki.to_der().expect("DER"));
        new.extend_from_slice(&tbs[at + old.len()..]);
        let mut whole = element(der::Tag::Sequence, new);
        whole.extend_from_slice(&cert.signature_algorithm().to_der().expect("DER"));
        whole.extend_from_slice(&cert.signature().to_der().expect("DER"));
        element(der::Tag::Sequence, whole)
    }

    #[test]
    fn rsa_keys_that_are_too_short_or_too_long_are_refused() {
        for (bytes, bits) in [(128, 1023), (255, 2039), (1025, 8199), (2000, 15999)] {
            assert_eq!(
                verify(&with_modulus(bytes), 0x0401, &vec![0; bytes]),
                Err(CryptoError::UnsupportedRsaKeySize { bits })
            );
        }
        // A key as any, and no signature of it.
        assert_eq!(
            verify(&with_modulus(1024), 0x0401, &[0; 1024]),
            Err(CryptoError::OperationFailed(
                CryptoOperation::VerifySignature
            ))
        );
    }
}
