//! The commands: what each does once it is known that its sender may give it.

use belfry_model::limits::{CHAT_CHARS_MAX, REASON_CHARS_MAX};
use belfry_model::{Identity, LessonRole, Pii, Timestamp};

use crate::command::{Command, Who};
use crate::effect::{Audience, Bye, Effect, EndCause, Notice, Record};
use crate::lesson::Lesson;
use crate::refusal::Refusal;
use crate::view::Hand;
use crate::word::{ChatMode, ChatTo, Grants, Layout, LayoutMode, Message, MessageId, Source, View};

type Done = Result<(), Refusal>;

impl Lesson {
    pub(crate) fn command(
        &mut self,
        by: &Identity,
        command: Command,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Done {
        let role = self.may(by, command.who())?;
        match command {
            Command::RaiseHand => self.raise(by, now, out),
            Command::LowerHand => self.lower(by, out),
            Command::LowerHandOf { identity } => self.lower(&identity, out),
            Command::LowerAllHands => self.lower_all(out),
            Command::Chat { text, to } => self.say(by, text, to, now, out)?,
            Command::DeleteMessage { message } => self.delete_message(by, message, out)?,
            Command::Admit { identity } => self.admit(by, &identity, now, out)?,
            Command::Refuse { identity, reason } => self.refuse(by, &identity, reason, out)?,
            Command::AdmitAll => self.admit_all(by, now, out),
            Command::Mute { identity, source } => self.mute(by, &identity, source, out)?,
            Command::MuteAll => self.mute_all(by, out),
            Command::AskUnmute { identity } => self.ask_unmute(by, &identity, out)?,
            Command::Lock { what, on } => self.lock(by, what, on, out),
            Command::ChatMode { mode } => self.set_chat_mode(by, mode, out),
            Command::Remove { identity, reason, block } => {
                self.remove(by, &identity, &reason, block, now, out)?;
            }
            Command::Unblock { identity } => self.unblock(by, &identity, out)?,
            Command::Layout { mode, spotlight } => self.set_layout(by, mode, spotlight, out)?,
            Command::Follow { on, view } => self.follow(by, on, view, out)?,
            Command::MakeCoTeacher { identity } => self.make_co_teacher(by, &identity, out)?,
            Command::EndCoTeacher { identity } => self.end_co_teacher(by, &identity, now, out)?,
            Command::Leave => self.leave(by, role, now, out),
            Command::End => self.end(EndCause::By(by.clone()), out),
        }
        Ok(())
    }

    fn may(&self, by: &Identity, who: Who) -> Result<Option<LessonRole>, Refusal> {
        let role = self.role(by);
        let waits = || self.waiting.iter().any(|waiting| waiting.identity == *by);
        match role {
            None if !waits() => Err(Refusal::NoSuchParticipant),
            _ if who.includes(role) => Ok(role),
            None => Err(Refusal::NotAdmitted),
            Some(_) => Err(Refusal::NotAllowed),
        }
    }

    fn raise(&mut self, by: &Identity, now: Timestamp, out: &mut Vec<Effect>) {
        if self.hands.iter().all(|hand| hand.identity != *by) {
            self.hands.push(Hand { identity: by.clone(), at: now });
            self.hands_changed(out);
        }
    }

    fn lower_all(&mut self, out: &mut Vec<Effect>) {
        if !self.hands.is_empty() {
            self.hands.clear();
            self.hands_changed(out);
        }
    }

    fn say(
        &mut self,
        by: &Identity,
        text: Pii<String>,
        to: ChatTo,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Done {
        let participant = self.participants.get(by).ok_or(Refusal::NoSuchParticipant)?;
        if !participant.role.leads() {
            match (self.locks.chat, to) {
                (ChatMode::Off, _) => return Err(Refusal::ChatOff),
                (ChatMode::TeacherOnly, ChatTo::Everyone) => return Err(Refusal::ChatTeacherOnly),
                (ChatMode::On, _) | (ChatMode::TeacherOnly, ChatTo::Teachers) => {}
            }
        }
        if text.reveal().trim().is_empty() {
            return Err(Refusal::TextEmpty);
        }
        if text.reveal().chars().count() > CHAT_CHARS_MAX {
            return Err(Refusal::TextTooLong);
        }
        let id = MessageId(self.message_last + 1);
        let name = participant.name.clone();
        let from_lead = participant.role.leads();
        let message = Message { id, from: by.clone(), name, text, at: now, to };
        self.keep(message.clone());
        let mut send = |to| {
            out.push(Effect::Send { to, notice: Notice::Chat(message.clone()) });
        };
        match to {
            ChatTo::Everyone => send(Audience::Admitted),
            ChatTo::Teachers => {
                send(Audience::Leads);
                if !from_lead {
                    send(Audience::One(by.clone()));
                }
            }
        }
        out.push(Effect::PersistMessage(message));
        Ok(())
    }

    fn delete_message(&mut self, by: &Identity, id: MessageId, out: &mut Vec<Effect>) -> Done {
        let at = self.chat.iter().position(|message| message.id == id);
        self.chat.remove(at.ok_or(Refusal::NoSuchMessage)?);
        out.push(Effect::Send { to: Audience::Admitted, notice: Notice::ChatDeleted(id) });
        out.push(Effect::Audit(Record::MessageDeleted { by: by.clone(), message: id }));
        out.push(Effect::PersistDeletion(id));
        Ok(())
    }

    fn waiting_index(&self, identity: &Identity) -> Result<usize, Refusal> {
        let at = self.waiting.iter().position(|waiting| waiting.identity == *identity);
        at.ok_or(Refusal::NotWaiting)
    }

    fn admit(
        &mut self,
        by: &Identity,
        identity: &Identity,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Done {
        let at = self.waiting_index(identity)?;
        self.has_place(self.waiting[at].standing)?;
        let waiting = self.waiting.remove(at);
        let (by, identity) = (by.clone(), identity.clone());
        out.push(Effect::Audit(Record::Admitted { by, identity }));
        self.let_in(waiting, now, out);
        self.waiting_changed(out);
        Ok(())
    }

    /// As many as there are places for, in the order of arrival.
    fn admit_all(&mut self, by: &Identity, now: Timestamp, out: &mut Vec<Effect>) {
        for one in std::mem::take(&mut self.waiting) {
            if self.has_place(one.standing).is_ok() {
                let (by, identity) = (by.clone(), one.identity.clone());
                out.push(Effect::Audit(Record::Admitted { by, identity }));
                self.let_in(one, now, out);
            } else {
                self.waiting.push(one);
            }
        }
        self.waiting_changed(out);
    }

    fn refuse(
        &mut self,
        by: &Identity,
        identity: &Identity,
        reason: Pii<String>,
        out: &mut Vec<Effect>,
    ) -> Done {
        fits(&reason)?;
        let at = self.waiting_index(identity)?;
        self.waiting.remove(at);
        let bye = Some(Bye::Removed { reason: reason.clone() });
        out.push(Effect::Close { identity: identity.clone(), bye });
        let (by, identity) = (by.clone(), identity.clone());
        out.push(Effect::Audit(Record::Refused { by, identity, reason }));
        self.waiting_changed(out);
        Ok(())
    }

    /// The role of somebody whom `by` may act on: not themselves, and a teacher only if `by` is
    /// one.
    fn target(&self, by: &Identity, identity: &Identity) -> Result<LessonRole, Refusal> {
        if by == identity {
            return Err(Refusal::Yourself);
        }
        let role = self.role(identity).ok_or(Refusal::NoSuchParticipant)?;
        if role == LessonRole::Teacher && self.role(by) != Some(LessonRole::Teacher) {
            return Err(Refusal::NotAllowed);
        }
        Ok(role)
    }

    fn mute(
        &mut self,
        by: &Identity,
        identity: &Identity,
        source: Source,
        out: &mut Vec<Effect>,
    ) -> Done {
        self.target(by, identity)?;
        mute_one(identity, source, out);
        let (by, identity) = (by.clone(), identity.clone());
        out.push(Effect::Audit(Record::Muted { by, identity, source }));
        Ok(())
    }

    fn mute_all(&mut self, by: &Identity, out: &mut Vec<Effect>) {
        for identity in self.led() {
            mute_one(&identity, Source::Microphone, out);
        }
        out.push(Effect::Audit(Record::AllMuted { by: by.clone() }));
    }

    /// Asks; nobody's microphone is ever opened by somebody else.
    fn ask_unmute(&self, by: &Identity, identity: &Identity, out: &mut Vec<Effect>) -> Done {
        self.role(identity).ok_or(Refusal::NoSuchParticipant)?;
        let to = Audience::One(identity.clone());
        out.push(Effect::Send { to, notice: Notice::AskedToUnmute });
        let (by, identity) = (by.clone(), identity.clone());
        out.push(Effect::Audit(Record::AskedToUnmute { by, identity }));
        Ok(())
    }

    fn lock(&mut self, by: &Identity, what: Source, on: bool, out: &mut Vec<Effect>) {
        if self.locks.holds(what) == on {
            return;
        }
        self.locks.set(what, on);
        for identity in self.led() {
            if on {
                out.push(Effect::MuteSource { identity: identity.clone(), source: what });
            }
            self.grants_changed(&identity, out);
        }
        self.locks_changed(out);
        out.push(Effect::Audit(Record::Locked { by: by.clone(), what, on }));
    }

    fn set_chat_mode(&mut self, by: &Identity, mode: ChatMode, out: &mut Vec<Effect>) {
        if self.locks.chat != mode {
            self.locks.chat = mode;
            self.locks_changed(out);
            out.push(Effect::Audit(Record::ChatModeSet { by: by.clone(), mode }));
        }
    }

    fn remove(
        &mut self,
        by: &Identity,
        identity: &Identity,
        reason: &Pii<String>,
        block: bool,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Done {
        fits(reason)?;
        self.target(by, identity)?;
        let name = self.name_of(identity).cloned();
        self.take_out(identity, out);
        // Whoever was removed waits at the door when they come again, or finds it shut.
        self.admitted.remove(identity);
        self.co_teachers.remove(identity);
        self.removed.insert(identity.clone());
        if let Some(name) = name.filter(|_| block) {
            self.blocked.insert(identity.clone(), name);
            self.blocked_changed(out);
        }
        let reason = reason.clone();
        let told = reason.clone();
        let bye = if block { Bye::Blocked { reason: told } } else { Bye::Removed { reason: told } };
        out.push(Effect::Close { identity: identity.clone(), bye: Some(bye) });
        let (by, identity) = (by.clone(), identity.clone());
        out.push(Effect::Audit(Record::Removed { by, identity, reason, blocked: block }));
        self.leads_changed(now, false, out);
        Ok(())
    }

    fn unblock(&mut self, by: &Identity, identity: &Identity, out: &mut Vec<Effect>) -> Done {
        self.blocked.remove(identity).ok_or(Refusal::NotBlocked)?;
        self.blocked_changed(out);
        let (by, identity) = (by.clone(), identity.clone());
        out.push(Effect::Audit(Record::Unblocked { by, identity }));
        out.push(Effect::Persist);
        Ok(())
    }

    fn set_layout(
        &mut self,
        by: &Identity,
        mode: LayoutMode,
        spotlight: Option<Identity>,
        out: &mut Vec<Effect>,
    ) -> Done {
        match &spotlight {
            None if mode == LayoutMode::Spotlight => return Err(Refusal::SpotlightEmpty),
            Some(identity) if self.role(identity).is_none() => {
                return Err(Refusal::NoSuchParticipant);
            }
            _ => {}
        }
        self.layout = Layout { mode, spotlight, ..self.layout.clone() };
        self.layout_changed(out);
        out.push(Effect::Audit(Record::LayoutChanged { by: by.clone() }));
        Ok(())
    }

    /// Switching it is recorded; where the teacher looks is not.
    fn follow(
        &mut self,
        by: &Identity,
        on: bool,
        view: Option<View>,
        out: &mut Vec<Effect>,
    ) -> Done {
        if let Some(identity) = view.as_ref().and_then(|view| view.spotlight.as_ref()) {
            self.role(identity).ok_or(Refusal::NoSuchParticipant)?;
        }
        if self.layout.follow != on {
            out.push(Effect::Audit(Record::LayoutChanged { by: by.clone() }));
        }
        self.layout.follow = on;
        self.layout.followed = view.filter(|_| on);
        self.layout_changed(out);
        Ok(())
    }

    fn make_co_teacher(
        &mut self,
        by: &Identity,
        identity: &Identity,
        out: &mut Vec<Effect>,
    ) -> Done {
        match self.role(identity).ok_or(Refusal::NoSuchParticipant)? {
            LessonRole::Teacher | LessonRole::CoTeacher => return Err(Refusal::LeadsAlready),
            LessonRole::Guest => return Err(Refusal::GuestCannotLead),
            LessonRole::Student => {}
        }
        self.co_teachers.insert(identity.clone());
        self.set_role(identity, LessonRole::CoTeacher, out);
        let (by, identity) = (by.clone(), identity.clone());
        out.push(Effect::Audit(Record::CoTeacherMade { by, identity }));
        Ok(())
    }

    fn end_co_teacher(
        &mut self,
        by: &Identity,
        identity: &Identity,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) -> Done {
        if !self.co_teachers.remove(identity) {
            return Err(Refusal::NoSuchParticipant);
        }
        self.set_role(identity, LessonRole::Student, out);
        for source in Source::ALL.iter().copied().filter(|source| self.locks.holds(*source)) {
            out.push(Effect::MuteSource { identity: identity.clone(), source });
        }
        let (by, identity) = (by.clone(), identity.clone());
        out.push(Effect::Audit(Record::CoTeacherEnded { by, identity }));
        self.leads_changed(now, false, out);
        Ok(())
    }

    fn set_role(&mut self, identity: &Identity, role: LessonRole, out: &mut Vec<Effect>) {
        if let Some(participant) = self.participants.get_mut(identity) {
            participant.role = role;
            self.grants_changed(identity, out);
            out.push(Effect::RoleChanged { identity: identity.clone() });
            self.announce(identity, out);
        }
        out.push(Effect::Persist);
    }

    /// Leaves on purpose; the others are told at once.
    fn leave(
        &mut self,
        by: &Identity,
        role: Option<LessonRole>,
        now: Timestamp,
        out: &mut Vec<Effect>,
    ) {
        if role.is_none() {
            self.waiting.retain(|waiting| waiting.identity != *by);
            self.waiting_changed(out);
        } else {
            self.take_out(by, out);
            out.push(Effect::Audit(Record::Left { identity: by.clone() }));
            self.leads_changed(now, role.is_some_and(LessonRole::leads), out);
        }
        out.push(Effect::Close { identity: by.clone(), bye: None });
    }

    /// Everybody whom the locks bind.
    fn led(&self) -> Vec<Identity> {
        let led = self.participants.iter().filter(|(_, participant)| !participant.role.leads());
        led.map(|(identity, _)| identity.clone()).collect()
    }

    fn grants_changed(&self, identity: &Identity, out: &mut Vec<Effect>) {
        if let Some(role) = self.role(identity) {
            let grants = Grants::of(role, &self.locks);
            out.push(Effect::SetGrants { identity: identity.clone(), grants });
        }
    }

    fn locks_changed(&self, out: &mut Vec<Effect>) {
        out.push(Effect::Send { to: Audience::Admitted, notice: Notice::Locks(self.locks) });
        out.push(Effect::Persist);
    }
}

fn mute_one(identity: &Identity, source: Source, out: &mut Vec<Effect>) {
    out.push(Effect::MuteSource { identity: identity.clone(), source });
    let to = Audience::One(identity.clone());
    out.push(Effect::Send { to, notice: Notice::MutedByTeacher(source) });
}

fn fits(reason: &Pii<String>) -> Done {
    let fits = reason.reveal().chars().count() <= REASON_CHARS_MAX;
    if fits { Ok(()) } else { Err(Refusal::TextTooLong) }
}
