//! The relay as clients are told of it: where it is, and what they sign in with.

use std::collections::BTreeSet;
use std::net::IpAddr;

use belfry_media_api::Relay;
use belfry_model::{ParticipantSid, Pii, Timestamp};
use belfry_settings::Settings;
use belfry_signalling::{IceServer, IceServers};

const SECRET_BYTES: usize = 32;
/// Clients keep their credentials for as long as their socket lasts; no lesson is longer.
const VALID_SECONDS: u64 = 24 * 60 * 60;

/// The secret of this run. It is in no file: whoever has credentials of an earlier run has lost the
/// signalling socket, too, and gets new ones with the next.
pub(crate) fn secret() -> Pii<Vec<u8>> {
    Pii::new(rand::random::<[u8; SECRET_BYTES]>().to_vec())
}

/// What the media process is told; `None` if nothing is to be relayed.
pub(crate) fn configure(settings: &Settings, secret: &Pii<Vec<u8>>) -> Option<Relay> {
    settings.media_relay().then(|| Relay {
        tcp: vec![(settings.media_address(), settings.media_tcp_port()).into()],
        realm: "belfry".to_owned(),
        secret: secret.clone(),
    })
}

/// The ICE servers of everybody, and those of each participant.
pub(crate) fn ice_servers(
    settings: &Settings,
    addresses: &BTreeSet<IpAddr>,
    secret: Pii<Vec<u8>>,
) -> IceServers {
    // STUN is answered on the HTTPS port's UDP twin, never on the media's own: see
    // `Configure::stun`, which is also why no TURN over UDP is named.
    let https = settings.https_port();
    let urls = reached(addresses).iter().map(|host| format!("stun:{host}:{https}")).collect();
    let stun = IceServer { urls, username: String::new(), credential: String::new() };
    let servers = IceServers::new(vec![stun]);
    if !settings.media_relay() {
        return servers;
    }
    let urls = relay_urls(settings, addresses);
    servers.with_credentials(move |participant: &ParticipantSid, now: Timestamp| {
        let expires = u64::try_from(now.0 / 1_000).unwrap_or(0) + VALID_SECONDS;
        let made = belfry_relay::issue(secret.reveal(), participant, expires);
        let (username, credential) = (made.username, made.password);
        vec![IceServer { urls: urls.clone(), username, credential }]
    })
}

/// A browser verifies the certificate of `turns:` as that of a page. A name that the district gave
/// is on any certificate, its own included; without one the built-in certificate has the addresses.
fn relay_urls(settings: &Settings, addresses: &BTreeSet<IpAddr>) -> Vec<String> {
    let (tcp, https) = (settings.media_tcp_port(), settings.https_port());
    let hosts = reached(addresses);
    let named = settings.host_names().first().map(|name| vec![name.clone()]);
    let turn = hosts.iter().map(|host| format!("turn:{host}:{tcp}?transport=tcp"));
    let secured = named.unwrap_or_else(|| hosts.clone());
    let turns = secured.iter().map(|host| format!("turns:{host}:{https}?transport=tcp"));
    turn.chain(turns).collect()
}

/// The first address of each family that other machines reach, as hosts of a URL.
fn reached(addresses: &BTreeSet<IpAddr>) -> Vec<String> {
    let usable = |is_ipv4: bool| {
        let mut found = addresses.iter().filter(|address| !address.is_loopback());
        found.find(|address| address.is_ipv4() == is_ipv4).copied()
    };
    let found: Vec<IpAddr> = [usable(true), usable(false)].into_iter().flatten().collect();
    let alone = IpAddr::from([127, 0, 0, 1]);
    let found = if found.is_empty() { vec![alone] } else { found };
    let host = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    found.iter().map(host).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::IpAddr;

    use belfry_model::{ParticipantSid, Timestamp};
    use belfry_settings::Settings;

    use super::{ice_servers, secret};

    fn urls(settings: &Settings, addresses: &[&str]) -> Vec<String> {
        let addresses: BTreeSet<IpAddr> =
            addresses.iter().map(|address| address.parse().expect("an address")).collect();
        let servers = ice_servers(settings, &addresses, secret());
        let servers = servers.of(&ParticipantSid::new("PA_1"), Timestamp(1_700_000_000_000));
        servers.into_iter().flat_map(|server| server.urls).collect()
    }

    #[test]
    fn a_client_is_told_of_stun_and_of_both_ways_to_the_relay_in_each_family() {
        let settings = Settings::default();
        assert_eq!(
            urls(&settings, &["127.0.0.1", "10.0.0.5"]),
            [
                "stun:10.0.0.5:443",
                "turn:10.0.0.5:3478?transport=tcp",
                "turns:10.0.0.5:443?transport=tcp"
            ]
        );
        assert_eq!(
            urls(&settings, &["::1", "2001:db8::5"]),
            [
                "stun:[2001:db8::5]:443",
                "turn:[2001:db8::5]:3478?transport=tcp",
                "turns:[2001:db8::5]:443?transport=tcp"
            ]
        );
    }

    #[test]
    fn a_name_of_the_district_is_what_the_certificate_says() {
        let mut settings = Settings::default();
        settings.set("https.host_names", "class.example.org").expect("a name");
        let urls = urls(&settings, &["10.0.0.5"]);
        assert_eq!(
            urls.last().map(String::as_str),
            Some("turns:class.example.org:443?transport=tcp")
        );
    }

    #[test]
    fn without_the_relay_there_is_only_stun() {
        let mut settings = Settings::default();
        settings.set("media.relay", "false").expect("a word");
        assert_eq!(urls(&settings, &["10.0.0.5"]), ["stun:10.0.0.5:443"]);
    }
}
