//! Counts what a worker has allocated, and ends it where it would have too much.

#![expect(
    unsafe_code,
    reason = "the trait of an allocator is unsafe; this one counts and leaves the rest to the system's"
)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{
        AtomicBool, AtomicUsize,
        Ordering::{Relaxed, SeqCst},
    },
};

/// The exit code of a worker that would have had more memory than it may have.
pub(crate) const OUT_OF_MEMORY: i32 = 86;

static IS_COUNTING: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static BOUND: AtomicUsize = AtomicUsize::new(usize::MAX);
static ROOM: AtomicUsize = AtomicUsize::new(usize::MAX);

/// The system's allocator, which in a worker counts live bytes. Elsewhere it costs one look at a flag.
///
/// A program whose workers are to be held to [`Limits::memory_bytes`](crate::Limits::memory_bytes) has it as its own:
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: worker::Allocator = worker::Allocator;
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Allocator;

// SAFETY: every call goes to the system's allocator as it came; what is done beside it allocates nothing.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        shrink(layout.size());
        // SAFETY: as above; what `alloc` gave came from there.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match size.checked_sub(layout.size()) {
            Some(more) => grow(more),
            None => shrink(layout.size() - size),
        }
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Arenas of the system's allocator. By itself glibc makes eight for each processor, each of which keeps what was freed in
/// it, and reserves 64 MiB of address space.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: libc::c_int = 2;

/// Has the system's allocator (glibc's) keep few arenas, so that threads reuse what other threads have freed. For the
/// beginning of a program that serves many connections: arenas that are there stay.
pub fn limit_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it sets a parameter of the allocator, under the allocator's own lock.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, ARENAS);
    }
}

/// Gives memory that was freed back to the system, as far as whole pages are free. By itself glibc keeps all that lies below
/// something in use. It takes milliseconds, in which other threads may wait for memory.
pub fn return_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it takes the allocator's own locks, and touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Relaxed: the number stands alone.
fn grow(bytes: usize) {
    if !IS_COUNTING.load(Relaxed) {
        return;
    }
    let live = LIVE.fetch_add(bytes, Relaxed).saturating_add(bytes);
    if live > BOUND.load(Relaxed) {
        // SAFETY: it runs nothing of this process any more, which is why it is not `std::process::exit`: handlers that run
        // at an exit may allocate, and this may be in the middle of an allocation.
        unsafe { libc::_exit(OUT_OF_MEMORY) }
    }
}

fn shrink(bytes: usize) {
    if IS_COUNTING.load(Relaxed) {
        // What was allocated before it was counted may be given back now.
        let _now = LIVE.fetch_update(Relaxed, Relaxed, |live| Some(live.saturating_sub(bytes)));
    }
}

/// Counts from now on; false if the program has another allocator.
pub(crate) fn start_counting() -> bool {
    IS_COUNTING.store(true, SeqCst);
    let before = LIVE.load(SeqCst);
    // A probe: whether it is counted shows whether this is the program's allocator.
    let probe = std::hint::black_box(Box::new([0_u8; 4096]));
    let is_counted = LIVE.load(SeqCst) >= before + 4096;
    drop(probe);
    is_counted
}

/// Live bytes; 0 where nothing counts.
pub(crate) fn live_bytes() -> usize {
    LIVE.load(Relaxed)
}

/// Ends the process where it would have so many more live bytes than it has now.
pub(crate) fn set_limit(room: usize) {
    ROOM.store(room, SeqCst);
    reset_limit_baseline();
}

/// The same room, from what is there now.
pub(crate) fn reset_limit_baseline() {
    BOUND.store(live_bytes().saturating_add(ROOM.load(SeqCst)), SeqCst);
}
