//! The engine as the faces see it: a session for each client, and statements that run when their turn comes.
//!
//! Statements run on a runtime of their own, so that a heavy query never keeps a connection from being served. Their
//! rows come back through a short queue: a client that reads slowly slows its query down, and fills no memory.

use std::num::NonZero;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::Stream;
use lakemill_query::{Description, Outcome, Parsed, Principal, Session, StatementKind, Summary};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use crate::admission::{Admission, AdmissionLimits};
use crate::cancel::{Cancel, Reason};
use crate::error::{Error, Result};
use crate::gather::Gather;
use crate::metrics::{Metrics, Protocol, Timing};
use crate::rate::Rate;

/// Batches that wait between a query and its client.
const ROWS_QUEUED_BATCHES: usize = 2;

/// What one statement may take.
#[derive(Clone, Copy, Debug)]
pub struct StatementLimits {
    /// Who runs and who waits.
    pub admission: AdmissionLimits,
    /// How long a statement may run; `None`: as long as it takes.
    pub time_max: Option<Duration>,
    /// How many statements and predictions a user may ask for in a second; `None`: as many as there are.
    pub rate_max: Option<NonZero<u32>>,
}

/// What all faces share.
#[derive(Debug)]
pub(crate) struct Engine {
    session: Session,
    work: Handle,
    admission: Admission,
    time_max: Option<Duration>,
    rate: Option<Rate>,
    metrics: Arc<Metrics>,
    /// Cancelled when what still runs has to end.
    halt: CancellationToken,
}

impl Engine {
    /// An engine whose statements run on `work`.
    pub(crate) fn new(session: Session, work: Handle, limits: &StatementLimits) -> Arc<Self> {
        Arc::new(Self {
            session,
            work,
            admission: Admission::new(limits.admission),
            time_max: limits.time_max,
            rate: limits.rate_max.map(Rate::new),
            metrics: Arc::default(),
            halt: CancellationToken::new(),
        })
    }

    /// A client with a session of its own. Where clients must log in, one without a principal can do nothing.
    pub(crate) fn client(self: &Arc<Self>, principal: Option<Principal>, protocol: Protocol) -> Client {
        self.client_with(self.session_of(principal), protocol)
    }

    /// A client that has this session.
    pub(crate) fn client_with(self: &Arc<Self>, session: Session, protocol: Protocol) -> Client {
        Client { engine: Arc::clone(self), session, protocol }
    }

    /// A session for a client.
    pub(crate) fn session_of(&self, principal: Option<Principal>) -> Session {
        match principal {
            Some(principal) => self.session.client_as(principal),
            None => self.session.client(),
        }
    }

    /// The session that clients' sessions begin as.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Counts that a user asks for something.
    ///
    /// # Errors
    /// Overloaded: too often.
    pub(crate) fn asked(&self, user: Option<&str>) -> Result<()> {
        self.rate.as_ref().map_or(Ok(()), |rate| rate.count(user))
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }

    /// Lets no new statement begin.
    pub(crate) fn drain(&self) {
        self.admission.close();
    }

    /// Cancelled when what still runs has to end.
    pub(crate) fn halted(&self) -> CancellationToken {
        self.halt.clone()
    }

    /// Stops what still runs.
    pub(crate) fn halt(&self) {
        self.halt.cancel();
    }

    /// Runs a piece of work on the engine's threads. Dropping the future stops it.
    ///
    /// # Errors
    /// The work's own; Internal if it has panicked.
    pub(crate) async fn on_work<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let task = self.work.spawn(work);
        let _abort = AbortOnDrop(task.abort_handle());
        match task.await {
            Ok(outcome) => outcome,
            Err(error) if error.is_panic() => {
                tracing::error!(%error, "a statement has panicked");
                Err(Error::internal("the statement has failed unexpectedly; the server's log says more"))
            }
            Err(_) => Err(Error::shutting_down()),
        }
    }
}

/// One client: its session and what it speaks.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    engine: Arc<Engine>,
    session: Session,
    protocol: Protocol,
}

/// What a statement answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Its rows, as they are read.
    Rows(Rows),
    /// What it has done.
    Done(Summary),
}

impl Client {
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// The statements of a script. Nothing is looked up yet.
    ///
    /// # Errors
    /// What the grammar does not allow.
    pub(crate) fn parse(&self, script: &str) -> Result<Vec<Parsed>> {
        Ok(self.session.parse(script)?)
    }

    /// What a statement takes and gives.
    ///
    /// # Errors
    /// What planning finds wrong; Overloaded.
    pub(crate) async fn describe(&self, parsed: &Parsed) -> Result<Description> {
        let (session, parsed) = (self.session.clone(), parsed.clone());
        let place = self.engine.admission.enter().await?;
        let describe = async move {
            let described = session.describe(&parsed).await;
            drop(place);
            Ok(described?)
        };
        self.engine.on_work(describe).await
    }

    /// Runs a statement when its turn comes. Dropping the future, or the rows, stops it.
    ///
    /// # Errors
    /// The statement's own; Overloaded; that it was stopped, and why.
    pub(crate) async fn run(&self, parsed: &Parsed, cancel: &Cancel) -> Result<Answer> {
        self.run_within(parsed, cancel, None).await
    }

    /// The same, with a limit of the client's own on how long the statement may run.
    pub(crate) async fn run_within(
        &self,
        parsed: &Parsed,
        cancel: &Cancel,
        time_max: Option<Duration>,
    ) -> Result<Answer> {
        // One who has not logged in learns so from the statement.
        self.engine.asked(self.session.principal().ok().flatten().map(|principal| principal.user.as_str()))?;
        let timing = self.engine.metrics.statement(self.protocol);
        let time_max = [time_max, self.engine.time_max].into_iter().flatten().min();
        let answer = self.start(parsed, cancel, time_max, timing.clone()).await.map_err(|error| cancel.explain(error));
        if let Err(error) = &answer {
            timing.failed(error);
        }
        answer
    }

    async fn start(
        &self,
        parsed: &Parsed,
        cancel: &Cancel,
        time_max: Option<Duration>,
        timing: Timing,
    ) -> Result<Answer> {
        // What changes the session alone takes nothing that others could lack.
        let place = match parsed.kind {
            StatementKind::Session => None,
            _ => Some(self.engine.admission.enter().await?),
        };
        let watch = Watch::start(&self.engine, cancel, time_max);
        let (session, statement, observer) = (self.session.clone(), parsed.clone(), cancel.clone());
        let (answer, answered) = oneshot::channel();
        let work = async move {
            match session.execute(&statement, Arc::new(observer.clone())).await {
                Ok(executed) => match executed.outcome {
                    Outcome::Done(summary) => {
                        timing.done(0);
                        let _ = answer.send(Ok(Answer::Done(summary)));
                    }
                    Outcome::Rows(rows) => {
                        let (sender, receiver) = mpsc::channel(ROWS_QUEUED_BATCHES);
                        let schema = rows.schema();
                        let guard = CancelOnDrop::of(&observer);
                        let sent = answer.send(Ok(Answer::Rows(Rows { schema, receiver, _guard: guard })));
                        if sent.is_ok() {
                            forward(rows, &sender, &observer, &timing).await;
                        }
                    }
                },
                Err(error) => {
                    let _ = answer.send(Err(error.into()));
                }
            }
            drop((place, watch));
        };
        self.engine.work.spawn(work);
        let guard = CancelOnDrop::of(cancel);
        let answer = answered.await;
        guard.disarm();
        match answer {
            Ok(answer) => answer,
            Err(_) => Err(Error::internal("the statement has failed unexpectedly; the server's log says more")),
        }
    }
}

/// Hands the rows over, batch by batch, until the query or its client ends.
async fn forward(
    rows: SendableRecordBatchStream,
    sender: &mpsc::Sender<Result<RecordBatch>>,
    cancel: &Cancel,
    timing: &Timing,
) {
    let mut rows = Gather::new(rows);
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch.map_err(|error| cancel.explain(Error::from(error)));
        match &batch {
            Ok(batch) => count += batch.num_rows() as u64,
            Err(error) => timing.failed(error),
        }
        let failed = batch.is_err();
        if sender.send(batch).await.is_err() || failed {
            return;
        }
    }
    timing.done(count);
}

/// The rows of a query. Dropping them stops it.
#[derive(Debug)]
pub(crate) struct Rows {
    schema: SchemaRef,
    receiver: mpsc::Receiver<Result<RecordBatch>>,
    _guard: CancelOnDrop,
}

impl Rows {
    /// Their columns.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

impl Stream for Rows {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context)
    }
}

/// Tells a statement to stop when nobody waits for it any more. It is told, not torn off: a commit under way is made.
#[derive(Debug)]
struct CancelOnDrop(Option<Cancel>);

impl CancelOnDrop {
    fn of(cancel: &Cancel) -> Self {
        Self(Some(cancel.clone()))
    }

    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(cancel) = &self.0 {
            cancel.set(Reason::Client);
        }
    }
}

#[derive(Debug)]
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Stops a statement when its time is up or the server halts; ends with the statement.
struct Watch {
    _task: AbortOnDrop,
}

impl Watch {
    fn start(engine: &Arc<Engine>, cancel: &Cancel, time_max: Option<Duration>) -> Self {
        let (cancel, halt) = (cancel.clone(), engine.halt.clone());
        let watch = async move {
            let reason = match time_max {
                None => {
                    halt.cancelled().await;
                    Reason::Shutdown
                }
                Some(time_max) => tokio::select! {
                    () = halt.cancelled() => Reason::Shutdown,
                    () = tokio::time::sleep(time_max) => Reason::Time,
                },
            };
            cancel.set(reason);
        };
        // Not on the engine's threads: the statement may keep all of them busy.
        Self { _task: AbortOnDrop(tokio::spawn(watch).abort_handle()) }
    }
}
