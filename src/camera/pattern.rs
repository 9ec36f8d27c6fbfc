//! The built-in test picture.
