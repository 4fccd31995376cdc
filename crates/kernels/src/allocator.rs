//! The allocator of programs, and its settings: queries allocate many buffers of a few sizes from many threads, which
//! mimalloc is made for.

pub use mimalloc::MiMalloc;

/// `mi_option_purge_decommits` of mimalloc.h, which the bindings have no name for.
const PURGE_DECOMMITS: libmimalloc_sys::mi_option_t = 5;

/// Lets mimalloc mark freed memory as free to take instead of giving it back at once: the system takes it when it needs
/// some, and a query that comes before that does not fault each page in again. MIMALLOC_PURGE_DECOMMITS=1 in the
/// environment has it the other way.
#[expect(unsafe_code, reason = "a call into C")]
pub fn give_back_lazily() {
    // SAFETY: the option exists: this sets a number that is read when memory is purged, from any thread.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DECOMMITS, 0) }
}
