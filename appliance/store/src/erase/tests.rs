use std::path::Path;

use belfry_model::{DistrictId, Pii, Role};

use super::Erased;
use crate::people::tests::somebody;
use crate::schools::tests::{NOW, one_school};
use crate::{
    Band, ChatMessage, EnrolledAs, Error, Holder, LessonChanges, NewClass, NewLesson, PersonChange,
    SessionRow, Store,
};

/// Every file of the directory that holds the bytes, in UTF-8 or UTF-16.
fn files_with(dir: &Path, needle: &str) -> Vec<String> {
    let wide = |bytes: fn(u16) -> [u8; 2]| needle.encode_utf16().flat_map(bytes).collect();
    let needles: [Vec<u8>; 3] =
        [needle.as_bytes().to_vec(), wide(u16::to_le_bytes), wide(u16::to_be_bytes)];
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let holds = |needle: &Vec<u8>| bytes.windows(needle.len()).any(|window| window == needle);
        if needles.iter().any(holds) {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found
}

async fn lesson_with_chat(store: &Store, new: NewLesson, text: &str) -> belfry_model::LessonId {
    let person = new.started_by;
    let (lesson, _) = store.start_lesson(new, NOW).await.unwrap();
    let message = ChatMessage {
        number: 1,
        identity: format!("p{person}").into(),
        name: Pii::new("Quillon Vantongeren".to_owned()),
        text: Pii::new(text.to_owned()),
        sent_to: "everyone",
        sent_at: NOW,
    };
    let changes = LessonChanges { messages: vec![message], ..LessonChanges::default() };
    store.keep_lesson(lesson.id, changes, NOW).await.unwrap();
    lesson.id
}

#[tokio::test]
async fn nothing_of_an_erased_person_is_left_in_any_file() {
    let (dir, store, school) = one_school().await;
    // Many, so that there is more than one page of each table and index.
    let name = |number: u32| format!("Quillon{number:04}x Vantongeren");
    let mut people = Vec::new();
    for number in 0..300 {
        let mut new = somebody(school, &format!("quillon{number:04}x"), Role::Student);
        new.name = Pii::new(name(number));
        people.push(store.create_person(new, NOW).await.unwrap());
    }
    let class = NewClass { school, name: "4b".to_owned(), band: Band::K5 };
    let class = store.create_class(class, NOW).await.unwrap();
    store.enrol(class, people[7], EnrolledAs::Student, NOW).await.unwrap();
    let session = SessionRow {
        token_hash: [9; 32],
        holder: Holder::Person(people[7]),
        district: DistrictId(1),
        school,
        created_at: NOW,
        seen_at: NOW,
        expires_at: NOW.plus_ms(1_000),
        stepped_up_at: None,
    };
    store.create_session(session).await.unwrap();
    let new = NewLesson {
        school,
        class: None,
        name: "Rocks".to_owned(),
        band: Band::Grades6To12,
        started_by: people[7],
        guest_code: Pii::new("code".to_owned()),
    };
    let lesson = lesson_with_chat(&store, new, "a word of quillon0007x").await;
    std::fs::copy(store.path(), dir.path().join("belfry.db.before-9")).unwrap();
    std::fs::write(dir.path().join("belfry.db.copying"), name(7)).unwrap();

    let refused = store.erase_person(people[7], NOW).await;
    assert!(matches!(refused, Err(Error::InLesson)), "{refused:?}");
    assert!(store.person(people[7]).await.unwrap().is_some(), "a refusal changes nothing");
    let ended = LessonChanges { ended: true, ..LessonChanges::default() };
    store.keep_lesson(lesson, ended, NOW).await.unwrap();

    for needle in [&name(7), "quillon0007x"] {
        assert!(!files_with(dir.path(), needle).is_empty(), "{needle} was written");
    }
    assert_eq!(store.erase_person(people[7], NOW).await.unwrap(), Erased::Whole);
    for needle in [&name(7), "quillon0007x"] {
        assert_eq!(files_with(dir.path(), needle), Vec::<String>::new(), "{needle} while open");
    }
    assert!(!files_with(dir.path(), &name(8)).is_empty(), "others stay");
    assert_eq!(store.person(people[7]).await.unwrap(), None);
    assert_eq!(store.erased_at(people[7]).await.unwrap(), Some(NOW));
    assert_eq!(store.erased_at(people[8]).await.unwrap(), None);
    assert!(store.session([9; 32]).await.unwrap().is_none());
    assert!(matches!(store.erase_person(people[7], NOW).await, Err(Error::NotFound { .. })));
    drop(store);
    let store = Store::open(&dir.path().join("belfry.db")).unwrap();
    assert_eq!(files_with(dir.path(), "quillon0007x"), Vec::<String>::new(), "after a start");
    // A number is never given twice: the audit log goes on using it.
    let next = store.create_person(somebody(school, "new", Role::Student), NOW).await.unwrap();
    assert!(next.0 > people[299].0);
}

#[tokio::test]
async fn an_older_database_gets_the_auditors_role_and_keeps_what_belongs_to_its_people() {
    let (dir, store, school) = one_school().await;
    let kim = store.create_person(somebody(school, "kim", Role::Teacher), NOW).await.unwrap();
    let last = store.create_person(somebody(school, "lee", Role::Student), NOW).await.unwrap();
    let class = NewClass { school, name: "4b".to_owned(), band: Band::K5 };
    let class = store.create_class(class, NOW).await.unwrap();
    store.enrol(class, kim, EnrolledAs::Teacher, NOW).await.unwrap();
    store.erase_person(last, NOW).await.unwrap();
    drop(store);
    let path = dir.path().join("belfry.db");
    // As it was before: the step is taken again on what it has made, without the new role in use.
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute("DELETE FROM migration WHERE domain = 'people' AND number = 3", []).unwrap();
    drop(connection);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.enrolled(class).await.unwrap().len(), 1, "places in classes stay");
    let auditor = store.create_person(somebody(school, "aud", Role::Auditor), NOW).await.unwrap();
    assert!(auditor.0 > last.0, "the number of the erased is not given again");
    assert_eq!(store.person(auditor).await.unwrap().unwrap().role, Role::Auditor);
    assert!(store.enrol(class, auditor, EnrolledAs::Student, NOW).await.is_ok(), "references hold");
    assert!(dir.path().join("belfry.db.before-10").exists());
}

#[tokio::test]
async fn traces_that_could_not_be_removed_go_at_the_next_start() {
    let (dir, store, school) = one_school().await;
    let mut new = somebody(school, "quillon", Role::Student);
    new.name = Pii::new("Quillon Vantongeren".to_owned());
    let person = store.create_person(new, NOW).await.unwrap();
    // A copy that cannot be removed, as on a disk that fails.
    let stuck = dir.path().join("belfry.db.before-3");
    std::fs::create_dir(&stuck).unwrap();
    assert_eq!(store.erase_person(person, NOW).await.unwrap(), Erased::TracesLeft);
    assert_eq!(store.person(person).await.unwrap(), None, "it is gone from the pages at once");
    drop(store);
    std::fs::remove_dir(&stuck).unwrap();
    std::fs::write(&stuck, "Quillon Vantongeren").unwrap();
    let _store = Store::open(&dir.path().join("belfry.db")).unwrap();
    assert_eq!(files_with(dir.path(), "Quillon Vantongeren"), Vec::<String>::new());
}

#[tokio::test]
async fn rows_that_were_moved_before_they_were_erased_leave_no_copy() {
    let (dir, store, school) = one_school().await;
    let username = |number: u32| {
        format!("quillon{number:04}{}", "x".repeat(usize::try_from(number % 23).unwrap()))
    };
    let mut people = Vec::new();
    // In no order and of different lengths, and many are renamed: pages split, and rows move.
    for number in (0..400).map(|at| at * 173 % 400) {
        let new = somebody(school, &username(number), Role::Student);
        people.push((number, store.create_person(new, NOW).await.unwrap()));
    }
    for (number, person) in people.iter().filter(|(number, _)| number % 3 == 0) {
        let change = PersonChange {
            username: Pii::new(format!("z{}", username(*number))),
            name: Pii::new(format!("Quillon {number} of a much longer name than before")),
            role: Role::Student,
        };
        store.change_person(*person, change, NOW).await.unwrap();
    }
    for (number, person) in people.iter().filter(|(number, _)| number % 16 == 0) {
        store.erase_person(*person, NOW).await.unwrap();
        let left = files_with(dir.path(), &format!("quillon{number:04}"));
        assert_eq!(left, Vec::<String>::new(), "{number}");
    }
}

#[tokio::test]
async fn what_an_older_release_left_in_free_places_goes_too() {
    let (dir, store, school) = one_school().await;
    let mut new = somebody(school, "quillon", Role::Student);
    new.name = Pii::new("Quillon Vantongeren, as the name once was".to_owned());
    let person = store.create_person(new, NOW).await.unwrap();
    drop(store);
    let path = dir.path().join("belfry.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "secure_delete", false).unwrap();
    connection.execute("UPDATE person SET name = 'Q' WHERE id = ?1", [person.0]).unwrap();
    drop(connection);
    let store = Store::open(&path).unwrap();
    assert!(!files_with(dir.path(), "Vantongeren").is_empty(), "the bytes are still there");
    store.erase_person(person, NOW).await.unwrap();
    assert_eq!(files_with(dir.path(), "Vantongeren"), Vec::<String>::new());
}
