//! Forms: `application/x-www-form-urlencoded`, parsed once by the gate.

use axum::extract::FromRequestParts;
use belfry_model::outside::Parser;
use http::request::Parts;

use crate::Problem;

/// The longest form or query that is read. A class list pasted into a form fits.
pub(crate) const FORM_BYTES_MAX: usize = 1024 * 1024;
/// The most fields of one form.
pub(crate) const FORM_FIELDS_MAX: usize = 2_000;

/// Reads a form body or a query string.
pub static FORM: Parser<Fields, FormError> =
    Parser::new("http-form", FORM_BYTES_MAX, b"name=Ada+L%C3%B6w&role=teacher", parse);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FormError {
    #[error("a percent sign without two hex digits")]
    Percent,
    #[error("not UTF-8")]
    Utf8,
    #[error("a control character")]
    Control,
    #[error("more than {FORM_FIELDS_MAX} fields")]
    Fields,
}

/// The fields of a form, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// The first value of a field as it was sent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }

    /// The first value without white space around it; empty if the field is missing.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).map_or("", str::trim)
    }

    /// All values of a field (check boxes, multiple choice).
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter_map(move |(key, value)| (key == name).then_some(value.as_str()))
    }

    pub(crate) fn push(&mut self, name: String, value: String) {
        self.0.push((name, value));
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

fn parse(bytes: &[u8]) -> Result<Fields, FormError> {
    let mut fields = Vec::new();
    for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if fields.len() == FORM_FIELDS_MAX {
            return Err(FormError::Fields);
        }
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let name = decode(parts.next().unwrap_or_default())?;
        let value = decode(parts.next().unwrap_or_default())?;
        fields.push((name, value));
    }
    Ok(Fields(fields))
}

fn decode(bytes: &[u8]) -> Result<String, FormError> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'+' => out.push(b' '),
            b'%' => {
                let [high, low, tail @ ..] = tail else { return Err(FormError::Percent) };
                out.push(hex(*high)? << 4 | hex(*low)?);
                rest = tail;
            }
            byte => out.push(*byte),
        }
    }
    let text = String::from_utf8(out).map_err(|_| FormError::Utf8)?;
    // Text areas send CRLF; everything else below space has no business in a form.
    if text.chars().any(|c| c.is_control() && !matches!(c, '\r' | '\n' | '\t')) {
        return Err(FormError::Control);
    }
    Ok(text)
}

fn hex(digit: u8) -> Result<u8, FormError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(FormError::Percent),
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Fields {
    type Rejection = Problem;

    /// The form that the gate read; empty for a request without one.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(parts.extensions.get::<Fields>().cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use belfry_model::Outside;

    use super::{FORM, FORM_FIELDS_MAX, FormError, parse};

    #[test]
    fn a_form_is_decoded_and_its_repeated_fields_are_kept() {
        let form = FORM.parse(Outside::new(b"a=1&b=%C3%A9+x&a=2&empty&=v")).expect("a form");
        assert_eq!(form.get("a"), Some("1"));
        assert_eq!(form.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(form.text("b"), "é x");
        assert_eq!(form.get("empty"), Some(""));
        assert_eq!(form.get("missing"), None);
    }

    #[test]
    fn malformed_forms_are_refused() {
        assert_eq!(parse(b"a=%zz"), Err(FormError::Percent));
        assert_eq!(parse(b"a=%f"), Err(FormError::Percent));
        assert_eq!(parse(b"a=%ff"), Err(FormError::Utf8));
        assert_eq!(parse(b"a=%00"), Err(FormError::Control));
        let many = "a&".repeat(FORM_FIELDS_MAX + 1);
        assert_eq!(parse(many.as_bytes()), Err(FormError::Fields));
    }
}
