//! Who a client is: passwords and tokens, whether they are right, and what the audit log hears of it.
//!
//! - `throttle`: how often a password may be guessed; `audit`: the log's lines on their way to the catalog.
//!
//! Not here: what a user may do (`query`), and how a protocol carries a password or a token (its own folder).
//!
//! **Architecture invariant:** where clients must log in, the session that theirs are made of is locked, so that a way
//! around this module leads to a session that runs nothing.

mod audit;
mod throttle;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use lakemill_base::Stopwatch;
use lakemill_lake::{AuditEntry, Key, Lake, PrincipalEntry, Token, Verifier};
use lakemill_query::{Auditor, Principal};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::error::{Error, Result};
use crate::metrics::Protocol;
use audit::Audit;
use throttle::Throttle;

/// How long a token that was right is taken without asking the catalog again: so long one lives on that is dropped.
const FRESH: Duration = Duration::from_secs(1);

/// Tokens that are known to be right.
const KNOWN_MAX: usize = 10_000;

/// How long a session lasts that a password has opened; drivers then log in again.
const SESSION_MAX: Duration = Duration::from_secs(12 * 3600);

/// Sessions that passwords have opened.
const SESSIONS_MAX: usize = 10_000;

/// The longest user name and password that are looked at; hashing more is work that anybody could make.
const CREDENTIAL_BYTES_MAX: usize = 1_024;

/// Where a client is, and what it speaks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    pub(crate) protocol: Protocol,
}

/// Says who clients are.
#[derive(Debug)]
pub(crate) struct Authority {
    lake: Lake,
    work: Handle,
    /// What makes the answers for users who do not exist.
    secret: Key,
    audit: Arc<Audit>,
    throttle: Throttle,
    /// Tokens of the catalog by digest: their users, and since when that is known.
    known: Mutex<HashMap<String, (String, Stopwatch)>>,
    /// Tokens that were given for passwords, by digest.
    sessions: Mutex<HashMap<String, Session>>,
}

#[derive(Clone, Debug)]
struct Session {
    user: String,
    /// The password's verifier when it was given: another password ends the session.
    verifier: String,
    since: Stopwatch,
}

/// What a password is compared with.
#[derive(Debug)]
pub(crate) struct Challenge {
    user: String,
    /// The user's, or nobody's that looks like one.
    pub(crate) verifier: Verifier,
    /// Whether there is such a user, with a password.
    real: bool,
}

impl Authority {
    /// Reads what it needs from the catalog; lines of the audit log are written on `work`, and kept for
    /// so long; `None`: for ever.
    ///
    /// # Errors
    /// Invalid: the lake is read-only. Unavailable: the catalog does not answer.
    pub(crate) async fn new(lake: Lake, work: Handle, keep_audit: Option<Duration>) -> Result<Arc<Self>> {
        let (of, secret) = (lake.clone(), lake.clone());
        let secret = work.spawn(async move { secret.login_secret().await }).await;
        let secret = secret.map_err(|error| Error::internal(error.to_string()))??;
        let audit = Audit::start(of, &work, keep_audit);
        let (throttle, known, sessions) = (Throttle::default(), Mutex::default(), Mutex::default());
        Ok(Arc::new(Self { lake, work, secret, audit, throttle, known, sessions }))
    }

    /// Writes what the audit log has still to hear.
    pub(crate) async fn close(&self) {
        self.audit.close().await;
    }

    /// What the password of a user is compared with.
    ///
    /// # Errors
    /// Unauthenticated: there were too many wrong ones.
    pub(crate) async fn challenge(&self, user: &str, peer: Peer) -> Result<Challenge> {
        if user.len() > CREDENTIAL_BYTES_MAX {
            return Err(Error::unauthenticated(format!("user names have up to {CREDENTIAL_BYTES_MAX} bytes")));
        }
        if let Some(wait) = self.throttle.wait(user, peer.address) {
            return Err(Error::unauthenticated(format!(
                "too many failed logins of user '{user}' from {}; try again in {} s",
                peer.address,
                wait.as_secs() + 1
            )));
        }
        let entry = self.user(user).await?;
        let verifier = entry.and_then(|entry| entry.verifier.parse().ok());
        let real = verifier.is_some();
        let verifier = verifier.unwrap_or_else(|| Verifier::of_nobody(user, &self.secret));
        Ok(Challenge { user: user.to_owned(), verifier, real })
    }

    /// The user of a challenge that was passed.
    ///
    /// # Errors
    /// Unauthenticated: it was not.
    pub(crate) fn judge(&self, challenge: &Challenge, passed: bool, peer: Peer) -> Result<Principal> {
        let Challenge { user, real, .. } = challenge;
        if !passed || !real {
            if self.throttle.failed(user, peer.address) {
                self.audit.record(self.line(user, peer, "login", "wrong password"));
            }
            return Err(Error::unauthenticated(format!("password authentication failed for user \"{user}\"")));
        }
        self.throttle.passed(user, peer.address);
        self.audit.record(self.line(user, peer, "login", "ok"));
        Ok(self.principal(user, peer))
    }

    /// A token for whoever has a user's password. It lasts for some hours, or until the password is changed.
    ///
    /// # Errors
    /// Unauthenticated: the password is wrong.
    pub(crate) async fn open_session(&self, user: &str, password: &str, peer: Peer) -> Result<Token> {
        let challenge = self.challenge(user, peer).await?;
        let (verifier, password) = (challenge.verifier.clone(), password.to_owned());
        // Hashing takes some milliseconds of a thread.
        let accepts = move || password.len() <= CREDENTIAL_BYTES_MAX && verifier.accepts(&password);
        let passed = self.work.spawn_blocking(accepts).await.map_err(|error| Error::internal(error.to_string()))?;
        self.judge(&challenge, passed, peer)?;
        let token = Token::random()?;
        let session =
            Session { user: challenge.user, verifier: challenge.verifier.to_string(), since: Stopwatch::start() };
        let mut sessions = self.sessions.lock();
        if sessions.len() >= SESSIONS_MAX {
            sessions.retain(|_, session| session.since.elapsed() < SESSION_MAX);
        }
        if sessions.len() >= SESSIONS_MAX {
            return Err(Error::overloaded(format!("{SESSIONS_MAX} sessions are open; use tokens of CREATE TOKEN")));
        }
        sessions.insert(token.digest(), session);
        Ok(token)
    }

    /// Ends a session of [`Authority::open_session`].
    pub(crate) fn close_session(&self, token: &str) {
        self.sessions.lock().remove(&Token::sent(token).digest());
    }

    /// The user that a token stands for.
    ///
    /// # Errors
    /// Unauthenticated: for none, or not any more.
    pub(crate) async fn by_token(&self, token: &str, peer: Peer) -> Result<Principal> {
        if token.len() <= CREDENTIAL_BYTES_MAX {
            let digest = Token::sent(token).digest();
            if let Some(user) = self.of_session(&digest).await? {
                return Ok(self.principal(&user, peer));
            }
            if let Some(user) = self.of_token(digest).await? {
                return Ok(self.principal(&user, peer));
            }
        }
        // Nobody guesses 256 bits: a wrong token is a mistake, and must not keep out others behind the same address.
        if self.throttle.failed("", peer.address) {
            self.audit.record(self.line("", peer, "token", "wrong token"));
        }
        Err(Error::unauthenticated("the token is wrong or has expired; CREATE TOKEN makes another"))
    }

    async fn of_session(&self, digest: &str) -> Result<Option<String>> {
        let Some(session) = self.sessions.lock().get(digest).cloned() else { return Ok(None) };
        let user = self.user(&session.user).await?;
        let lasts = session.since.elapsed() < SESSION_MAX && user.is_some_and(|user| user.verifier == session.verifier);
        if !lasts {
            self.sessions.lock().remove(digest);
        }
        Ok(lasts.then_some(session.user))
    }

    async fn of_token(&self, digest: String) -> Result<Option<String>> {
        let known = self.known.lock().get(&digest).cloned();
        if let Some((user, since)) = known
            && since.elapsed() < FRESH
        {
            return Ok(Some(user));
        }
        let (lake, wanted) = (self.lake.clone(), digest.clone());
        let found = self.on_work(async move { lake.token(&wanted).await }).await?;
        let mut known = self.known.lock();
        let Some(token) = found else {
            known.remove(&digest);
            return Ok(None);
        };
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(digest, (token.user.clone(), Stopwatch::start()));
        Ok(Some(token.user))
    }

    async fn user(&self, name: &str) -> Result<Option<PrincipalEntry>> {
        let (lake, name) = (self.lake.clone(), name.to_owned());
        self.on_work(async move { lake.user(&name).await }).await
    }

    async fn on_work<T: Send + 'static>(
        &self,
        work: impl Future<Output = lakemill_lake::Result<T>> + Send + 'static,
    ) -> Result<T> {
        Ok(self.work.spawn(work).await.map_err(|error| Error::internal(error.to_string()))??)
    }

    fn principal(&self, user: &str, peer: Peer) -> Principal {
        let auditor: Arc<dyn Auditor> = Arc::<Audit>::clone(&self.audit);
        Principal {
            user: user.to_owned(),
            address: peer.address.to_string(),
            protocol: peer.protocol.as_str().to_owned(),
            auditor,
        }
    }

    fn line(&self, user: &str, peer: Peer, action: &str, outcome: &str) -> AuditEntry {
        AuditEntry {
            at_ms: self.lake.options().clock.now_ms(),
            user: user.to_owned(),
            address: peer.address.to_string(),
            protocol: peer.protocol.as_str().to_owned(),
            action: action.to_owned(),
            object: String::new(),
            outcome: outcome.to_owned(),
        }
    }
}
