//! Requests that run in the engine, and their events as they come: one after the other, or as server-sent events.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream;
use lakemill_llm::{Completion, Event, FinishReason, Stream};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::problem::{Refusal, Result, of_engine};
use crate::error::Error;

/// Requests of one call that run. Dropping them frees what they hold: a client that hangs up does so.
#[derive(Debug)]
pub(super) struct Running {
    streams: Vec<Option<Stream>>,
    /// Where to look first, so that no request waits for another's events.
    turn: usize,
    halt: CancellationToken,
}

impl Running {
    /// Requests, which end when the server halts.
    pub(super) fn new(streams: Vec<Stream>, halt: CancellationToken) -> Self {
        Self { streams: streams.into_iter().map(Some).collect(), turn: 0, halt }
    }

    /// The next event, and which request's it is; `None` after the last one's.
    ///
    /// # Errors
    /// A request has failed; the server halts.
    pub(super) async fn next(&mut self) -> Result<Option<(usize, Event)>> {
        let halt = self.halt.clone();
        tokio::select! {
            biased;
            event = std::future::poll_fn(|context| self.poll(context)) => match event {
                Some((_, Event::Failed { error, .. })) => Err(of_engine(&error)),
                // Whoever asked has not: they would have dropped this.
                Some((_, Event::Finished { reason: FinishReason::Cancelled, .. })) => Err(Error::shutting_down().into()),
                event => Ok(event),
            },
            () = halt.cancelled() => Err(Error::shutting_down().into()),
        }
    }

    /// All events, put together for each request.
    ///
    /// # Errors
    /// As [`Running::next`].
    pub(super) async fn collect(mut self) -> Result<Vec<Completion>> {
        let mut completions = vec![Completion::default(); self.streams.len()];
        while let Some((request, event)) = self.next().await? {
            completions[request].push(event).map_err(|error| of_engine(&error))?;
        }
        match completions.iter().flat_map(|completion| &completion.choices).all(|choice| choice.reason.is_some()) {
            true => Ok(completions),
            false => Err(Refusal::cut_off()),
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<(usize, Event)>> {
        let count = self.streams.len();
        let mut open = false;
        for place in 0..count {
            let index = (self.turn + place) % count;
            let Some(stream) = &mut self.streams[index] else { continue };
            match stream.poll_recv(context) {
                Poll::Ready(Some(event)) => {
                    self.turn = index + 1;
                    return Poll::Ready(Some((index, event)));
                }
                Poll::Ready(None) => self.streams[index] = None,
                Poll::Pending => open = true,
            }
        }
        if open { Poll::Pending } else { Poll::Ready(None) }
    }
}

/// What turns events into the parts of a stream.
pub(super) trait Parts: Send + 'static {
    /// Parts that come before any event.
    fn begin(&mut self) -> Vec<Value>;
    /// What an event of a request adds.
    fn event(&mut self, request: usize, event: Event) -> Vec<Value>;
    /// Parts that come after all events.
    fn end(&mut self) -> Vec<Value>;
}

/// Sends events as they come: <https://html.spec.whatwg.org/multipage/server-sent-events.html>. What goes wrong after the
/// first is an error in the stream, which then ends without its mark.
pub(super) fn send(running: Running, mut parts: impl Parts) -> Response {
    let waiting = parts.begin().iter().map(line).collect();
    let state = Sending { running: Some(running), parts, waiting };
    let body = stream::unfold(state, |mut state| async move {
        let bytes = state.next().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), state))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        // What nginx asks, so that it passes events on as they come.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(body)).into_response()
}

struct Sending<P> {
    /// `None`: the end has been said.
    running: Option<Running>,
    parts: P,
    waiting: VecDeque<Bytes>,
}

impl<P: Parts> Sending<P> {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.waiting.pop_front() {
                return Some(bytes);
            }
            match self.running.as_mut()?.next().await {
                Ok(Some((request, event))) => {
                    // Tokens that come together go out together.
                    let lines: Vec<u8> = self.parts.event(request, event).iter().flat_map(line).collect();
                    if !lines.is_empty() {
                        self.waiting.push_back(lines.into());
                    }
                }
                Ok(None) => {
                    self.running = None;
                    self.waiting.extend(self.parts.end().iter().map(line));
                    self.waiting.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
                }
                Err(refusal) => {
                    self.running = None;
                    self.waiting.push_back(line(&refusal.json()));
                }
            }
        }
    }
}

fn line(part: &Value) -> Bytes {
    format!("data: {part}\n\n").into()
}

impl Refusal {
    /// A request was ended by nobody's wish.
    pub(super) fn cut_off() -> Self {
        Error::internal("the engine has ended the request unexpectedly; the server's log says more").into()
    }
}
