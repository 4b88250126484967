//! Lessons, what is kept of a live one for the next process, and their chat.

use belfry_model::limits::CHAT_HISTORY_MAX;
use belfry_model::{ClassId, DistrictId, Identity, LessonId, PersonId, Pii, SchoolId, Timestamp};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::classes::Band;
use crate::error::Error;
use crate::people::word;
use crate::schools::district_of;
use crate::writer::Store;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    pub id: LessonId,
    pub district: DistrictId,
    pub school: SchoolId,
    pub class: Option<ClassId>,
    pub name: String,
    pub band: Band,
    pub started_by: Option<PersonId>,
    /// A capability; never in a log.
    pub guest_code: Pii<String>,
    pub created_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct NewLesson {
    pub school: SchoolId,
    /// `None`: an ad-hoc lesson.
    pub class: Option<ClassId>,
    pub name: String,
    pub band: Band,
    pub started_by: PersonId,
    pub guest_code: Pii<String>,
}

/// What a lesson was when its process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptLesson {
    pub lesson: Lesson,
    /// `None`: nothing had happened yet.
    pub snapshot: Option<String>,
    /// The newest, in order, without those that were deleted.
    pub chat: Vec<ChatMessage>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage {
    /// From 1 within the lesson.
    pub number: u64,
    pub identity: Identity,
    pub name: Pii<String>,
    pub text: Pii<String>,
    /// `everyone` or `teachers`.
    pub sent_to: &'static str,
    pub sent_at: Timestamp,
}

/// The changes of one live lesson since they were last written.
#[derive(Clone, Debug, Default)]
pub struct LessonChanges {
    pub snapshot: Option<String>,
    pub messages: Vec<ChatMessage>,
    /// Numbers of messages.
    pub deleted: Vec<u64>,
    pub ended: bool,
}

const COLUMNS: &str = "lesson.id, lesson.district_id, lesson.school_id, lesson.class_id, lesson.name, \
    lesson.band, lesson.started_by, lesson.guest_code, lesson.created_at, lesson.ended_at";

/// To whom a message went; the words that the schema knows.
const SENT_TO: [&str; 2] = ["everyone", "teachers"];

impl Store {
    /// Makes a lesson, or returns the one that the class is holding already; `true`: made.
    pub async fn start_lesson(
        &self,
        new: NewLesson,
        now: Timestamp,
    ) -> Result<(Lesson, bool), Error> {
        self.write(move |tx| {
            if let Some(class) = new.class
                && let Some(running) = running_in(tx, class)?
            {
                return Ok((running, false));
            }
            Ok((insert(tx, new, now)?, true))
        })
        .await
    }

    pub async fn lesson(&self, id: LessonId) -> Result<Option<Lesson>, Error> {
        self.read(move |tx| {
            tx.prepare_cached(&format!("SELECT {COLUMNS} FROM lesson WHERE id = ?1"))
                .and_then(|mut statement| statement.query_row([id.0], lesson).optional())
                .map_err(Error::doing("read a lesson"))
        })
        .await
    }

    /// The lesson that a guest link leads to, unless it has ended.
    pub async fn lesson_of_guest_code(&self, code: Pii<String>) -> Result<Option<Lesson>, Error> {
        self.read(move |tx| {
            tx.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM lesson WHERE guest_code = ?1 AND ended_at IS NULL"
            ))
            .and_then(|mut statement| statement.query_row([code.reveal()], lesson).optional())
            .map_err(Error::doing("look up a guest link"))
        })
        .await
    }

    /// The lesson that a class is holding.
    pub async fn running_lesson(&self, class: ClassId) -> Result<Option<Lesson>, Error> {
        self.read(move |tx| running_in(tx, class)).await
    }

    /// Ad-hoc lessons of a person that have not ended, the newest first.
    pub async fn ad_hoc_lessons(&self, person: PersonId) -> Result<Vec<Lesson>, Error> {
        self.read(move |tx| {
            let failed = Error::doing("list ad-hoc lessons");
            let mut statement = tx
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM lesson
                     WHERE started_by = ?1 AND class_id IS NULL AND ended_at IS NULL
                     ORDER BY id DESC"
                ))
                .map_err(&failed)?;
            let rows = statement.query_map([person.0], lesson).map_err(&failed)?;
            rows.collect::<Result<_, _>>().map_err(&failed)
        })
        .await
    }

    /// A lesson that has not ended, with what was kept of it.
    pub async fn kept_lesson(&self, id: LessonId) -> Result<Option<KeptLesson>, Error> {
        self.read(move |tx| {
            let found = tx
                .prepare_cached(&format!(
                    "SELECT {COLUMNS}, lesson.snapshot FROM lesson
                     WHERE id = ?1 AND ended_at IS NULL"
                ))
                .and_then(|mut statement| {
                    statement.query_row([id.0], |row| Ok((lesson(row)?, row.get(10)?))).optional()
                })
                .map_err(Error::doing("read a lesson that has not ended"))?;
            let Some((lesson, snapshot)) = found else { return Ok(None) };
            let chat = chat_of(tx, lesson.id)?;
            Ok(Some(KeptLesson { lesson, snapshot, chat }))
        })
        .await
    }

    /// Every lesson that has not ended, with what was kept of it.
    pub async fn kept_lessons(&self) -> Result<Vec<KeptLesson>, Error> {
        self.read(|tx| {
            let failed = Error::doing("list the lessons that have not ended");
            let mut statement = tx
                .prepare(&format!(
                    "SELECT {COLUMNS}, lesson.snapshot FROM lesson
                     WHERE ended_at IS NULL ORDER BY id"
                ))
                .map_err(&failed)?;
            let rows =
                statement.query_map([], |row| Ok((lesson(row)?, row.get(10)?))).map_err(&failed)?;
            let rows: Vec<(Lesson, Option<String>)> =
                rows.collect::<Result<_, _>>().map_err(&failed)?;
            rows.into_iter()
                .map(|(lesson, snapshot)| {
                    let chat = chat_of(tx, lesson.id)?;
                    Ok(KeptLesson { lesson, snapshot, chat })
                })
                .collect()
        })
        .await
    }

    /// Writes what changed in a live lesson, all or nothing.
    pub async fn keep_lesson(
        &self,
        id: LessonId,
        changes: LessonChanges,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.write(move |tx| keep(tx, id, &changes, now)).await
    }
}

fn keep(
    tx: &Transaction<'_>,
    id: LessonId,
    changes: &LessonChanges,
    now: Timestamp,
) -> Result<(), Error> {
    let failed = Error::doing("keep a lesson");
    if let Some(snapshot) = &changes.snapshot {
        tx.prepare_cached("UPDATE lesson SET snapshot = ?2 WHERE id = ?1")
            .and_then(|mut statement| statement.execute(params![id.0, snapshot]))
            .map_err(&failed)?;
    }
    for message in &changes.messages {
        tx.prepare_cached(
            "INSERT INTO chat_message (lesson_id, number, identity, name, text, sent_to, sent_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        )
        .and_then(|mut statement| {
            statement.execute(params![
                id.0,
                message.number.cast_signed(),
                message.identity.as_str(),
                message.name.reveal(),
                message.text.reveal(),
                message.sent_to,
                message.sent_at.0
            ])
        })
        .map_err(&failed)?;
    }
    for number in &changes.deleted {
        tx.prepare_cached(
            "UPDATE chat_message SET deleted_at = ?3 WHERE lesson_id = ?1 AND number = ?2",
        )
        .and_then(|mut statement| statement.execute(params![id.0, number.cast_signed(), now.0]))
        .map_err(&failed)?;
    }
    if changes.ended {
        tx.execute(
            "UPDATE lesson SET ended_at = ?2, snapshot = NULL WHERE id = ?1 AND ended_at IS NULL",
            params![id.0, now.0],
        )
        .map_err(&failed)?;
    }
    Ok(())
}

fn insert(tx: &Transaction<'_>, new: NewLesson, now: Timestamp) -> Result<Lesson, Error> {
    let district = district_of(tx, new.school)?;
    tx.execute(
        "INSERT INTO lesson
         (district_id, school_id, class_id, name, band, started_by, guest_code, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            district.0,
            new.school.0,
            new.class.map(|class| class.0),
            new.name,
            new.band.as_str(),
            new.started_by.0,
            new.guest_code.reveal(),
            now.0
        ],
    )
    .map_err(Error::doing_with("start a lesson", "a lesson"))?;
    Ok(Lesson {
        id: LessonId(tx.last_insert_rowid()),
        district,
        school: new.school,
        class: new.class,
        name: new.name,
        band: new.band,
        started_by: Some(new.started_by),
        guest_code: new.guest_code,
        created_at: now,
        ended_at: None,
    })
}

fn running_in(tx: &Transaction<'_>, class: ClassId) -> Result<Option<Lesson>, Error> {
    tx.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM lesson WHERE class_id = ?1 AND ended_at IS NULL"
    ))
    .and_then(|mut statement| statement.query_row([class.0], lesson).optional())
    .map_err(Error::doing("read a class's lesson"))
}

fn chat_of(tx: &Transaction<'_>, id: LessonId) -> Result<Vec<ChatMessage>, Error> {
    let failed = Error::doing("read a lesson's chat");
    let mut statement = tx
        .prepare_cached(
            "SELECT number, identity, name, text, sent_to, sent_at FROM chat_message
             WHERE lesson_id = ?1 AND deleted_at IS NULL ORDER BY number DESC LIMIT ?2",
        )
        .map_err(&failed)?;
    let rows = statement
        .query_map(params![id.0, i64::try_from(CHAT_HISTORY_MAX).expect("a small limit")], |row| {
            Ok(ChatMessage {
                number: row.get::<_, i64>(0)? as u64,
                identity: Identity::from(row.get::<_, String>(1)?),
                name: Pii::new(row.get(2)?),
                text: Pii::new(row.get(3)?),
                sent_to: word(row, 4, |text| SENT_TO.into_iter().find(|to| *to == text))?,
                sent_at: Timestamp(row.get(5)?),
            })
        })
        .map_err(&failed)?;
    let mut chat: Vec<_> = rows.collect::<Result<_, _>>().map_err(&failed)?;
    chat.reverse();
    Ok(chat)
}

fn lesson(row: &Row<'_>) -> rusqlite::Result<Lesson> {
    Ok(Lesson {
        id: LessonId(row.get(0)?),
        district: DistrictId(row.get(1)?),
        school: SchoolId(row.get(2)?),
        class: row.get::<_, Option<i64>>(3)?.map(ClassId),
        name: row.get(4)?,
        band: word(row, 5, Band::parse)?,
        started_by: row.get::<_, Option<i64>>(6)?.map(PersonId),
        guest_code: Pii::new(row.get(7)?),
        created_at: Timestamp(row.get(8)?),
        ended_at: row.get::<_, Option<i64>>(9)?.map(Timestamp),
    })
}

#[cfg(test)]
mod tests {
    use belfry_model::{ClassId, Pii, Role};

    use super::{ChatMessage, LessonChanges, NewLesson};
    use crate::people::tests::somebody;
    use crate::schools::tests::{NOW, one_school};
    use crate::{Band, NewClass, Store};

    async fn school_with_a_class() -> (tempfile::TempDir, Store, NewLesson) {
        let (dir, store, school) = one_school().await;
        let new = NewClass { school, name: "4b".to_owned(), band: Band::K5 };
        let class = store.create_class(new, NOW).await.unwrap();
        let teacher =
            store.create_person(somebody(school, "lee", Role::Teacher), NOW).await.unwrap();
        let new = NewLesson {
            school,
            class: Some(class),
            name: "4b".to_owned(),
            band: Band::K5,
            started_by: teacher,
            guest_code: Pii::new("code-1".to_owned()),
        };
        (dir, store, new)
    }

    fn message(number: u64) -> ChatMessage {
        ChatMessage {
            number,
            identity: "p1".into(),
            name: Pii::new("Lee".to_owned()),
            text: Pii::new(format!("message {number}")),
            sent_to: "everyone",
            sent_at: NOW,
        }
    }

    #[tokio::test]
    async fn a_class_has_one_lesson_at_a_time() {
        let (_dir, store, new) = school_with_a_class().await;
        let (first, made) = store.start_lesson(new.clone(), NOW).await.unwrap();
        assert!(made);
        let again = NewLesson { guest_code: Pii::new("code-2".to_owned()), ..new.clone() };
        assert_eq!(store.start_lesson(again.clone(), NOW).await.unwrap(), (first.clone(), false));
        let code = |text: &str| Pii::new(text.to_owned());
        assert_eq!(store.lesson_of_guest_code(code("code-1")).await.unwrap(), Some(first.clone()));
        let ended = LessonChanges { ended: true, ..LessonChanges::default() };
        store.keep_lesson(first.id, ended, NOW).await.unwrap();
        assert_eq!(store.lesson_of_guest_code(code("code-1")).await.unwrap(), None);
        let (second, made) = store.start_lesson(again, NOW).await.unwrap();
        assert!(made && second.id != first.id);
        assert_eq!(store.lesson(first.id).await.unwrap().unwrap().ended_at, Some(NOW));
    }

    #[tokio::test]
    async fn ad_hoc_lessons_stand_beside_each_other() {
        let (_dir, store, new) = school_with_a_class().await;
        for code in ["a", "b"] {
            let new =
                NewLesson { class: None, guest_code: Pii::new(code.to_owned()), ..new.clone() };
            assert!(store.start_lesson(new, NOW).await.unwrap().1);
        }
        assert_eq!(store.ad_hoc_lessons(new.started_by).await.unwrap().len(), 2);
        assert_eq!(store.running_lesson(ClassId(1)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn what_was_kept_comes_back_without_deleted_messages() {
        let (_dir, store, new) = school_with_a_class().await;
        let (lesson, _) = store.start_lesson(new, NOW).await.unwrap();
        let changes = LessonChanges {
            snapshot: Some("{}".to_owned()),
            messages: vec![message(1), message(2), message(3)],
            deleted: vec![2],
            ended: false,
        };
        store.keep_lesson(lesson.id, changes.clone(), NOW).await.unwrap();
        store.keep_lesson(lesson.id, changes, NOW).await.unwrap();
        let kept = store.kept_lessons().await.unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].snapshot.as_deref(), Some("{}"));
        let numbers: Vec<_> = kept[0].chat.iter().map(|message| message.number).collect();
        assert_eq!(numbers, [1, 3]);
        let ended = LessonChanges { ended: true, ..LessonChanges::default() };
        store.keep_lesson(lesson.id, ended, NOW).await.unwrap();
        assert!(store.kept_lessons().await.unwrap().is_empty());
    }
}
