//! The rules of a lesson, pure.
