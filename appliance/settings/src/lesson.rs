//! What the settings say about lessons, as a value of its own: sessions follow it while they run.

use crate::{ChatDefault, Settings, VideoCodec};

/// The rules that a district sets for all lessons. What they say about a lesson's beginning holds
/// for lessons that begin from then on; the limits and the guest links hold at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LessonPolicy {
    /// Off: no link is shown, and nobody comes in by one.
    pub guest_links: bool,
    /// Students of the class wait, too, until they are admitted.
    pub waiting_room: bool,
    /// Lessons of the youngest begin with everybody seeing the teacher only.
    pub k5_focus: bool,
    /// How chat begins. Lessons of the youngest never begin with more than `TeacherOnly`.
    pub chat: ChatDefault,
    /// Lessons that are live at the same time.
    pub lessons_max: usize,
    /// Participants of one lesson at the same time.
    pub participants_max: usize,
    /// How long a lesson stays open after its last teacher lost the connection.
    pub grace_ms: i64,
    /// What browsers are asked to send.
    pub video_codec: VideoCodec,
}

impl From<&Settings> for LessonPolicy {
    fn from(settings: &Settings) -> Self {
        Self {
            guest_links: settings.guest_links(),
            waiting_room: settings.waiting_room(),
            k5_focus: settings.k5_focus(),
            chat: settings.chat(),
            lessons_max: settings.lessons_max() as usize,
            participants_max: settings.participants_max() as usize,
            grace_ms: i64::from(settings.grace_seconds()) * 1_000,
            video_codec: settings.video_codec(),
        }
    }
}

impl Default for LessonPolicy {
    fn default() -> Self {
        Self::from(&Settings::default())
    }
}

#[cfg(test)]
mod tests {
    use super::{LessonPolicy, Settings, VideoCodec};

    #[test]
    fn a_policy_says_what_the_settings_say() {
        let policy = LessonPolicy::default();
        assert!(!policy.guest_links && !policy.waiting_room && policy.k5_focus);
        assert_eq!((policy.grace_ms, policy.participants_max), (120_000, 100));
        let mut settings = Settings::default();
        for (key, value) in [
            ("lesson.guest_links", "true"),
            ("lesson.grace_seconds", "60"),
            ("lesson.at_once_max", "3"),
            ("lesson.video_codec", "av1"),
        ] {
            settings.set(key, value).expect(key);
        }
        let changed = LessonPolicy::from(&settings);
        let expected = LessonPolicy {
            guest_links: true,
            grace_ms: 60_000,
            lessons_max: 3,
            video_codec: VideoCodec::Av1,
            ..policy
        };
        assert_eq!(changed, expected);
        assert!(settings.set("lesson.video_codec", "mpeg2").is_err());
    }
}
