//! What every page has around its content.

use askama::Template;

use crate::text::say;

/// Light or dark; the reader's own choice or the device's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    Device,
    Light,
    Dark,
}

impl Theme {
    /// Reads the value of the switch and of its cookie; anything else is the device's choice.
    pub fn parse(text: &str) -> Self {
        match text {
            "light" => Self::Light,
            "dark" => Self::Dark,
            _ => Self::Device,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    pub(crate) fn attribute(self) -> Option<&'static str> {
        (self != Self::Device).then(|| self.as_str())
    }
}

/// The parts of the administration, in the order of the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    Home,
    People,
    Classes,
    Connections,
    Settings,
    Record,
    Certificate,
}

impl Section {
    const ALL: [Self; 7] = [
        Self::Home,
        Self::People,
        Self::Classes,
        Self::Connections,
        Self::Settings,
        Self::Record,
        Self::Certificate,
    ];

    pub fn href(self) -> &'static str {
        match self {
            Self::Home => "/admin",
            Self::People => "/admin/people",
            Self::Classes => "/admin/classes",
            Self::Connections => "/admin/connections",
            Self::Settings => "/admin/settings",
            Self::Record => "/admin/record",
            Self::Certificate => "/admin/certificate",
        }
    }

    pub fn label(self) -> String {
        match self {
            Self::Home => say("nav-home"),
            Self::People => say("nav-people"),
            Self::Classes => say("nav-classes"),
            Self::Connections => say("nav-connections"),
            Self::Settings => say("nav-settings"),
            Self::Record => say("nav-record"),
            Self::Certificate => say("nav-certificate"),
        }
    }

    fn icon(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::People => "people",
            Self::Classes => "classes",
            Self::Connections => "signal",
            Self::Settings => "settings",
            Self::Record => "record",
            Self::Certificate => "shield",
        }
    }
}

/// One entry of the navigation.
#[derive(Debug)]
pub(crate) struct NavItem {
    pub(crate) href: &'static str,
    pub(crate) label: String,
    pub(crate) icon: &'static str,
    pub(crate) here: bool,
}

/// A step on the way to a page.
#[derive(Clone, Debug)]
pub struct Crumb {
    pub href: String,
    pub label: String,
}

impl Crumb {
    pub fn section(section: Section) -> Self {
        Self { href: section.href().to_owned(), label: section.label() }
    }
}

/// How a message is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Warn,
    Danger,
}

/// A message above the content: what was just done, or why it was not.
#[derive(Clone, Debug)]
pub struct Flash {
    pub tone: Tone,
    pub text: String,
}

impl Flash {
    pub(crate) fn class(&self) -> &'static str {
        match self.tone {
            Tone::Good => "good",
            Tone::Warn => "warn",
            Tone::Danger => "danger",
        }
    }

    pub(crate) fn icon(&self) -> &'static str {
        match self.tone {
            Tone::Good => "done",
            Tone::Warn => "clock",
            Tone::Danger => "alert",
        }
    }

    pub(crate) fn role(&self) -> &'static str {
        if self.tone == Tone::Good { "status" } else { "alert" }
    }
}

/// The signed-in reader.
#[derive(Clone, Debug)]
pub struct Me {
    pub name: String,
    pub csrf: String,
}

/// What every page has around its content.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    pub title: String,
    /// The district or school; empty before it is known.
    pub place: String,
    pub theme: Theme,
    /// The page's own path, where the theme switch comes back to.
    pub path: String,
    pub me: Option<Me>,
    pub section: Option<Section>,
    /// The reader has the record and nothing else.
    pub auditor: bool,
    pub crumbs: Vec<Crumb>,
    pub flash: Option<Flash>,
}

impl Frame {
    pub(crate) fn navigation(&self) -> Vec<NavItem> {
        Section::ALL
            .into_iter()
            .filter(|section| !self.auditor || *section == Section::Record)
            .map(|section| NavItem {
                href: section.href(),
                label: section.label(),
                icon: section.icon(),
                here: self.section == Some(section),
            })
            .collect()
    }

    /// The reader's first page.
    pub(crate) fn home(&self) -> &'static str {
        if self.auditor { Section::Record.href() } else { Section::Home.href() }
    }

    pub(crate) fn theme_switch(&self) -> ThemeSwitch<'_> {
        let option = |theme: Theme, icon, label| ThemeOption {
            value: theme.as_str(),
            icon,
            label,
            on: self.theme == theme,
        };
        ThemeSwitch {
            back: &self.path,
            csrf: self.me.as_ref().map(|me| me.csrf.as_str()),
            options: [
                option(Theme::Device, "device", say("theme-device")),
                option(Theme::Light, "sun", say("theme-light")),
                option(Theme::Dark, "moon", say("theme-dark")),
            ],
        }
    }
}

#[derive(Debug)]
pub(crate) struct ThemeOption {
    value: &'static str,
    icon: &'static str,
    label: String,
    on: bool,
}

#[derive(Debug, Template)]
#[template(path = "theme.html")]
pub(crate) struct ThemeSwitch<'a> {
    back: &'a str,
    csrf: Option<&'a str>,
    options: [ThemeOption; 3],
}
