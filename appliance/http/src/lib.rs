//! The router type that makes every route declare its role and audit event.
