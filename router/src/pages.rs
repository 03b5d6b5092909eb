//! The health pages: what a person sees of tenants and of this router.
//!
//! Pure: what is known goes in, a page comes out. Who may see it, and where what is known comes
//! from, is for [`crate::admin`] and the public listener to say.

pub(crate) mod assets;
pub(crate) mod entrance;
pub(crate) mod layout;
pub(crate) mod marks;
pub(crate) mod overview;
pub(crate) mod policy;
pub(crate) mod router;
pub(crate) mod tenant;
