//! The workspace as `cargo metadata` tells it, and the files that git tracks in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

/// One crate of the workspace.
#[derive(Clone, Debug, Deserialize)]
pub struct Crate {
    pub name: String,
    /// Folder from the workspace root, as in `appliance/sfu`.
    pub folder: String,
    /// Absent for what lies outside the layers (tests).
    pub layer: Option<u32>,
    /// Normal and build dependencies by package name, whatever feature turns them on.
    pub dependencies: Vec<String>,
}

impl Crate {
    /// Suites and what they run: outside the layers, and held to no door.
    pub fn is_test(&self) -> bool {
        self.folder == "tests" || self.folder.starts_with("tests/")
    }
}

/// The workspace root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests crate lies in a folder of the workspace")
        .to_owned()
}

/// All crates of the workspace, dev-dependencies left out.
pub fn crates() -> Result<Vec<Crate>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .context("start cargo metadata")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("read what cargo metadata printed")?;
    Ok(metadata.packages.into_iter().map(crate_of).collect())
}

/// Files that git tracks or would track (new and not ignored), from the root.
pub fn files() -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .context("start git ls-files")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).context("file names are UTF-8")?;
    Ok(listed.lines().filter(|file| root().join(file).is_file()).map(str::to_owned).collect())
}

/// Whether a file's name ends in this extension.
pub fn has_extension(file: &str, extension: &str) -> bool {
    Path::new(file).extension().is_some_and(|found| found == extension)
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    metadata: Option<PackageMetadata>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct PackageMetadata {
    layer: Option<u32>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

fn crate_of(package: Package) -> Crate {
    let folder = package
        .manifest_path
        .parent()
        .and_then(|folder| folder.strip_prefix(root()).ok())
        .map(|folder| folder.to_string_lossy().into_owned())
        .unwrap_or_default();
    Crate {
        name: package.name,
        folder,
        layer: package.metadata.and_then(|metadata| metadata.layer),
        dependencies: package
            .dependencies
            .into_iter()
            .filter(|dependency| dependency.kind.as_deref() != Some("dev"))
            .map(|dependency| dependency.name)
            .collect(),
    }
}
