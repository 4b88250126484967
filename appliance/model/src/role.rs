//! Roles: of an account on the appliance, and of a participant in one lesson.

use serde::{Deserialize, Serialize};

/// What an account may do on the appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// District IT: settings, people, classes. Not a way into lessons.
    Admin,
    /// Reads the audit log, checks it and takes evidence of it away. Nothing else.
    Auditor,
    Teacher,
    Student,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Admin, Self::Auditor, Self::Teacher, Self::Student];

    /// The stable name that databases and wires hold.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::Teacher => "teacher",
            Self::Student => "student",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// What a participant may do in one lesson.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LessonRole {
    /// Leads the lesson; may do everything in it.
    Teacher,
    /// Has the teacher's powers in this lesson, given by a teacher; keeps the lesson open.
    CoTeacher,
    Student,
    /// Without an account; always goes through the waiting room.
    Guest,
}

impl LessonRole {
    /// Teachers and co-teachers.
    pub fn leads(self) -> bool {
        matches!(self, Self::Teacher | Self::CoTeacher)
    }
}
