//! What is said to the person at the console. Sign-ins go here and nowhere else.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the console")]

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Context, Result};
use belfry_admin::Trust;
use belfry_model::Role;

use crate::args::Data;
use crate::{names, open};

/// One sentence, and what lies behind it.
pub(crate) fn failed(error: &anyhow::Error) {
    eprintln!("belfry: {error:#}");
}

pub(crate) fn settings() {
    println!("{}", belfry_settings::table());
}

/// All sign-ins of the demo school.
pub(crate) fn demo_sign_ins(data: &Data) -> Result<()> {
    let settings = belfry_settings::Settings::load(None, &[], |name| {
        if name == belfry_settings::env_name("data.dir") { data.given() } else { None }
    })?;
    let keys = belfry_keys::Keys::open(&settings.data_dir().join("keys"))?;
    for one in belfry_identity::demo_sign_ins(&keys) {
        println!("{} {} {}", one.role.as_str(), one.username, one.password.as_str());
    }
    Ok(())
}

/// The address, the fingerprint, and how to sign in as long as nobody has chosen another password.
pub(crate) async fn serving(kept: &open::Kept, trust: &Trust, demo: bool) -> Result<()> {
    let settings = &kept.settings;
    let port = match settings.https_port() {
        443 => String::new(),
        port => format!(":{port}"),
    };
    let host = settings.host_names().first().map_or("localhost", String::as_str);
    println!("\nBelfry is running.\n");
    println!("  Address         https://{host}{port}");
    for address in lan(&names::addresses(settings).context("list addresses")?) {
        println!("                  https://{address}{port}");
    }
    println!("  CA fingerprint  {}", fingerprint(trust.fingerprint()));
    println!("  CA certificate  {}", settings.data_dir().join("certs/root.pem").display());
    if demo {
        demo_people(kept).await?;
    }
    if let Some(first) = kept.identity.first_sign_in().await? {
        println!();
        sign_in("Administrator", first.username, &first.password);
        println!(
            "                  Shown until it is used: sign in and choose a password of your own."
        );
    }
    println!("\nCtrl-C stops it.");
    Ok(())
}

/// One sign-in of each role of the demo school.
async fn demo_people(kept: &open::Kept) -> Result<()> {
    let people = belfry_identity::demo_sign_ins(&kept.keys);
    let mut shown = Vec::new();
    for (word, role) in
        [("Teacher", Role::Teacher), ("Student", Role::Student), ("Admin", Role::Admin)]
    {
        let Some(one) = people.iter().find(|one| one.role == role) else { continue };
        if kept.identity.is_current(one).await? {
            shown.push((word, one));
        }
    }
    println!();
    if shown.is_empty() {
        println!("  There is a school here already, whose sign-ins this console does not know.");
    }
    for (word, one) in shown {
        sign_in(word, one.username, &one.password);
    }
    Ok(())
}

fn sign_in(word: &str, username: &str, password: &str) {
    println!("  {word:<15} {username} / {password}");
}

/// SHA-256 as devices show it.
fn fingerprint(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// Addresses for other machines, IPv4 first as it is easier to type.
fn lan(addresses: &BTreeSet<IpAddr>) -> Vec<String> {
    addresses
        .iter()
        .filter(|address| !address.is_loopback())
        .map(|address| match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        })
        .collect()
}
