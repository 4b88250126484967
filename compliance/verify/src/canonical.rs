//! Canonical JSON as the log writes it: RFC 8785 (JCS), restricted to integers and to ASCII member names.
//!
//! A line has one reading only: a member twice, another order, white space, another escape or another way to write a
//! number is refused. So no two readers of the log can see different things in the same bytes.

use crate::limits::JSON_DEPTH_MAX;

/// The largest integer that every JSON reader keeps exactly (RFC 8785 section 3.2.2.3).
const INT_MAX: i64 = (1 << 53) - 1;

/// Where a line stops being canonical JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The offset of the byte.
    pub at: usize,
    pub expected: &'static str,
}

/// Reads one object and hands out its members: the name and the value's own bytes.
pub(crate) fn object<'a>(
    text: &'a [u8],
    mut each: impl FnMut(&'a str, &'a [u8]),
) -> Result<(), Fault> {
    if let Err(error) = std::str::from_utf8(text) {
        return Err(Fault { at: error.valid_up_to(), expected: "UTF-8" });
    }
    let mut scan = Scan { text, at: 0 };
    scan.members(JSON_DEPTH_MAX, &mut each)?;
    if scan.at == text.len() { Ok(()) } else { Err(scan.fault("the end of the line")) }
}

/// A member that is a text without escapes.
pub(crate) fn text(raw: &[u8]) -> Option<&str> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.contains(&b'\\') {
        return None;
    }
    std::str::from_utf8(inner).ok()
}

/// A member that is an integer.
pub(crate) fn int(raw: &[u8]) -> Option<i64> {
    std::str::from_utf8(raw).ok()?.parse().ok()
}

/// A member that is an integer of 0 or more.
pub(crate) fn count(raw: &[u8]) -> Option<u64> {
    u64::try_from(int(raw)?).ok()
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    fn fault(&self, expected: &'static str) -> Fault {
        Fault { at: self.at, expected }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), Fault> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.fault(expected))
        }
    }

    fn members(
        &mut self,
        depth: u32,
        each: &mut impl FnMut(&'a str, &'a [u8]),
    ) -> Result<(), Fault> {
        let depth = depth.checked_sub(1).ok_or(self.fault("fewer objects in one another"))?;
        self.take(b'{', "an object")?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let mut previous: Option<&str> = None;
        loop {
            let start = self.at;
            let name = self.name()?;
            if previous.is_some_and(|previous| previous >= name) {
                return Err(Fault { at: start, expected: "member names in order, each once" });
            }
            previous = Some(name);
            self.take(b':', "a colon")?;
            let from = self.at;
            self.value(depth)?;
            each(name, &self.text[from..self.at]);
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => return self.take(b'}', "a comma or the object's end"),
            }
        }
    }

    fn value(&mut self, depth: u32) -> Result<(), Fault> {
        match self.peek() {
            Some(b'{') => self.members(depth, &mut |_, _| {}),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => Err(self.fault("a value")),
        }
    }

    fn list(&mut self, depth: u32) -> Result<(), Fault> {
        let depth = depth.checked_sub(1).ok_or(self.fault("fewer lists in one another"))?;
        self.take(b'[', "a list")?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => return self.take(b']', "a comma or the list's end"),
            }
        }
    }

    fn word(&mut self, word: &'static [u8]) -> Result<(), Fault> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.fault("true, false or null"))
        }
    }

    /// A member's name: ASCII without escapes, so that the order of bytes is RFC 8785's order.
    fn name(&mut self) -> Result<&'a str, Fault> {
        let from = self.at + 1;
        self.string()?;
        let name = &self.text[from..self.at - 1];
        match std::str::from_utf8(name) {
            Ok(name) if name.is_ascii() && !name.contains('\\') => Ok(name),
            _ => Err(Fault { at: from, expected: "a plain member name" }),
        }
    }

    /// RFC 8785 section 3.2.2.2.
    fn string(&mut self) -> Result<(), Fault> {
        self.take(b'"', "a text")?;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0..0x20) | None => return Err(self.fault("a text's end")),
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        let rest = &self.text[self.at..];
        let length = match rest {
            [_, b'"' | b'\\' | b'b' | b't' | b'n' | b'f' | b'r', ..] => 2,
            // The controls that have no short form.
            [_, b'u', b'0', b'0', high @ (b'0' | b'1'), low, ..] => {
                let short = *high == b'0' && matches!(low, b'8' | b'9' | b'a' | b'c' | b'd');
                if short || !matches!(low, b'0'..=b'9' | b'a'..=b'f') {
                    return Err(self.fault("the shortest escape"));
                }
                6
            }
            _ => return Err(self.fault("the shortest escape")),
        };
        self.at += length;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        let from = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        let number = int(&self.text[from..self.at]);
        let leading_zero = self.text[self.at - digits..].starts_with(b"0") && self.at - from > 1;
        match number {
            Some(number) if !leading_zero && (-INT_MAX..=INT_MAX).contains(&number) => Ok(()),
            _ => Err(Fault { at: from, expected: "an integer of at most 53 bits" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &str) -> bool {
        object(text.as_bytes(), |_, _| {}).is_ok()
    }

    #[test]
    fn members_are_handed_out_with_their_bytes() {
        let mut seen = Vec::new();
        object(br#"{"a":{"x":[1,"\n"]},"b":"c"}"#, |name, raw| seen.push((name, raw)))
            .expect("canonical");
        assert_eq!(seen, [("a", &br#"{"x":[1,"\n"]}"#[..]), ("b", &br#""c""#[..])]);
        assert_eq!((text(seen[1].1), text(seen[0].1)), (Some("c"), None));
    }

    #[test]
    fn what_has_a_second_form_is_refused() {
        for good in [
            "{}",
            r#"{"a":-1,"b":0,"c":[],"d":{},"e":[true,false,null]}"#,
            r#"{"a":"\u0001\u001f\\\"\n"}"#,
            r#"{"a":"Zoë \u001b"}"#,
            r#"{"a":9007199254740991}"#,
        ] {
            assert!(reads(good), "{good}");
        }
        for bad in [
            "",
            "[]",
            "{",
            "{} ",
            r#"{"a": 1}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"b":1,"a":2}"#,
            r#"{"a":01}"#,
            r#"{"a":-0}"#,
            r#"{"a":1.0}"#,
            r#"{"a":1e3}"#,
            r#"{"a":9007199254740992}"#,
            r#"{"a":"\u000a"}"#,
            r#"{"a":"\u001F"}"#,
            r#"{"a":"\/"}"#,
            r#"{"a":"\u0041"}"#,
            r#"{"ä":1}"#,
            r#"{"a":tru}"#,
            r#"{"a":[1,]}"#,
        ] {
            assert!(!reads(bad), "{bad}");
        }
        assert!(object(b"{\"a\":\"\xff\"}", |_, _| {}).is_err());
    }

    #[test]
    fn depth_is_bounded() {
        let deep = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(reads(&deep(JSON_DEPTH_MAX as usize - 1)));
        assert!(!reads(&deep(JSON_DEPTH_MAX as usize)));
        assert!(!reads(&deep(100_000)));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = object(&bytes, |_, _| {});
        }

        /// What is taken, any other JSON reader reads and writes back to the same bytes.
        #[test]
        fn what_is_taken_is_what_a_json_library_writes(text in r#"\{("[a-c]":(-?[0-9]{1,3}|"[a-z\\"n]{0,4}"|\[\]|null),?){0,3}\}"#) {
            if reads(&text) {
                let value: serde_json::Value = serde_json::from_str(&text).expect("canonical is JSON");
                proptest::prop_assert_eq!(serde_json::to_string(&value).expect("writes"), text);
            }
        }
    }
}
