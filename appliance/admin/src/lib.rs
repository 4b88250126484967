//! Handlers of the admin and sign-in pages.
