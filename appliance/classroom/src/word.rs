//! The words of a lesson. Each closed set has one stable text per member, which the wires and the
//! snapshot share; the types themselves are not serialisable.

use belfry_model::{Identity, LessonRole, Pii, Timestamp};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident = $text:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$member_doc])* $member),+ }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$member),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$member => $text),+ }
            }

            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$member),)+ _ => None }
            }
        }
    )+};
}

words! {
    /// What a participant publishes; a shared screen's sound goes with the screen.
    Source { Microphone = "microphone", Camera = "camera", ScreenShare = "screen_share" }

    /// The age band of a class; it decides the defaults.
    Band { K5 = "k5", Upper = "6-12" }

    /// Where a lesson stands.
    Phase {
        /// Nobody passes before a teacher is there.
        BeforeTeacher = "before_teacher",
        Open = "open",
        /// The last teacher is gone; the lesson ends unless one comes back.
        Grace = "grace",
        Ended = "ended",
    }

    ChatMode {
        On = "on",
        /// Only those who lead write.
        Off = "off",
        /// Students write to the teachers only.
        TeacherOnly = "teacher_only",
    }

    /// Whom a chat message reaches. There is no way to name one student.
    ChatTo { Everyone = "everyone", Teachers = "teachers" }

    LayoutMode {
        Gallery = "gallery",
        /// Students see the teachers only.
        Focus = "focus",
        Spotlight = "spotlight",
    }

    Quality { Poor = "poor", Good = "good", Excellent = "excellent", Lost = "lost" }

    /// How much of the lesson still fits through the way down to a participant, from all to least.
    Carried {
        All = "all",
        /// Pictures are less sharp.
        Softer = "softer",
        FewerPictures = "fewer_pictures",
        /// Of all pictures only the shared screen or the teacher's camera is left.
        TeacherPicture = "teacher_picture",
        Voices = "voices",
        TeacherVoice = "teacher_voice",
    }

    /// What keeps a way down from carrying more.
    Cause { None = "none", Loss = "loss", Bandwidth = "bandwidth" }

    /// Why somebody may ask to join.
    Standing {
        /// A teacher of the class, or the owner of an ad-hoc lesson.
        Teacher = "teacher",
        /// A student on the roster of the class.
        Rostered = "rostered",
        /// Has an account, but no place in this lesson: always waits.
        Visitor = "visitor",
        /// Came by the guest link: always waits.
        Guest = "guest",
    }
}

impl Standing {
    pub(crate) fn role(self) -> LessonRole {
        match self {
            Self::Teacher => LessonRole::Teacher,
            Self::Rostered | Self::Visitor => LessonRole::Student,
            Self::Guest => LessonRole::Guest,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locks {
    pub microphones: bool,
    pub cameras: bool,
    pub screen_share: bool,
    pub chat: ChatMode,
}

impl Locks {
    /// Nobody but those who lead starts with a screen to share.
    pub(crate) fn first(chat: ChatMode) -> Self {
        Self { microphones: false, cameras: false, screen_share: true, chat }
    }

    pub(crate) fn set(&mut self, what: Source, on: bool) {
        match what {
            Source::Microphone => self.microphones = on,
            Source::Camera => self.cameras = on,
            Source::ScreenShare => self.screen_share = on,
        }
    }

    pub fn holds(&self, what: Source) -> bool {
        match what {
            Source::Microphone => self.microphones,
            Source::Camera => self.cameras,
            Source::ScreenShare => self.screen_share,
        }
    }
}

/// What the media plane lets a participant send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grants {
    pub microphone: bool,
    pub camera: bool,
    pub screen_share: bool,
}

impl Grants {
    pub fn of(role: LessonRole, locks: &Locks) -> Self {
        let leads = role.leads();
        Self {
            microphone: leads || !locks.microphones,
            camera: leads || !locks.cameras,
            screen_share: leads || !locks.screen_share,
        }
    }
}

/// What a teacher's screen shows, for those who follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub mode: LayoutMode,
    pub spotlight: Option<Identity>,
    pub page: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub mode: LayoutMode,
    pub spotlight: Option<Identity>,
    /// Students see what the teacher sees.
    pub follow: bool,
    pub followed: Option<View>,
}

impl Layout {
    /// Focus goes with follow-me: one or two pictures to decode, and nothing to find.
    pub(crate) fn first(focus: bool) -> Self {
        let mode = if focus { LayoutMode::Focus } else { LayoutMode::Gallery };
        Self { mode, spotlight: None, follow: focus, followed: None }
    }
}

/// Number of a chat message within its lesson, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: MessageId,
    pub from: Identity,
    pub name: Pii<String>,
    pub text: Pii<String>,
    pub at: Timestamp,
    pub to: ChatTo,
}
