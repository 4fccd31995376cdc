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

use super::instances::{json_lines, rows};
use crate::error::{Error, Result};
use crate::predictions::{PredictionLog, Ticket};

/// Rows that are predicted together at most; they are predicted on the thread of a connection.
const ROWS_MAX: usize = 256;

/// A model that is ready, and the requests that wait for it.
#[derive(Debug)]
pub(super) struct Served {
    scorer: Scorer,
    /// Keeps what is predicted, where that is wanted.
    log: Option<Arc<PredictionLog>>,
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
    ticket: Option<Ticket>,
    answer: oneshot::Sender<Result<Vec<u8>>>,
}

impl Request {
    fn part(&self) -> (&[Bytes], Option<&Ticket>) {
        (&self.instances, self.ticket.as_ref())
    }
}

impl Served {
    pub(super) fn new(scorer: Scorer, log: Option<Arc<PredictionLog>>) -> Self {
        let lanes = std::thread::available_parallelism().map_or(1, NonZero::get).div_ceil(2);
        Self { scorer, log, waiting: Mutex::default(), lanes }
    }

    pub(super) fn scorer(&self) -> &Scorer {
        &self.scorer
    }

    /// Predicts the instances of requests, and keeps those that have a ticket: an object of JSON for each instance, on a
    /// line of its own.
    ///
    /// # Errors
    /// A value that does not fit its column; what a feature's expression or the model finds wrong.
    pub(super) fn score<'a>(
        &self,
        requests: impl Iterator<Item = (&'a [Bytes], Option<&'a Ticket>)> + Clone,
        threshold: Option<f64>,
    ) -> Result<Vec<u8>> {
        let rows = rows(&self.scorer, requests.clone().flat_map(|(instances, _)| instances))?;
        let predictions = self.scorer.predict(&rows, threshold)?;
        let lines = json_lines(&predictions)?;
        if let Some(log) = &self.log {
            let counts = requests.map(|(instances, ticket)| (ticket, instances.len()));
            log.keep(&self.scorer, counts, &rows, &predictions);
        }
        Ok(lines)
    }

    /// The same for a few instances, together with what else waits.
    ///
    /// # Errors
    /// As [`Served::score`].
    pub(super) async fn predict(self: &Arc<Self>, instances: Vec<Bytes>, ticket: Option<Ticket>) -> Result<Vec<u8>> {
        let (answer, answered) = oneshot::channel();
        let turn = {
            let mut waiting = self.waiting.lock();
            waiting.requests.push(Request { instances, ticket, answer });
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
        answer(served, requests);
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

fn answer(served: &Served, requests: Vec<Request>) {
    match served.score(requests.iter().map(Request::part), None) {
        Ok(lines) => {
            let mut lines = lines.split_inclusive(|byte| *byte == b'\n');
            for Request { instances, answer, .. } in requests {
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
                let alone = served.score(std::iter::once(request.part()), None);
                let _ = request.answer.send(alone);
            }
        }
    }
}
