//! Ctrl-C and SIGTERM: the first asks what is running to stop, the second stops the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::Notify;

use crate::failure::EXIT_CANCELLED;

/// Set once, seen by all clones.
#[derive(Clone, Debug, Default)]
pub(crate) struct CancelFlag(Arc<CancelState>);

#[derive(Debug, Default)]
struct CancelState {
    set: AtomicBool,
    notify: Notify,
}

impl CancelFlag {
    /// Whether the user wants what is running to stop.
    pub(crate) fn is_set(&self) -> bool {
        self.0.set.load(Ordering::Relaxed)
    }

    /// Waits until the user wants it.
    pub(crate) async fn wait(&self) {
        let notified = self.0.notify.notified();
        if !self.is_set() {
            notified.await;
        }
    }

    fn set(&self) {
        self.0.set.store(true, Ordering::Relaxed);
        self.0.notify.notify_waiters();
    }
}

/// Listens to signals for the life of the process.
#[derive(Clone, Debug)]
pub(crate) struct Interrupts {
    current: Arc<Mutex<CancelFlag>>,
}

impl Interrupts {
    /// Begins to listen.
    pub(crate) fn listen() -> Self {
        let interrupts = Self { current: Arc::default() };
        spawn_listener(interrupts.clone());
        interrupts
    }

    /// The flag of the next piece of work. Signals set this one from now on.
    pub(crate) fn arm(&self) -> CancelFlag {
        let flag = CancelFlag::default();
        *self.current() = flag.clone();
        flag
    }

    fn current(&self) -> std::sync::MutexGuard<'_, CancelFlag> {
        self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn signal(&self) {
        let flag = self.current().clone();
        if flag.is_set() {
            stop_at_once();
        }
        flag.set();
    }
}

/// Listens on a thread with a runtime of its own: a query may keep all threads of the engine's busy.
fn spawn_listener(interrupts: Interrupts) {
    let (registered, wait) = mpsc::channel();
    let listen = move || {
        if let Ok(runtime) = Builder::new_current_thread().enable_all().build() {
            runtime.block_on(listen(&interrupts, &registered));
        }
    };
    // Without a thread, signals do what they do by default.
    if thread::Builder::new().name("signals".to_owned()).spawn(listen).is_ok() {
        // A Ctrl-C that comes now must not kill the process: wait until the signals are registered.
        let _ = wait.recv();
    }
}

#[cfg(unix)]
async fn listen(interrupts: &Interrupts, registered: &mpsc::Sender<()>) {
    use tokio::signal::unix::{SignalKind, signal};

    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    let _ = registered.send(());
    loop {
        tokio::select! {
            Some(()) = interrupt.recv() => interrupts.signal(),
            Some(()) = terminate.recv() => interrupts.signal(),
            else => return,
        }
    }
}

#[cfg(not(unix))]
async fn listen(interrupts: &Interrupts, registered: &mpsc::Sender<()>) {
    let _ = registered.send(());
    while tokio::signal::ctrl_c().await.is_ok() {
        interrupts.signal();
    }
}

/// Ends the process. What is not committed is lost; what is, is safe.
#[expect(clippy::exit, reason = "the user asked twice")]
fn stop_at_once() -> ! {
    std::process::exit(i32::from(EXIT_CANCELLED))
}
