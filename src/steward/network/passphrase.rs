//! The passphrase of the access point that the device can be.

use std::fs::File;
use std::io::{self, Read};

/// Letters and digits that are not mistaken for one another.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// A random passphrase that is easy to type: 80 bits.
pub(in crate::steward) fn random_passphrase() -> io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let letters: Vec<char> = bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]))
        .collect();
    Ok(letters.chunks(4).map(String::from_iter).collect::<Vec<_>>().join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_devices_have_the_same_key() {
        let (one, two) = (random_passphrase().unwrap(), random_passphrase().unwrap());
        assert_ne!(one, two);
        assert_eq!(one.len(), 19);
        assert!(crate::config::is_wifi_password(&one), "{one}");
    }
}
