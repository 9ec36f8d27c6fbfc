//! Who makes still pictures.

use std::pin::Pin;

use crate::stills::{NoPicture, Still, Stills, Wish};

/// Makes still pictures.
pub trait Snapshotter: Send + Sync {
    /// A JPEG of the picture as it is now. Starts the camera if it is off.
    fn still(
        &self,
        wish: Wish,
    ) -> Pin<Box<dyn Future<Output = Result<Still, NoPicture>> + Send + '_>>;
}

impl Snapshotter for Stills {
    fn still(
        &self,
        wish: Wish,
    ) -> Pin<Box<dyn Future<Output = Result<Still, NoPicture>> + Send + '_>> {
        Box::pin(self.get(wish))
    }
}
