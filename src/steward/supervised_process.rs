//! A program that is kept running: when it ends, it is started again, after a pause that grows.

use std::process::Stdio;
use std::time::Instant;

use tokio::process::Command;
use tokio::task::JoinHandle;

use super::backoff::Backoff;
use super::process;
use super::stop_token::{self, StopHandle};

/// A program that is kept running until this is stopped or dropped.
#[derive(Debug)]
pub(super) struct SupervisedProcess {
    handle: StopHandle,
    task: JoinHandle<()>,
}

impl SupervisedProcess {
    /// Starts the program with the command that `make` returns, now and whenever it has ended.
    pub(super) fn start(
        name: &'static str,
        mut make: impl FnMut() -> Command + Send + 'static,
    ) -> Self {
        let (handle, mut stop) = stop_token::new();
        let task = tokio::spawn(async move {
            let mut backoff = Backoff::default();
            loop {
                let started = Instant::now();
                let mut command = make();
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
                match command.spawn() {
                    Ok(mut child) => {
                        process::log_output(name, child.stdout.take());
                        process::log_output(name, child.stderr.take());
                        tokio::select! {
                            status = child.wait() => match status {
                                Ok(status) => log::warn!("{name} ended ({status})"),
                                Err(error) => log::warn!("waiting for {name} failed: {error}"),
                            },
                            () = stop.stopped() => {
                                process::terminate(&mut child).await;
                                return;
                            }
                        }
                    }
                    Err(error) => log::error!("{name} cannot be run: {error}"),
                }
                let wait = backoff.after(started.elapsed());
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = stop.stopped() => return,
                }
            }
        });
        Self { handle, task }
    }

    /// Ends the program.
    pub(super) async fn stop(self) {
        self.handle.stop();
        let _ = self.task.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::watch;

    #[tokio::test(start_paused = true)]
    async fn a_program_that_ends_is_started_again_until_it_is_stopped() {
        let starts = Arc::new(AtomicU32::new(0));
        let seen = starts.clone();
        let (told, mut thrice) = watch::channel(0);
        let service = SupervisedProcess::start("true", move || {
            told.send_replace(seen.fetch_add(1, Ordering::Relaxed) + 1);
            process::command("true")
        });
        thrice.wait_for(|starts| *starts >= 3).await.unwrap();
        service.stop().await;
    }
}
