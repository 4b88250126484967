//! The declarations.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};

use crate::load::Origin;
use crate::value::{
    ChatDefault, Field, Text, VideoCodec, absolute, between, host_names, optional_absolute,
    optional_port, port, reachable, title,
};
use crate::{Declaration, Flags};

/// Only in the file or the environment, at start.
const MACHINE: Flags = Flags { masked: false, restart: true, admin: false };
/// On the admin pages, from the next start on.
const AT_START: Flags = Flags { masked: false, restart: true, admin: true };
/// On the admin pages, at once.
const LIVE: Flags = Flags { masked: false, restart: false, admin: true };

const PORT: Field = Field::Number { min: 1, max: 65_535 };

const fn number(min: u32, max: u32) -> Field {
    Field::Number { min, max }
}

macro_rules! settings {
    ($($name:ident: $type:ty = $key:literal, $default:literal, $flags:expr, $field:expr,
        $check:expr, $doc:literal;)*) => {
        /// Every setting, in the order of the documentation.
        pub const DECLARED: &[Declaration] = &[$(Declaration {
            key: $key, default: $default, doc: $doc, field: $field, flags: $flags,
        }),*];

        /// All values.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Settings {
            $($name: $type,)*
            pub(crate) origins: BTreeMap<&'static str, Origin>,
        }

        impl Default for Settings {
            fn default() -> Self {
                Self {
                    $($name: <$type as Text>::parse($default).expect("defaults parse (tested)"),)*
                    origins: BTreeMap::new(),
                }
            }
        }

        impl Settings {
            /// A value in its text form; `None` if there is no such setting. Secrets, too: ask the
            /// [`Declaration`] before showing it.
            pub fn show(&self, key: &str) -> Option<String> {
                match key {
                    $($key => Some(self.$name.show()),)*
                    _ => None,
                }
            }

            /// Parses and checks a value, and takes it. The error is a sentence for whoever typed it.
            pub fn set(&mut self, key: &str, text: &str) -> Result<(), String> {
                match key {
                    $($key => {
                        let value = <$type as Text>::parse(text)?;
                        let check: fn(&$type) -> Result<(), String> = $check;
                        check(&value)?;
                        self.$name = value;
                        Ok(())
                    })*
                    _ => Err("there is no such setting".to_owned()),
                }
            }
        }
    };
}

settings! {
    data_dir: PathBuf = "data.dir", "/var/lib/belfry", MACHINE, Field::Text, |v| absolute(v),
        "The one directory that holds databases, keys and certificates.";
    ledger_record: Option<PathBuf> = "ledger.record", "", MACHINE, Field::Text, |v| optional_absolute(v.as_deref()),
        "The file of the record; empty: `audit.db` in the data directory.";
    ledger_socket: Option<PathBuf> = "ledger.socket", "", MACHINE, Field::Text, |v| optional_absolute(v.as_deref()),
        "The socket of a `belfry ledger serve` that runs under a user of its own; empty: one is started.";
    https_address: IpAddr = "https.address", "::", MACHINE, Field::Text, |_| Ok(()),
        "The address that HTTPS listens on; `::` is every address, IPv4 included.";
    https_port: u16 = "https.port", "443", MACHINE, PORT, |v| port(*v),
        "The port of HTTPS and of both sockets of a lesson.";
    http_redirect_port: Option<u16> = "http.redirect_port", "", MACHINE, PORT, |v| optional_port(*v),
        "A port where plain HTTP sends browsers on to HTTPS; empty: none.";
    media_address: IpAddr = "media.address", "::", MACHINE, Field::Text, |_| Ok(()),
        "The address that media listens on.";
    media_port: u16 = "media.port", "3478", MACHINE, PORT, |v| port(*v),
        "The UDP port of all media. Not 443 or 80: browsers drop those on private addresses.";
    media_tcp_port: Option<u16> = "media.tcp_port", "", MACHINE, PORT, |v| optional_port(*v),
        "The TCP port of the relay, for networks without UDP; empty: the number of the UDP port.";
    ice_tcp_port: u16 = "media.ice_tcp_port", "7881", MACHINE, number(0, 65_535), |_| Ok(()),
        "The port where media comes over TCP without the relay; 0: none.";
    media_relay: bool = "media.relay", "true", MACHINE, Field::Checkbox, |_| Ok(()),
        "Whether media is relayed for clients whose network lets only TCP or HTTPS through.";
    media_shards: Option<u32> = "media.shards", "", MACHINE, number(1, 64),
        |value| value.map_or(Ok(()), |count| between(1, 64, count)),
        "Threads that forward media; empty: one for each core.";
    advertised_addresses: Vec<IpAddr> = "media.advertised_addresses", "", AT_START, Field::Lines, |v| reachable(v),
        "The addresses at which clients reach this machine; empty: those of its network cards.";
    host_names: Vec<String> = "https.host_names", "", AT_START, Field::Lines, |v| host_names(v),
        "The names that people type, the first of them in links; the certificate is for these.";
    district_name: String = "school.district_name", "Our school district", LIVE, Field::Text, |v| title(v),
        "The name of the district, as pages show it.";
    school_name: String = "school.name", "Our school", LIVE, Field::Text, |v| title(v),
        "The name of the school, as pages show it.";
    session_idle_minutes: u32 = "session.idle_minutes", "240", LIVE, number(5, 1440), |v| between(5, 1440, *v),
        "Minutes without a request after which a teacher or a student is signed out.";
    session_teacher_hours: u32 = "session.teacher_hours", "12", LIVE, number(1, 24), |v| between(1, 24, *v),
        "Hours after which a teacher signs in again in any case.";
    session_student_hours: u32 = "session.student_hours", "8", LIVE, number(1, 24), |v| between(1, 24, *v),
        "Hours after which a student signs in again in any case.";
    session_admin_idle_minutes: u32 = "session.admin_idle_minutes", "15", LIVE, number(5, 60), |v| between(5, 60, *v),
        "Minutes without a request after which an admin is signed out.";
    session_admin_hours: u32 = "session.admin_hours", "1", LIVE, number(1, 12), |v| between(1, 12, *v),
        "Hours after which an admin signs in again in any case.";
    sign_in_account_failures_free: u32 = "sign_in.account_failures_free", "5", LIVE, number(3, 20), |v| between(3, 20, *v),
        "Wrong passwords of one account before it has to wait, longer each time.";
    sign_in_address_failures_free: u32 = "sign_in.address_failures_free", "200", LIVE, number(20, 10_000), |v| between(20, 10_000, *v),
        "Wrong passwords from one address before it has to wait; a whole school may share one.";
    waiting_room: bool = "lesson.waiting_room", "false", LIVE, Field::Checkbox, |_| Ok(()),
        "Whether students wait until the teacher admits them; guests always do.";
    k5_focus: bool = "lesson.k5_focus", "true", LIVE, Field::Checkbox, |_| Ok(()),
        "Whether lessons of the youngest begin with everybody seeing the teacher.";
    chat: ChatDefault = "lesson.chat", "on", LIVE, Field::Choice(ChatDefault::WORDS), |_| Ok(()),
        "How chat begins in a lesson: for everyone, to the teacher only, or off.";
    guest_links: bool = "lesson.guest_links", "false", LIVE, Field::Checkbox, |_| Ok(()),
        "Whether teachers may invite people without an account by a link.";
    lessons_max: u32 = "lesson.at_once_max", "20", LIVE, number(1, 500), |v| between(1, 500, *v),
        "Lessons at the same time; more are refused with a clear message.";
    participants_max: u32 = "lesson.participants_max", "100", LIVE, number(2, 100), |v| between(2, 100, *v),
        "People in one lesson at the same time; more are refused with a clear message.";
    grace_seconds: u32 = "lesson.grace_seconds", "120", LIVE, number(30, 600), |v| between(30, 600, *v),
        "Seconds for which a lesson waits for its teacher to come back before it ends.";
    video_codec: VideoCodec = "lesson.video_codec", "vp8", LIVE, Field::Choice(VideoCodec::WORDS), |_| Ok(()),
        "The video that browsers are asked to send; those that cannot send VP8, which all understand.";
    connections_keep_days: u32 = "connections.keep_days", "30", LIVE, number(1, 400), |v| between(1, 400, *v),
        "Days for which it is kept how each participant's connection was.";
}

macro_rules! accessors {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        impl Settings {
            $($(#[$doc])* pub fn $name(&self) -> $type {
                self.$name
            })*
        }
    };
}

accessors! {
    https_address: IpAddr;
    https_port: u16;
    http_redirect_port: Option<u16>;
    media_address: IpAddr;
    media_port: u16;
    /// 0: none.
    ice_tcp_port: u16;
    media_relay: bool;
    /// `None`: one for each core.
    media_shards: Option<u32>;
    session_idle_minutes: u32;
    session_teacher_hours: u32;
    session_student_hours: u32;
    session_admin_idle_minutes: u32;
    session_admin_hours: u32;
    sign_in_account_failures_free: u32;
    sign_in_address_failures_free: u32;
    waiting_room: bool;
    k5_focus: bool;
    chat: ChatDefault;
    guest_links: bool;
    lessons_max: u32;
    participants_max: u32;
    grace_seconds: u32;
    connections_keep_days: u32;
    video_codec: VideoCodec;
}

impl Settings {
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The file of the record.
    pub fn ledger_record(&self) -> PathBuf {
        self.ledger_record.clone().unwrap_or_else(|| self.data_dir.join("audit.db"))
    }

    /// Where the process listens that writes the record; `None`: one is to be started.
    pub fn ledger_socket(&self) -> Option<&Path> {
        self.ledger_socket.as_deref()
    }

    /// Where the relay is reached by TCP.
    pub fn media_tcp_port(&self) -> u16 {
        self.media_tcp_port.unwrap_or(self.media_port)
    }

    /// Empty: those of the machine's network cards.
    pub fn advertised_addresses(&self) -> &[IpAddr] {
        &self.advertised_addresses
    }

    /// The first is the one for links; may be empty.
    pub fn host_names(&self) -> &[String] {
        &self.host_names
    }

    pub fn district_name(&self) -> &str {
        &self.district_name
    }

    pub fn school_name(&self) -> &str {
        &self.school_name
    }

    /// Whether HTTPS is open to other machines.
    pub fn https_is_open(&self) -> bool {
        let address = match self.https_address {
            IpAddr::V6(address) => address,
            IpAddr::V4(address) => address.to_ipv6_mapped(),
        };
        address != Ipv6Addr::LOCALHOST && !address.to_canonical().is_loopback()
    }
}
