//! Drawing on I420. In come shapes and text, which become a [`Mask`]; a mask is blended into an
//! [`I420Buffer`](super::i420::I420Buffer) in one colour. Masks may hang over any edge.
//!
//! ```ignore
//! let mut buffer = I420Buffer::new(&pool, (1280, 720))?;
//! let line = TextRenderer::new(32).line("Garden", 600);
//! buffer.blend(&line, (40, 40), Colour::WHITE);
//! let frame = buffer.into_frame(time, sequence)?;
//! ```

mod mask;
mod text;

pub(crate) use mask::{Colour, Mask};
pub(crate) use text::TextRenderer;
