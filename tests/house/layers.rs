//! An import points to a strictly lower layer, and the folders form a line.

use belfry_tests::workspace::{Crate, crates};

/// Folders whose crates import nothing of `appliance`.
const BELOW_APPLIANCE: [&str; 2] = ["compliance/", "admin-ui"];

fn violations(crates: &[Crate]) -> Vec<String> {
    let find = |name: &str| crates.iter().find(|c| c.name == name);
    let mut found = Vec::new();
    for importer in crates.iter().filter(|c| !c.is_test()) {
        let Some(layer) = importer.layer else {
            found.push(format!("{}: no [package.metadata] layer", importer.name));
            continue;
        };
        for imported in importer.dependencies.iter().filter_map(|name| find(name)) {
            if imported.layer.is_none_or(|below| below >= layer) {
                found.push(format!(
                    "{} imports {}, not a lower layer",
                    importer.name, imported.name
                ));
            }
            let below = BELOW_APPLIANCE.iter().any(|folder| importer.folder.starts_with(folder));
            if below && imported.folder.starts_with("appliance") {
                found.push(format!("{} imports {} of appliance", importer.name, imported.name));
            }
        }
    }
    found
}

fn example(name: &str, folder: &str, layer: u32, dependencies: &[&str]) -> Crate {
    Crate {
        name: name.to_owned(),
        folder: folder.to_owned(),
        layer: Some(layer),
        dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
    }
}

#[test]
fn every_import_points_to_a_lower_layer() {
    let crates = crates().expect("cargo metadata reads the workspace");
    let imports = crates.iter().flat_map(|c| &c.dependencies).filter(|d| d.starts_with("belfry-"));
    assert!(crates.len() > 15 && imports.count() > 30, "the check must have read the workspace");
    assert_eq!(violations(&crates), Vec::<String>::new());
}

#[test]
fn an_import_of_the_same_layer_is_found() {
    let house = [example("a", "appliance/a", 1, &["b"]), example("b", "appliance/b", 1, &[])];
    assert_eq!(violations(&house), ["a imports b, not a lower layer"]);
}

#[test]
fn an_import_from_compliance_to_appliance_is_found() {
    let house = [example("a", "compliance/a", 1, &["b"]), example("b", "appliance/b", 0, &[])];
    assert_eq!(violations(&house), ["a imports b of appliance"]);
}

#[test]
fn a_crate_without_a_layer_is_found() {
    let mut lost = example("a", "appliance/a", 0, &[]);
    lost.layer = None;
    assert_eq!(violations(&[lost]), ["a: no [package.metadata] layer"]);
}
