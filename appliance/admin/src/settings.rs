//! The settings page, made from the declarations.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use belfry_admin_ui::{
    Choice, Control, Field, Form, Section, SettingsGroup, say, say_if_known, say_with,
};
use belfry_audit::{Masked, Word};
use belfry_http::{Audit, Caller, Detail, Fields, Problem, now};
use belfry_settings::{DECLARED, Declaration, Field as Kind, Origin, Settings};

use crate::reader::{Reader, attention, refused, shown, went};
use crate::{Admin, store_problem};

/// A value that was entered and not taken.
struct Wrong {
    key: &'static str,
    text: String,
}

/// The part of a key before its dot names the group.
fn group_of(declaration: &Declaration) -> &'static str {
    declaration.key.split_once('.').map_or(declaration.key, |(group, _)| group)
}

/// Those that this page may change, in the order of their declaration.
fn editable() -> impl Iterator<Item = &'static Declaration> {
    DECLARED.iter().filter(|declaration| declaration.flags.admin)
}

fn groups() -> Vec<&'static str> {
    let mut groups: Vec<_> = editable().map(group_of).collect();
    groups.dedup();
    groups.sort_unstable();
    groups.dedup();
    groups
}

fn label(declaration: &Declaration) -> String {
    say_if_known(&declaration.text_id()).unwrap_or_else(|| declaration.key.to_owned())
}

fn control(declaration: &Declaration, is_set: bool) -> Control {
    match declaration.field {
        _ if declaration.flags.masked => Control::Secret { is_set },
        Kind::Number { min, max } => Control::Number { min: min.into(), max: max.into() },
        Kind::Checkbox => Control::Check,
        Kind::Lines => Control::Area { rows: 3 },
        Kind::Choice(words) => Control::Select(
            words
                .iter()
                .map(|word| {
                    let key = format!("{}-{}", declaration.text_id(), word.replace('_', "-"));
                    Choice::new(*word, say_if_known(&key).unwrap_or_else(|| (*word).to_owned()))
                })
                .collect(),
        ),
        Kind::Text => Control::Text,
    }
}

/// What to enter instead.
fn advice(declaration: &Declaration) -> String {
    match declaration.field {
        Kind::Number { min, max } => {
            say_with("error-setting-number", &[("min", min), ("max", max)])
        }
        Kind::Choice(_) | Kind::Checkbox => say("error-setting-choice"),
        Kind::Lines => say("error-setting-lines"),
        Kind::Text => say("error-setting-text"),
    }
}

fn field(settings: &Settings, declaration: &Declaration, wrong: &[Wrong]) -> Field {
    let wrong = wrong.iter().find(|wrong| wrong.key == declaration.key);
    let stored = settings.show(declaration.key).unwrap_or_default();
    let entered =
        wrong.map_or_else(|| as_entered(declaration, &stored), |wrong| wrong.text.clone());
    let mut help = say_if_known(&format!("{}-help", declaration.text_id())).unwrap_or_default();
    if declaration.flags.restart {
        help = format!("{help} {}", say("settings-at-start"));
    }
    let value = if declaration.flags.masked { String::new() } else { entered };
    let field =
        Field::new(declaration.key, label(declaration), control(declaration, !stored.is_empty()))
            .value(value)
            .help(help)
            .autocomplete("off")
            .error(wrong.map(|_| advice(declaration)));
    let has_default = !declaration.default.is_empty();
    match declaration.field {
        Kind::Checkbox | Kind::Choice(_) => field,
        _ if has_default => field.optional().default_is(declaration.default),
        _ => field.optional(),
    }
}

/// A stored value as its control shows it.
fn as_entered(declaration: &Declaration, stored: &str) -> String {
    match declaration.field {
        Kind::Checkbox if stored == "true" => "on".to_owned(),
        Kind::Lines => stored.replace(',', "\n"),
        _ => stored.to_owned(),
    }
}

/// The text form that the declaration parses; `None` for the default.
fn read(declaration: &Declaration, form: &Fields) -> Option<String> {
    let text = form.text(declaration.key);
    match declaration.field {
        Kind::Checkbox => Some(if text == "on" { "true" } else { "false" }.to_owned()),
        Kind::Lines => {
            let lines: Vec<_> = text.split([',', '\n', '\r']).map(str::trim).collect();
            let lines: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
            (!lines.is_empty()).then(|| lines.join(","))
        }
        _ => (!text.is_empty()).then(|| text.to_owned()),
    }
}

fn page(admin: &Admin, reader: &Reader, wrong: &[Wrong]) -> belfry_admin_ui::Settings {
    let settings = admin.settings.borrow().clone();
    let mut frame = reader.section(Section::Settings);
    if !wrong.is_empty() {
        frame.flash = Some(attention());
    }
    let group = |name: &'static str| {
        let title = say_if_known(&format!("settings-group-{}", name.replace('_', "-")));
        let title = title.unwrap_or_else(|| name.to_owned());
        let form = Form::new("/admin/settings", say("settings-save")).of(title.clone());
        let form = form.csrf(reader.csrf()).hidden("group", name);
        let mine = changeable(&settings, name);
        let form =
            mine.fold(form, |form, declaration| form.field(field(&settings, declaration, wrong)));
        SettingsGroup { title, form }
    };
    let any = |name: &&'static str| changeable(&settings, name).next().is_some();
    belfry_admin_ui::Settings {
        frame,
        groups: groups().into_iter().filter(any).map(group).collect(),
    }
}

/// What this page may change of a group: what the environment sets is not for it.
fn changeable<'a>(
    settings: &'a Settings,
    group: &'a str,
) -> impl Iterator<Item = &'static Declaration> + 'a {
    editable().filter(move |declaration| {
        group_of(declaration) == group && settings.origin(declaration.key) != Origin::Environment
    })
}

pub(crate) async fn show(State(admin): State<Admin>, reader: Reader) -> Response {
    shown(&page(&admin, &reader, &[]))
}

pub(crate) async fn change(
    State(admin): State<Admin>,
    caller: Caller,
    reader: Reader,
    audit: Audit,
    form: Fields,
) -> Result<Response, Problem> {
    let before = admin.settings.borrow().clone();
    let mut after = Settings::clone(&before);
    let (mut wrong, mut changes) = (Vec::new(), Vec::new());
    for declaration in changeable(&before, form.text("group")) {
        let value = read(declaration, &form);
        if declaration.flags.masked && value.is_none() {
            continue;
        }
        let text = value.as_deref().unwrap_or(declaration.default);
        if after.set(declaration.key, text).is_err() {
            wrong.push(Wrong { key: declaration.key, text: form.text(declaration.key).to_owned() });
        } else if after.show(declaration.key) != before.show(declaration.key) {
            changes.push((declaration, value));
        }
    }
    if !wrong.is_empty() {
        return Ok(refused(&page(&admin, &reader, &wrong)));
    }
    audit.keep();
    for (declaration, value) in changes {
        let masked = |settings: &Settings| match settings.show(declaration.key) {
            _ if declaration.flags.masked => Masked::Hidden,
            Some(text) => Masked::Shown(text),
            None => Masked::Unset,
        };
        let (from, to) = (masked(&before), masked(&after));
        audit
            .append(Detail::SettingChanged { setting: Word::new(declaration.key), from, to })
            .await?;
        store(&admin, &caller, declaration.key, value, &after).await?;
    }
    admin.settings.send_replace(Arc::new(after));
    Ok(went("/admin/settings", "settings-saved"))
}

/// Stores one value. The names of the district and the school are theirs, too.
async fn store(
    admin: &Admin,
    caller: &Caller,
    key: &str,
    value: Option<String>,
    after: &Settings,
) -> Result<(), Problem> {
    let failed = |error: belfry_store::Error| store_problem(&error);
    let (store, district) = (&admin.store, caller.district);
    store
        .set_setting(district, key.to_owned(), value, caller.person(), now())
        .await
        .map_err(failed)?;
    match key {
        "school.district_name" => {
            store.rename_district(district, after.district_name().to_owned()).await.map_err(failed)
        }
        "school.name" => {
            store.rename_school(caller.school, after.school_name().to_owned()).await.map_err(failed)
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use belfry_admin_ui::say_if_known;
    use belfry_settings::Field as Kind;

    use super::{editable, groups};

    #[test]
    fn every_setting_of_the_page_has_a_name_and_an_explanation() {
        let mut missing = Vec::new();
        let mut need = |key: String| {
            if say_if_known(&key).is_none() {
                missing.push(key);
            }
        };
        for declaration in editable() {
            need(declaration.text_id());
            need(format!("{}-help", declaration.text_id()));
            if let Kind::Choice(words) = declaration.field {
                for word in words {
                    need(format!("{}-{}", declaration.text_id(), word.replace('_', "-")));
                }
            }
        }
        for group in groups() {
            need(format!("settings-group-{}", group.replace('_', "-")));
        }
        assert_eq!(missing, Vec::<String>::new());
        assert!(editable().count() > 5);
    }
}
