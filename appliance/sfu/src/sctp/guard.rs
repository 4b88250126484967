//! What a well-formed packet may ask of the library, judged by what the association has seen: some
//! requests cost it time or memory in proportion to a number that the remote writes.

use super::packet::{Contents, acknowledged};

/// Numbers of data that may lie ahead of what was acknowledged. The library walks through all that
/// a FORWARD TSN skips, one by one, and acknowledges every hole between those that have come.
const AHEAD_MAX: i32 = 4_096;
/// Requests to reset streams of one association. The library keeps those that it cannot fulfil yet,
/// and answers all of them with every packet of data.
const RESETS_MAX: usize = 32;

#[derive(Debug, Default)]
pub(super) struct Guard {
    /// By our newest acknowledgement: what the library holds for true.
    acknowledged: Option<u32>,
    resets: Vec<u32>,
}

impl Guard {
    /// Whether the library gets the packet. What is refused counts as lost on the way.
    pub(super) fn admits(&mut self, contents: &Contents) -> bool {
        let ahead = |number: u32, from: u32| number.wrapping_sub(from).cast_signed();
        let near = match self.acknowledged {
            Some(from) => {
                let numbers = contents.data.iter().chain(&contents.forward);
                numbers.copied().all(|number| ahead(number, from) <= AHEAD_MAX)
            }
            // Nothing can be given up before anything has come.
            None => contents.forward.is_empty(),
        };
        near && contents.resets.iter().all(|request| self.admits_reset(*request))
    }

    fn admits_reset(&mut self, request: u32) -> bool {
        if self.resets.contains(&request) {
            return true;
        }
        let admitted = self.resets.len() < RESETS_MAX;
        if admitted {
            self.resets.push(request);
        }
        admitted
    }

    /// Sees a packet that the association sends.
    pub(super) fn sent(&mut self, packet: &[u8]) {
        self.acknowledged = acknowledged(packet).or(self.acknowledged);
    }
}

#[cfg(test)]
mod tests {
    use super::{AHEAD_MAX, Guard, RESETS_MAX};
    use crate::sctp::packet::Contents;

    fn sack(number: u32) -> Vec<u8> {
        let mut packet = vec![0; 12];
        packet.extend([3, 0, 0, 16]);
        packet.extend(number.to_be_bytes());
        packet.extend([0; 8]);
        packet
    }

    fn data(number: u32) -> Contents {
        Contents { data: vec![number], ..Contents::default() }
    }

    fn forward(number: u32) -> Contents {
        Contents { forward: vec![number], ..Contents::default() }
    }

    #[test]
    fn data_and_what_is_given_up_lie_near_what_was_acknowledged() {
        let mut guard = Guard::default();
        assert!(guard.admits(&data(u32::MAX - 5)));
        assert!(!guard.admits(&forward(7)), "nothing has come yet");
        guard.sent(&sack(u32::MAX - 5));
        assert!(guard.admits(&forward(7)) && guard.admits(&data(7)), "over the wrap");
        assert!(guard.admits(&data(u32::MAX - 900)), "a repeat");
        let last = (u32::MAX - 5).wrapping_add_signed(AHEAD_MAX);
        assert!(guard.admits(&data(last)) && guard.admits(&forward(last)));
        assert!(!guard.admits(&data(last + 1)) && !guard.admits(&forward(last + 1)));
        assert!(!guard.admits(&forward(last + 0x4000_0000)));
    }

    #[test]
    fn streams_are_reset_so_often_and_a_request_may_be_repeated() {
        let mut guard = Guard::default();
        let reset = |number| Contents { resets: vec![number], ..Contents::default() };
        assert!((0..RESETS_MAX as u32).all(|number| guard.admits(&reset(number))));
        assert!(!guard.admits(&reset(99)));
        assert!(guard.admits(&reset(3)));
    }
}
