//! The pages for people: no scripts, nothing from elsewhere, WCAG 2.1 AA.

use std::fmt::{Display, Write};

use crate::access::utc;
use crate::bundle::Facts;

const STYLE: &str = include_str!("../pages/style.css");
const README: &str = include_str!("../pages/readme.html");
const REPORT: &str = include_str!("../pages/report.html");

/// Text for a page; the only way in.
fn escape(text: &impl Display) -> String {
    text.to_string()
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Puts values where a template names them, each name once or more. Values are not looked through again.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut page = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").expect("each mark of our templates is closed");
        page.push_str(before);
        let value =
            values.iter().find(|(known, _)| *known == name).expect("templates name known values");
        page.push_str(&value.1);
        rest = after;
    }
    page + rest
}

fn common(facts: &Facts<'_>) -> Vec<(&'static str, String)> {
    let record = facts.record;
    let made = utc(facts.request.at_ms);
    let created = format!("{} {} UTC", &made[..10], &made[11..16]);
    let period = facts.times.map_or_else(
        || "no entries".to_owned(),
        |(from, to)| format!("{} to {}", &utc(from)[..10], &utc(to)[..10]),
    );
    vec![
        ("style", STYLE.to_owned()),
        ("district", escape(&facts.request.district)),
        ("created", created),
        ("generator", escape(&facts.request.generator)),
        ("level", escape(&facts.request.level.meaning())),
        ("period", escape(&period)),
        ("origin", escape(&record.origin)),
        ("first", record.first.to_string()),
        ("size", record.size.to_string()),
        ("entries", (record.size - record.first).to_string()),
        ("root", record.root.to_string()),
        ("fingerprint", escape(&facts.fingerprint)),
        ("export_index", facts.export_index.to_string()),
        (
            "gaps",
            facts
                .gaps
                .iter()
                .map(|gap| format!("<li>{}</li>", escape(gap)))
                .collect::<Vec<_>>()
                .concat(),
        ),
    ]
}

/// What this is, and how to verify it without us.
pub(crate) fn readme(facts: &Facts<'_>) -> String {
    fill(README, &common(facts))
}

/// What is in it, in tables.
pub(crate) fn report(facts: &Facts<'_>) -> String {
    let mut values = common(facts);
    let mut controls = String::new();
    for (control, population) in facts.request.controls.iter().zip(&facts.populations) {
        let sample = match population.sample.as_slice() {
            [] => "none".to_owned(),
            picked => picked
                .iter()
                .map(|index| format!("<a href=\"../log/proofs/{index}.tlog-proof\">{index}</a>"))
                .collect::<Vec<_>>()
                .join(", "),
        };
        let (id, title, count) =
            (escape(&control.id), escape(&control.title), population.indices.len());
        let _ = write!(
            controls,
            "<tr><th scope=\"row\"><a href=\"../population/{id}.json\">{id}</a></th><td>{title}</td>\
             <td class=\"number\">{count}</td><td class=\"sample\">{sample}</td></tr>"
        );
    }
    let row = |(op, count): (&String, &u64)| {
        format!(
            "<tr><th scope=\"row\"><code>{}</code></th><td class=\"number\">{count}</td></tr>",
            escape(op)
        )
    };
    values.push(("controls", controls));
    values.push(("counts", facts.counts.iter().map(row).collect()));
    values.push(("pruned", facts.pruned.to_string()));
    fill(REPORT, &values)
}

#[cfg(test)]
mod tests {
    use super::{escape, fill};

    #[test]
    fn a_value_is_text_and_is_not_looked_through_again() {
        let value = escape(&"<b>{{a}}&\"");
        assert_eq!(
            fill("x{{a}}y{{a}}", &[("a", value)]),
            "x&lt;b&gt;{{a}}&amp;&quot;y&lt;b&gt;{{a}}&amp;&quot;"
        );
    }
}
