//! A program that is to run as long as the device does: when it ends, it is started again.

use std::process::Stdio;
use std::time::Instant;

use tokio::process::Command;
use tokio::task::JoinHandle;

use super::backoff::Backoff;
use super::programs;
use super::stop::{self, Stopper};

/// A program that is kept running until it is stopped or dropped.
#[derive(Debug)]
pub(super) struct Service {
    stop: Stopper,
    task: JoinHandle<()>,
}

impl Service {
    /// Starts the program that `make` describes, now and whenever it has ended.
    pub(super) fn start(
        name: &'static str,
        mut make: impl FnMut() -> Command + Send + 'static,
    ) -> Self {
        let (stop, mut stopped) = stop::sign();
        let task = tokio::spawn(async move {
            let mut backoff = Backoff::default();
            loop {
                let started = Instant::now();
                let mut command = make();
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
                match command.spawn() {
                    Ok(mut child) => {
                        programs::listen(name, child.stdout.take());
                        programs::listen(name, child.stderr.take());
                        tokio::select! {
                            status = child.wait() => match status {
                                Ok(status) => log::warn!("{name} ended ({status})"),
                                Err(error) => log::warn!("{name} is lost: {error}"),
                            },
                            () = stopped.wait() => {
                                programs::end(&mut child).await;
                                return;
                            }
                        }
                    }
                    Err(error) => log::error!("{name} cannot be run: {error}"),
                }
                let wait = backoff.after(started.elapsed());
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = stopped.wait() => return,
                }
            }
        });
        Self { stop, task }
    }

    /// Ends the program.
    pub(super) async fn stop(self) {
        self.stop.stop();
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
        let service = Service::start("true", move || {
            told.send_replace(seen.fetch_add(1, Ordering::Relaxed) + 1);
            programs::command("true")
        });
        thrice.wait_for(|starts| *starts >= 3).await.unwrap();
        service.stop().await;
    }
}
