//! Ways, devices, causes and advice in words.

use belfry_admin_ui::{say, say_with};
use belfry_ops::{
    Advice, Browser, Carried, Cause, ErrorCode, Interval, Network, Reach, System, Way,
};
use belfry_store::Troubles;

const SECOND_MS: i64 = 1_000;
const MINUTE_SECS: i64 = 60;
const HOUR_SECS: i64 = 3_600;

/// `8 s`, `12 min`, `1 h 5 min`.
pub(super) fn lasted(ms: i64) -> String {
    let secs = (ms + SECOND_MS / 2) / SECOND_MS;
    if secs < 2 * MINUTE_SECS {
        return say_with("connections-seconds", &[("count", secs)]);
    }
    if secs < HOUR_SECS {
        return say_with("connections-minutes", &[("count", secs / MINUTE_SECS)]);
    }
    let (hours, minutes) = (secs / HOUR_SECS, secs % HOUR_SECS / MINUTE_SECS);
    say_with("connections-hours", &[("hours", hours), ("minutes", minutes)])
}

pub(super) fn way(way: Way) -> String {
    say(match way {
        Way::Udp => "way-udp",
        Way::TurnUdp => "way-turn-udp",
        Way::IceTcp => "way-ice-tcp",
        Way::TurnTcp => "way-turn-tcp",
        Way::TurnTls => "way-turn-tls",
    })
}

/// A device as the database holds it: `chromium 156, chromeos`.
pub(super) fn device(kept: Option<&str>) -> String {
    kept.and_then(parsed_device).unwrap_or_else(|| say("connections-device-unknown"))
}

fn parsed_device(kept: &str) -> Option<String> {
    let (browser, system) = kept.split_once(", ")?;
    let (browser, major) = browser.split_once(' ')?;
    let browser = say(match Browser::parse(browser)? {
        Browser::Chromium => "browser-chromium",
        Browser::Edge => "browser-edge",
        Browser::Firefox => "browser-firefox",
        Browser::Safari => "browser-safari",
        Browser::Other => "browser-other",
    });
    let system = say(match System::parse(system)? {
        System::ChromeOs => "system-chromeos",
        System::Windows => "system-windows",
        System::MacOs => "system-macos",
        System::Linux => "system-linux",
        System::Ios => "system-ios",
        System::Android => "system-android",
        System::Other => "system-other",
    });
    let values = [("browser", browser), ("major", major.to_owned()), ("system", system)];
    Some(say_with("connections-browser", &values))
}

/// What a line of a timeline says.
pub(super) fn cause(interval: &Interval) -> String {
    let cause = plain_cause(interval.cause);
    match interval.carried.and_then(carried) {
        Some(carried) => say_with("cause-with-carried", &[("cause", cause), ("carried", carried)]),
        None => cause,
    }
}

fn plain_cause(cause: Cause) -> String {
    match cause {
        Cause::Joined { way } => say(joined(way)),
        Cause::Moved { way: to } => say_with("cause-moved", &[("way", way(to))]),
        Cause::Loss { percent } => say_with("cause-loss", &[("percent", percent)]),
        Cause::Slow { bps } => {
            // One decimal is as much as an estimate is worth.
            let mbps = format!("{:.1}", bps as f64 / 1_000_000.0);
            say_with("cause-slow", &[("mbps", mbps)])
        }
        Cause::Device => say("cause-device"),
        Cause::Gaps { percent } => say_with("cause-gaps", &[("percent", percent)]),
        Cause::Away => say("cause-away"),
        Cause::Problem { code } => say(problem(code)),
        Cause::Left => say("cause-left"),
        Cause::Vanished => say("cause-vanished"),
    }
}

fn joined(way: Way) -> &'static str {
    match way {
        Way::Udp => "cause-joined-udp",
        Way::TurnUdp => "cause-joined-turn-udp",
        Way::IceTcp => "cause-joined-ice-tcp",
        Way::TurnTcp => "cause-joined-turn-tcp",
        Way::TurnTls => "cause-joined-turn-tls",
    }
}

fn problem(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::MicrophoneDenied => "problem-microphone-denied",
        ErrorCode::MicrophoneMissing => "problem-microphone-missing",
        ErrorCode::MicrophoneBusy => "problem-microphone-busy",
        ErrorCode::MicrophoneSilent => "problem-microphone-silent",
        ErrorCode::MicrophoneFailed => "problem-microphone-failed",
        ErrorCode::CameraDenied => "problem-camera-denied",
        ErrorCode::CameraMissing => "problem-camera-missing",
        ErrorCode::CameraBusy => "problem-camera-busy",
        ErrorCode::CameraFailed => "problem-camera-failed",
        ErrorCode::SoundBlocked => "problem-sound-blocked",
        ErrorCode::MediaRefused => "problem-media-refused",
    }
}

fn carried(carried: Carried) -> Option<String> {
    Some(say(match carried {
        Carried::All => return None,
        Carried::Softer => "carried-softer",
        Carried::FewerPictures => "carried-fewer-pictures",
        Carried::TeacherPicture => "carried-teacher-picture",
        Carried::Voices => "carried-voices",
        Carried::TeacherVoice => "carried-teacher-voice",
    }))
}

/// How a line of a timeline is meant.
pub(super) fn class(cause: Cause) -> &'static str {
    match cause {
        Cause::Joined { .. } | Cause::Moved { .. } | Cause::Left => "",
        Cause::Loss { .. } | Cause::Slow { .. } | Cause::Device | Cause::Gaps { .. } => "warn",
        Cause::Away | Cause::Problem { .. } | Cause::Vanished => "danger",
    }
}

/// Each kind of trouble with how long it lasted.
pub(super) fn troubles(troubles: &Troubles) -> Vec<String> {
    let Troubles { lossy_ms, slow_ms, device_ms, away_ms } = *troubles;
    counted([lossy_ms, slow_ms, device_ms, away_ms].map(|ms| (ms > 0).then(|| lasted(ms))))
}

/// Each kind of trouble with how many participants had it.
pub(super) fn troubled(network: &Network) -> Vec<String> {
    let counts = [network.lossy, network.slow, network.device, network.away];
    counted(counts.map(|count| (count > 0).then(|| count.to_string())))
}

fn counted(values: [Option<String>; 4]) -> Vec<String> {
    let keys = ["trouble-lossy", "trouble-slow", "trouble-device", "trouble-away"];
    let said = |(key, value): (&str, Option<String>)| Some(say_with(key, &[("value", value?)]));
    keys.into_iter().zip(values).filter_map(said).collect()
}

/// How a network stands, as a word and its meaning.
pub(super) fn state(advice: Advice) -> (String, &'static str) {
    let (key, class) = match advice {
        Advice::OnlyTls => ("state-only-tls", "danger"),
        Advice::NoUdp => ("state-no-udp", "danger"),
        Advice::NoUdpOfFew => ("state-no-udp", "warn"),
        Advice::SomeWithoutUdp { .. } => ("state-some-without-udp", "warn"),
        Advice::Lossy { .. } => ("state-lossy", "warn"),
        Advice::Fine => ("state-good", "good"),
    };
    (say(key), class)
}

/// Why it stands so, and what to do.
pub(super) fn advice(network: &Network, reach: &Reach) -> String {
    let (key, some) = match network.advice {
        Advice::OnlyTls => ("advice-only-tls", 0),
        Advice::NoUdp => ("advice-no-udp", 0),
        Advice::NoUdpOfFew => ("advice-no-udp-of-few", 0),
        Advice::SomeWithoutUdp { count } => ("advice-some-without-udp", count),
        Advice::Lossy { count } => ("advice-lossy", count),
        Advice::Fine => ("advice-good", 0),
    };
    let usable = |address: &&std::net::IpAddr| !address.is_loopback();
    let addresses: Vec<_> =
        reach.addresses.iter().filter(usable).map(ToString::to_string).collect();
    let text = |value: String| belfry_admin_ui::Value::from(value);
    let number = |value: usize| belfry_admin_ui::Value::from(value as u64);
    say_with(
        key,
        &[
            ("count", number(network.participants)),
            ("some", number(some)),
            ("subnet", text(network.subnet.clone())),
            ("port", text(reach.udp_port.to_string())),
            ("address", text(addresses.join(", "))),
        ],
    )
}

#[cfg(test)]
mod tests {
    use belfry_model::Timestamp;
    use belfry_ops::{Carried, Cause, Interval, Reach, Use, Way, networks};
    use belfry_store::Troubles;

    use super::{advice, cause, device, lasted};

    #[test]
    fn times_are_as_long_as_one_wants_to_know() {
        assert_eq!(lasted(8_400), "8 s");
        assert_eq!(lasted(12 * 60_000 + 3_000), "12 min");
        assert_eq!(lasted(65 * 60_000), "1 h 5 min");
    }

    #[test]
    fn causes_are_plain_words() {
        let of =
            |cause, carried| Interval { from: Timestamp(0), until: Timestamp(0), cause, carried };
        assert_eq!(cause(&of(Cause::Loss { percent: 12 }, None)), "Wi-Fi loss 12 %");
        let slow = of(Cause::Slow { bps: 400_000 }, Some(Carried::Voices));
        let expect = "The network was slower than needed (0.4 Mbit/s); all pictures were off";
        assert_eq!(cause(&slow), expect);
    }

    #[test]
    fn a_device_that_is_not_known_is_not_made_up() {
        assert_eq!(device(Some("chromium 156, chromeos")), "Chrome 156 on ChromeOS");
        assert_eq!(device(Some("<script>")), "Not reported");
        assert_eq!(device(None), "Not reported");
    }

    #[test]
    fn advice_names_the_port_and_the_address_to_open() {
        let used = |who: u32| Use {
            subnet: "10.4.7.0/24".to_owned(),
            way: Way::IceTcp,
            identity: format!("p{who}").into(),
            present_ms: 1,
            troubles: Troubles::default(),
        };
        let reach = Reach {
            addresses: vec!["127.0.0.1".parse().unwrap(), "10.0.0.5".parse().unwrap()],
            udp_port: 3478,
        };
        let found = networks((0..23).map(used));
        assert_eq!(
            advice(&found[0], &reach),
            "All 23 participants from 10.4.7.0/24 came in over TCP: UDP 3478 towards this appliance seems blocked there. Open UDP 3478 to 10.0.0.5."
        );
    }
}
