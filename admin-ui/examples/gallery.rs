//! Writes the gallery into a directory: every page from fixtures, its static files, an index.
//!
//! `cargo run -p belfry-admin-ui --example gallery -- DIRECTORY`, then serve the directory.

use std::io;
use std::path::PathBuf;

fn main() -> io::Result<()> {
    let directory =
        std::env::args_os().nth(1).map_or_else(|| PathBuf::from("gallery"), PathBuf::from);
    std::fs::create_dir_all(directory.join(belfry_admin_ui::ASSET_PREFIX.trim_start_matches('/')))?;
    for asset in belfry_admin_ui::assets() {
        std::fs::write(directory.join(asset.path.trim_start_matches('/')), &asset.bytes)?;
    }
    let mut index =
        String::from("<!doctype html><html lang=en><title>Gallery</title><h1>Gallery</h1><ul>");
    for (name, html) in belfry_admin_ui::gallery::pages() {
        std::fs::write(directory.join(name).with_extension("html"), html)?;
        index.push_str("<li><a href=");
        index.push_str(name);
        index.push_str(".html>");
        index.push_str(name);
        index.push_str("</a>");
    }
    std::fs::write(directory.join("index.html"), index)
}
