use belfry_model::limits::{
    CHAT_CHARS_MAX, PARTICIPANT_RESUME_MS, ROOM_PARTICIPANTS_MAX, TEACHER_GRACE_MS,
};
use belfry_model::{Identity, LessonId, LessonRole, Pii, Timestamp};

use crate::{
    Arrival, Audience, Band, Bye, Carried, Cause, ChatMode, ChatTo, Command, CommandKind, Effect,
    EndCause, Event, Grants, LESSON_MS_MAX, LINK_EVERY_MS, LayoutMode, Lesson, Link, MessageId,
    Notice, Phase, Profile, Quality, Record, Refusal, Rules, Snapshot, Source, Standing,
    UNOPENED_MS_MAX, View, Who,
};

const T0: Timestamp = Timestamp(1_000_000);

fn id(text: &str) -> Identity {
    Identity::from(text)
}

/// A lesson under test; its clock moves only when told to.
struct Class {
    lesson: Lesson,
    now: Timestamp,
}

impl Class {
    fn of(band: Band) -> Self {
        Self::with(band, Rules::usual(band))
    }

    fn with(band: Band, rules: Rules) -> Self {
        let profile = Profile { lesson: LessonId(7), name: "Maths".into(), band, rules };
        Self { lesson: Lesson::new(profile, T0), now: T0 }
    }

    /// Open, with teacher `t`, co-teacher `c`, students `s` and `s2`, guest `g`; `w` waits.
    fn open() -> Self {
        let mut class = Self::of(Band::Upper);
        class.arrive("t", Standing::Teacher);
        for student in ["c", "s", "s2"] {
            class.arrive(student, Standing::Rostered);
        }
        class.ok("t", Command::MakeCoTeacher { identity: id("c") });
        class.arrive("g", Standing::Guest);
        class.ok("t", Command::Admit { identity: id("g") });
        class.arrive("w", Standing::Guest);
        class
    }

    fn apply(&mut self, event: Event) -> Result<Vec<Effect>, Refusal> {
        self.lesson.apply(event, self.now)
    }

    fn try_arrive(&mut self, who: &str, standing: Standing) -> Result<Vec<Effect>, Refusal> {
        let name = Pii::new(format!("Name of {who}"));
        self.apply(Event::Arrive(Arrival { identity: id(who), name, standing }))
    }

    fn arrive(&mut self, who: &str, standing: Standing) -> Vec<Effect> {
        self.try_arrive(who, standing).expect("may ask to join")
    }

    fn by(&mut self, who: &str, command: Command) -> Result<Vec<Effect>, Refusal> {
        self.apply(Event::Command { by: id(who), command })
    }

    fn ok(&mut self, who: &str, command: Command) -> Vec<Effect> {
        self.by(who, command).expect("may do this")
    }

    fn lose(&mut self, who: &str) -> Vec<Effect> {
        self.apply(Event::Lost { identity: id(who) }).expect("a loss is not refused")
    }

    /// Lets time pass, and the timers that fall due in it.
    fn wait(&mut self, ms: i64) -> Vec<Effect> {
        self.now = self.now.plus_ms(ms);
        self.apply(Event::Tick).expect("time is not refused")
    }

    fn say(&mut self, who: &str, to: ChatTo) -> Result<Vec<Effect>, Refusal> {
        self.by(who, Command::Chat { text: Pii::new("hello".into()), to })
    }

    fn waiting(&self) -> Vec<String> {
        let waiting = self.lesson.state(&id("t")).waiting;
        waiting.iter().map(|one| one.identity.to_string()).collect()
    }

    fn admitted(&self, who: &str) -> Option<bool> {
        self.lesson.you(&id(who)).map(|you| you.admitted)
    }

    fn hands(&self) -> Vec<String> {
        self.lesson.hands.iter().map(|hand| hand.identity.to_string()).collect()
    }
}

fn reason() -> Pii<String> {
    Pii::new("too loud".into())
}

fn remove(who: &str, block: bool) -> Command {
    Command::Remove { identity: id(who), reason: reason(), block }
}

fn phases(effects: &[Effect]) -> Vec<Phase> {
    let phase = |effect: &Effect| match effect {
        Effect::Send { to: Audience::All, notice: Notice::Phase(view) } => Some(view.phase),
        _ => None,
    };
    effects.iter().filter_map(phase).collect()
}

/// One of each command, aimed so that it succeeds for whoever may give it.
fn every_command() -> Vec<(Command, Who)> {
    let identity = id("s2");
    let view = View { mode: LayoutMode::Gallery, spotlight: None, page: 2 };
    vec![
        (Command::RaiseHand, Who::Admitted),
        (Command::LowerHand, Who::Admitted),
        (Command::Chat { text: Pii::new("hi".into()), to: ChatTo::Everyone }, Who::Admitted),
        (Command::LowerHandOf { identity: identity.clone() }, Who::Leads),
        (Command::LowerAllHands, Who::Leads),
        (Command::DeleteMessage { message: MessageId(1) }, Who::Leads),
        (Command::Admit { identity: id("w") }, Who::Leads),
        (Command::Refuse { identity: id("w"), reason: reason() }, Who::Leads),
        (Command::AdmitAll, Who::Leads),
        (Command::Mute { identity: identity.clone(), source: Source::Camera }, Who::Leads),
        (Command::MuteAll, Who::Leads),
        (Command::AskUnmute { identity: identity.clone() }, Who::Leads),
        (Command::Lock { what: Source::Microphone, on: true }, Who::Leads),
        (Command::ChatMode { mode: ChatMode::Off }, Who::Leads),
        (remove("s2", false), Who::Leads),
        (Command::Unblock { identity: id("x") }, Who::Leads),
        (Command::Layout { mode: LayoutMode::Focus, spotlight: None }, Who::Leads),
        (Command::Follow { on: true, view: Some(view) }, Who::Leads),
        (Command::End, Who::Leads),
        (Command::MakeCoTeacher { identity: identity.clone() }, Who::Teacher),
        (Command::EndCoTeacher { identity: id("c2") }, Who::Teacher),
        (Command::Leave, Who::Anybody),
    ]
}

#[test]
fn each_command_is_open_to_those_it_says_and_to_nobody_else() {
    let mut tried: Vec<_> = every_command().iter().map(|(command, _)| command.kind()).collect();
    tried.sort_unstable();
    assert_eq!(
        tried,
        CommandKind::ALL,
        "each kind once, and none without its unauthorised senders"
    );
    for (command, who) in every_command() {
        assert_eq!(command.who(), who, "{command:?}");
        for sender in ["t", "c", "s", "g", "w", "stranger"] {
            let mut class = Class::open();
            class.say("s2", ChatTo::Everyone).expect("chat is on");
            class.arrive("x", Standing::Rostered);
            class.ok("t", remove("x", true));
            class.arrive("c2", Standing::Rostered);
            class.ok("t", Command::MakeCoTeacher { identity: id("c2") });
            let allowed = match who {
                Who::Anybody => sender != "stranger",
                Who::Admitted => !["w", "stranger"].contains(&sender),
                Who::Leads => ["t", "c"].contains(&sender),
                Who::Teacher => sender == "t",
            };
            let refusal = match sender {
                "w" => Refusal::NotAdmitted,
                "stranger" => Refusal::NoSuchParticipant,
                _ => Refusal::NotAllowed,
            };
            let before = class.lesson.snapshot();
            match class.by(sender, command.clone()) {
                Ok(_) => assert!(allowed, "{sender} may not {command:?}"),
                Err(refused) => {
                    assert_eq!((allowed, refused), (false, refusal), "{sender} {command:?}");
                    assert_eq!(class.lesson.snapshot(), before, "a refusal changes nothing");
                }
            }
        }
    }
}

#[test]
fn a_lesson_opens_with_its_teacher_and_lets_the_roster_in_but_not_others() {
    let mut class = Class::of(Band::Upper);
    class.arrive("s", Standing::Rostered);
    class.arrive("v", Standing::Visitor);
    class.arrive("g", Standing::Guest);
    assert_eq!(class.lesson.phase(), Phase::BeforeTeacher);
    assert_eq!(class.admitted("s"), Some(false));

    let effects = class.arrive("t", Standing::Teacher);
    assert_eq!(phases(&effects), [Phase::Open]);
    assert!(effects.contains(&Effect::Admitted { identity: id("s") }));
    assert!(!effects.contains(&Effect::Admitted { identity: id("t") }), "its arrival says so");
    assert_eq!(class.admitted("s"), Some(true));
    assert_eq!(class.waiting(), ["v", "g"]);

    class.arrive("s2", Standing::Rostered);
    assert_eq!(class.admitted("s2"), Some(true));
    class.ok("t", Command::AdmitAll);
    assert_eq!(class.waiting(), [""; 0]);
    assert_eq!(class.admitted("g"), Some(true));
}

#[test]
fn the_roster_waits_too_where_the_lesson_says_so() {
    let mut class = Class::of(Band::Upper);
    class.lesson.profile.rules.rostered_pass = false;
    class.arrive("t", Standing::Teacher);
    class.arrive("s", Standing::Rostered);
    assert_eq!(class.admitted("s"), Some(false));
    let effects = class.ok("t", Command::Admit { identity: id("s") });
    assert!(effects.contains(&Effect::Audit(Record::Admitted { by: id("t"), identity: id("s") })));
    class.lose("s");
    class.wait(PARTICIPANT_RESUME_MS);
    class.arrive("s", Standing::Rostered);
    assert_eq!(class.admitted("s"), Some(true), "let in once, let in again");
}

#[test]
fn somebody_who_waits_sees_nobody_and_is_told_why_they_are_refused() {
    let mut class = Class::open();
    class.say("t", ChatTo::Everyone).expect("teachers write");
    let state = class.lesson.state(&id("w"));
    assert!(state.participants.is_empty() && state.chat.is_empty() && state.waiting.is_empty());
    assert_eq!(class.lesson.grants(&id("w")), None, "and has no place in the media");
    let effects = class.ok("c", Command::Refuse { identity: id("w"), reason: reason() });
    let bye = Some(Bye::Removed { reason: reason() });
    assert!(effects.contains(&Effect::Close { identity: id("w"), bye }));
    assert_eq!(class.admitted("w"), None);
    let again = class.by("t", Command::Admit { identity: id("w") });
    assert_eq!(again, Err(Refusal::NotWaiting));
}

#[test]
fn a_lesson_outlives_its_teachers_hiccup_and_grace_but_not_more() {
    let mut class = Class::open();
    class.ok("t", Command::EndCoTeacher { identity: id("c") });
    assert_eq!(phases(&class.lose("t")), []);
    assert_eq!(phases(&class.wait(PARTICIPANT_RESUME_MS - 1)), []);
    class.arrive("t", Standing::Teacher);
    assert_eq!(class.lesson.deadline(), Some(T0.plus_ms(LESSON_MS_MAX)));

    class.lose("t");
    let lost_at = class.now;
    assert_eq!(class.lesson.deadline(), Some(lost_at.plus_ms(PARTICIPANT_RESUME_MS)));
    assert_eq!(phases(&class.wait(PARTICIPANT_RESUME_MS)), [Phase::Grace]);
    let view = class.lesson.view();
    assert_eq!(view.grace_until, Some(lost_at.plus_ms(TEACHER_GRACE_MS)));
    class.arrive("s3", Standing::Rostered);
    assert_eq!(class.admitted("s3"), Some(false), "nobody new comes in without a teacher");
    assert_eq!(phases(&class.arrive("t", Standing::Teacher)), [Phase::Open]);
    assert_eq!(class.admitted("s3"), Some(true));

    class.lose("t");
    class.wait(PARTICIPANT_RESUME_MS);
    let effects = class.wait(TEACHER_GRACE_MS - PARTICIPANT_RESUME_MS);
    assert_eq!(phases(&effects), [Phase::Ended]);
    assert!(effects.contains(&Effect::EndMedia));
    let because = EndCause::NoTeacher;
    assert!(effects.contains(&Effect::Audit(Record::Ended { because })));
    assert!(effects.contains(&Effect::Close { identity: id("s"), bye: Some(Bye::Ended) }));
    assert_eq!(class.try_arrive("t", Standing::Teacher), Err(Refusal::Ended));
    assert_eq!(class.lesson.deadline(), None);
}

#[test]
fn a_co_teacher_keeps_the_lesson_open_and_its_last_lead_leaving_starts_the_grace_at_once() {
    let mut class = Class::open();
    assert_eq!(phases(&class.ok("t", Command::Leave)), []);
    assert_eq!(class.lesson.phase(), Phase::Open);
    assert_eq!(phases(&class.ok("c", Command::Leave)), [Phase::Grace]);
    class.arrive("c", Standing::Rostered);
    assert_eq!(class.lesson.phase(), Phase::Open, "still a co-teacher when coming back");
    assert_eq!(class.lesson.role(&id("c")), Some(LessonRole::CoTeacher));
}

#[test]
fn forgotten_lessons_end_by_themselves() {
    let mut class = Class::of(Band::Upper);
    class.arrive("s", Standing::Rostered);
    assert_eq!(class.lesson.deadline(), Some(T0.plus_ms(UNOPENED_MS_MAX)));
    assert_eq!(phases(&class.wait(UNOPENED_MS_MAX)), [Phase::Ended]);

    let mut class = Class::open();
    assert_eq!(phases(&class.wait(LESSON_MS_MAX)), [Phase::Ended]);
}

#[test]
fn a_participant_is_kept_for_a_while_and_then_gone_with_its_hand() {
    let mut class = Class::open();
    class.ok("s", Command::RaiseHand);
    let effects = class.lose("s");
    let shown = |effect: &Effect| match effect {
        Effect::Send { to: Audience::Led, notice: Notice::Participant(view) } => {
            Some(view.connected)
        }
        _ => None,
    };
    assert_eq!(effects.iter().filter_map(shown).collect::<Vec<_>>(), [false]);
    assert_eq!(class.hands(), ["s"]);
    class.apply(Event::Media { identity: id("s"), connected: true }).expect("media returned");
    class.wait(PARTICIPANT_RESUME_MS);
    assert_eq!(class.admitted("s"), Some(true), "one socket is enough to be there");
    class.apply(Event::Media { identity: id("s"), connected: false }).expect("media lost");
    let effects = class.wait(PARTICIPANT_RESUME_MS);
    let left = Effect::Send { to: Audience::Admitted, notice: Notice::Left(id("s")) };
    assert!(effects.contains(&left));
    assert!(effects.contains(&Effect::RemoveFromMedia { identity: id("s") }));
    assert_eq!(class.hands(), [""; 0]);
}

#[test]
fn hands_stand_in_the_order_of_raising() {
    let mut class = Class::open();
    for who in ["s2", "g", "s"] {
        class.now = class.now.plus_ms(10);
        class.ok(who, Command::RaiseHand);
    }
    assert_eq!(class.hands(), ["s2", "g", "s"]);
    assert_eq!(class.ok("s2", Command::RaiseHand), [], "raising twice keeps the place");
    class.ok("c", Command::LowerHandOf { identity: id("g") });
    assert_eq!(class.hands(), ["s2", "s"]);
    class.ok("s2", Command::LowerHand);
    class.ok("t", Command::LowerAllHands);
    assert_eq!(class.hands(), [""; 0]);
}

#[test]
fn chat_follows_its_mode_and_a_message_to_the_teachers_is_seen_by_them_alone() {
    use ChatMode::{Off, On, TeacherOnly};
    use ChatTo::{Everyone, Teachers};
    let table = [
        (On, Everyone, Ok(())),
        (On, Teachers, Ok(())),
        (TeacherOnly, Everyone, Err(Refusal::ChatTeacherOnly)),
        (TeacherOnly, Teachers, Ok(())),
        (Off, Everyone, Err(Refusal::ChatOff)),
        (Off, Teachers, Err(Refusal::ChatOff)),
    ];
    for (mode, to, expect) in table {
        let mut class = Class::open();
        class.ok("t", Command::ChatMode { mode });
        for (who, expect) in [("s", expect), ("g", expect), ("t", Ok(())), ("c", Ok(()))] {
            assert_eq!(class.say(who, to).map(|_| ()), expect, "{who} {mode:?} {to:?}");
        }
        let seen = |who| class.lesson.state(&id(who)).chat.len();
        let all = seen("t");
        assert_eq!(seen("c"), all);
        let own = usize::from(to == Teachers && expect.is_ok());
        assert_eq!(seen("s"), if to == Everyone { all } else { own }, "{mode:?} {to:?}");
    }
}

#[test]
fn chat_text_has_its_limits_and_a_deleted_message_is_gone_for_all() {
    let mut class = Class::open();
    let chat = |text: String| Command::Chat { text: Pii::new(text), to: ChatTo::Everyone };
    assert_eq!(class.by("s", chat(" \n".into())), Err(Refusal::TextEmpty));
    assert_eq!(class.by("s", chat("ä".repeat(CHAT_CHARS_MAX + 1))), Err(Refusal::TextTooLong));
    class.ok("s", chat("ä".repeat(CHAT_CHARS_MAX)));
    let message = MessageId(1);
    let effects = class.ok("c", Command::DeleteMessage { message });
    assert!(effects.contains(&Effect::PersistDeletion(message)));
    assert!(class.lesson.state(&id("s2")).chat.is_empty());
    let again = class.by("t", Command::DeleteMessage { message });
    assert_eq!(again, Err(Refusal::NoSuchMessage));
}

#[test]
fn a_lock_binds_students_and_guests_at_the_media_and_not_those_who_lead() {
    let mut class = Class::open();
    let effects = class.ok("c", Command::Lock { what: Source::Camera, on: true });
    let muted = |effect: &Effect| match effect {
        Effect::MuteSource { identity, source: Source::Camera } => Some(identity.to_string()),
        _ => None,
    };
    assert_eq!(effects.iter().filter_map(muted).collect::<Vec<_>>(), ["g", "s", "s2"]);
    let grants = Grants { microphone: true, camera: false, screen_share: false };
    assert!(effects.contains(&Effect::SetGrants { identity: id("s"), grants }));
    assert_eq!(class.lesson.grants(&id("s")), Some(grants));
    class.arrive("late", Standing::Rostered);
    assert_eq!(class.lesson.grants(&id("late")), Some(grants), "those who come later, too");
    let all = Grants { microphone: true, camera: true, screen_share: true };
    assert_eq!(class.lesson.grants(&id("t")), Some(all));
    assert_eq!(class.lesson.grants(&id("c")), Some(all));

    let effects = class.ok("t", Command::EndCoTeacher { identity: id("c") });
    assert!(effects.contains(&Effect::SetGrants { identity: id("c"), grants }));
    assert!(effects.iter().any(|effect| muted(effect) == Some("c".into())));
}

#[test]
fn muting_reaches_students_only_and_a_co_teacher_cannot_act_on_a_teacher() {
    let mut class = Class::open();
    let effects = class.ok("t", Command::MuteAll);
    let muted = effects.iter().filter(|effect| matches!(effect, Effect::MuteSource { .. }));
    assert_eq!(muted.count(), 3);
    let source = Source::Microphone;
    let mute = |who| Command::Mute { identity: id(who), source };
    assert_eq!(class.by("c", mute("t")), Err(Refusal::NotAllowed));
    assert_eq!(class.by("c", remove("t", true)), Err(Refusal::NotAllowed));
    assert_eq!(class.by("c", mute("c")), Err(Refusal::Yourself));
    assert_eq!(class.by("c", mute("nobody")), Err(Refusal::NoSuchParticipant));
    assert_eq!(class.by("c", mute("w")), Err(Refusal::NoSuchParticipant), "waits");
    class.ok("t", mute("c"));
    let effects = class.ok("c", Command::AskUnmute { identity: id("s") });
    let asked = Effect::Send { to: Audience::One(id("s")), notice: Notice::AskedToUnmute };
    assert_eq!(effects.first(), Some(&asked), "asked, not unmuted");
}

#[test]
fn who_was_removed_waits_at_the_door_and_who_was_blocked_finds_it_shut() {
    let mut class = Class::open();
    let effects = class.ok("t", remove("s", false));
    let bye = Some(Bye::Removed { reason: reason() });
    assert!(effects.contains(&Effect::Close { identity: id("s"), bye }));
    assert!(effects.contains(&Effect::RemoveFromMedia { identity: id("s") }));
    assert_eq!(class.lesson.grants(&id("s")), None, "an old token opens nothing");
    class.arrive("s", Standing::Rostered);
    assert_eq!(class.admitted("s"), Some(false), "the roster alone does not open the door again");
    class.ok("t", Command::Admit { identity: id("s") });
    assert_eq!(class.admitted("s"), Some(true));
    class.arrive("g", Standing::Guest);
    class.ok("t", remove("g", false));
    class.arrive("g", Standing::Guest);
    assert_eq!(class.admitted("g"), Some(false));

    class.ok("c", remove("s2", true));
    assert_eq!(class.try_arrive("s2", Standing::Rostered), Err(Refusal::Blocked));
    assert_eq!(class.by("s2", Command::RaiseHand), Err(Refusal::NoSuchParticipant));
    let shown = class.lesson.state(&id("t")).blocked;
    assert_eq!(shown.iter().map(|one| one.identity.as_str()).collect::<Vec<_>>(), ["s2"]);
    assert_eq!(class.lesson.state(&id("s")).blocked, [], "students are not told");
    let effects = class.ok("c", Command::Unblock { identity: id("s2") });
    let told = Effect::Send { to: Audience::Leads, notice: Notice::Blocked(Vec::new()) };
    assert!(effects.contains(&told));
    class.arrive("s2", Standing::Rostered);
    let twice = class.by("c", Command::Unblock { identity: id("s2") });
    assert_eq!(twice, Err(Refusal::NotBlocked));
}

#[test]
fn a_guest_never_leads_and_a_role_change_shows_everything_anew() {
    let mut class = Class::open();
    let make = |who| Command::MakeCoTeacher { identity: id(who) };
    assert_eq!(class.by("t", make("g")), Err(Refusal::GuestCannotLead));
    assert_eq!(class.by("t", make("c")), Err(Refusal::LeadsAlready));
    assert_eq!(class.by("t", make("t")), Err(Refusal::LeadsAlready));
    let effects = class.ok("t", make("s"));
    assert!(effects.contains(&Effect::RoleChanged { identity: id("s") }));
    assert_eq!(class.lesson.state(&id("s")).waiting.len(), 1);
}

#[test]
fn the_spotlight_goes_out_with_the_one_in_it() {
    let mut class = Class::open();
    let layout = |mode, who: Option<&str>| Command::Layout { mode, spotlight: who.map(id) };
    let empty = class.by("t", layout(LayoutMode::Spotlight, None));
    assert_eq!(empty, Err(Refusal::SpotlightEmpty));
    let nobody = class.by("t", layout(LayoutMode::Spotlight, Some("w")));
    assert_eq!(nobody, Err(Refusal::NoSuchParticipant));
    class.ok("t", layout(LayoutMode::Spotlight, Some("s")));
    class.ok("s", Command::Leave);
    let shown = class.lesson.state(&id("t")).layout;
    assert_eq!((shown.mode, shown.spotlight), (LayoutMode::Gallery, None));
}

#[test]
fn young_children_start_in_focus_following_the_teacher_with_chat_to_her_alone() {
    let young = Class::of(Band::K5).lesson;
    assert_eq!(young.layout.mode, LayoutMode::Focus);
    assert!(young.layout.follow);
    assert_eq!(young.locks.chat, ChatMode::TeacherOnly);
    let upper = Class::of(Band::Upper).lesson;
    assert_eq!(upper.layout.mode, LayoutMode::Gallery);
    assert!(!upper.layout.follow && upper.locks.screen_share);
}

#[test]
fn following_carries_the_teachers_view_until_it_ends() {
    let mut class = Class::open();
    let view = View { mode: LayoutMode::Gallery, spotlight: Some(id("s")), page: 3 };
    class.ok("t", Command::Follow { on: true, view: Some(view.clone()) });
    assert_eq!(class.lesson.state(&id("s")).layout.followed, Some(view));
    class.ok("t", Command::Follow { on: false, view: None });
    assert_eq!(class.lesson.state(&id("s")).layout.followed, None);
}

#[test]
fn connection_quality_is_for_those_who_lead_and_for_oneself() {
    let mut class = Class::open();
    let event = Event::Quality { identity: id("s"), quality: Quality::Poor, loss_percent: 12 };
    let effects = class.apply(event).expect("quality is not refused");
    let audiences = effects.iter().map(|effect| match effect {
        Effect::Send { to, notice: Notice::Quality { .. } } => to.clone(),
        other => panic!("only notices of quality, not {other:?}"),
    });
    assert_eq!(audiences.collect::<Vec<_>>(), [Audience::One(id("s")), Audience::Leads]);
    for (viewer, expect) in [("t", Some(Quality::Poor)), ("s", Some(Quality::Poor)), ("s2", None)] {
        let state = class.lesson.state(&id(viewer));
        let shown = state.participants.iter().find(|one| one.identity == id("s"));
        assert_eq!(shown.and_then(|one| one.quality), expect, "{viewer}");
    }
}

#[test]
fn a_full_lesson_keeps_places_for_teachers() {
    let mut class = Class::of(Band::Upper);
    class.arrive("t", Standing::Teacher);
    let mut refused = 0;
    for number in 0..ROOM_PARTICIPANTS_MAX {
        let result = class.try_arrive(&format!("s{number}"), Standing::Rostered);
        refused += usize::from(result == Err(Refusal::Full));
    }
    assert_eq!(refused, 4);
    class.arrive("t2", Standing::Teacher);
    assert_eq!(class.lesson.role(&id("t2")), Some(LessonRole::Teacher));
}

#[test]
fn a_snapshot_brings_everything_back_but_the_connections() {
    let mut class = Class::open();
    class.say("s", ChatTo::Teachers).expect("chat is on");
    class.ok("s", Command::RaiseHand);
    class.ok("t", Command::Lock { what: Source::Microphone, on: true });
    class.ok("t", remove("s2", true));
    let kept = serde_json::to_string(&class.lesson.snapshot()).expect("a snapshot is plain data");
    let snapshot: Snapshot = serde_json::from_str(&kept).expect("our own snapshot");
    let chat = class.lesson.chat.iter().cloned();
    let later = class.now.plus_ms(5_000);
    let lesson = Lesson::restore(snapshot.clone(), chat, later).expect("our own words");
    assert_eq!(lesson.snapshot(), snapshot);
    assert_eq!(lesson.deadline(), Some(later.plus_ms(PARTICIPANT_RESUME_MS)));
    let mut class = Class { lesson, now: later };
    assert!(class.lesson.state(&id("t")).participants.iter().all(|one| !one.connected));
    assert_eq!(class.lesson.state(&id("t")).chat.len(), 1);
    class.arrive("t", Standing::Teacher);
    class.arrive("s", Standing::Rostered);
    assert_eq!(class.lesson.phase(), Phase::Open);
    assert_eq!(class.hands(), ["s"]);
    assert_eq!(class.try_arrive("s2", Standing::Rostered), Err(Refusal::Blocked));
    class.say("s", ChatTo::Teachers).expect("chat is on");
    assert_eq!(class.lesson.chat.back().map(|message| message.id), Some(MessageId(2)));
}

#[test]
fn a_restored_lesson_that_nobody_comes_back_to_ends_after_the_grace() {
    let class = Class::open();
    let lesson = Lesson::restore(class.lesson.snapshot(), [], class.now).expect("our own words");
    let mut class = Class { lesson, now: class.now };
    assert_eq!(phases(&class.wait(PARTICIPANT_RESUME_MS)), [Phase::Grace]);
    assert_eq!(phases(&class.wait(TEACHER_GRACE_MS - PARTICIPANT_RESUME_MS)), [Phase::Ended]);
}

fn links(effects: &[Effect]) -> Vec<(Audience, Identity, Carried)> {
    let link = |effect: &Effect| match effect {
        Effect::Send { to, notice: Notice::Link { identity, link } } => {
            Some((to.clone(), identity.clone(), link.carried))
        }
        _ => None,
    };
    effects.iter().filter_map(link).collect()
}

#[test]
fn a_weak_line_is_told_to_its_participant_and_to_those_who_lead_on_changes_only_and_not_too_often()
{
    let mut class = Class::open();
    let carried = |class: &mut Class, who: &str, carried, loss_percent| {
        let link = Link { carried, cause: Cause::Bandwidth, loss_percent };
        class.apply(Event::Link { identity: id(who), link }).expect("the lesson is open")
    };
    let told = |who: &str, carried| {
        [(Audience::One(id(who)), id(who), carried), (Audience::Leads, id(who), carried)]
    };
    assert_eq!(links(&carried(&mut class, "s", Carried::Softer, 0)), told("s", Carried::Softer));
    assert_eq!(links(&carried(&mut class, "s", Carried::Softer, 4)), [], "hardly a change");
    // Within the time only the last state counts, and a state that is back where it was is none.
    assert_eq!(links(&carried(&mut class, "s", Carried::Voices, 30)), []);
    assert_eq!(links(&carried(&mut class, "s", Carried::FewerPictures, 12)), []);
    assert_eq!(links(&carried(&mut class, "s2", Carried::Voices, 0)), told("s2", Carried::Voices));
    assert_eq!(links(&class.wait(LINK_EVERY_MS)), told("s", Carried::FewerPictures));
    assert_eq!(links(&carried(&mut class, "s", Carried::Voices, 12)), []);
    assert_eq!(links(&carried(&mut class, "s", Carried::FewerPictures, 12)), []);
    assert_eq!(links(&class.wait(LINK_EVERY_MS)), []);
    // A teacher is told of her own once.
    let own = links(&carried(&mut class, "t", Carried::Softer, 0));
    assert_eq!(own, [(Audience::Leads, id("t"), Carried::Softer)]);

    let seen_by = |who: &str| class.lesson.links(&id(who)).into_iter().map(|(one, _)| one);
    assert_eq!(seen_by("t").collect::<Vec<_>>(), [id("s"), id("s2"), id("t")]);
    assert_eq!(seen_by("s").collect::<Vec<_>>(), [id("s")]);
    assert_eq!(seen_by("g").collect::<Vec<_>>(), []);
}

#[test]
fn a_lesson_begins_as_the_district_has_decided() {
    let rules = Rules {
        rostered_pass: false,
        focus: false,
        chat: ChatMode::Off,
        grace_ms: TEACHER_GRACE_MS / 2,
    };
    let mut class = Class::with(Band::K5, rules);
    class.arrive("t", Standing::Teacher);
    let state = class.lesson.state(&id("t"));
    assert_eq!((state.layout.mode, state.layout.follow), (LayoutMode::Gallery, false));
    assert_eq!(state.locks.chat, ChatMode::Off);
    class.arrive("s", Standing::Rostered);
    assert_eq!(class.lesson.role(&id("s")), None, "students of the class wait, too");
    class.ok("t", Command::Admit { identity: id("s") });

    // The same after a restart.
    let kept = serde_json::to_string(&class.lesson.snapshot()).expect("a snapshot is JSON");
    let kept: Snapshot = serde_json::from_str(&kept).expect("what was written is readable");
    let lesson = Lesson::restore(kept, [], class.now).expect("the words are ours");
    assert_eq!(lesson.profile(), class.lesson.profile());
    let mut class = Class { lesson, now: class.now };
    class.wait(TEACHER_GRACE_MS / 2);
    assert_eq!(class.lesson.phase(), Phase::Ended);

    let class = Class::of(Band::K5);
    let state = class.lesson.state(&id("t"));
    assert_eq!((state.layout.mode, state.locks.chat), (LayoutMode::Focus, ChatMode::TeacherOnly));
}

#[test]
fn a_lesson_holds_as_many_as_the_district_allows_and_its_teacher_besides() {
    let mut class = Class::of(Band::Upper);
    class.apply(Event::PlacesMax(3)).expect("the lesson is open");
    class.arrive("t", Standing::Teacher);
    class.arrive("s", Standing::Rostered);
    class.arrive("s2", Standing::Rostered);
    assert_eq!(class.try_arrive("s3", Standing::Rostered), Err(Refusal::Full));
    // One who is there comes back, whatever the number.
    class.apply(Event::PlacesMax(2)).expect("the lesson is open");
    class.arrive("s", Standing::Rostered);
    class.arrive("t2", Standing::Teacher);
    assert_eq!(class.lesson.present_count(), 4);
    class.apply(Event::PlacesMax(4)).expect("the lesson is open");
    class.arrive("s3", Standing::Rostered);
}

#[test]
fn those_in_the_spotlight_of_the_lesson_or_of_the_screen_that_all_follow_are_shown_large() {
    let mut class = Class::open();
    assert_eq!(class.lesson.spotlight(), []);
    let spotlight = Some(id("s"));
    class.ok("t", Command::Layout { mode: LayoutMode::Spotlight, spotlight });
    assert_eq!(class.lesson.spotlight(), [id("s")]);
    let view = View { mode: LayoutMode::Spotlight, spotlight: Some(id("s2")), page: 0 };
    class.ok("t", Command::Follow { on: true, view: Some(view) });
    assert_eq!(class.lesson.spotlight(), [id("s"), id("s2")]);
    class.ok("t", Command::Layout { mode: LayoutMode::Gallery, spotlight: None });
    class.ok("t", Command::Follow { on: false, view: None });
    assert_eq!(class.lesson.spotlight(), []);
}
