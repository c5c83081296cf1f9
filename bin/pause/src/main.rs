//! The first process of every pod: it holds the pod's namespaces and does nothing.
//!
//! Where containers share a process namespace it is process 1 of the pod, so it takes in processes
//! whose parents have ended. It goes on SIGINT and SIGTERM.

use std::{mem::MaybeUninit, process::ExitCode, ptr};

#[expect(
    unsafe_code,
    reason = "waiting for signals and children has no safe form in std"
)]
fn main() -> ExitCode {
    let mut signals = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initializes the set that the calls after it change and read; no pointer
    // outlives its call.
    let signals = unsafe {
        libc::sigemptyset(signals.as_mut_ptr());
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGCHLD] {
            libc::sigaddset(signals.as_mut_ptr(), signal);
        }
        // Blocked, signals wait for sigwait; process 1 would not get them at all otherwise.
        libc::sigprocmask(libc::SIG_BLOCK, signals.as_ptr(), ptr::null_mut());
        signals.assume_init()
    };
    loop {
        let mut signal = 0;
        // SAFETY: both references are valid for the call.
        if unsafe { libc::sigwait(&raw const signals, &raw mut signal) } != 0 {
            return ExitCode::FAILURE;
        }
        if signal != libc::SIGCHLD {
            return ExitCode::SUCCESS;
        }
        // One signal may stand for several children.
        // SAFETY: a null status pointer is allowed, and means that nobody asks.
        while unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) } > 0 {}
    }
}
