//! TLS: a certificate and its key from files, for all protocols.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lakemill_base::ErrorKind;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::error::{Error, Result};

/// How long a client may take to agree on keys.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);

/// Where a server's certificate and key are.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate and those between it and a root, in PEM, the server's own first.
    pub certificate: PathBuf,
    /// Its private key, in PEM.
    pub key: PathBuf,
}

/// TLS as each protocol names it to its clients (ALPN).
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) http: TlsAcceptor,
    pub(crate) flight: TlsAcceptor,
    pub(crate) postgres: TlsAcceptor,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// Invalid: one cannot be read, is no PEM, or the key is not the certificate's.
    pub(crate) fn read(files: &TlsFiles) -> Result<Self> {
        let TlsFiles { certificate, key } = files;
        let wrong = |what: &str, file: &PathBuf, error: PemError| {
            let why = match &error {
                PemError::Io(error) => format!("cannot be read: {error}"),
                PemError::NoItemsFound => format!("holds no {what} in PEM (-----BEGIN ..)"),
                other => format!("is no PEM: {other}"),
            };
            Error::new(ErrorKind::Invalid, format!("--tls-{what} '{}' {why}", file.display()))
        };
        let chain =
            CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
        let chain = chain.map_err(|error| wrong("cert", certificate, error))?;
        if chain.is_empty() {
            return Err(wrong("cert", certificate, PemError::NoItemsFound));
        }
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong("key", key, error))?;
        // The tree has two providers, so that none is the default.
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, secret))
            .map_err(|error| {
                let (certificate, key) = (certificate.display(), key.display());
                Error::invalid(format!(
                    "--tls-cert '{certificate}' and --tls-key '{key}' cannot be used together: {error}; give a certificate and \
                     the private key that it was made for"
                ))
            })?;
        let speaking = |protocols: &[&[u8]]| {
            let mut config = config.clone();
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            TlsAcceptor::from(Arc::new(config))
        };
        Ok(Self {
            http: speaking(&[b"h2", b"http/1.1"]),
            flight: speaking(&[b"h2"]),
            postgres: speaking(&[b"postgresql"]),
        })
    }
}

/// Agrees on keys with a client.
///
/// # Errors
/// The client does not, or takes too long.
pub(crate) async fn accept(acceptor: &TlsAcceptor, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
    match tokio::time::timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
        Ok(accepted) => accepted,
        Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
    }
}
