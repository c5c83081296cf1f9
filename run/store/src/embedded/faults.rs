//! Where tests make the disk fail. Outside tests it is empty and costs nothing.

use std::io;

/// What the log asks of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Append,
    Sync,
}

/// The failures planned by a test.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults {
    #[cfg(test)]
    failing: std::sync::Arc<std::sync::Mutex<Option<(Operation, io::ErrorKind)>>>,
}

impl Faults {
    /// Fails if a test planned it.
    #[cfg_attr(
        not(test),
        expect(
            clippy::unnecessary_wraps,
            clippy::unused_self,
            reason = "only tests make it fail"
        )
    )]
    pub(super) fn check(&self, operation: Operation) -> io::Result<()> {
        #[cfg(test)]
        if let Some((failing, kind)) = *self.failing.lock().unwrap()
            && failing == operation
        {
            return Err(kind.into());
        }
        let _: Operation = operation;
        Ok(())
    }

    /// From now on the operation fails, or with `None` all succeed.
    #[cfg(test)]
    pub(super) fn plan(&self, failing: Option<(Operation, io::ErrorKind)>) {
        *self.failing.lock().unwrap() = failing;
    }
}
