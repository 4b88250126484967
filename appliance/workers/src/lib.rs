//! The one worker protocol and its supervisor.
