//! Drawing on I420: shapes and text become a [`Mask`], and a mask is blended into a
//! [`Picture`](super::Picture) in one colour. Masks may hang over any edge.
//!
//! ```ignore
//! let mut picture = Picture::new(&pool, (1280, 720))?;
//! let line = Pen::new(32).line("Garden", 600);
//! picture.blend(&line, (40, 40), Colour::WHITE);
//! let frame = picture.into_frame(time, sequence)?;
//! ```

mod mask;
mod text;

pub(crate) use mask::{Colour, Mask};
pub(crate) use text::Pen;
