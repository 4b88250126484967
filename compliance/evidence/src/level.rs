//! How much of what is personal leaves the house.

use hmac::{Hmac, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;

/// The level of redaction. The record's entries are the same at each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Everything: for the custodian and a court.
    Full,
    /// For an auditor: pseudonyms that are stable within the bundle, networks instead of addresses.
    Auditor,
    /// For a vendor, an insurer, the public: nobody, and no count below [`COUNT_SHOWN_MIN`].
    Public,
}

/// Below this, a count in a public bundle is withheld: it may point to single people.
pub(crate) const COUNT_SHOWN_MIN: u64 = 10;

/// Characters of a pseudonym after its mark: 80 bits.
const PSEUDONYM_CHARS: usize = 20;

impl Level {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "L0",
            Self::Auditor => "L1",
            Self::Public => "L2",
        }
    }

    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Full => "L0, full: names and addresses are in it. For the custodian and a court.",
            Self::Auditor => {
                "L1, auditor: pseudonyms instead of names, networks instead of addresses."
            }
            Self::Public => "L2, public: no persons, and no counts below 10.",
        }
    }
}

/// Makes pseudonyms with a key that stays with the district.
#[derive(Clone, Debug)]
pub(crate) struct Pseudonyms<'a>(pub(crate) &'a [u8; 32]);

impl Pseudonyms<'_> {
    fn keyed(&self, domain: &str, text: &str) -> [u8; 32] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.0).expect("HMAC takes keys of any length");
        mac.update(domain.as_bytes());
        mac.update(&[0]);
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// The same for the same text; without the key nobody can try names out.
    pub(crate) fn of(&self, text: &str) -> String {
        let hex = crate::sign::hex(&self.keyed("pseudonym", text));
        format!("P-{}", &hex[..PSEUDONYM_CHARS])
    }

    /// What is shown of a secret setting: that it changed between two bundles, and nothing else.
    pub(crate) fn of_secret(&self, text: &str) -> String {
        crate::sign::hex(&self.keyed("secret", text))
    }

    /// A block of personal data with nothing of a person left: every text and number becomes a pseudonym, an address
    /// becomes its network.
    pub(crate) fn block(&self, block: &Map<String, Value>) -> Map<String, Value> {
        block.iter().map(|(name, value)| (name.clone(), self.value(name, value))).collect()
    }

    fn value(&self, name: &str, value: &Value) -> Value {
        match value {
            Value::Null | Value::Bool(_) => value.clone(),
            Value::Number(number) => Value::String(self.of(&number.to_string())),
            Value::String(text) if name == "ip" => {
                Value::String(network(text).unwrap_or_else(|| self.of(text)))
            }
            Value::String(text) => Value::String(self.of(text)),
            Value::Array(values) => values.iter().map(|value| self.value(name, value)).collect(),
            Value::Object(members) => Value::Object(self.block(members)),
        }
    }
}

/// An address's network: a /24, or a /48 of IPv6.
fn network(text: &str) -> Option<String> {
    Some(match text.parse().ok()? {
        std::net::IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        std::net::IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{}/48", std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_of_a_person_is_left_in_a_block() {
        let block = json!({"ip": "192.0.2.77", "name": "Zoë Example", "note": ["late", 7], "more": {"mail": "z@example.org"}, "ok": true});
        let Value::Object(block) = block else { unreachable!("an object was written") };
        let redacted = serde_json::to_string(&Pseudonyms(&[1; 32]).block(&block)).expect("writes");
        for word in ["Zo", "Example", "late", "7,", "z@", "77"] {
            assert!(
                !redacted.contains(word) || word == "77" && !redacted.contains(".77"),
                "{word} in {redacted}"
            );
        }
        assert!(redacted.contains("192.0.2.0/24") && redacted.contains("true"));
    }

    #[test]
    fn pseudonyms_are_stable_under_one_key_and_differ_under_another() {
        assert_eq!(Pseudonyms(&[1; 32]).of("Zoë"), Pseudonyms(&[1; 32]).of("Zoë"));
        assert_ne!(Pseudonyms(&[1; 32]).of("Zoë"), Pseudonyms(&[2; 32]).of("Zoë"));
        assert_ne!(Pseudonyms(&[1; 32]).of("Zoë"), Pseudonyms(&[1; 32]).of("Zoe"));
        assert_eq!(network("2001:db8:1:2::5").as_deref(), Some("2001:db8:1::/48"));
        assert_eq!(network("Zoë"), None);
    }
}
