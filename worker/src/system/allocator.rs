//! An allocator that counts the memory of a worker and exits the worker at its limit.

#![expect(unsafe_code, reason = "GlobalAlloc is an unsafe trait; this allocator counts and delegates to the system's")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{
        AtomicBool, AtomicUsize,
        Ordering::{Relaxed, SeqCst},
    },
};

/// The exit code of a worker that reached its memory limit.
pub(crate) const OUT_OF_MEMORY: i32 = 86;

static IS_COUNTING: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static BOUND: AtomicUsize = AtomicUsize::new(usize::MAX);
static ROOM: AtomicUsize = AtomicUsize::new(usize::MAX);

/// A global allocator that counts the live bytes of workers and delegates to another allocator, by default the
/// system's. In other processes, it only checks a flag.
///
/// [`WorkerLimits::memory_bytes`](crate::WorkerLimits::memory_bytes) is enforced only in programs with this global
/// allocator. Without it, the first worker logs a warning.
///
/// # Examples
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: worker::Allocator = worker::Allocator;
/// ```
///
/// Around another allocator, such as jemalloc or mimalloc:
///
/// ```
/// # use std::alloc::System as Jemalloc;
/// #[global_allocator]
/// static ALLOCATOR: worker::Allocator<Jemalloc> = worker::Allocator::new(Jemalloc);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Allocator<A = System> {
    inner: A,
}

/// The [`struct@Allocator`] around the system's allocator.
#[expect(non_upper_case_globals, reason = "the constant is written like a unit struct")]
pub const Allocator: Allocator = Allocator::new(System);

impl<A> Allocator<A> {
    /// Wraps another allocator.
    pub const fn new(inner: A) -> Self {
        Self { inner }
    }
}

// SAFETY: every call is delegated unchanged to the wrapped allocator, and the counting does not allocate.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Allocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller upholds the contract, which is the same for the wrapped allocator.
        unsafe { self.inner.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: as above.
        unsafe { self.inner.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        shrink(layout.size());
        // SAFETY: as above; `alloc` returned memory of the wrapped allocator.
        unsafe { self.inner.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match size.checked_sub(layout.size()) {
            Some(more) => grow(more),
            None => shrink(layout.size() - size),
        }
        // SAFETY: as above.
        unsafe { self.inner.realloc(pointer, layout, size) }
    }
}

/// Maximum number of glibc's arenas. By default, glibc creates up to eight for each processor; each keeps its freed
/// memory and reserves 64 MiB of address space.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS: libc::c_int = 2;

/// Limits the number of glibc's arenas, so that threads reuse memory that other threads have freed.
///
/// Call it at the start of a program that serves many connections: existing arenas remain. It has no effect without
/// glibc.
pub fn limit_arenas() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    set_arenas(ARENAS);
}

/// Makes the threads of a worker share one arena of glibc: only one of them uses much memory, and a second arena takes
/// as much time to create as a tenth of a fork. Call it before the process has other threads.
#[cfg(target_os = "linux")]
pub(crate) fn use_one_arena() {
    #[cfg(target_env = "gnu")]
    set_arenas(1);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn set_arenas(arenas: libc::c_int) {
    // SAFETY: mallopt sets a parameter of the allocator under the allocator's own lock.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, arenas);
    }
}

/// Returns free pages to the operating system. By default, glibc keeps all free memory below memory in use.
///
/// The call takes milliseconds, during which other threads may wait for memory. It has no effect without glibc.
pub fn return_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes the allocator's own locks and changes only free memory.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Counts an allocation. The ordering is relaxed because no other memory depends on the number.
fn grow(bytes: usize) {
    if !IS_COUNTING.load(Relaxed) {
        return;
    }
    let live = LIVE.fetch_add(bytes, Relaxed).saturating_add(bytes);
    if live > BOUND.load(Relaxed) {
        // SAFETY: _exit runs no code of this process. `std::process::exit` would run exit handlers, which may allocate,
        // and this may be in the middle of an allocation.
        unsafe { libc::_exit(OUT_OF_MEMORY) }
    }
}

fn shrink(bytes: usize) {
    if IS_COUNTING.load(Relaxed) {
        // Memory that was allocated before the counting started may be freed now.
        let _now = LIVE.fetch_update(Relaxed, Relaxed, |live| Some(live.saturating_sub(bytes)));
    }
}

/// Starts counting. Returns false if the program has another global allocator.
pub(crate) fn start_counting() -> bool {
    IS_COUNTING.store(true, SeqCst);
    let before = LIVE.load(SeqCst);
    // Whether a probe is counted shows whether this is the program's allocator.
    let probe = std::hint::black_box(Box::new([0_u8; 4096]));
    let is_counted = LIVE.load(SeqCst) >= before + 4096;
    drop(probe);
    is_counted
}

/// Number of live bytes; 0 if the process does not count.
pub(crate) fn live_bytes() -> usize {
    LIVE.load(Relaxed)
}

/// Makes the process exit when its live bytes exceed the present number by `room`.
pub(crate) fn set_limit(room: usize) {
    ROOM.store(room, SeqCst);
    reset_limit_baseline();
}

/// Restarts the limit of [`set_limit`] from the present number of live bytes.
pub(crate) fn reset_limit_baseline() {
    BOUND.store(live_bytes().saturating_add(ROOM.load(SeqCst)), SeqCst);
}
