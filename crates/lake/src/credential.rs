//! Passwords and tokens: what is kept of them, and whether one is right.
//!
//! Of a password the SCRAM-SHA-256 verifier is kept, in the form that PostgreSQL has for it: RFC 5802 and RFC 7677. It
//! serves both ways of logging in, by the exchange of SCRAM and by sending the password, and who reads it can do neither.
//! A token has 256 random bits, which nobody guesses, so that one SHA-256 of it is kept.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};

use crate::error::{Error, Result};

/// How often a password is hashed: eight times PostgreSQL's default, some ten milliseconds for whoever logs in, and as
/// much for each guess of whoever has stolen the catalog.
const ITERATIONS: u32 = 32_768;

/// The fewest that RFC 7677 allows.
const ITERATIONS_MIN: u32 = 4_096;

/// More would let a verifier that somebody else made keep a processor busy.
const ITERATIONS_MAX: u32 = 10_000_000;

const SALT_BYTES: usize = 16;
const KEY_BYTES: usize = digest::SHA256_OUTPUT_LEN;
const MECHANISM: &str = "SCRAM-SHA-256";

/// What tokens begin with, so that people and secret scanners know one when they see it.
const TOKEN_PREFIX: &str = "lakemill_";
const TOKEN_BYTES: usize = 32;

/// A hash of SHA-256.
pub type Key = [u8; KEY_BYTES];

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    stored_key: Key,
    server_key: Key,
}

impl Verifier {
    /// Of a password, with a salt of its own.
    ///
    /// # Errors
    /// Invalid: the password is empty. Unavailable: the system gives no random numbers.
    pub fn of(password: &str) -> Result<Self> {
        if password.is_empty() {
            return Err(Error::invalid("a password cannot be empty"));
        }
        let mut salt = vec![0; SALT_BYTES];
        random(&mut salt)?;
        let iterations = NonZeroU32::new(ITERATIONS).ok_or_else(|| Error::internal("passwords are not hashed"))?;
        let salted = salted(password, &salt, iterations);
        let stored_key = sha256(&hmac_sha256(&salted, b"Client Key"));
        Ok(Self { iterations, salt, stored_key, server_key: hmac_sha256(&salted, b"Server Key") })
    }

    /// Of nobody: it looks like a user's own and stays the same for a name as long as `secret` does, so that whoever
    /// tries to log in cannot tell whether there is such a user.
    pub fn of_nobody(user: &str, secret: &Key) -> Self {
        let salt = hmac_sha256(secret, user.as_bytes())[..SALT_BYTES].to_vec();
        let iterations = NonZeroU32::new(ITERATIONS).unwrap_or(NonZeroU32::MAX);
        Self { iterations, salt, stored_key: *secret, server_key: *secret }
    }

    /// Whether this is the password.
    pub fn accepts(&self, password: &str) -> bool {
        let salted = salted(password, &self.salt, self.iterations);
        let key = sha256(&hmac_sha256(&salted, b"Client Key"));
        same(&key, &self.stored_key)
    }

    /// How often the password is hashed.
    pub fn iterations(&self) -> u32 {
        self.iterations.get()
    }

    /// The salt in base64.
    pub fn salt_base64(&self) -> String {
        STANDARD.encode(&self.salt)
    }

    /// Whether a client's proof over the messages of an exchange is that of somebody who knows the password; if so, the
    /// server's own signature, by which the client knows the server: RFC 5802, section 3.
    pub fn prove(&self, messages: &[u8], proof: &[u8]) -> Option<Key> {
        let proof: Key = proof.try_into().ok()?;
        let signature = hmac_sha256(&self.stored_key, messages);
        let mut client_key = proof;
        client_key.iter_mut().zip(signature).for_each(|(key, byte)| *key ^= byte);
        same(&sha256(&client_key), &self.stored_key).then(|| hmac_sha256(&self.server_key, messages))
    }
}

/// `SCRAM-SHA-256$32768:salt$stored key:server key`
impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base64 = |bytes: &[u8]| STANDARD.encode(bytes);
        write!(
            f,
            "{MECHANISM}${}:{}${}:{}",
            self.iterations,
            base64(&self.salt),
            base64(&self.stored_key),
            base64(&self.server_key)
        )
    }
}

impl FromStr for Verifier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = || -> Option<Self> {
            let (iterations, rest) = text.strip_prefix(MECHANISM)?.strip_prefix('$')?.split_once(':')?;
            let (salt, keys) = rest.split_once('$')?;
            let (stored_key, server_key) = keys.split_once(':')?;
            let iterations = iterations.parse().ok().filter(|n| (ITERATIONS_MIN..=ITERATIONS_MAX).contains(n))?;
            let key = |text: &str| -> Option<Key> { STANDARD.decode(text).ok()?.try_into().ok() };
            Some(Self {
                iterations: NonZeroU32::new(iterations)?,
                salt: STANDARD.decode(salt).ok().filter(|salt| !salt.is_empty())?,
                stored_key: key(stored_key)?,
                server_key: key(server_key)?,
            })
        };
        parsed().ok_or_else(|| Error::data(format!("this is no verifier of {MECHANISM}")))
    }
}

/// Never shows the keys.
impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// Whether a text is a verifier rather than a password, as clients send that hash it themselves (psql's `\password`).
pub fn is_verifier(text: &str) -> bool {
    text.parse::<Verifier>().is_ok()
}

/// A secret that stands for a user. It is shown once and kept nowhere.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A new one.
    ///
    /// # Errors
    /// Unavailable: the system gives no random numbers.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; TOKEN_BYTES];
        random(&mut bytes)?;
        Ok(Self(format!("{TOKEN_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))))
    }

    /// One that a client has sent.
    pub fn sent(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The token itself.
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// What is kept of it: its SHA-256 in hexadecimal.
    pub fn digest(&self) -> String {
        sha256(self.0.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Never shows the secret.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Random bytes that nobody can guess.
///
/// # Errors
/// Unavailable: the system gives none.
pub fn random(bytes: &mut [u8]) -> Result<()> {
    SystemRandom::new().fill(bytes).map_err(|_| Error::unavailable("the system gives no random numbers"))
}

/// `SaltedPassword` of RFC 5802. A password that SASLprep does not take is used as it is, as PostgreSQL does.
fn salted(password: &str, salt: &[u8], iterations: NonZeroU32) -> Key {
    let prepared = stringprep::saslprep(password).unwrap_or(Cow::Borrowed(password));
    let mut key = [0; KEY_BYTES];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, prepared.as_bytes(), &mut key);
    key
}

fn hmac_sha256(key: &[u8], data: &[u8]) -> Key {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data);
    let mut bytes = [0; KEY_BYTES];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

fn sha256(data: &[u8]) -> Key {
    let mut bytes = [0; KEY_BYTES];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, data).as_ref());
    bytes
}

/// Compares in a time that does not tell where they differ, as blake3 does with its hashes.
fn same(left: &Key, right: &Key) -> bool {
    blake3::Hash::from_bytes(*left) == blake3::Hash::from_bytes(*right)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::{Token, Verifier, hmac_sha256, is_verifier, salted, sha256};

    /// The exchange of RFC 7677, section 3: user, password 'pencil'.
    #[test]
    fn proves_as_the_rfc_does() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let iterations = NonZeroU32::new(4096).unwrap();
        let key = salted("pencil", &salt, iterations);
        let verifier = Verifier {
            iterations,
            salt,
            stored_key: sha256(&hmac_sha256(&key, b"Client Key")),
            server_key: hmac_sha256(&key, b"Server Key"),
        };
        let messages = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let proof = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let signature = verifier.prove(messages.as_bytes(), &proof).unwrap();
        assert_eq!(STANDARD.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert!(verifier.prove(b"other messages", &proof).is_none());
        assert!(verifier.accepts("pencil") && !verifier.accepts("Pencil"));
    }

    #[test]
    fn a_verifier_is_kept_as_text() {
        let verifier = Verifier::of("correct horse").unwrap();
        let text = verifier.to_string();
        assert!(text.starts_with("SCRAM-SHA-256$32768:") && is_verifier(&text) && !text.contains("horse"));
        let read: Verifier = text.parse().unwrap();
        assert!(read == verifier && read.accepts("correct horse") && !read.accepts("correct horse "));
        assert!(Verifier::of("correct horse").unwrap() != verifier, "salts differ");
        assert!(!Verifier::of_nobody("ann", &[7; 32]).accepts(""));
        for wrong in ["", "SCRAM-SHA-256$1:c2FsdA==$a:b", "md5abc", "SCRAM-SHA-256$4096:$:"] {
            assert!(!is_verifier(wrong), "{wrong}");
        }
    }

    #[test]
    fn tokens_are_long_and_are_not_shown() {
        let token = Token::random().unwrap();
        assert!(token.secret().len() > 50 && token.secret() != Token::random().unwrap().secret());
        assert_eq!(format!("{token:?}"), "Token(..)");
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Token::sent("abc").digest(), known, "FIPS 180-2, appendix B.1");
    }
}
