//! Forms with files: `multipart/form-data` (RFC 7578), parsed once by the gate.

use axum::extract::FromRequestParts;
use belfry_model::outside::Parser;
use http::request::Parts;

use crate::Problem;
use crate::form::{FORM_BYTES_MAX, FORM_FIELDS_MAX, Fields};

/// The longest boundary with the two dashes before it (RFC 2046 section 5.1.1).
const DELIMITER_BYTES_MAX: usize = 72;

/// Reads a form with files.
pub static MULTIPART: Parser<Multipart, MultipartError> = Parser::new(
    "http-multipart",
    FORM_BYTES_MAX,
    b"--x\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\nabc\r\n--x\r\n\
      Content-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\nContent-Type: text/csv\r\n\r\nname\r\n--x--\r\n",
    parse,
);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MultipartError {
    #[error("no boundary at the beginning")]
    Boundary,
    #[error("a part without an end")]
    Unended,
    #[error("a part without a name")]
    Name,
    #[error("a field that is not UTF-8")]
    Utf8,
    #[error("more than {FORM_FIELDS_MAX} parts")]
    Parts,
}

/// The fields of a form and its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Multipart {
    pub(crate) fields: Fields,
    pub(crate) files: Files,
}

/// The files that came with a form. What they hold has not been looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(Vec<(String, Vec<u8>)>);

impl Files {
    /// The first file of a field; a field without a chosen file has an empty one.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find_map(|(field, bytes)| (field == name).then_some(bytes.as_slice()))
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// The boundary is taken from the body itself, whose first line it is.
fn parse(bytes: &[u8]) -> Result<Multipart, MultipartError> {
    let end = find(bytes, b"\r\n").ok_or(MultipartError::Boundary)?;
    let delimiter = &bytes[..end];
    if !delimiter.starts_with(b"--") || !(3..=DELIMITER_BYTES_MAX).contains(&delimiter.len()) {
        return Err(MultipartError::Boundary);
    }
    let between = [b"\r\n", delimiter].concat();
    let mut rest = &bytes[end + 2..];
    let mut read = Multipart::default();
    for _ in 0..FORM_FIELDS_MAX {
        let end = find(rest, &between).ok_or(MultipartError::Unended)?;
        part(&rest[..end], &mut read)?;
        match &rest[end + between.len()..] {
            after if after.starts_with(b"--") => return Ok(read),
            after => rest = after.strip_prefix(b"\r\n").ok_or(MultipartError::Unended)?,
        }
    }
    Err(MultipartError::Parts)
}

fn part(bytes: &[u8], read: &mut Multipart) -> Result<(), MultipartError> {
    let end = find(bytes, b"\r\n\r\n").ok_or(MultipartError::Name)?;
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| MultipartError::Utf8)?;
    let body = &bytes[end + 4..];
    let disposition = head
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-disposition"))
        .ok_or(MultipartError::Name)?
        .1;
    let name = quoted(disposition, " name=").ok_or(MultipartError::Name)?.to_owned();
    if quoted(disposition, " filename=").is_some() {
        read.files.0.push((name, body.to_vec()));
    } else {
        let value = String::from_utf8(body.to_vec()).map_err(|_| MultipartError::Utf8)?;
        read.fields.push(name, value);
    }
    Ok(())
}

/// The value of a parameter; browsers escape quotes in it as `%22`.
fn quoted<'a>(disposition: &'a str, parameter: &str) -> Option<&'a str> {
    let rest = disposition.split_once(parameter)?.1.strip_prefix('"')?;
    Some(rest.split_once('"')?.0)
}

impl<S: Send + Sync> FromRequestParts<S> for Files {
    type Rejection = Problem;

    /// The files that the gate read; none for a request without any.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(parts.extensions.get::<Files>().cloned().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::{MultipartError, parse};

    #[test]
    fn fields_and_files_are_told_apart() {
        let body = b"--b1\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\nt0k\r\n--b1\r\n\
            content-disposition: form-data; name=\"file\"; filename=\"x;y.csv\"\r\nContent-Type: text/csv\r\n\r\n\
            \xff--b1\r\nb\r\n--b1--\r\n";
        let read = parse(body).unwrap();
        assert_eq!(read.fields.get("csrf"), Some("t0k"));
        assert_eq!(read.files.get("file"), Some(b"\xff--b1\r\nb".as_slice()));
        assert_eq!(read.files.get("csrf"), None);
    }

    #[test]
    fn what_is_cut_short_or_has_no_name_is_refused() {
        let part = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1";
        for (body, error) in [
            (String::new(), MultipartError::Boundary),
            ("--\r\n".to_owned(), MultipartError::Boundary),
            (format!("--{}\r\n", "x".repeat(80)), MultipartError::Boundary),
            (part.to_owned(), MultipartError::Unended),
            (format!("{part}\r\n--b"), MultipartError::Unended),
            ("--b\r\nX: y\r\n\r\n1\r\n--b--".to_owned(), MultipartError::Name),
            ("--b\r\n\r\n--b--".to_owned(), MultipartError::Name),
        ] {
            assert_eq!(parse(body.as_bytes()), Err(error), "{body:?}");
        }
    }
}
