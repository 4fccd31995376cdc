//! Threads that share one piece of work at a time, with a hand-over of microseconds.
//!
//! A step of a language model is a hundred products of tens of microseconds each, so threads that wait for the next
//! one spin for a while before they sleep. Work is cut into more chunks than there are threads and handed out by a
//! counter, since cores are seldom equally fast.
//!
//! **Architecture invariant:** a pool decides who computes, never what: no result depends on the number of threads.
#![expect(unsafe_code, reason = "work is lent to other threads for the length of a call")]

use std::any::Any;
use std::cell::UnsafeCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// How often a thread looks for work before it sleeps. A pause takes some 50 ns, so that this is about 100 us: longer
/// than the caller's part between two products, and no burden on a machine that has nothing to do.
const SPINS: usize = 2_000;

/// Chunks per thread of evenly sized work: enough to even out cores of different speed, few enough for the counter.
const CHUNKS_PER_THREAD: usize = 8;

type Task = *const (dyn Fn(usize) + Sync);

struct Shared {
    /// What to run; written before `epoch` is raised, read after it was seen to rise.
    task: UnsafeCell<Option<Task>>,
    epoch: AtomicU64,
    /// Threads that have not finished the current work.
    running: AtomicUsize,
    sleepers: AtomicUsize,
    stopping: AtomicBool,
    sleep: Mutex<()>,
    wake: Condvar,
    panicked: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: `task` is written only by the caller that holds `Pool::turn`, while no worker runs, and read by workers
// only between the rise of `epoch` and their decrement of `running`, which the caller waits for.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointer is used only while the call that made it waits.
unsafe impl Send for Shared {}

/// A fixed set of threads; the caller of [`run`](Self::run) is the first of them.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    turn: Mutex<()>,
}

impl Pool {
    /// A pool of `threads` threads, the caller included; at least one. Threads that the system refuses are left out.
    pub fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared {
            task: UnsafeCell::new(None),
            epoch: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            sleepers: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
            panicked: Mutex::new(None),
        });
        let spawn = |index: usize| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new().name(format!("kernel-{index}")).spawn(move || work(&shared, index))
        };
        let workers = (1..threads.max(1)).map_while(|index| spawn(index).ok()).collect();
        Self { shared, workers, turn: Mutex::new(()) }
    }

    /// The number of threads, the caller included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `work(thread)` once on each thread and waits; the caller is thread 0. Callers on several threads take
    /// turns.
    ///
    /// # Panics
    /// When `work` panicked on a thread. Work must not call the same pool again: it would wait for itself.
    pub fn run(&self, work: &(dyn Fn(usize) + Sync)) {
        if self.workers.is_empty() {
            return work(0);
        }
        let turn = lock(&self.turn);
        let shared = &*self.shared;
        // SAFETY: the lifetime is only forgotten: this call does not return before every thread is done with `work`.
        let task = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(work) };
        shared.running.store(self.workers.len(), Ordering::Relaxed);
        // SAFETY: this thread holds the turn and no worker runs.
        unsafe { *shared.task.get() = Some(task) };
        shared.epoch.fetch_add(1, Ordering::SeqCst);
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            drop(lock(&shared.sleep));
            shared.wake.notify_all();
        }
        let own = catch_unwind(AssertUnwindSafe(|| work(0)));
        let mut spins = 0;
        while shared.running.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        let others = lock(&shared.panicked).take();
        drop(turn);
        if let Err(panic) = own {
            resume_unwind(panic);
        }
        if let Some(panic) = others {
            resume_unwind(panic);
        }
    }

    /// Runs `work(index)` for every index below `count`, in chunks of `chunk` neighbours. Little work (one chunk) stays
    /// on the caller's thread.
    pub fn for_each_chunk(&self, count: usize, chunk: usize, work: &(dyn Fn(usize) + Sync)) {
        let chunk = chunk.max(1);
        if count <= chunk || self.workers.is_empty() {
            return (0..count).for_each(work);
        }
        let next = AtomicUsize::new(0);
        self.run(&|_| {
            loop {
                let first = next.fetch_add(chunk, Ordering::Relaxed);
                if first >= count {
                    return;
                }
                (first..(first + chunk).min(count)).for_each(work);
            }
        });
    }

    /// Runs `work(index, item)` for every item, in chunks of `chunk` neighbours.
    pub fn for_each_mut<T: Send>(&self, items: &mut [T], chunk: usize, work: &(dyn Fn(usize, &mut T) + Sync)) {
        let shared = SharedMut(items.as_mut_ptr());
        self.for_each_chunk(items.len(), chunk, &|index| {
            // SAFETY: every index below the length comes once, so that no item is lent twice, and the slice is
            // borrowed until the call returns.
            let item = unsafe { &mut *shared.at(index) };
            work(index, item);
        });
    }

    /// Runs `work(row, values)` for every row of `data`, which is `[rows, width]`, in chunks of `chunk` rows.
    ///
    /// # Panics
    /// When `width` is 0 or `data` is no whole number of rows.
    pub fn for_each_row<T: Send>(
        &self,
        data: &mut [T],
        width: usize,
        chunk: usize,
        work: &(dyn Fn(usize, &mut [T]) + Sync),
    ) {
        assert!(width > 0 && data.len().is_multiple_of(width), "data must be whole rows");
        let shared = SharedMut(data.as_mut_ptr());
        self.for_each_chunk(data.len() / width, chunk, &|row| {
            // SAFETY: every row comes once, rows do not overlap, and the slice is borrowed until the call returns.
            let values = unsafe { std::slice::from_raw_parts_mut(shared.at(row * width), width) };
            work(row, values);
        });
    }

    /// A chunk length that gives each thread several chunks out of `count`.
    pub fn chunk_of(&self, count: usize) -> usize {
        count.div_ceil(self.threads() * CHUNKS_PER_THREAD).max(1)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads()).finish_non_exhaustive()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        self.shared.epoch.fetch_add(1, Ordering::SeqCst);
        drop(lock(&self.shared.sleep));
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of its work, so that there is nothing to learn from its end.
            let _ = worker.join();
        }
    }
}

/// A pointer that threads share to write to places of their own.
pub(crate) struct SharedMut<T>(pub(crate) *mut T);

// SAFETY: whoever dereferences it vouches that no place is written by two threads.
unsafe impl<T: Send> Sync for SharedMut<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for SharedMut<T> {}

impl<T> SharedMut<T> {
    /// The address of the item `index`.
    ///
    /// # Safety
    /// The item lies in the allocation.
    pub(crate) unsafe fn at(&self, index: usize) -> *mut T {
        // SAFETY: the caller vouches for the index.
        unsafe { self.0.add(index) }
    }
}

fn work(shared: &Shared, index: usize) {
    let mut seen = 0;
    loop {
        seen = wait(shared, seen);
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        // SAFETY: the epoch rose, so the caller has written the task, and it waits until `running` is zero.
        let task = unsafe { (*shared.task.get()).map(|task| &*task) };
        if let Some(task) = task
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| task(index)))
        {
            lock(&shared.panicked).get_or_insert(panic);
        }
        shared.running.fetch_sub(1, Ordering::Release);
    }
}

/// Waits until the epoch is another than `seen`, and returns it.
fn wait(shared: &Shared, seen: u64) -> u64 {
    for _ in 0..SPINS {
        let epoch = shared.epoch.load(Ordering::Acquire);
        if epoch != seen {
            return epoch;
        }
        std::hint::spin_loop();
    }
    let mut guard = lock(&shared.sleep);
    shared.sleepers.fetch_add(1, Ordering::SeqCst);
    // The caller raises the epoch before it counts sleepers, and this thread counts itself before it looks at the
    // epoch: one of the two sees the other.
    while shared.epoch.load(Ordering::SeqCst) == seen {
        guard = shared.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
    }
    shared.sleepers.fetch_sub(1, Ordering::SeqCst);
    shared.epoch.load(Ordering::Acquire)
}

/// Nothing that these locks guard can be left half done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_comes_once_and_every_thread_runs() {
        for threads in [1, 2, 5] {
            let pool = Pool::new(threads);
            for count in [0, 1, 7, 1000] {
                let mut seen = vec![0; count];
                pool.for_each_mut(&mut seen, 3, &|index, item| *item += index + 1);
                assert!(seen.iter().enumerate().all(|(index, item)| *item == index + 1));
                let mut rows = vec![0; count * 3];
                pool.for_each_row(&mut rows, 3, 2, &|row, values| values.fill(row));
                assert!(rows.iter().enumerate().all(|(index, item)| *item == index / 3));
            }
            let runs = Mutex::new(vec![0; threads]);
            pool.run(&|thread| lock(&runs)[thread] += 1);
            assert!(lock(&runs).iter().all(|&runs| runs == 1));
        }
    }

    #[test]
    fn callers_take_turns() {
        let pool = Arc::new(Pool::new(3));
        let total = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let (pool, total) = (Arc::clone(&pool), Arc::clone(&total));
                std::thread::spawn(move || {
                    for _ in 0..200 {
                        pool.for_each_chunk(10, 1, &|index| _ = total.fetch_add(index, Ordering::Relaxed));
                    }
                })
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert_eq!(total.load(Ordering::Relaxed), 4 * 200 * 45);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(2);
        for thread in [0, 1] {
            let panic = catch_unwind(AssertUnwindSafe(|| pool.run(&|index| assert!(index != thread, "no"))));
            assert!(panic.is_err());
        }
        let sum = AtomicUsize::new(0);
        pool.for_each_chunk(100, 1, &|index| _ = sum.fetch_add(index, Ordering::Relaxed));
        assert_eq!(sum.load(Ordering::Relaxed), 4950);
    }
}
