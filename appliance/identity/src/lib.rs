//! Who is this: local accounts and sessions.
