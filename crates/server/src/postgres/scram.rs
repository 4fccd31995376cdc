//! SCRAM-SHA-256, the server's side: RFC 5802, RFC 7677 and
//! <https://www.postgresql.org/docs/current/sasl-authentication.html>.
//!
//! pgwire's own exchange wants the salted password, with which whoever reads the catalog could log in; this one makes do
//! with the verifier. Channel binding is not offered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lakemill_lake::Verifier;

/// The name of the mechanism.
pub(super) const MECHANISM: &str = "SCRAM-SHA-256";

/// Random bytes of the server's part of a nonce, as PostgreSQL has.
pub(super) const NONCE_BYTES: usize = 18;

/// An exchange whose first two messages have been sent.
#[derive(Debug)]
pub(super) struct Exchange {
    /// The client's header about channel binding, which its last message repeats.
    header: String,
    client_first_bare: String,
    server_first: String,
    nonce: String,
}

impl Exchange {
    /// Takes the client's first message; `None`: it is not one of SCRAM, or wants what is not offered.
    pub(super) fn begin(message: &[u8], verifier: &Verifier, nonce: [u8; NONCE_BYTES]) -> Option<Self> {
        let message = std::str::from_utf8(message).ok()?;
        let mut parts = message.splitn(3, ',');
        let (flag, identity, bare) = (parts.next()?, parts.next()?, parts.next()?);
        if !matches!(flag, "n" | "y") || !(identity.is_empty() || identity.starts_with("a=")) {
            return None;
        }
        // The user is the one that the connection began with, as in PostgreSQL.
        let mut attributes = bare.split(',');
        attributes.next()?.strip_prefix("n=")?;
        let theirs = attributes.next()?.strip_prefix("r=").filter(|nonce| !nonce.is_empty())?;
        let nonce = format!("{theirs}{}", STANDARD.encode(nonce));
        let server_first = format!("r={nonce},s={},i={}", verifier.salt_base64(), verifier.iterations());
        Some(Self { header: format!("{flag},{identity},"), client_first_bare: bare.to_owned(), server_first, nonce })
    }

    /// The server's first message.
    pub(super) fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Takes the client's last message. If it proves the password: the server's last message, by which it proves itself.
    pub(super) fn finish(&self, message: &[u8], verifier: &Verifier) -> Option<String> {
        let message = std::str::from_utf8(message).ok()?;
        let (without_proof, proof) = message.rsplit_once(",p=")?;
        let mut attributes = without_proof.split(',');
        let header = attributes.next()?.strip_prefix("c=")?;
        let nonce = attributes.next()?.strip_prefix("r=")?;
        if STANDARD.decode(header).ok()? != self.header.as_bytes() || nonce != self.nonce {
            return None;
        }
        let messages = format!("{},{},{without_proof}", self.client_first_bare, self.server_first);
        let signature = verifier.prove(messages.as_bytes(), &STANDARD.decode(proof).ok()?)?;
        Some(format!("v={}", STANDARD.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use lakemill_lake::Verifier;

    use super::{Exchange, NONCE_BYTES};

    /// The verifier that PostgreSQL 15 keeps for the password 'pencil' and the salt of RFC 7677, section 3; its keys
    /// follow from that section.
    const VERIFIER: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
        WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    fn begun(message: &str) -> Option<Exchange> {
        let verifier: Verifier = VERIFIER.parse().unwrap();
        Exchange::begin(message.as_bytes(), &verifier, [7; NONCE_BYTES])
    }

    #[test]
    fn the_first_message_is_answered_with_salt_and_iterations() {
        let exchange = begun("n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        let first = exchange.server_first();
        assert!(first.starts_with("r=rOprNGfwEbeRWgbNEkqO") && first.ends_with(",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
        for wrong in
            ["", "n,,", "p=tls-server-end-point,,n=,r=abc", "n,,n=user", "n,,n=user,r=", "x,,n=,r=a", "n,b,n=,r=a"]
        {
            assert!(begun(wrong).is_none(), "{wrong}");
        }
    }

    /// The messages of RFC 7677, section 3, whose nonce is given.
    #[test]
    fn the_proof_of_the_rfc_is_taken_and_no_other() {
        let verifier: Verifier = VERIFIER.parse().unwrap();
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let exchange = Exchange {
            header: "n,,".to_owned(),
            client_first_bare: "n=user,r=rOprNGfwEbeRWgbNEkqO".to_owned(),
            server_first: format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"),
            nonce: nonce.to_owned(),
        };
        let proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        let last = format!("c=biws,r={nonce},p={proof}");
        let answer = exchange.finish(last.as_bytes(), &verifier);
        assert_eq!(answer.as_deref(), Some("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        for wrong in [
            format!("c=eSws,r={nonce},p={proof}"),
            format!("c=biws,r={nonce}x,p={proof}"),
            format!("c=biws,r={nonce},p=AAAA"),
            format!("c=biws,r={nonce}"),
            format!("c=biws,r={nonce},p=eHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
        ] {
            assert!(exchange.finish(wrong.as_bytes(), &verifier).is_none(), "{wrong}");
        }
    }
}
