//! Who the tenants are: the domain model, the [`repository::TenantRepository`] that stores it,
//! the [`cache::TenantCache`] the request path reads, and the [`history`] of their health.
//!
//! This crate knows nothing of HTTP requests, health or metrics: it turns documents into tenants,
//! keeps them, and tells whoever asks what changed.
#![forbid(unsafe_code)]

pub mod cache;
pub mod document;
pub mod history;
pub mod mirror;
pub mod model;
pub mod repository;
