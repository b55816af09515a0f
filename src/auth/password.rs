//! Salted password hashes in RabbitMQ's layout, so that exported definitions can be taken over.
//!
//! A hash is `salt[4] ‖ H(salt ‖ password)`, written as base64. It never prints itself.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest;
use sha2::Sha256;
use sha2::Sha512;

use crate::auth::AuthError;

const SALT_BYTES: usize = 4;

/// Hash functions for passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HashingAlgorithm {
    /// The default.
    #[default]
    Sha256,
    /// For hashes that come from elsewhere.
    Sha512,
}

impl HashingAlgorithm {
    /// RabbitMQ's name, as in definitions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "rabbit_password_hashing_sha256",
            Self::Sha512 => "rabbit_password_hashing_sha512",
        }
    }

    /// That of a stored hash whose algorithm nobody tells: of two, its length decides.
    pub fn of_hash(base64: &str) -> Self {
        let bytes = STANDARD.decode(base64).map_or(0, |hash| hash.len());
        match bytes == SALT_BYTES + Self::Sha512.digest_bytes() {
            true => Self::Sha512,
            false => Self::default(),
        }
    }

    fn digest_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn digest(self, salt: [u8; SALT_BYTES], password: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::new()
                .chain_update(salt)
                .chain_update(password)
                .finalize()
                .to_vec(),
            Self::Sha512 => Sha512::new()
                .chain_update(salt)
                .chain_update(password)
                .finalize()
                .to_vec(),
        }
    }
}

/// A user's password as it is kept, or the mark that there is none.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    algorithm: HashingAlgorithm,
    /// `None`: no password matches (the user can only come in by other means).
    salted: Option<([u8; SALT_BYTES], Vec<u8>)>,
}

impl PasswordHash {
    /// Hashes `password` with a random salt.
    pub fn new(password: &str) -> Self {
        Self::with_salt(HashingAlgorithm::default(), rand::random(), password)
    }

    /// Hashes `password` with this salt.
    pub fn with_salt(algorithm: HashingAlgorithm, salt: [u8; SALT_BYTES], password: &str) -> Self {
        let digest = algorithm.digest(salt, password.as_bytes());
        Self {
            algorithm,
            salted: Some((salt, digest)),
        }
    }

    /// No password at all.
    pub fn none() -> Self {
        Self {
            algorithm: HashingAlgorithm::default(),
            salted: None,
        }
    }

    /// Takes a stored or exported hash of `user`, who is only named in errors. An empty hash is no password.
    pub fn decode(user: &str, algorithm: &str, base64: &str) -> Result<Self, AuthError> {
        let user = || user.to_owned();
        let algorithm = match algorithm {
            "rabbit_password_hashing_sha256" => HashingAlgorithm::Sha256,
            "rabbit_password_hashing_sha512" => HashingAlgorithm::Sha512,
            "rabbit_password_hashing_md5" => return Err(AuthError::Md5 { user: user() }),
            unknown => {
                return Err(AuthError::UnknownAlgorithm {
                    user: user(),
                    algorithm: unknown.to_owned(),
                });
            }
        };
        if base64.is_empty() {
            return Ok(Self {
                algorithm,
                salted: None,
            });
        }
        let digest_bytes = algorithm.digest_bytes();
        let bytes = STANDARD.decode(base64).ok();
        let parts = bytes.as_deref().and_then(<[u8]>::split_first_chunk);
        match parts {
            Some((salt, digest)) if digest.len() == digest_bytes => Ok(Self {
                algorithm,
                salted: Some((*salt, digest.to_vec())),
            }),
            _ => Err(AuthError::MalformedHash {
                user: user(),
                digest_bytes,
            }),
        }
    }

    /// The hash in RabbitMQ's layout; empty when there is no password.
    pub fn encode(&self) -> String {
        match &self.salted {
            Some((salt, digest)) => STANDARD.encode([&salt[..], digest].concat()),
            None => String::new(),
        }
    }

    /// The hash function.
    pub fn algorithm(&self) -> HashingAlgorithm {
        self.algorithm
    }

    /// Whether there is a password that could match.
    pub fn is_set(&self) -> bool {
        self.salted.is_some()
    }

    /// Whether `password` is the one. Takes as long for a wrong one, and for any when there is none.
    pub fn verify(&self, password: &[u8]) -> bool {
        let Some((salt, expected)) = &self.salted else {
            Self::verify_in_vain(password);
            return false;
        };
        let actual = self.algorithm.digest(*salt, password);
        // Without an early end, so that the time says nothing about the place of the first difference.
        let differences = actual
            .iter()
            .zip(expected)
            .fold(0, |differences, (left, right)| differences | (left ^ right));
        actual.len() == expected.len() && differences == 0
    }

    /// Costs what [`PasswordHash::verify`] does, for users that do not exist.
    pub fn verify_in_vain(password: &[u8]) {
        let digest = HashingAlgorithm::default().digest([0; SALT_BYTES], password);
        std::hint::black_box(digest);
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_set() { "set" } else { "none" };
        write!(f, "PasswordHash({state}, {})", self.algorithm.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: &str = "rabbit_password_hashing_sha256";
    const SHA512: &str = "rabbit_password_hashing_sha512";
    /// From RabbitMQ's documentation: `test12`.
    const VECTOR: &str = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";

    #[test]
    fn rabbitmqs_test_vector_is_reproduced() {
        let salt = [0x90, 0x8D, 0xC6, 0x0A];
        let hash = PasswordHash::with_salt(HashingAlgorithm::Sha256, salt, "test12");
        assert_eq!(hash.encode(), VECTOR);
        let stored = PasswordHash::decode("u", SHA256, VECTOR).expect("decoded");
        assert_eq!(stored, hash);
        assert!(stored.verify(b"test12"));
        assert!(!stored.verify(b"test13"));
        assert!(!stored.verify(b""));
    }

    #[test]
    fn sha512_hashes_have_92_characters() {
        let hash = PasswordHash::with_salt(HashingAlgorithm::Sha512, [1, 2, 3, 4], "secret");
        let stored = hash.encode();
        assert_eq!(stored.len(), 92);
        let decoded = PasswordHash::decode("u", SHA512, &stored).expect("decoded");
        assert!(decoded.verify(b"secret") && !decoded.verify(b"Secret"));
    }

    #[test]
    fn two_hashes_of_one_password_differ() {
        let (left, right) = (PasswordHash::new("p"), PasswordHash::new("p"));
        assert!(left.verify(b"p") && right.verify(b"p"));
        assert_ne!(left.encode(), right.encode(), "one in 2^32 runs they agree");
    }

    #[test]
    fn no_password_matches_nothing() {
        for hash in [
            PasswordHash::none(),
            PasswordHash::decode("u", SHA256, "").expect("decoded"),
        ] {
            assert!(!hash.is_set() && !hash.verify(b"") && !hash.verify(b"x"));
            assert_eq!(hash.encode(), "");
        }
    }

    #[test]
    fn hashes_that_cannot_be_checked_are_refused_with_the_reason() {
        let refusal = |algorithm, hash| {
            PasswordHash::decode("u", algorithm, hash)
                .expect_err("refused")
                .to_string()
        };
        assert!(refusal("rabbit_password_hashing_md5", VECTOR).contains("MD5, which is refused"));
        assert!(refusal("scrypt", VECTOR).contains("unknown hashing algorithm 'scrypt'"));
        for (algorithm, hash) in [(SHA512, VECTOR), (SHA256, "kI3G"), (SHA256, "no base64!")] {
            assert!(refusal(algorithm, hash).contains("is not base64 of 4 salt"));
        }
    }

    #[test]
    fn a_hash_does_not_print_itself() {
        let hash = PasswordHash::decode("u", SHA256, VECTOR).expect("decoded");
        assert_eq!(
            format!("{hash:?}"),
            "PasswordHash(set, rabbit_password_hashing_sha256)"
        );
    }
}
