//! Who may ask, as an operator writes it.

use std::{fs, sync::Arc};

use router::{
    config::{Config, Overrides},
    proxy::identify::Identity,
};

/// What the request path makes of this `identify` section.
///
/// # Panics
/// It has faults, or the system gives no folder.
#[expect(clippy::expect_used, reason = "written in the benchmark")]
pub fn identity(section: &str) -> Identity {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mirador.yaml");
    fs::write(&file, format!("identify: {section}\n")).expect("a file");
    let config = Config::load(Some(&file), &Overrides::default()).expect("a faultless section");
    Identity::new(&config.settings.identify, &Arc::default())
}
