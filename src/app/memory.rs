//! Memory that goes back to the system when it is not needed any more.
//!
//! glibc takes large blocks from the system one by one, and gives them back when they are freed,
//! but each one freed makes it take the next of that size from its heaps, of which it has one for
//! every few threads. There they stay, because something small and still in use lies behind them.
//! A camera has many large blocks that live shortly on changing threads, a password's check
//! (19 MiB) before all others; after a few of them all heaps would be as large as the largest.

// `mallopt` changes what the allocator does with blocks to come. Those that are there stay valid.
#![allow(unsafe_code)]

/// Blocks of this size and more are the system's again the moment they are freed. Frames are larger,
/// but they are used again and again (see [`FramePool`](crate::media::FramePool)).
#[cfg(target_env = "gnu")]
const LARGE: i32 = 256 << 10;

/// Heaps. More would only keep threads that allocate at the same moment from waiting for each
/// other, and the threads that matter hardly allocate.
#[cfg(target_env = "gnu")]
const HEAPS: i32 = 2;

/// Has memory that is freed go back to the system, so that the program's size is what it needs now
/// and not what it once needed. Does nothing where the system's allocator does so by itself, or
/// where the program has brought another one.
///
/// This is for the whole process, so it is for a program to decide and not for a library: call it
/// first in `main`, as `picket` does, before there are other threads. Settings in the environment
/// (`MALLOC_MMAP_THRESHOLD_` and the like) are overruled.
pub fn return_freed_memory() {
    #[cfg(target_env = "gnu")]
    for (option, value) in [(libc::M_MMAP_THRESHOLD, LARGE), (libc::M_ARENA_MAX, HEAPS)] {
        // SAFETY: takes two numbers, and refuses those it does not know.
        if unsafe { libc::mallopt(option, value) } == 0 {
            log::debug!("the allocator does not know option {option}");
        }
    }
}
