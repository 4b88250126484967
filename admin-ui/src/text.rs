//! The people-facing strings: Fluent catalogues, English complete.

use std::sync::LazyLock;

pub use fluent_bundle::FluentValue as Value;
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use unic_langid::LanguageIdentifier;

/// The language of every page, as its `lang` attribute.
pub const LANGUAGE: &str = "en";

/// The catalogues, by file name.
pub(crate) const CATALOGUES: &[(&str, &str)] = &[
    ("pages.ftl", include_str!("../locales/en/pages.ftl")),
    ("messages.ftl", include_str!("../locales/en/messages.ftl")),
    ("connections.ftl", include_str!("../locales/en/connections.ftl")),
    ("record.ftl", include_str!("../locales/en/record.ftl")),
    ("settings.ftl", include_str!("../locales/en/settings.ftl")),
];

static BUNDLE: LazyLock<FluentBundle<FluentResource>> = LazyLock::new(|| {
    let language: LanguageIdentifier = LANGUAGE.parse().expect("the constant is a language");
    let mut bundle = FluentBundle::new_concurrent(vec![language]);
    // Isolation marks are for mixed directions; they would be copied along with a fingerprint.
    bundle.set_use_isolating(false);
    for (file, text) in CATALOGUES {
        let resource = FluentResource::try_new((*text).to_owned())
            .unwrap_or_else(|(_, errors)| panic!("{file} is compiled in and parses: {errors:?}"));
        bundle.add_resource(resource).expect("a test holds keys to being unique");
    }
    bundle
});

/// The string of a key. A missing key shows itself; a test finds it first.
pub fn say(key: &str) -> String {
    format(key, None)
}

/// The string of a key with values in it.
pub fn say_with<'a, V: Clone + Into<Value<'a>>>(key: &str, values: &[(&'a str, V)]) -> String {
    let mut args = FluentArgs::with_capacity(values.len());
    for (name, value) in values {
        args.set(*name, value.clone());
    }
    format(key, Some(&args))
}

/// The string of a key, if the catalogue has it: for keys built from data.
pub fn say_if_known(key: &str) -> Option<String> {
    BUNDLE.has_message(key).then(|| say(key))
}

fn format(key: &str, args: Option<&FluentArgs<'_>>) -> String {
    let Some(pattern) = BUNDLE.get_message(key).and_then(|message| message.value()) else {
        return key.to_owned();
    };
    BUNDLE.format_pattern(pattern, args, &mut Vec::new()).into_owned()
}
