//! Frames: four bytes of length, big-endian, then that many bytes.

use crate::WorkerError;

/// Bytes of one frame without its length.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// What a read asks of the socket.
pub(crate) const READ_BYTES: usize = 64 * 1024;

const LENGTH_BYTES: usize = 4;

/// A frame as it goes onto the link.
pub fn pack(frame: &[u8]) -> Result<Vec<u8>, WorkerError> {
    let bytes = frame.len();
    if bytes > FRAME_BYTES_MAX {
        return Err(WorkerError::Frame { bytes });
    }
    let length = u32::try_from(bytes).expect("FRAME_BYTES_MAX fits 32 bits");
    let mut packed = Vec::with_capacity(LENGTH_BYTES + bytes);
    packed.extend_from_slice(&length.to_be_bytes());
    packed.extend_from_slice(frame);
    Ok(packed)
}

/// Puts frames together from what reads of a stream yield. Holds at most one frame and one read.
#[derive(Debug, Default)]
pub struct Assembly {
    bytes: Vec<u8>,
    /// Start of what is not yet taken.
    start: usize,
}

impl Assembly {
    pub fn push(&mut self, read: &[u8]) {
        // What was taken goes before more comes, so that the buffer does not creep.
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(read);
    }

    /// The next whole frame, signs of life included.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, WorkerError> {
        let rest = &self.bytes[self.start..];
        let Some((length, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let bytes = u32::from_be_bytes(*length) as usize;
        if bytes > FRAME_BYTES_MAX {
            return Err(WorkerError::Frame { bytes });
        }
        let Some(frame) = rest.get(..bytes) else { return Ok(None) };
        let frame = frame.to_vec();
        self.start += LENGTH_BYTES + bytes;
        Ok(Some(frame))
    }

    /// Nothing is left over; at the end of a stream anything else is a torn frame.
    pub fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Assembly, FRAME_BYTES_MAX, pack};
    use crate::WorkerError;

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_however_the_stream_is_cut(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20),
            cuts in prop::collection::vec(1_usize..97, 1..50),
        ) {
            let stream: Vec<u8> =
                frames.iter().flat_map(|frame| pack(frame).expect("short")).collect();
            let (mut assembly, mut got, mut at) = (Assembly::default(), Vec::new(), 0);
            for cut in cuts.iter().cycle() {
                if at == stream.len() {
                    break;
                }
                let end = stream.len().min(at + cut);
                assembly.push(&stream[at..end]);
                at = end;
                while let Some(frame) = assembly.next_frame().expect("lengths are within limits") {
                    got.push(frame);
                }
            }
            prop_assert_eq!(got, frames);
            prop_assert!(assembly.is_empty());
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_before_its_bytes_are_awaited() {
        let mut assembly = Assembly::default();
        assembly.push(&u32::MAX.to_be_bytes());
        assert!(matches!(assembly.next_frame(), Err(WorkerError::Frame { .. })));
        assert!(pack(&vec![0; FRAME_BYTES_MAX + 1]).is_err());
        assert!(pack(&vec![0; FRAME_BYTES_MAX]).is_ok());
    }
}
