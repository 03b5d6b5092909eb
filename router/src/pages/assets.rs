//! What pages are made of besides themselves: built into the binary, and served under a name that
//! changes with what is in it, so that browsers may keep it for good.

use std::sync::{LazyLock, OnceLock};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use ring::digest::{Context, SHA256};

use crate::gzip;

/// Where assets are, before their version and their name.
pub(crate) const PREFIX: &str = "/health/assets/";

/// One file that pages refer to.
#[derive(Debug)]
pub(crate) struct Asset {
    pub(crate) name: &'static str,
    pub(crate) media_type: &'static str,
    pub(crate) body: &'static [u8],
    /// In fewer bytes, once somebody has asked for that.
    gzip: OnceLock<Option<Bytes>>,
}

impl Asset {
    const fn new(name: &'static str, media_type: &'static str, body: &'static [u8]) -> Self {
        Self {
            name,
            media_type,
            body,
            gzip: OnceLock::new(),
        }
    }

    /// The same in fewer bytes, if it can be had.
    pub(crate) fn gzip(&self) -> Option<Bytes> {
        self.gzip.get_or_init(|| gzip::smaller(self.body)).clone()
    }
}

/// All there are. Ours, and the one library that draws charts.
static ASSETS: [Asset; 5] = [
    Asset::new(
        "mirador.css",
        "text/css; charset=utf-8",
        include_bytes!("assets/mirador.css"),
    ),
    Asset::new(
        "mirador.js",
        "text/javascript; charset=utf-8",
        include_bytes!("assets/mirador.js"),
    ),
    Asset::new(
        "uplot.css",
        "text/css; charset=utf-8",
        include_bytes!("assets/uplot/uPlot.min.css"),
    ),
    Asset::new(
        "uplot.js",
        "text/javascript; charset=utf-8",
        include_bytes!("assets/uplot/uPlot.iife.min.js"),
    ),
    Asset::new(
        "favicon.svg",
        "image/svg+xml",
        include_bytes!("assets/favicon.svg"),
    ),
];

/// Changes whenever one of them does.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut context = Context::new(&SHA256);
    for asset in &ASSETS {
        context.update(asset.body);
    }
    BASE64_URL_SAFE_NO_PAD.encode(&context.finish().as_ref()[..9])
});

/// The path of the asset `name`, as pages of this build refer to it.
pub(crate) fn path(name: &str) -> String {
    format!("{PREFIX}{}/{name}", *VERSION)
}

/// The asset that `version/name` names, and whether it is the version of this build. A router of
/// another build may have written the page: it gets ours, and must not keep it.
pub(crate) fn find(rest: &str) -> Option<(&'static Asset, bool)> {
    let (version, name) = rest.split_once('/')?;
    let asset = ASSETS.iter().find(|asset| asset.name == name)?;
    Some((asset, version == *VERSION))
}

/// How long a browser may keep an asset.
pub(crate) const fn cache_control(is_current: bool) -> &'static str {
    if is_current {
        "public, max-age=31536000, immutable"
    } else {
        "no-store"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_is_found_by_the_path_pages_have_and_kept_only_then() {
        for asset in &ASSETS {
            let path = path(asset.name);
            let rest = path.strip_prefix(PREFIX).expect("the prefix");
            let (found, is_current) = find(rest).expect("an asset");
            assert_eq!((found.name, is_current), (asset.name, true));
            assert!(!asset.body.is_empty());
        }
        let (_, is_current) = find("older/mirador.css").expect("an asset");
        assert!(!is_current);
        assert!(find("mirador.css").is_none());
        assert!(find("v/../Cargo.toml").is_none());
    }

    #[test]
    fn nothing_is_fetched_from_elsewhere() {
        for asset in &ASSETS {
            let text = String::from_utf8_lossy(asset.body);
            for (at, _) in text.match_indices("://") {
                let around = &text[at.saturating_sub(8)..(at + 40).min(text.len())];
                let is_name = around.contains("www.w3.org") || around.contains("github.com");
                assert!(is_name, "{} refers to {around}", asset.name);
            }
        }
    }

    /// A condition is told by its shape as well as by its word.
    #[test]
    fn every_condition_has_a_mark_and_a_place_in_the_bar() {
        let style = ASSETS.iter().find(|asset| asset.name == "mirador.css");
        let style = std::str::from_utf8(style.expect("a style sheet").body).expect("text");
        for condition in crate::standing::Condition::ALL {
            for rule in [
                format!(".is.{condition}"),
                format!(".{condition} > .mark {{"),
                format!(".share .{condition}"),
            ] {
                assert!(style.contains(&rule), "there is no {rule}");
            }
        }
    }
}
