//! Still pictures, for who shows pictures rather than video: snapshots and MJPEG.
//!
//! In come raw pictures on their way to the encoder ([`Tap`]) or, where the source's own are coded
//! already, access units from the [`hub`](crate::hub), which are decoded; out go JPEGs. A picture
//! is made when somebody asks for one, and the same is given to all who ask at that time: with
//! nobody asking, nothing runs.
//!
//! Raw pictures are taken before the encoder because to decode what it made would cost more than
//! the JPEG: P pictures build on each other, so that all have to be decoded to show some.

mod coded;
mod jpeg;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::hub::{Hub, Layer, TrackId};
use crate::media::Frame;
use crate::pipeline::Tap;
use coded::Follower;

/// Who asks again within this time wants to keep up with the stream, and is worth decoding it all.
const KEEPS_UP: Duration = Duration::from_secs(3);

/// A still picture.
#[derive(Clone, Debug)]
pub struct Still {
    /// The JPEG.
    pub jpeg: Bytes,
    /// Tells one from the next; grows, from 1.
    pub number: u64,
}

/// Which picture is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// One that comes after this number; 0 for any.
    pub after: u64,
    /// One that was made so long ago will do, so that many share one.
    pub age: Duration,
}

/// Why there is no picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no picture: {0}")]
pub struct NoPicture(pub String);

impl From<crate::decoder::DecoderError> for NoPicture {
    fn from(error: crate::decoder::DecoderError) -> Self {
        Self(error.to_string())
    }
}

/// Makes still pictures; clones share them.
#[derive(Clone)]
pub struct Stills(Arc<Shared>);

struct Shared {
    hub: Hub,
    tap: Tap,
    /// Held by the one who makes a picture: who asks meanwhile is given the same.
    making: tokio::sync::Mutex<Making>,
    made: AtomicU64,
    over: watch::Sender<bool>,
}

#[derive(Default)]
struct Making {
    last: Option<(Still, Instant)>,
    asked: Option<Instant>,
    /// What decodes the stream while somebody keeps up with it.
    follower: Option<Arc<Mutex<Follower>>>,
}

impl Stills {
    /// Stills of what goes through `hub`, raw from `tap` where that gives any.
    #[must_use]
    pub fn new(hub: Hub, tap: Tap) -> Self {
        let making = tokio::sync::Mutex::default();
        let (made, over) = (AtomicU64::new(0), watch::Sender::new(false));
        Self(Arc::new(Shared { hub, tap, making, made, over }))
    }

    /// A picture, made now if need be. To wait for it is to watch, which starts the camera where it
    /// was off.
    ///
    /// # Errors
    /// When the pictures cannot be decoded, or there will be none any more.
    pub async fn get(&self, wish: Wish) -> Result<Still, NoPicture> {
        let _viewer = self.0.hub.join(TrackId::MAIN);
        let mut over = self.0.over.subscribe();
        tokio::select! {
            still = self.shared(wish) => still,
            _ = over.wait_for(|over| *over) => Err(NoPicture("Picket is stopping".into())),
        }
    }

    /// How many were made since the start.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.0.made.load(Ordering::Relaxed)
    }

    /// Lets go all who wait, now and from now on.
    pub fn stop(&self) {
        self.0.over.send_replace(true);
    }

    /// The last picture if that will do, else a new one.
    async fn shared(&self, wish: Wish) -> Result<Still, NoPicture> {
        let mut making = self.0.making.lock().await;
        if let Some((still, made)) = &making.last
            && still.number > wish.after
            && made.elapsed() < wish.age
        {
            return Ok(still.clone());
        }
        let keeps_up = wish.after > 0 || making.asked.is_some_and(|at| at.elapsed() < KEEPS_UP);
        making.asked = Some(Instant::now());
        let jpeg = self.make(&mut making, keeps_up).await?;
        let still = Still { jpeg, number: self.0.made.fetch_add(1, Ordering::Relaxed) + 1 };
        making.last = Some((still.clone(), Instant::now()));
        Ok(still)
    }

    async fn make(&self, making: &mut Making, keeps_up: bool) -> Result<Bytes, NoPicture> {
        let mut notifier = self.0.hub.notifier();
        let mut raw = std::pin::pin!(self.0.tap.next());
        loop {
            if !self.0.hub.makes_key_frames()
                && let Some(jpeg) = self.decoded(making, keeps_up).await?
            {
                return Ok(jpeg);
            }
            tokio::select! {
                frame = raw.as_mut() => return develop(move || Ok(Some(frame))).await?.ok_or_else(
                    || NoPicture("the camera's pictures are of a kind no JPEG is made of".into())
                ),
                // The source may be another now.
                () = notifier.next() => {}
            }
        }
    }

    /// A picture of a source whose pictures come coded; `None` when none has come.
    async fn decoded(
        &self,
        making: &mut Making,
        keeps_up: bool,
    ) -> Result<Option<Bytes>, NoPicture> {
        if !keeps_up && making.follower.is_none() {
            let Some(key) = self.0.hub.newest_key_frame(Layer::Main) else {
                return Ok(None);
            };
            return develop(move || Ok(coded::alone(&key)?)).await;
        }
        let follower = match &making.follower {
            Some(follower) => follower.clone(),
            None => {
                let new = Follower::new(self.0.hub.join(TrackId::MAIN))?;
                tokio::spawn(let_go(Arc::downgrade(&self.0)));
                making.follower.insert(Arc::new(Mutex::new(new))).clone()
            }
        };
        develop(move || {
            let mut follower = follower.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(follower.catch_up()?)
        })
        .await
    }
}

/// Ends the decoding once nobody has kept up for a while.
async fn let_go(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(KEEPS_UP).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let mut making = shared.making.lock().await;
        if making.asked.is_none_or(|at| at.elapsed() >= KEEPS_UP) {
            making.follower = None;
            return;
        }
    }
}

/// Writes a picture as JPEG, where that keeps nobody waiting.
async fn develop(
    picture: impl FnOnce() -> Result<Option<Frame>, NoPicture> + Send + 'static,
) -> Result<Option<Bytes>, NoPicture> {
    let made = tokio::task::spawn_blocking(move || {
        let Some(frame) = picture()?.filter(|frame| jpeg::can_write(frame.format())) else {
            return Ok(None);
        };
        let jpeg = jpeg::write(&frame).map_err(|e| NoPicture(e.to_string()))?;
        Ok(Some(jpeg.into()))
    });
    made.await.unwrap_or_else(|e| Err(NoPicture(e.to_string())))
}
