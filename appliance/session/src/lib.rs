//! The hub of one live lesson.
