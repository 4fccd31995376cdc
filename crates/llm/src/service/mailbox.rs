//! The events of one request on their way to its caller.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use super::lock;
use crate::Event;

/// A queue with one writer, the engine's thread, and one reader.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Event>,
    waker: Option<Waker>,
    /// The last event has come.
    closed: bool,
    cancelled: bool,
}

impl Mailbox {
    /// Adds an event and wakes the reader. Tokens join those of the same choice that have not been fetched yet.
    pub(super) fn push(&self, event: Event) {
        let mut state = lock(&self.state);
        state.closed |= event.is_last();
        if let Some(event) = join(state.events.back_mut(), event) {
            state.events.push_back(event);
        }
        let waker = state.waker.take();
        drop(state);
        self.bell.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub(super) fn take(&self) -> Option<Event> {
        lock(&self.state).events.pop_front()
    }

    /// Waits for the next event; `None` after the last.
    pub(super) fn wait(&self) -> Option<Event> {
        let quiet = |state: &mut State| state.events.is_empty() && !state.closed;
        let state = self.bell.wait_while(lock(&self.state), quiet);
        state.unwrap_or_else(PoisonError::into_inner).events.pop_front()
    }

    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Event>> {
        let mut state = lock(&self.state);
        if let Some(event) = state.events.pop_front() {
            return Poll::Ready(Some(event));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// True where the request runs and this is the first wish to end it.
    pub(super) fn cancel(&self) -> bool {
        let mut state = lock(&self.state);
        !state.closed && !std::mem::replace(&mut state.cancelled, true)
    }
}

/// Joins an event to the one before it, or gives it back.
fn join(last: Option<&mut Event>, event: Event) -> Option<Event> {
    match (last, event) {
        (
            Some(Event::Tokens { choice, text, tokens, log_probabilities, .. }),
            Event::Tokens { choice: same, text: more, tokens: new, log_probabilities: reports, .. },
        ) if *choice == same => {
            text.push_str(&more);
            tokens.extend(new);
            log_probabilities.extend(reports);
            None
        }
        (_, event) => Some(event),
    }
}
