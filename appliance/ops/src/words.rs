//! The closed lists that clients choose from and the database holds.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $text)] $variant),* }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable word of wires and the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text)
            }
        }
    )*};
}

pub(crate) use words;

words! {
    /// How media comes through, from the best to what costs most.
    Way {
        Udp = "udp",
        /// UDP through the relay.
        TurnUdp = "turn_udp",
        /// ICE over TCP, on a port of its own.
        IceTcp = "ice_tcp",
        /// TCP to the relay.
        TurnTcp = "turn_tcp",
        /// TLS to the relay, on the port of the pages.
        TurnTls = "turn_tls",
    }

    /// How much of the lesson came through, from all to least.
    Carried {
        All = "all",
        Softer = "softer",
        FewerPictures = "fewer_pictures",
        TeacherPicture = "teacher_picture",
        Voices = "voices",
        TeacherVoice = "teacher_voice",
    }

    /// A family of browsers.
    Browser {
        Chromium = "chromium",
        Edge = "edge",
        Firefox = "firefox",
        Safari = "safari",
        Other = "other",
    }

    /// A family of operating systems.
    System {
        ChromeOs = "chromeos",
        Windows = "windows",
        MacOs = "macos",
        Linux = "linux",
        Ios = "ios",
        Android = "android",
        Other = "other",
    }

    /// Memory of a device, in buckets: as much as tells a slow device, and not which one it is.
    Memory {
        Unknown = "unknown",
        UpTo2 = "2",
        UpTo4 = "4",
        Over4 = "8",
    }

    /// Processor cores of a device, in buckets.
    Cores {
        Unknown = "unknown",
        UpTo2 = "2",
        UpTo4 = "4",
        Over4 = "8",
    }
}

impl Way {
    /// Whether UDP did not come through.
    pub fn without_udp(self) -> bool {
        !matches!(self, Self::Udp | Self::TurnUdp)
    }
}

impl From<belfry_media_api::Path> for Way {
    fn from(path: belfry_media_api::Path) -> Self {
        use belfry_media_api::Path;
        match path {
            Path::Udp => Self::Udp,
            Path::IceTcp => Self::IceTcp,
            Path::TurnUdp => Self::TurnUdp,
            Path::TurnTcp => Self::TurnTcp,
            Path::TurnTls => Self::TurnTls,
        }
    }
}

impl From<belfry_media_api::Carried> for Carried {
    fn from(carried: belfry_media_api::Carried) -> Self {
        use belfry_media_api::Carried as Media;
        match carried {
            Media::All => Self::All,
            Media::Softer => Self::Softer,
            Media::FewerPictures => Self::FewerPictures,
            Media::TeacherPicture => Self::TeacherPicture,
            Media::Voices => Self::Voices,
            Media::TeacherVoice => Self::TeacherVoice,
        }
    }
}
