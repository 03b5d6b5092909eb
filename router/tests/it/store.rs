//! The tenant store in trouble, and what clients notice of it.
