//! Refusals that arrive: what is left of a refused request's body is read and dropped.
//!
//! A server that answers before it has read the whole request and then closes resets the connection, and the client,
//! still sending, sees a broken pipe in the place of the answer that says why. So a body that a handler let go goes on
//! being read in the background, for a short while: long enough for an honest client to come to its end.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Error;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::extract::Request;
use axum::http::{Version, header};
use axum::middleware::Next;
use axum::response::Response;
use futures::{Stream, StreamExt};

/// How long what nobody asked for is read.
const LINGER: Duration = Duration::from_secs(5);

pub(super) async fn linger(request: Request, next: Next) -> Response {
    // A client that asks first has sent nothing yet, and a stream of HTTP/2 ends without its connection.
    if request.headers().contains_key(header::EXPECT) || request.version() > Version::HTTP_11 {
        return next.run(request).await;
    }
    next.run(request.map(|body| Body::from_stream(Rest(Some(body.into_data_stream()))))).await
}

/// A body that is read to its end, if not by the one who has it.
#[derive(Debug)]
struct Rest(Option<BodyDataStream>);

impl Stream for Rest {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let next = body.poll_next_unpin(context);
        // Past an error there is nothing.
        if matches!(next, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        next
    }
}

impl Drop for Rest {
    fn drop(&mut self) {
        let Some(mut body) = self.0.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(tokio::time::timeout(LINGER, async move { while let Some(Ok(_)) = body.next().await {} }));
    }
}
