//! Turns away what another web site sent.
