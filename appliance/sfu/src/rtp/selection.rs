//! Which frames of a stream that is coded in layers are sent: those up to a spatial and a temporal
//! layer. Going down takes a new picture, going up a frame that the higher layer can be begun with.
//!
//! **Invariant:** a frame is sent whole or not at all, so both change with a frame's first packet.

use super::codec::{Opens, Peek, TEMPORAL_MAX};

/// The highest layers that are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caps {
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
}

impl Caps {
    /// Everything.
    pub(crate) const ALL: Self = Self { spatial: u8::MAX, temporal: TEMPORAL_MAX };

    /// A frame of these layers is sent.
    pub(crate) fn take(self, peek: &Peek) -> bool {
        peek.spatial <= self.spatial && peek.temporal <= self.temporal
    }

    /// The packet is the last of its picture that is sent, where higher layers are left out.
    pub(crate) fn end(self, peek: &Peek, target: Self) -> bool {
        let is_top = self.spatial >= target.spatial || !may_join(peek);
        peek.end && peek.spatial == self.spatial && is_top
    }

    /// The layers that the receiver of this packet can count on.
    pub(crate) fn promised(self, peek: &Peek, target: Self) -> Self {
        let spatial = if may_join(peek) { self.spatial.max(target.spatial) } else { self.spatial };
        Self { spatial, ..self }
    }
}

/// With a picture that refers to itself only, the next layer may be joined in its middle.
fn may_join(peek: &Peek) -> bool {
    matches!(peek.opens, Opens::Up(_)) && peek.reach <= u16::from(peek.spatial)
}

/// What is sent of one stream now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection {
    caps: Caps,
    /// RTP time of the newest picture, and the frame number of its first frame.
    picture: Option<(u32, u16)>,
    /// The last picture of which something was left out.
    dropped: Option<u32>,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Send(Caps),
    /// `first`: nothing of its picture was left out before.
    Drop {
        first: bool,
    },
}

impl Selection {
    /// Begins with a keyframe: its lowest spatial layer, and every temporal one that is wanted.
    pub(crate) fn begin(target: Caps) -> Self {
        Self { caps: Caps { spatial: 0, ..target }, picture: None, dropped: None }
    }

    pub(crate) fn caps(&self) -> Caps {
        self.caps
    }

    /// Judges a packet that is newer than all before.
    pub(crate) fn judge(&mut self, peek: &Peek, timestamp: u32, target: Caps) -> Verdict {
        if peek.start {
            self.turn(peek, timestamp, target);
        }
        if self.caps.take(peek) {
            return Verdict::Send(self.caps);
        }
        let first = self.dropped.replace(timestamp) != Some(timestamp);
        Verdict::Drop { first }
    }

    /// Goes down or up with the first packet of a frame.
    fn turn(&mut self, peek: &Peek, timestamp: u32, target: Caps) {
        let number = peek.frame.unwrap_or(0);
        let first = match self.picture {
            Some((picture, first)) if picture == timestamp => first,
            _ => {
                self.picture = Some((timestamp, number));
                self.caps.spatial = self.caps.spatial.min(target.spatial);
                self.caps.temporal = self.caps.temporal.min(target.temporal);
                number
            }
        };
        if peek.is_entry() {
            self.caps.temporal = target.temporal;
            return;
        }
        let Caps { spatial, temporal } = self.caps;
        // Spatially one step at a time, by a frame that refers to this picture only.
        let alone = peek.reach <= number.wrapping_sub(first);
        let opens_spatial = matches!(peek.opens, Opens::Up(_)) && alone;
        if opens_spatial && peek.spatial == spatial + 1 && peek.spatial <= target.spatial {
            self.caps.spatial += 1;
        }
        match peek.opens {
            Opens::Itself if peek.temporal == temporal + 1 && temporal < target.temporal => {
                self.caps.temporal += 1;
            }
            Opens::Up(up) if peek.spatial == self.caps.spatial && peek.temporal <= temporal => {
                self.caps.temporal = temporal.max(up.min(target.temporal));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Caps, Selection, Verdict};
    use crate::rtp::codec::{Opens, Peek, TEMPORAL_MAX};

    fn caps(spatial: u8, temporal: u8) -> Caps {
        Caps { spatial, temporal }
    }

    fn frame(spatial: u8, temporal: u8, opens: Opens) -> Peek {
        Peek { start: true, end: true, spatial, temporal, opens, ..Peek::default() }
    }

    fn sent(selection: &mut Selection, peek: &Peek, timestamp: u32, target: Caps) -> bool {
        matches!(selection.judge(peek, timestamp, target), Verdict::Send(_))
    }

    /// VP8 in three temporal layers: 0, 2 and 1 that can be begun with, 2.
    fn vp8(index: u32) -> Peek {
        match index % 8 {
            0 | 4 => frame(0, 0, Opens::Nothing),
            1 => frame(0, 2, Opens::Itself),
            2 => frame(0, 1, Opens::Itself),
            6 => frame(0, 1, Opens::Nothing),
            _ => frame(0, 2, Opens::Nothing),
        }
    }

    #[test]
    fn temporal_layers_of_vp8_are_left_at_once_and_joined_where_they_begin() {
        let mut selection = Selection::begin(caps(0, 2));
        let mut run = |from: u32, target: u8| -> Vec<bool> {
            let of = |index| sent(&mut selection, &vp8(index), index * 3_000, caps(0, target));
            (from..from + 16).map(of).collect()
        };
        assert!(run(0, 2).into_iter().all(|sent| sent));
        let base = [true, false, false, false].repeat(4);
        assert_eq!(run(16, 0), base);
        let raised = run(32, 2);
        // The middle layer comes back with its first frame that may, the upper one after it.
        assert_eq!(raised[..8], [true, false, true, false, true, false, true, false]);
        assert_eq!(raised[8..], [true; 8]);
    }

    #[test]
    fn a_keyframe_brings_all_temporal_layers_back() {
        let mut selection = Selection::begin(caps(0, 0));
        let key = Peek { keyframe: true, ..frame(0, 0, Opens::Nothing) };
        assert!(sent(&mut selection, &key, 0, caps(0, 2)));
        assert!(sent(&mut selection, &vp8(3), 3_000, caps(0, 2)));
    }

    #[test]
    fn a_frame_is_sent_whole_or_not_at_all() {
        let mut selection = Selection::begin(caps(0, 2));
        let later = |peek: Peek| Peek { start: false, ..peek };
        assert!(sent(&mut selection, &vp8(1), 0, caps(0, 2)));
        assert!(sent(&mut selection, &later(vp8(1)), 0, caps(0, 0)), "the rest of a begun frame");
        assert!(!sent(&mut selection, &vp8(3), 3_000, caps(0, 0)));
        assert!(!sent(&mut selection, &later(vp8(1)), 6_000, caps(0, 2)), "its beginning is lost");
    }

    /// VP9 with three spatial layers, of which keyframes let one go up.
    fn vp9(spatial: u8, keyframe: bool, temporal: u8) -> Peek {
        let up = Opens::Up(TEMPORAL_MAX);
        Peek {
            keyframe: keyframe && spatial == 0,
            reach: if keyframe { 0 } else { u16::MAX },
            ..frame(spatial, temporal, if keyframe { up } else { Opens::Nothing })
        }
    }

    #[test]
    fn spatial_layers_are_left_with_a_picture_and_joined_with_a_keyframe() {
        let mut selection = Selection::begin(caps(2, 0));
        let mut picture = |keyframe, time, target| -> usize {
            let layers = 0..3;
            let of = |spatial: &u8| {
                sent(&mut selection, &vp9(*spatial, keyframe, 0), time, caps(target, 0))
            };
            layers.filter(of).count()
        };
        assert_eq!(picture(true, 0, 2), 3);
        assert_eq!(picture(false, 1, 2), 3);
        assert_eq!(picture(false, 2, 0), 1);
        assert_eq!(picture(false, 3, 2), 1, "not before a keyframe");
        assert_eq!(picture(true, 4, 1), 2);
        assert_eq!(picture(false, 5, 2), 2);
        assert_eq!(picture(true, 6, 2), 3);
    }

    #[test]
    fn a_picture_ends_with_its_highest_layer_and_not_before_one_that_joins() {
        assert!(caps(1, 0).end(&vp9(1, false, 0), caps(2, 0)));
        assert!(caps(1, 0).end(&vp9(1, true, 0), caps(1, 0)));
        assert!(!caps(1, 0).end(&vp9(1, true, 0), caps(2, 0)), "the next layer joins");
        assert!(!caps(1, 0).end(&vp9(0, false, 0), caps(2, 0)));
        assert!(!caps(1, 0).end(&Peek { end: false, ..vp9(1, false, 0) }, caps(1, 0)));
    }

    #[test]
    fn a_layer_that_refers_to_pictures_of_before_cannot_be_joined() {
        let mut selection = Selection::begin(caps(1, 0));
        let numbered = |number, spatial, reach| Peek {
            frame: Some(number),
            reach,
            ..frame(spatial, 0, Opens::Up(0))
        };
        let key = Peek { keyframe: true, ..numbered(u16::MAX, 0, 0) };
        assert!(sent(&mut selection, &key, 0, caps(0, 0)));
        assert!(!sent(&mut selection, &numbered(0, 1, 1), 0, caps(0, 0)));
        assert!(sent(&mut selection, &numbered(1, 0, 2), 1, caps(1, 0)));
        assert!(!sent(&mut selection, &numbered(2, 1, 2), 1, caps(1, 0)), "refers to its own last");
        assert!(sent(&mut selection, &numbered(3, 0, 2), 2, caps(1, 0)));
        assert!(sent(&mut selection, &numbered(4, 1, 1), 2, caps(1, 0)), "refers to what was sent");
    }

    #[test]
    fn only_the_first_packet_that_is_left_out_counts_for_its_picture() {
        let mut selection = Selection::begin(caps(0, 0));
        let mut drop = |peek: Peek, time| selection.judge(&peek, time, caps(0, 0));
        assert_eq!(drop(vp8(1), 1), Verdict::Drop { first: true });
        assert_eq!(drop(Peek { start: false, ..vp8(1) }, 1), Verdict::Drop { first: false });
        assert_eq!(drop(vp8(3), 2), Verdict::Drop { first: true });
        assert_eq!(drop(vp8(4), 3), Verdict::Send(caps(0, 0)));
    }
}
