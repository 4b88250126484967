//! A ZIP writer that writes whatever it is told, also what no reader should take.

/// One member, stored or packed elsewhere.
pub(crate) struct Member {
    pub(crate) name: Vec<u8>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) size: u32,
    pub(crate) method: u16,
    pub(crate) flags: u16,
    pub(crate) mode: u32,
    /// The local header says another size.
    pub(crate) local_size: u32,
    /// The directory points so many bytes before the member.
    pub(crate) back: u32,
}

impl Member {
    pub(crate) fn stored(name: &str, bytes: &[u8]) -> Self {
        let size = bytes.len() as u32;
        Self {
            name: name.as_bytes().to_vec(),
            bytes: bytes.to_vec(),
            size,
            method: 0,
            flags: 0,
            mode: 0o100_644,
            local_size: size,
            back: 0,
        }
    }

    /// The fields that both headers have, from "version needed" to "extra field length".
    fn fields(&self, size: u32) -> Vec<u8> {
        let mut fields = Vec::new();
        for field in [20, self.flags, self.method, 0, 33] {
            fields.extend(field.to_le_bytes());
        }
        for field in [0, self.bytes.len() as u32, size] {
            fields.extend(field.to_le_bytes());
        }
        fields.extend((self.name.len() as u16).to_le_bytes());
        fields.extend([0, 0]);
        fields
    }
}

pub(crate) fn pack(members: &[Member]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for member in members {
        let at = out.len() as u32 - member.back;
        out.extend(b"PK\x03\x04");
        out.extend(member.fields(member.local_size));
        out.extend(&member.name);
        out.extend(&member.bytes);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(member.fields(member.size));
        // Comment length, disk, internal attributes.
        directory.extend([0; 6]);
        directory.extend((member.mode << 16).to_le_bytes());
        directory.extend(at.to_le_bytes());
        directory.extend(&member.name);
    }
    let (start, count) = (out.len() as u32, members.len() as u16);
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    for _ in 0..2 {
        out.extend(count.to_le_bytes());
    }
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}
