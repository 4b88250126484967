//! Every way into the appliance: who may take it, and what it leaves in the record.

#![allow(clippy::print_stdout, reason = "this is the console")]

use belfry_audit::{Declared, EventKind};
use belfry_classroom::CommandKind;
use belfry_http::{Access, Declaration, Need};
use belfry_model::Role;
use belfry_signalling::declared::{PacketKind, RequestKind};

use crate::args::Command;

/// One way in, in words.
struct Way {
    kind: String,
    name: String,
    who: String,
    audit: Declared,
}

/// A line each: kind, name, who may, and the event in the record or the reason why there is none.
pub(crate) fn print() {
    for Way { kind, name, who, audit } in ways() {
        let record = record(audit);
        println!("{kind}\t{name}\t{who}\t{record}");
    }
}

/// The HTTP routes of all edges.
pub(crate) fn routes() -> Vec<Declaration> {
    let tables = [
        belfry_admin::routes().table(),
        belfry_web::routes().table(),
        belfry_api::signalling_routes().table(),
    ];
    tables.into_iter().flatten().collect()
}

fn ways() -> Vec<Way> {
    let routes = routes().into_iter().map(|route| Way {
        kind: format!("{:?}", route.kind).to_lowercase(),
        name: format!("{} {}", route.method, route.path),
        who: who(&route.access),
        audit: route.audit,
    });
    let way = |kind: &str, name: String, who: String, audit| {
        let kind = kind.to_owned();
        Way { kind, name, who, audit }
    };
    let commands = CommandKind::ALL.iter().map(|command| {
        let who = format!("{:?}", command.who()).to_lowercase();
        way("class-socket", command.name().to_owned(), who, belfry_classroom::declared(*command))
    });
    let requests = RequestKind::ALL.iter().map(|kind| {
        let declared = kind.declaration();
        let (name, who) = (format!("{kind:?}"), format!("{:?}", declared.need).to_lowercase());
        way("signalling", name, who, declared.audit)
    });
    let packets = PacketKind::ALL.iter().map(|kind| {
        let declared = kind.declaration();
        let (name, who) = (format!("{kind:?}"), format!("{:?}", declared.need).to_lowercase());
        way("data-channel", name, who, declared.audit)
    });
    let console = Command::all().into_iter().map(|(name, audit)| {
        way("console", name.to_owned(), "whoever may read the data directory".to_owned(), audit)
    });
    routes.chain(commands).chain(requests).chain(packets).chain(console).collect()
}

fn who(access: &Access) -> String {
    let need = match access.need {
        Need::Public(_) => "anybody".to_owned(),
        Need::Session(roles) if roles.len() == Role::ALL.len() => "signed-in or guest".to_owned(),
        Need::Session(roles) => format!("{},guest", words(roles)),
        Need::Roles(roles) => words(roles),
        Need::Token(name) => name.to_owned(),
    };
    if access.step_up { format!("{need} (password again)") } else { need }
}

fn words(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(",")
}

fn record(audit: Declared) -> String {
    match audit {
        Declared::Audited(kind) => kind.name().to_owned(),
        Declared::Discloses(holding) => {
            format!("{} of {}", EventKind::Disclosing.name(), holding.as_str())
        }
        Declared::NotAudited(reason) => format!("none: {}", reason.as_str()),
    }
}
