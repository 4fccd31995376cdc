//! Clients that go away while their statement runs.
//!
//! Nothing is read from a connection until its statement has ended, so that a closed one is not seen. This looks at
//! the connection from beside, without taking anything from it.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::Duration;

use super::cancel::Running;

/// How often a connection whose statement runs is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What a client says before it closes: Terminate, of four bytes' length.
const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];

/// Stops what a connection runs once its client has gone; never ends. `stream` does not block.
pub(super) async fn watch(stream: TcpStream, running: Running) {
    loop {
        tokio::time::sleep(LOOK).await;
        if running.is_busy() && has_gone(&stream) {
            running.cancel();
        }
    }
}

fn has_gone(stream: &TcpStream) -> bool {
    let mut next = [0; TERMINATE.len() + 1];
    match stream.peek(&mut next) {
        Ok(0) => true,
        Ok(read) => next[..read] == TERMINATE,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}
