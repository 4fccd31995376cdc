//! Requests that come at the same time are predicted together.
//!
//! Most of what a prediction costs does not depend on how many rows it is for: columns are built, the features'
//! expressions evaluated and the answer encoded once for all of them. So a request takes with it all that came while it
//! waited for its turn. Nothing waits for others to come: on a quiet server each request is alone.

use std::num::NonZero;
use std::sync::Arc;

use axum::body::Bytes;
use lakemill_query::Scorer;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::instances::score;
use crate::error::{Error, Result};

/// Rows that are predicted together at most; they are predicted on the thread of a connection.
const ROWS_MAX: usize = 256;

/// A model that is ready, and the requests that wait for it.
#[derive(Debug)]
pub(super) struct Served {
    scorer: Arc<Scorer>,
    waiting: Mutex<Waiting>,
    /// How many threads may predict at once, so that others are left for connections.
    lanes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    requests: Vec<Request>,
    busy: usize,
}

#[derive(Debug)]
struct Request {
    instances: Vec<Bytes>,
    answer: oneshot::Sender<Result<Vec<u8>>>,
}

impl Served {
    pub(super) fn new(scorer: Scorer) -> Self {
        let lanes = std::thread::available_parallelism().map_or(1, NonZero::get).div_ceil(2);
        Self { scorer: Arc::new(scorer), waiting: Mutex::default(), lanes }
    }

    pub(super) fn scorer(&self) -> &Arc<Scorer> {
        &self.scorer
    }

    /// Predictions for a few instances, as [`score`] gives them.
    ///
    /// # Errors
    /// As [`score`].
    pub(super) async fn predict(self: &Arc<Self>, instances: Vec<Bytes>) -> Result<Vec<u8>> {
        let (answer, answered) = oneshot::channel();
        let turn = {
            let mut waiting = self.waiting.lock();
            waiting.requests.push(Request { instances, answer });
            let free = waiting.busy < self.lanes;
            waiting.busy += usize::from(free);
            free.then(|| Turn(Arc::clone(self)))
        };
        if let Some(turn) = turn {
            // Connections that have something to say go first.
            tokio::task::yield_now().await;
            turn.take();
        }
        answered.await.unwrap_or_else(|_| Err(Error::internal("the prediction has failed unexpectedly; see the log")))
    }
}

/// The right to predict what waits. Whoever ends it hands it on while there is more.
#[derive(Debug)]
struct Turn(Arc<Served>);

impl Turn {
    fn take(self) {
        let Self(served) = &self;
        let requests = {
            let mut waiting = served.waiting.lock();
            let mut rows = 0;
            let few = waiting.requests.iter().take_while(|request| {
                let first = rows == 0;
                rows += request.instances.len();
                first || rows <= ROWS_MAX
            });
            let count = few.count();
            waiting.requests.drain(..count).collect::<Vec<_>>()
        };
        answer(&served.scorer, requests);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.lock();
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && !waiting.requests.is_empty()
        {
            let turn = Self(Arc::clone(&self.0));
            runtime.spawn(async move { turn.take() });
        } else {
            waiting.busy -= 1;
        }
    }
}

fn answer(scorer: &Scorer, requests: Vec<Request>) {
    let all = requests.iter().flat_map(|request| &request.instances);
    match score(scorer, all, None) {
        Ok(lines) => {
            let mut lines = lines.split_inclusive(|byte| *byte == b'\n');
            for Request { instances, answer } in requests {
                // One that no longer waits is passed over.
                let _ = answer.send(Ok(lines.by_ref().take(instances.len()).flatten().copied().collect()));
            }
        }
        // What is wrong with one is not the others' affair.
        Err(error) if requests.len() == 1 => {
            let _ = requests.into_iter().next().map(|request| request.answer.send(Err(error)));
        }
        Err(_) => {
            for request in requests {
                let alone = score(scorer, request.instances.iter(), None);
                let _ = request.answer.send(alone);
            }
        }
    }
}
