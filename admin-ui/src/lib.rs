//! Templates, design tokens and view structs of the server-rendered pages.
