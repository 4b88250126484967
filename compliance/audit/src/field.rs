//! The types that an event's fields may have.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One field as the canonical form writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Bool(bool),
    /// Within ±(2^53 - 1); what is larger is written as text (RFC 8785 follows IEEE doubles).
    Int(i64),
    Text(String),
    /// A secret: that it changed is recorded, what it is is not.
    Masked,
}

/// What can be a field.
pub(crate) trait Field {
    fn value(&self) -> Value;
}

impl Field for bool {
    fn value(&self) -> Value {
        Value::Bool(*self)
    }
}

impl Field for i64 {
    fn value(&self) -> Value {
        Value::Int(*self)
    }
}

impl Field for u64 {
    fn value(&self) -> Value {
        i64::try_from(*self).map_or_else(|_| Value::Text(self.to_string()), Value::Int)
    }
}

impl<T: Field> Field for Option<T> {
    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Field::value)
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub struct $name(pub i64);

        impl Field for $name {
            fn value(&self) -> Value {
                Value::Int(self.0)
            }
        }
    )*};
}

ids! {
    /// An account, by its number.
    Person;
    /// A class, by its number.
    Class;
    /// A lesson, by its number.
    Lesson;
    /// A school, by its number.
    School;
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($variant),* }

        impl $name {
            /// The stable word that the record holds.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl Field for $name {
            fn value(&self) -> Value {
                Value::Text(self.as_str().to_owned())
            }
        }
    )*};
}

words! {
    /// What an account may do.
    PersonRole { Admin = "admin", Auditor = "auditor", Teacher = "teacher", Student = "student" }
    /// Why a sign-in was refused.
    RefusedBecause {
        UnknownName = "unknown_name",
        WrongPassword = "wrong_password",
        Disabled = "disabled",
    }
    /// Why a person was erased. Never free text: a name could stand in it.
    ErasedBecause {
        Asked = "asked",
        NoLongerNeeded = "no_longer_needed",
        Mistake = "mistake",
        Ordered = "ordered",
    }
    /// Which throttle held a sign-in back.
    ThrottledBy { Account = "account", Address = "address" }
    /// What a participant publishes.
    Source { Microphone = "microphone", Camera = "camera", ScreenShare = "screen_share" }
    /// What a lock of a lesson locks.
    Lock { Microphones = "microphones", Cameras = "cameras", ScreenShare = "screen_share" }
    /// Who may write in a lesson's chat.
    ChatMode { On = "on", Off = "off", TeacherOnly = "teacher_only" }
    /// What is kept about people, by where it is shown.
    Holding {
        People = "people",
        Rosters = "rosters",
        Record = "record",
        Connections = "connections",
    }
    /// Why a lesson ended.
    LessonEnd {
        ByTeacher = "by_teacher",
        NoTeacher = "no_teacher",
        Stopped = "appliance_stopped",
    }
}

/// A participant's identity on the wire: `p` and a person's number, or `g` and random characters.
/// Anything else becomes `?`, so that no name can slip in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct Participant(String);

impl From<String> for Participant {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

/// Characters of a participant's identity, at most.
const PARTICIPANT_CHARS_MAX: usize = 64;

impl Participant {
    pub fn new(identity: &str) -> Self {
        let tail = identity.strip_prefix(['p', 'g']).unwrap_or_default();
        let fits = !tail.is_empty()
            && identity.len() <= PARTICIPANT_CHARS_MAX
            && tail.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        Self(if fits { identity.to_owned() } else { "?".to_owned() })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Field for Participant {
    fn value(&self) -> Value {
        Value::Text(self.0.clone())
    }
}

/// A word of the appliance's own: a setting's key, a key's name, a rule, a version. Not a
/// person's text: only ASCII letters, digits and `._-/+` are taken, the rest becomes `_`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct Word(String);

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

/// Characters of a [`Word`], at most.
const WORD_CHARS_MAX: usize = 64;

impl Word {
    pub fn new(text: &str) -> Self {
        let keep = |c: char| c.is_ascii_alphanumeric() || "._-/+".contains(c);
        Self(text.chars().take(WORD_CHARS_MAX).map(|c| if keep(c) { c } else { '_' }).collect())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Field for Word {
    fn value(&self) -> Value {
        Value::Text(self.0.clone())
    }
}

/// The SHA-256 fingerprint of a certificate, in lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::hash::hex(&self.0))
    }
}

impl Field for Fingerprint {
    fn value(&self) -> Value {
        Value::Text(crate::hash::hex(&self.0))
    }
}

/// The value of a setting, before or after a change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Masked {
    /// Not set; the default holds.
    Unset,
    Shown(String),
    /// A secret.
    Hidden,
}

impl Field for Masked {
    fn value(&self) -> Value {
        match self {
            Self::Unset => Value::Null,
            Self::Shown(text) => Value::Text(text.clone()),
            Self::Hidden => Value::Masked,
        }
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Actor {
    /// Somebody with an account.
    Person(Person),
    /// Somebody without an account, in one lesson.
    Guest(Participant),
    /// The appliance by itself.
    Appliance,
    /// Whoever sits at the machine's console.
    Console,
    /// Nobody knows: not signed in.
    Anonymous,
}

impl Actor {
    /// A participant as an actor: `p42` is the person 42, `g…` a guest.
    pub fn participant(identity: &str) -> Self {
        match identity.strip_prefix('p').and_then(|digits| digits.parse().ok()) {
            Some(number) => Self::Person(Person(number)),
            None => Self::Guest(Participant::new(identity)),
        }
    }

    /// The stable word for the kind of actor.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Person(_) => "person",
            Self::Guest(_) => "guest",
            Self::Appliance => "appliance",
            Self::Console => "console",
            Self::Anonymous => "anonymous",
        }
    }

    /// The id of the actor, where there is one.
    pub fn id(&self) -> Value {
        match self {
            Self::Person(person) => person.value(),
            Self::Guest(participant) => participant.value(),
            Self::Appliance | Self::Console | Self::Anonymous => Value::Null,
        }
    }
}

/// Whose record an event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scope {
    pub district: i64,
    /// `None`: the whole district, or the appliance itself.
    pub school: Option<i64>,
}

impl Scope {
    pub const fn district(district: i64) -> Self {
        Self { district, school: None }
    }

    pub const fn school(district: i64, school: i64) -> Self {
        Self { district, school: Some(school) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Actor, Participant, Person, Word};

    #[test]
    fn a_name_does_not_pass_as_an_identity_or_a_word() {
        assert_eq!(Participant::new("g7Hk_2-x").as_str(), "g7Hk_2-x");
        assert_eq!(Participant::new("Ada Lovelace").as_str(), "?");
        assert_eq!(Participant::new("p").as_str(), "?");
        assert_eq!(Word::new("session.idle_minutes").as_str(), "session.idle_minutes");
        assert_eq!(Word::new("Zoë @ home").as_str(), "Zo____home");
    }

    #[test]
    fn a_participant_with_an_account_acts_as_that_person() {
        assert_eq!(Actor::participant("p42"), Actor::Person(Person(42)));
        assert_eq!(Actor::participant("gabc"), Actor::Guest(Participant::new("gabc")));
    }
}
