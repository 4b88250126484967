//! When a class meets: every week, or once.

use axum::extract::{Path, State};
use axum::response::Response;
use belfry_admin_ui::{
    Choice, Control, Crumb, Field, Form, FormPage, Section, Slot as SlotView, Weight, say, say_with,
};
use belfry_audit::Class as AuditClass;
use belfry_http::{Audit, Caller, Detail, Fields, Problem, now};
use belfry_model::Timestamp;
use belfry_store::{Class, NewSlot, Slot, SlotDay};

use crate::classes::{self, Entered};
use crate::reader::{Reader, attention, refused, shown, went};
use crate::when::{day_of, iso_day, minute_of_day, time_of_day};
use crate::{Admin, store_problem};

const DAYS: [&str; 7] = [
    "day-monday",
    "day-tuesday",
    "day-wednesday",
    "day-thursday",
    "day-friday",
    "day-saturday",
    "day-sunday",
];

/// The choice that a date goes with.
const ONCE: &str = "once";

/// What was entered and what is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct SlotEntry {
    day: String,
    date: String,
    start: String,
    end: String,
    day_error: Option<String>,
    date_error: Option<String>,
    start_error: Option<String>,
    end_error: Option<String>,
}

impl SlotEntry {
    fn entered(form: &Fields) -> Self {
        let text = |name| form.text(name).to_owned();
        Self {
            day: text("day"),
            date: text("date"),
            start: text("start"),
            end: text("end"),
            ..Self::default()
        }
    }

    fn of(slot: &Slot) -> Self {
        let (day, date) = match slot.day {
            SlotDay::Weekday(number) => (number.to_string(), String::new()),
            SlotDay::Once(day) => (ONCE.to_owned(), iso_day(day)),
        };
        let (start, end) = (time_of_day(slot.starts_minute), time_of_day(slot.ends_minute));
        Self { day, date, start, end, ..Self::default() }
    }

    /// The parsed time, or the entry with what is wrong.
    fn read(form: &Fields, now: Timestamp) -> Result<NewSlot, Box<Self>> {
        let mut entry = Self::entered(form);
        let day = entry.read_day(now);
        let (starts, ends) = (minute_of_day(&entry.start), minute_of_day(&entry.end));
        entry.start_error = starts.is_none().then(|| say("error-slot-time"));
        entry.end_error = match (starts, ends) {
            (_, None) => Some(say("error-slot-time")),
            (Some(starts), Some(ends)) if starts >= ends => Some(say("error-slot-order")),
            _ => None,
        };
        match (day, starts, ends) {
            (Some(day), Some(starts_minute), Some(ends_minute)) if entry.end_error.is_none() => {
                Ok(NewSlot { day, starts_minute, ends_minute })
            }
            _ => Err(Box::new(entry)),
        }
    }

    fn read_day(&mut self, now: Timestamp) -> Option<SlotDay> {
        if self.day != ONCE {
            let weekday = self.day.parse().ok().filter(|number: &u8| (1..=7).contains(number));
            self.day_error = weekday.is_none().then(|| say("error-slot-day"));
            return weekday.map(SlotDay::Weekday);
        }
        // The school may be a day behind UTC.
        let yesterday = now.as_secs().div_euclid(86_400) - 1;
        let day = day_of(&self.date);
        self.date_error = match day {
            None => Some(say("error-slot-date")),
            Some(day) if day < yesterday => Some(say("error-slot-past")),
            Some(_) => None,
        };
        day.filter(|_| self.date_error.is_none()).map(SlotDay::Once)
    }

    fn taken(form: &Fields) -> Self {
        Self { start_error: Some(say("error-slot-taken")), ..Self::entered(form) }
    }

    fn into_fields(self, form: Form) -> Form {
        let days = (1..=DAYS.len()).zip(DAYS);
        let days = days.map(|(number, key)| Choice::new(number.to_string(), say(key)));
        let days = days.chain([Choice::new(ONCE, say("class-slot-once"))]).collect();
        form.field(
            Field::new("day", say("class-slot-day"), Control::Select(days))
                .value(self.day)
                .error(self.day_error),
        )
        .field(
            Field::new("date", say("class-slot-date"), Control::Date)
                .value(self.date)
                .optional()
                .error(self.date_error),
        )
        .field(
            Field::new("start", say("class-slot-start"), Control::Time)
                .value(self.start)
                .error(self.start_error),
        )
        .field(
            Field::new("end", say("class-slot-end"), Control::Time)
                .value(self.end)
                .error(self.end_error),
        )
    }
}

/// A time as a line of the class's page.
pub(crate) fn view(path: &str, csrf: &str, slot: &Slot) -> SlotView {
    let label = label(slot);
    let remove = Form::new(format!("{path}/slots/remove"), say("class-remove"))
        .of(label.clone())
        .csrf(csrf)
        .weight(Weight::Quiet)
        .hidden("slot", slot.id.to_string());
    SlotView { change: format!("{path}/slots/{}", slot.id), label, remove }
}

fn label(slot: &Slot) -> String {
    let (start, end) = (time_of_day(slot.starts_minute), time_of_day(slot.ends_minute));
    let day = match slot.day {
        SlotDay::Weekday(number) => {
            DAYS.get(usize::from(number).wrapping_sub(1)).map(|key| say(key)).unwrap_or_default()
        }
        SlotDay::Once(day) => crate::when::date(Timestamp(day * 86_400_000)),
    };
    say_with("class-slot", &[("day", &*day), ("start", &*start), ("end", &*end)])
}

/// The form that adds a time.
pub(crate) fn form(path: &str, csrf: &str, entry: SlotEntry) -> Form {
    let form = Form::new(format!("{path}/slots"), say("class-slot-add")).csrf(csrf);
    entry.into_fields(form.weight(Weight::Plain).inline())
}

/// The page that changes one.
fn change_page(
    reader: &Reader,
    class: &Class,
    slot: &Slot,
    entry: SlotEntry,
    wrong: bool,
) -> FormPage {
    let class_path = format!("/admin/classes/{}", class.id);
    let mut frame = reader.below(Section::Classes, label(slot));
    frame.crumbs.push(Crumb { href: class_path.clone(), label: class.name.clone() });
    if wrong {
        frame.flash = Some(attention());
    }
    let form = Form::new(format!("{class_path}/slots/{}", slot.id), say("class-slot-save"));
    let form = entry.into_fields(form.csrf(reader.csrf()).cancel(class_path));
    FormPage { frame, intro: String::new(), form }
}

async fn find(
    admin: &Admin,
    caller: &Caller,
    (class, slot): (i64, i64),
) -> Result<(Class, Slot), Problem> {
    let class = classes::find(admin, caller, class).await?;
    let slots = admin.store.slots(class.id).await.map_err(|error| store_problem(&error))?;
    let slot = slots.into_iter().find(|found| found.id == slot);
    Ok((class, slot.ok_or_else(Problem::not_found)?))
}

pub(crate) async fn show(
    State(admin): State<Admin>,
    Path(ids): Path<(i64, i64)>,
    caller: Caller,
    reader: Reader,
) -> Result<Response, Problem> {
    let (class, slot) = find(&admin, &caller, ids).await?;
    Ok(shown(&change_page(&reader, &class, &slot, SlotEntry::of(&slot), false)))
}

pub(crate) async fn change(
    State(admin): State<Admin>,
    Path(ids): Path<(i64, i64)>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    let (class, slot) = find(&admin, &caller, ids).await?;
    let again = |entry| refused(&change_page(&reader, &class, &slot, entry, true));
    let new = match SlotEntry::read(&form, now()) {
        Ok(new) => new,
        Err(entry) => return Ok(again(*entry)),
    };
    audit.append(Detail::TimetableChanged { class: AuditClass(class.id.0) }).await?;
    let changed = admin.store.change_slot(class.id, slot.id, new).await;
    if !changed.map_err(|error| store_problem(&error))? {
        return Ok(again(SlotEntry::taken(&form)));
    }
    Ok(went(&format!("/admin/classes/{}", class.id), "slot-changed"))
}

pub(crate) async fn add(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    let class = classes::find(&admin, &caller, id).await?;
    let entry = match SlotEntry::read(&form, now()) {
        Ok(new) => {
            audit.append(Detail::TimetableChanged { class: AuditClass(id) }).await?;
            let added = admin.store.add_slot(class.id, new).await;
            if added.map_err(|error| store_problem(&error))? {
                return Ok(went(&format!("/admin/classes/{id}"), "slot-added"));
            }
            SlotEntry::taken(&form)
        }
        Err(entry) => *entry,
    };
    let entered = Entered { slot: Some(entry), ..Entered::default() };
    Ok(refused(&classes::page(&admin, &reader, &class, entered).await?))
}

pub(crate) async fn remove(
    State(admin): State<Admin>,
    Path(id): Path<i64>,
    caller: Caller,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    let class = classes::find(&admin, &caller, id).await?;
    let slot: i64 = form.text("slot").parse().map_err(|_| Problem::malformed())?;
    audit.append(Detail::TimetableChanged { class: AuditClass(id) }).await?;
    admin.store.remove_slot(class.id, slot).await.map_err(|error| store_problem(&error))?;
    Ok(went(&format!("/admin/classes/{id}"), "slot-removed"))
}
