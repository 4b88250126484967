//! The relay as clients are told of it: where it is, and what they sign in with.

use std::collections::BTreeSet;
use std::net::IpAddr;

use belfry_certs::Names;
use belfry_media_api::Relay;
use belfry_model::Pii;
use belfry_settings::Settings;
use belfry_signalling::host::Host;
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
pub(crate) fn ice_servers(settings: &Settings, names: Names, secret: Pii<Vec<u8>>) -> IceServers {
    let places = Places::new(settings, names);
    let for_all = IceServers::new(vec![places.stun(&places.reached)]);
    let relay = settings.media_relay();
    for_all.with_credentials(move |asked| {
        let came = places.came_by(asked.host);
        let mut servers = vec![places.stun(&came)];
        if relay {
            let expires = u64::try_from(asked.now.0 / 1_000).unwrap_or(0) + VALID_SECONDS;
            let made = belfry_relay::issue(secret.reveal(), asked.participant, expires);
            let (username, credential) = (made.username, made.password);
            servers.push(IceServer { urls: places.relay(&came), username, credential });
        }
        servers
    })
}

/// Where clients reach this machine.
struct Places {
    names: Names,
    /// The first address of each family that other machines reach, as hosts of a URL.
    reached: Vec<String>,
    /// What the district calls this machine.
    given: Option<String>,
    https: u16,
    tcp: u16,
}

impl Places {
    fn new(settings: &Settings, names: Names) -> Self {
        Self {
            reached: reached(&names.addresses),
            names,
            given: settings.host_names().first().cloned(),
            https: settings.https_port(),
            tcp: settings.media_tcp_port(),
        }
    }

    /// The host by which a client came, if it is one of ours: where it reached the page it reaches
    /// the relay, and the certificate has that name. Behind a proxy it may be something else; then
    /// any address has to do.
    fn came_by(&self, host: Option<&Host>) -> Vec<String> {
        match host {
            Some(Host::Name(name)) if self.names.hosts.contains(name) => vec![name.clone()],
            Some(Host::Address(address)) if self.names.addresses.contains(address) => {
                vec![in_url(*address)]
            }
            _ => self.reached.clone(),
        }
    }

    /// STUN is answered on the HTTPS port's UDP twin, never on the media's own: see
    /// `Configure::stun`, which is also why no TURN over UDP is named.
    fn stun(&self, hosts: &[String]) -> IceServer {
        let urls = hosts.iter().map(|host| format!("stun:{host}:{}", self.https)).collect();
        IceServer { urls, username: String::new(), credential: String::new() }
    }

    /// A browser verifies the certificate of `turns:` as that of a page. Firefox speaks it to names
    /// only, so one that the district gave is said besides an address.
    fn relay(&self, hosts: &[String]) -> Vec<String> {
        let turn = hosts.iter().map(|host| format!("turn:{host}:{}?transport=tcp", self.tcp));
        let by_name = hosts.iter().any(|host| self.names.hosts.contains(host));
        let turns = hosts.iter().chain(self.given.iter().filter(|_| !by_name));
        let turns = turns.map(|host| format!("turns:{host}:{}?transport=tcp", self.https));
        turn.chain(turns).collect()
    }
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
    found.into_iter().map(in_url).collect()
}

fn in_url(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use belfry_certs::Names;
    use belfry_model::{ParticipantSid, Timestamp};
    use belfry_settings::Settings;
    use belfry_signalling::IceAsked;
    use belfry_signalling::host::Host;

    use super::{ice_servers, secret};

    fn by_address(text: &str) -> Host {
        Host::Address(text.parse().expect("an address"))
    }

    fn by_name(name: &str) -> Host {
        Host::Name(name.to_owned())
    }

    /// As a client is told that came by `host`.
    fn urls(settings: &Settings, addresses: &[&str], host: Option<&Host>) -> Vec<String> {
        let addresses =
            addresses.iter().map(|address| address.parse().expect("an address")).collect();
        let mut hosts = settings.host_names().to_vec();
        hosts.push("box-1".to_owned());
        let servers = ice_servers(settings, Names { hosts, addresses }, secret());
        let asked = IceAsked {
            participant: &ParticipantSid::new("PA_1"),
            host,
            now: Timestamp(1_700_000_000_000),
        };
        servers.of(asked).into_iter().flat_map(|server| server.urls).collect()
    }

    fn named() -> Settings {
        let mut settings = Settings::default();
        settings.set("https.host_names", "class.example.org, class").expect("names");
        settings
    }

    #[test]
    fn a_client_is_told_of_stun_and_of_both_ways_to_the_relay_by_what_it_came() {
        let addresses = ["127.0.0.1", "10.0.0.5", "172.17.0.1", "2001:db8::5"];
        for (host, said) in [
            (by_address("172.17.0.1"), "172.17.0.1"),
            (by_address("2001:db8::5"), "[2001:db8::5]"),
            (by_name("box-1"), "box-1"),
        ] {
            assert_eq!(
                urls(&Settings::default(), &addresses, Some(&host)),
                [
                    format!("stun:{said}:443"),
                    format!("turn:{said}:3478?transport=tcp"),
                    format!("turns:{said}:443?transport=tcp")
                ]
            );
        }
        assert_eq!(
            urls(&named(), &addresses, Some(&by_name("class"))).last().map(String::as_str),
            Some("turns:class:443?transport=tcp")
        );
    }

    #[test]
    fn a_host_that_is_not_ours_is_never_said() {
        for host in [Some(by_name("evil.example")), Some(by_address("192.0.2.9")), None] {
            assert_eq!(
                urls(
                    &Settings::default(),
                    &["127.0.0.1", "10.0.0.5", "2001:db8::5"],
                    host.as_ref()
                ),
                [
                    "stun:10.0.0.5:443",
                    "stun:[2001:db8::5]:443",
                    "turn:10.0.0.5:3478?transport=tcp",
                    "turn:[2001:db8::5]:3478?transport=tcp",
                    "turns:10.0.0.5:443?transport=tcp",
                    "turns:[2001:db8::5]:443?transport=tcp"
                ]
            );
        }
    }

    #[test]
    fn whoever_came_by_an_address_is_told_the_name_too_since_firefox_needs_one() {
        assert_eq!(
            urls(&named(), &["10.0.0.5"], Some(&by_address("10.0.0.5"))),
            [
                "stun:10.0.0.5:443",
                "turn:10.0.0.5:3478?transport=tcp",
                "turns:10.0.0.5:443?transport=tcp",
                "turns:class.example.org:443?transport=tcp"
            ]
        );
    }

    #[test]
    fn without_the_relay_there_is_only_stun() {
        let mut settings = Settings::default();
        settings.set("media.relay", "false").expect("a word");
        assert_eq!(urls(&settings, &["10.0.0.5"], None), ["stun:10.0.0.5:443"]);
    }
}
