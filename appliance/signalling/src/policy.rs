//! What may be said to whom. Pure functions; the tables of the tests are the policy.
//!
//! The rule behind all of it: a student has no way to one other student. Everything that students
//! say is heard by the leads, or by nobody.

use std::collections::BTreeSet;

use belfry_model::LessonRole;

use crate::room::ChatTo;

/// The topic of chat text streams.
pub const CHAT_TOPIC: &str = "lk.chat";

/// The rule that something was refused by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The participant's permissions hold no data, or not this source.
    NotPermitted,
    /// A student addressed somebody who is not a lead.
    PrivateToStudent,
    /// Chat has no way to single people.
    PrivateChat,
    /// A topic that students may not use towards the whole room.
    StudentTopic,
    /// A student sends files or calls procedures of the whole room.
    StudentKind,
    /// End-to-end encryption is off: nobody could check what it carries.
    Encrypted,
    /// Kinds of packets that only servers and agents send.
    UnknownKind,
    /// A chunk of a stream that was not opened, or that is closed.
    UnknownStream,
    TooLong,
    TooMany,
    Malformed,
    /// Name, metadata and attributes belong to the lesson.
    OwnMetadata,
    /// An unmute of a source that is locked.
    Locked,
    /// Only leads decide who may see their tracks.
    Audience,
    /// Data tracks are not offered.
    DataTrack,
    /// A kind of message that this version does not offer.
    NotOffered,
    /// A kind of message that is not declared.
    Undeclared,
}

/// Whom the destinations of a packet name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// No destinations.
    Everyone,
    /// Leads only.
    Leads,
    /// At least one who is no lead, or who is not there.
    Others,
}

/// What a packet carries, as far as the policy cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    User {
        topic: &'a str,
    },
    /// A chat message packet, or a text stream on [`CHAT_TOPIC`].
    Chat,
    TextStream {
        topic: &'a str,
    },
    ByteStream,
    RpcRequest,
    /// Acknowledgement or response.
    RpcReply,
    Encrypted,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To those whom it addresses.
    Forward,
    /// To nobody: the lesson is told and decides.
    Chat(ChatTo),
    Refuse(Rule),
}

/// Decides about one packet of a participant that may send data at all.
pub fn judge(
    sender: LessonRole,
    address: Address,
    kind: Kind<'_>,
    student_topics: &BTreeSet<String>,
) -> Verdict {
    match kind {
        Kind::Encrypted => return Verdict::Refuse(Rule::Encrypted),
        Kind::Other => return Verdict::Refuse(Rule::UnknownKind),
        Kind::Chat => {
            return match address {
                Address::Everyone => Verdict::Chat(ChatTo::Everyone),
                Address::Leads => Verdict::Chat(ChatTo::Leads),
                Address::Others if sender.leads() => Verdict::Refuse(Rule::PrivateChat),
                Address::Others => Verdict::Refuse(Rule::PrivateToStudent),
            };
        }
        _ if sender.leads() => return Verdict::Forward,
        _ => {}
    }
    match (address, kind) {
        (Address::Others, _) => Verdict::Refuse(Rule::PrivateToStudent),
        (_, Kind::ByteStream) => Verdict::Refuse(Rule::StudentKind),
        (Address::Leads, _) => Verdict::Forward,
        (Address::Everyone, Kind::User { topic } | Kind::TextStream { topic })
            if student_topics.contains(topic) =>
        {
            Verdict::Forward
        }
        (Address::Everyone, Kind::User { .. } | Kind::TextStream { .. }) => {
            Verdict::Refuse(Rule::StudentTopic)
        }
        (Address::Everyone, _) => Verdict::Refuse(Rule::StudentKind),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use belfry_model::LessonRole;

    use super::{Address, Kind, Rule, Verdict, judge};
    use crate::room::ChatTo;

    const ADDRESSES: [Address; 3] = [Address::Everyone, Address::Leads, Address::Others];
    const KINDS: [Kind<'static>; 9] = [
        Kind::User { topic: "" },
        Kind::User { topic: "reaction" },
        Kind::Chat,
        Kind::TextStream { topic: "notes" },
        Kind::ByteStream,
        Kind::RpcRequest,
        Kind::RpcReply,
        Kind::Encrypted,
        Kind::Other,
    ];

    fn topics() -> BTreeSet<String> {
        BTreeSet::from(["reaction".to_owned()])
    }

    #[test]
    fn a_student_reaches_leads_the_lesson_and_allowed_topics_only() {
        use Address::{Everyone, Leads};
        let rows = [
            (Everyone, Kind::User { topic: "" }, Verdict::Refuse(Rule::StudentTopic)),
            (Everyone, Kind::User { topic: "reaction" }, Verdict::Forward),
            (Everyone, Kind::Chat, Verdict::Chat(ChatTo::Everyone)),
            (Everyone, Kind::TextStream { topic: "notes" }, Verdict::Refuse(Rule::StudentTopic)),
            (Everyone, Kind::TextStream { topic: "reaction" }, Verdict::Forward),
            (Everyone, Kind::ByteStream, Verdict::Refuse(Rule::StudentKind)),
            (Everyone, Kind::RpcRequest, Verdict::Refuse(Rule::StudentKind)),
            (Everyone, Kind::RpcReply, Verdict::Refuse(Rule::StudentKind)),
            (Leads, Kind::User { topic: "" }, Verdict::Forward),
            (Leads, Kind::Chat, Verdict::Chat(ChatTo::Leads)),
            (Leads, Kind::TextStream { topic: "notes" }, Verdict::Forward),
            (Leads, Kind::ByteStream, Verdict::Refuse(Rule::StudentKind)),
            (Leads, Kind::RpcRequest, Verdict::Forward),
            (Leads, Kind::RpcReply, Verdict::Forward),
        ];
        for (address, kind, expect) in rows {
            for role in [LessonRole::Student, LessonRole::Guest] {
                assert_eq!(judge(role, address, kind, &topics()), expect, "{address:?} {kind:?}");
            }
        }
    }

    #[test]
    fn nothing_that_a_student_addresses_to_another_student_is_passed_on() {
        for kind in KINDS {
            let verdict = judge(LessonRole::Student, Address::Others, kind, &topics());
            assert!(matches!(verdict, Verdict::Refuse(_)), "{kind:?}");
        }
    }

    #[test]
    fn a_lead_reaches_anybody_but_chats_with_all_or_with_leads() {
        for address in ADDRESSES {
            for kind in KINDS {
                let expect = match (address, kind) {
                    (_, Kind::Encrypted) => Verdict::Refuse(Rule::Encrypted),
                    (_, Kind::Other) => Verdict::Refuse(Rule::UnknownKind),
                    (Address::Everyone, Kind::Chat) => Verdict::Chat(ChatTo::Everyone),
                    (Address::Leads, Kind::Chat) => Verdict::Chat(ChatTo::Leads),
                    (Address::Others, Kind::Chat) => Verdict::Refuse(Rule::PrivateChat),
                    _ => Verdict::Forward,
                };
                assert_eq!(judge(LessonRole::Teacher, address, kind, &topics()), expect);
                assert_eq!(judge(LessonRole::CoTeacher, address, kind, &topics()), expect);
            }
        }
    }
}
