//! Static files, compiled in, each under a name that changes with its content.

use std::fmt::Write as _;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// Where the files are served.
pub const ASSET_PREFIX: &str = "/assets/pages/";

/// The design tokens, which the classroom client imports too.
pub const TOKENS_CSS: &str = include_str!("../static/tokens.css");

/// One static file.
#[derive(Debug)]
pub struct Asset {
    /// The name in the sources.
    pub name: &'static str,
    /// The address, with the content's hash in it: may be cached for ever.
    pub path: String,
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let css = format!("{TOKENS_CSS}\n{}", include_str!("../static/app.css"));
    [
        ("belfry.css", "text/css; charset=utf-8", css),
        (
            "enhance.js",
            "text/javascript; charset=utf-8",
            include_str!("../static/enhance.js").into(),
        ),
        ("icons.svg", "image/svg+xml", include_str!("../static/icons.svg").into()),
        ("mark.svg", "image/svg+xml", include_str!("../static/mark.svg").into()),
    ]
    .into_iter()
    .map(|(name, media_type, text): (_, _, String)| {
        let hash = Sha256::digest(text.as_bytes());
        let mut short = String::new();
        for byte in &hash[..6] {
            let _ = write!(short, "{byte:02x}");
        }
        let (stem, extension) = name.split_once('.').expect("names above have one dot");
        let path = format!("{ASSET_PREFIX}{stem}-{short}.{extension}");
        Asset { name, path, media_type, bytes: text.into_bytes() }
    })
    .collect()
});

/// Every static file.
pub fn assets() -> &'static [Asset] {
    &ASSETS
}

/// The address of a static file, by its name in the sources.
pub(crate) fn asset_path(name: &str) -> &'static str {
    ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| &asset.path)
}

/// The address of an icon.
pub(crate) fn icon(name: &str) -> String {
    format!("{}#{name}", asset_path("icons.svg"))
}
