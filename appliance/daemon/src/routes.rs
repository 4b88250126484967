//! The table of all routes: who may call each, and what it leaves in the record.

#![allow(clippy::print_stdout, reason = "this is the console")]

use belfry_http::{Access, Declaration, Declared, Need};

/// One line a route: method, path, kind, who may, and the event in the record.
pub(crate) fn print() {
    for route in all() {
        let (method, path) = (route.method.as_str(), route.path);
        let kind = format!("{:?}", route.kind).to_lowercase();
        let (who, record) = (who(&route.access), record(route.audit));
        println!("{method:<5} {path:<40} {kind:<7} {who:<34} {record}");
    }
}

pub(crate) fn all() -> Vec<Declaration> {
    let tables = [
        belfry_admin::routes().table(),
        belfry_web::routes().table(),
        belfry_api::signalling_routes().table(),
    ];
    tables.into_iter().flatten().collect()
}

fn who(access: &Access) -> String {
    let need = match access.need {
        Need::Public(_) => "anybody".to_owned(),
        Need::Session => "signed-in or guest".to_owned(),
        Need::Roles(roles) => roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(","),
        Need::Token(name) => name.to_owned(),
    };
    if access.step_up { format!("{need} (password again)") } else { need }
}

fn record(audit: Declared) -> String {
    match audit {
        Declared::Audited(kind) => kind.name().to_owned(),
        Declared::NotAudited(reason) => format!("none: {}", reason.as_str()),
    }
}
