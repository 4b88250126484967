//! The form of a list of people: CSV, as spreadsheets write it.

use belfry_model::outside::Parser;

/// A list, at most. Sent back once as a form, it still fits.
pub(crate) const CSV_BYTES_MAX: usize = 256 * 1024;
/// Lines of a list, without the one that names the columns.
pub(crate) const CSV_LINES_MAX: usize = 2_000;

/// Reads a list of people.
pub(crate) static ROSTER_CSV: Parser<Table, TableError> = Parser::new(
    "roster-csv",
    CSV_BYTES_MAX,
    b"\xef\xbb\xbfname;username;role;class\r\nKim Lee;kim.l;student;4b\r\n",
    parse,
);

/// Why a list as a whole cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TableError {
    #[error("not UTF-8")]
    NotText,
    #[error("no column {0}")]
    NoColumn(&'static str),
    #[error("more than {CSV_LINES_MAX} lines")]
    TooManyLines,
    #[error("line {0} is not CSV")]
    Line(u64),
    #[error("no lines")]
    Empty,
}

/// The lines of a list, each entry without white space around it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) lines: Vec<Line>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// As a text editor counts.
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) username: String,
    pub(crate) role: String,
    pub(crate) class: String,
    pub(crate) band: String,
}

fn parse(bytes: &[u8]) -> Result<Table, TableError> {
    // Spreadsheets put a byte order mark before UTF-8.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| TableError::NotText)?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(text))
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let headers = reader.headers().map_err(|error| line_error(&error))?.clone();
    let column = |name: &str| headers.iter().position(|header| header.eq_ignore_ascii_case(name));
    let needed = |name: &'static str| column(name).ok_or(TableError::NoColumn(name));
    let (name, username) = (needed("name")?, needed("username")?);
    let (role, class, band) = (column("role"), column("class"), column("band"));
    let mut lines = Vec::new();
    let mut counter = Counter { text: text.as_bytes(), at: 0, line: 1 };
    for record in reader.records() {
        let record = record.map_err(|error| line_error(&error))?;
        if record.iter().all(str::is_empty) {
            continue;
        }
        if lines.len() == CSV_LINES_MAX {
            return Err(TableError::TooManyLines);
        }
        let entry = |column: Option<usize>| {
            column.and_then(|column| record.get(column)).unwrap_or_default().to_owned()
        };
        lines.push(Line {
            number: counter.line_at(record.position().map_or(0, csv::Position::byte) as usize),
            name: entry(Some(name)),
            username: entry(Some(username)),
            role: entry(role),
            class: entry(class),
            band: entry(band),
        });
    }
    if lines.is_empty() { Err(TableError::Empty) } else { Ok(Table { lines }) }
}

/// Counts lines as a text editor does; the reader takes the end of a line for the next one's beginning.
struct Counter<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Counter<'_> {
    /// The line of the first entry at or after a place; places only go forward.
    fn line_at(&mut self, place: usize) -> u64 {
        while let Some(byte) = self.text.get(self.at) {
            if self.at >= place && !matches!(byte, b'\r' | b'\n') {
                break;
            }
            self.line += u64::from(*byte == b'\n');
            self.at += 1;
        }
        self.line
    }
}

fn line_error(error: &csv::Error) -> TableError {
    TableError::Line(error.position().map_or(1, csv::Position::line))
}

/// Whichever separates the names of the columns: where a comma is in numbers, spreadsheets use others.
fn delimiter(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    let count = |delimiter: u8| first.bytes().filter(|byte| *byte == delimiter).count();
    [b',', b';', b'\t']
        .into_iter()
        .max_by_key(|delimiter| (count(*delimiter), *delimiter == b','))
        .unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::{CSV_LINES_MAX, Line, TableError, parse};

    #[test]
    fn a_list_is_read_with_a_mark_semicolons_and_quotes() {
        let text =
            "\u{feff}Name;UserName;Class\r\n\"Löw; Ada\"; ada ;\"4b|5c\"\r\n;;\r\nKim;kim\r\n";
        let lines = parse(text.as_bytes()).unwrap().lines;
        let line = |number, name: &str, username: &str, class: &str| Line {
            number,
            name: name.to_owned(),
            username: username.to_owned(),
            class: class.to_owned(),
            ..Line::default()
        };
        assert_eq!(lines, [line(2, "Löw; Ada", "ada", "4b|5c"), line(4, "Kim", "kim", "")]);
        for text in ["name,username\na,b", "username\tname\nb\ta"] {
            assert_eq!(parse(text.as_bytes()).unwrap().lines, [line(2, "a", "b", "")]);
        }
    }

    #[test]
    fn a_list_that_cannot_be_read_says_why() {
        assert_eq!(parse(b"name,username\nL\xf6w,l"), Err(TableError::NotText));
        assert_eq!(parse(b"name,role\na,b"), Err(TableError::NoColumn("username")));
        assert_eq!(parse(b"name,username\n"), Err(TableError::Empty));
        assert_eq!(parse(b""), Err(TableError::NoColumn("name")));
        let many = format!("name,username\n{}", "a,b\n".repeat(CSV_LINES_MAX + 1));
        assert_eq!(parse(many.as_bytes()), Err(TableError::TooManyLines));
    }
}
