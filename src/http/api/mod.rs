//! The API, `/api/v1`, and `/healthz`.
//!
//! In come questions and changes in JSON; out go the state of the program, and what became of
//! the change.

pub(super) mod controls;
pub(super) mod device;
pub(super) mod events;
pub(super) mod health;
pub(super) mod sessions;
pub(super) mod status;
pub(super) mod update;
