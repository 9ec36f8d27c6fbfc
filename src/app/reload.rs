//! Following the configuration file: what can change while viewers watch changes at once, the
//! rest is named as needing a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::cameras::LiveParts;
use super::examine::examine;
use super::logging::tell;
use super::{parts, set_file};
use crate::config::{
    Auth, Config, FileChange, FileStamp, FileWatch, Loaded, Places, Problem, Secret,
};
use crate::http::{self, IceServers};
use crate::webrtc::WebRtc;

/// How often the file is looked at. Two looks must agree before it is read.
const LOOK_EVERY: Duration = Duration::from_secs(1);

pub(super) struct Reload {
    config: Config,
    source: ConfigSource,
    /// One for each time that the file has changed.
    changes: Option<mpsc::Receiver<()>>,
    reached: Reached,
}

/// The rooms that hear of a change.
pub(super) struct Reached {
    pub(super) cameras: Vec<LiveParts>,
    pub(super) auth: Arc<http::Authenticator>,
    pub(super) webrtc: Arc<WebRtc>,
    pub(super) ice_servers: IceServers,
}

impl Reload {
    pub(super) fn new(config: Config, source: ConfigSource, reached: Reached) -> Self {
        let changes = source.file.clone().and_then(|file| {
            let watched = watch_file(file, source.read);
            watched.inspect_err(|e| log::warn!("changes will not be noticed: {e}")).ok()
        });
        Self { config, source, changes, reached }
    }

    /// What is in force.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Waits until the file has changed.
    pub(super) async fn file_changed(&mut self) {
        let change = match &mut self.changes {
            Some(changes) => changes.recv().await,
            None => None,
        };
        if change.is_none() {
            std::future::pending().await
        }
    }

    /// Reads the file again.
    pub(super) async fn now(&mut self, why: &str) {
        let Some(file) = &self.source.file else {
            log::info!("{why}, but Picket was started without a configuration file");
            return;
        };
        log::info!("reading {} again: {why}", file.display());
        let (mut loaded, problems) = self.source.load(Some(self.config.clone()));
        tell(problems);
        tell(examine(&mut loaded, &self.source.places));
        self.apply(loaded).await;
    }

    async fn apply(&mut self, mut new: Config) {
        // A file that was cut short, by a full disk or in the midst of being written, says nothing of
        // its owner's wishes.
        if new.auth == Auth::Unset && self.config.auth != Auth::Unset {
            log::error!(
                "the configuration sets no password and no token any more; the former ones stay in force \
                 until Picket is restarted"
            );
            new.auth = self.config.auth.clone();
        }
        let changes = self.config.changes(&new);
        if changes.is_empty() {
            log::info!("nothing has changed");
            return;
        }
        log::set_max_level(new.log.level);
        self.reached.cameras.iter().for_each(|camera| camera.apply(&new));
        if self.config.auth != new.auth {
            self.reached.auth.apply(&new.auth);
        }
        if self.config.webrtc.ice_servers != new.webrtc.ice_servers {
            self.reached.ice_servers.set(parts::ice_servers(&new));
            self.reached.webrtc.set_ice_servers(parts::ice_servers(&new)).await;
        }
        for name in &changes.live {
            log::info!("{name} has changed");
        }
        for name in &changes.needs_restart {
            log::warn!("{name} has changed; this takes effect after a restart");
        }
        self.config = new;
    }
}

/// Where a configuration comes from: a file, what holds where the file says nothing, and what
/// holds whatever it says.
#[derive(Clone, Debug, Default)]
pub struct ConfigSource {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// `key=value`, each under the file.
    pub defaults: Vec<String>,
    /// `key=value`, each over the file.
    pub sets: Vec<String>,
    /// `key=file`, each over the file and over `sets`: the value stands in a file of its own, which
    /// is read once.
    pub set_files: Vec<String>,
    /// What was read of those, by their keys.
    pub texts: Option<Vec<(String, Result<Secret, String>)>>,
    /// The file as [`ConfigSource::load`] has read it: whatever differs from it is a change.
    pub read: Option<FileStamp>,
    /// Where what was read stands.
    pub places: Places,
}

impl ConfigSource {
    /// Reads it. Never fails: what could not be used is told in the problems, and never makes
    /// sign-in weaker. With a `last_good` configuration, that holds on where the file cannot be
    /// read to its end.
    #[must_use]
    pub fn load(&mut self, last_good: Option<Config>) -> (Config, Vec<Problem>) {
        // Before it is read: what is written meanwhile is read once more, rather than never.
        self.read = self.file.as_deref().and_then(FileStamp::of);
        let mut defaults = Config::default();
        let mut problems = defaults.apply_sets(&self.defaults, &mut Places::default());
        let loaded = match &self.file {
            None => Config::load_over(defaults, b"", ""),
            Some(file) => {
                let name = shown(file);
                match std::fs::read(file) {
                    Ok(bytes) => Config::load_over(defaults, &bytes, &name),
                    Err(error) => Loaded::unreadable(defaults, &name, &error),
                }
            }
        };
        let Loaded { mut config, problems: told, mut places, .. } = loaded.or_last_good(last_good);
        problems.extend(told);
        problems.extend(config.apply_sets(&self.sets, &mut places));
        let texts = self.texts.get_or_insert_with(|| {
            // What is on the command line stays there, so this is told once, too.
            problems.extend(Config::secrets_in(&self.defaults));
            problems.extend(Config::secrets_in(&self.sets));
            self.set_files.iter().map(|set| set_file::read(set)).collect()
        });
        problems.extend(config.apply_texts(texts, &mut places));
        self.places = places;
        (config, problems)
    }
}

/// What problems call the file. On the image it is a copy of the owner's, which the owner knows by
/// its name alone.
fn shown(file: &Path) -> String {
    let name = match crate::appliance::StewardClient::from_environment() {
        Some(_) => file.file_name().map(Path::new),
        None => None,
    };
    name.unwrap_or(file).display().to_string()
}

/// Looks at a file now and then, and says when it differs from what was `read`. On a thread of its
/// own, which a card or a network share may keep waiting; it ends when nobody listens any more.
fn watch_file(file: PathBuf, read: Option<FileStamp>) -> std::io::Result<mpsc::Receiver<()>> {
    // One waits to be heard: that says all that several could.
    let (changed, changes) = mpsc::channel(1);
    let mut watch = FileWatch::new(read);
    let look = move || {
        while !changed.is_closed() {
            std::thread::sleep(LOOK_EVERY);
            if watch.look(FileStamp::of(&file)) == FileChange::Changed {
                let _ = changed.try_send(());
            }
        }
    };
    std::thread::Builder::new().name("config".into()).spawn(look)?;
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_written_after_the_file_was_read_is_seen_however_late_the_watch_begins() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "[encoder]\nbitrate = \"2M\"\n").unwrap();
        let mut source = ConfigSource { file: Some(file.clone()), ..ConfigSource::default() };
        let _ = source.load(None);
        std::fs::write(&file, "[encoder]\nbitrate = \"1.5M\"\n").unwrap();
        let mut changes = watch_file(file, source.read).unwrap();
        let seen = tokio::time::timeout(Duration::from_secs(30), changes.recv()).await;
        assert_eq!(seen, Ok(Some(())));
    }
}
