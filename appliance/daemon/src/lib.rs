//! The belfry binary.
