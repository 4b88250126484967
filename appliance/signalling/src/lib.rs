//! LiveKit wire messages to and from our events, sans-IO.
