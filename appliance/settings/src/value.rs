//! The types that settings have, and their one text form.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// How a form asks for a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Text,
    Number {
        min: u32,
        max: u32,
    },
    Checkbox,
    Choice(&'static [&'static str]),
    /// One value in each line, or separated by commas.
    Lines,
}

/// A type with a text form: what `show` gives, `parse` takes to the same value.
pub(crate) trait Text: Sized {
    fn parse(text: &str) -> Result<Self, String>;
    fn show(&self) -> String;
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($member:ident = $text:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($member),+ }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$member),+];
            pub(crate) const WORDS: &[&str] = &[$($text),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$member => $text),+ }
            }
        }

        impl Text for $name {
            fn parse(text: &str) -> Result<Self, String> {
                match text.trim() {
                    $($text => Ok(Self::$member),)+
                    _ => Err(format!("choose one of {}", Self::WORDS.join(", "))),
                }
            }

            fn show(&self) -> String {
                self.as_str().to_owned()
            }
        }
    )+};
}

choices! {
    /// How chat begins in a lesson.
    ChatDefault { On = "on", TeacherOnly = "teacher_only", Off = "off" }

    /// The video that browsers are asked to send.
    VideoCodec { Vp8 = "vp8", Vp9 = "vp9", H264 = "h264", Av1 = "av1" }
}

impl Text for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.trim().to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Text for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::from(text.trim()))
    }

    fn show(&self) -> String {
        self.to_string_lossy().into_owned()
    }
}

impl Text for bool {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "true" | "on" | "yes" | "1" => Ok(true),
            "false" | "off" | "no" | "0" => Ok(false),
            _ => Err("write true or false".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Text for $number {
            fn parse(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|_| format!("write a whole number up to {}", Self::MAX))
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}

numbers!(u16, u32);

impl Text for IpAddr {
    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        text.parse().map_err(|_| format!("{text:?} is not an IP address"))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl<T: Text> Text for Option<T> {
    fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() { Ok(None) } else { T::parse(text).map(Some) }
    }

    fn show(&self) -> String {
        self.as_ref().map(Text::show).unwrap_or_default()
    }
}

impl<T: Text> Text for Vec<T> {
    fn parse(text: &str) -> Result<Self, String> {
        text.split([',', '\n'])
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(T::parse)
            .collect()
    }

    fn show(&self) -> String {
        self.iter().map(Text::show).collect::<Vec<_>>().join(",")
    }
}

pub(crate) fn between(min: u32, max: u32, value: u32) -> Result<(), String> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(format!("choose a number from {min} to {max}"))
    }
}

/// Characters of a name of a school or a district, at most.
const TITLE_CHARS_MAX: usize = 100;

pub(crate) fn title(text: &str) -> Result<(), String> {
    let fits = text.chars().count() <= TITLE_CHARS_MAX && !text.chars().any(char::is_control);
    match (text.is_empty(), fits) {
        (true, _) => Err("write a name".to_owned()),
        (false, false) => Err(format!("use at most {TITLE_CHARS_MAX} characters, in one line")),
        (false, true) => Ok(()),
    }
}

pub(crate) fn port(port: u16) -> Result<(), String> {
    if port == 0 { Err("choose a port from 1 to 65535".to_owned()) } else { Ok(()) }
}

pub(crate) fn optional_port(value: Option<u16>) -> Result<(), String> {
    value.map_or(Ok(()), port)
}

pub(crate) fn absolute(path: &Path) -> Result<(), String> {
    if path.is_absolute() {
        Ok(())
    } else {
        Err("write the whole path, beginning with /".to_owned())
    }
}

pub(crate) fn optional_absolute(path: Option<&Path>) -> Result<(), String> {
    path.map_or(Ok(()), absolute)
}

/// Addresses that clients can connect to.
pub(crate) fn reachable(addresses: &[IpAddr]) -> Result<(), String> {
    let wrong = addresses.iter().find(|address| address.is_unspecified() || address.is_multicast());
    wrong.map_or(Ok(()), |address| Err(format!("nobody can connect to {address}")))
}

/// RFC 1123 host names, lower case, without a dot at the end.
pub(crate) fn host_names(names: &[String]) -> Result<(), String> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    // A name of digits and dots only would be taken for an address.
    let numeric = |name: &str| name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let wrong =
        names.iter().find(|name| name.len() > 253 || numeric(name) || !name.split('.').all(label));
    if let Some(name) = wrong {
        return Err(format!("{name:?} is not a host name in lower case"));
    }
    if let Some(name) = names.iter().find(|name| name.rsplit('.').next() == Some("local")) {
        return Err(format!("{name}: names under .local do not reach other parts of the network"));
    }
    Ok(())
}
