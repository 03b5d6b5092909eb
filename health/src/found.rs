//! What is told of a finding: in words, with its beginning.

use jiff::Timestamp;
use serde::Serialize;

use crate::finding::Finding;

/// One finding, in words.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Which kind.
    pub finding: Finding,
    /// What exactly, with the figures.
    pub detail: String,
    /// Since when it has been found without a break.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub since: Timestamp,
}
