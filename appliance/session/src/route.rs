//! Which lesson an event of the media plane belongs to.

use std::collections::HashMap;
use std::sync::Mutex;

use belfry_media_api::{Command, Subject};
use belfry_model::{LessonId, RoomSid};

/// The subjects of all live lessons. The lock is held for one look only.
#[derive(Debug, Default)]
pub(crate) struct Routes(Mutex<HashMap<Subject, LessonId>>);

impl Routes {
    pub(crate) fn lesson(&self, subject: &Subject) -> Option<LessonId> {
        self.table().get(subject).copied()
    }

    /// Learns from a command that is on its way to the media plane.
    pub(crate) fn learn(&self, lesson: LessonId, command: &Command) {
        match command {
            Command::OpenParticipant { room, participant } => {
                let mut table = self.table();
                table.insert(Subject::Room(room.clone()), lesson);
                table.insert(Subject::Participant(participant.clone()), lesson);
            }
            Command::Publish { publication, .. } => {
                self.table().insert(Subject::Track(publication.track.clone()), lesson);
            }
            Command::CloseParticipant { participant } => {
                self.table().remove(&Subject::Participant(participant.clone()));
            }
            Command::Unpublish { track } => {
                self.table().remove(&Subject::Track(track.clone()));
            }
            Command::CloseRoom { room } => {
                self.table().remove(&Subject::Room(room.clone()));
            }
            _ => {}
        }
    }

    /// The lesson is over; returns the rooms that the media plane was not told to close.
    pub(crate) fn forget(&self, lesson: LessonId) -> Vec<RoomSid> {
        let mut table = self.table();
        let of_lesson = table.extract_if(|_, of| *of == lesson);
        let rooms = of_lesson.filter_map(|(subject, _)| match subject {
            Subject::Room(room) => Some(room),
            Subject::Participant(_) | Subject::Track(_) => None,
        });
        rooms.collect()
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<Subject, LessonId>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use belfry_media_api::{Command, Event};
    use belfry_model::{LessonId, RoomSid};

    use super::Routes;

    #[test]
    fn events_find_their_lesson_until_it_is_over() {
        let routes = Routes::default();
        let room = RoomSid::from("RM_1");
        let open = Command::OpenParticipant { room: room.clone(), participant: "PA_1".into() };
        routes.learn(LessonId(1), &open);
        let of = |event: &Event| event.subject().and_then(|subject| routes.lesson(&subject));
        let failed = Event::RoomFailed { room };
        assert_eq!(of(&failed), Some(LessonId(1)));
        let data = |participant: &str| Event::Data {
            participant: participant.into(),
            kind: belfry_media_api::DataKind::Lossy,
            bytes: Vec::new(),
        };
        assert_eq!(of(&data("PA_1")), Some(LessonId(1)));
        assert_eq!(of(&data("PA_2")), None);
        assert_eq!(routes.forget(LessonId(1)), [RoomSid::from("RM_1")]);
        assert_eq!(of(&failed), None);
    }
}
