//! A file line by line, in constant memory.

use std::io::{BufRead, BufReader, Read};

use crate::limits::LINE_BYTES_MAX;
use crate::report::Finding;

/// Bytes read ahead.
const BUFFER_BYTES: usize = 256 * 1024;

/// The lines of one file.
pub(crate) struct Lines<R> {
    file: String,
    input: BufReader<R>,
    line: Vec<u8>,
    /// How many lines were handed out.
    count: u64,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(file: &str, input: R) -> Self {
        let input = BufReader::with_capacity(BUFFER_BYTES, input);
        Self { file: file.to_owned(), input, line: Vec::new(), count: 0 }
    }

    /// The next line without its newline; `None` at the end of the file.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, Finding> {
        self.line.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        let read = self.input.by_ref().take(limit).read_until(b'\n', &mut self.line);
        let number = self.count + 1;
        read.map_err(|error| unreadable(&self.file, &error))?;
        if self.line.is_empty() {
            return Ok(None);
        }
        if self.line.pop() != Some(b'\n') {
            return Err(if self.line.len() >= LINE_BYTES_MAX {
                Finding::tampered(
                    &self.file,
                    format!("line {number} is longer than {LINE_BYTES_MAX} bytes"),
                )
            } else {
                Finding::incomplete(
                    &self.file,
                    format!("line {number}, the last, is cut off; get the file again"),
                )
            });
        }
        self.count = number;
        Ok(Some(&self.line))
    }

    /// How many lines were handed out.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}

/// A file that ends early or that the disk does not give.
pub(crate) fn unreadable(file: &str, error: &std::io::Error) -> Finding {
    match error.kind() {
        std::io::ErrorKind::InvalidData => Finding::tampered(file, error.to_string()),
        _ => Finding::incomplete(
            file,
            format!("it cannot be read to its end ({error}); get the file again"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;
    use crate::limits::LINE_BYTES_MAX;
    use crate::report::Code;

    #[test]
    fn lines_end_with_a_newline_and_are_bounded() {
        let mut lines = Lines::new("f", &b"a\n\nb"[..]);
        assert_eq!(lines.next(), Ok(Some(&b"a"[..])));
        assert_eq!(lines.next(), Ok(Some(&b""[..])));
        assert_eq!(lines.next().expect_err("cut off").code, Code::Incomplete);
        let long = vec![b'x'; LINE_BYTES_MAX + 5];
        let mut lines = Lines::new("f", &long[..]);
        assert_eq!(lines.next().expect_err("too long").code, Code::Tampered);
    }
}
