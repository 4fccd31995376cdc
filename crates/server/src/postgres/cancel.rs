//! Cancel requests: they come on connections of their own, with the key that the client was given at its start.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use pgwire::api::cancel::CancelHandler;
use pgwire::messages::cancel::CancelRequest;

use crate::cancel::{Cancel, Reason};

/// A process id and the bytes of its secret key.
type Key = (i32, Vec<u8>);

/// What a connection runs now.
#[derive(Clone, Debug, Default)]
pub(super) struct Running(Arc<Mutex<Option<Cancel>>>);

impl Running {
    /// A statement begins, and runs until the second value is dropped.
    pub(super) fn begin(&self) -> (Cancel, Run) {
        let cancel = Cancel::default();
        *self.0.lock() = Some(cancel.clone());
        (cancel, Run(self.clone()))
    }

    /// Whether something runs now.
    pub(super) fn is_busy(&self) -> bool {
        self.0.lock().is_some()
    }

    /// Stops what runs now.
    pub(super) fn cancel(&self) {
        if let Some(cancel) = self.0.lock().as_ref() {
            cancel.set(Reason::Client);
        }
    }
}

/// A statement that runs.
#[derive(Debug)]
pub(super) struct Run(Running);

impl Drop for Run {
    fn drop(&mut self) {
        *self.0.0.lock() = None;
    }
}

/// The connections that can be told to stop what they run.
#[derive(Debug, Default)]
pub(super) struct Cancels(Mutex<HashMap<Key, Running>>);

impl Cancels {
    /// Lets a connection be told, until what is returned is dropped.
    pub(super) fn register(self: &Arc<Self>, pid: i32, secret: Vec<u8>, running: Running) -> Registered {
        let key = (pid, secret);
        self.0.lock().insert(key.clone(), running);
        Registered { cancels: Arc::clone(self), key }
    }
}

/// A connection that can be told.
#[derive(Debug)]
pub(super) struct Registered {
    cancels: Arc<Cancels>,
    key: Key,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.cancels.0.lock().remove(&self.key);
    }
}

#[async_trait]
impl CancelHandler for Cancels {
    async fn on_cancel_request(&self, request: CancelRequest) {
        let key = (request.pid, request.secret_key.to_bytes().to_vec());
        // A wrong key is not answered: whoever guesses learns nothing.
        if let Some(running) = self.0.lock().get(&key) {
            running.cancel();
        }
    }
}
