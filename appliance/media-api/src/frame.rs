//! Frames: a command or an event as bytes.

use belfry_model::outside::{Parser, Target};
use serde::Serialize;

use crate::{Command, Event};

/// One encoded command or event. A subscriber offer for a full room stays well below it.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("the frame is not a message of this version")]
    Decode(#[source] postcard::Error),
}

/// Commands as the media process reads them.
pub static COMMANDS: Parser<Command, FrameError> =
    Parser::new("media-api command", FRAME_BYTES_MAX, &[3, 1, b'R'], |bytes| {
        postcard::from_bytes(bytes).map_err(FrameError::Decode)
    });

/// Events as the control process reads them: the media process parses hostile packets, so what it
/// says is outside bytes, too.
pub static EVENTS: Parser<Event, FrameError> =
    Parser::new("media-api event", FRAME_BYTES_MAX, &[0, 0], |bytes| {
        postcard::from_bytes(bytes).map_err(FrameError::Decode)
    });

/// The parsers of outside bytes in this crate.
pub static PARSERS: &[&dyn Target] = &[&COMMANDS, &EVENTS];

/// A [`Command`] or [`Event`] as the bytes of one frame.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    postcard::to_stdvec(message).expect("commands and events hold only types that postcard writes")
}

#[cfg(test)]
mod tests {
    use belfry_model::{Outside, RoomSid};

    use super::{COMMANDS, EVENTS, PARSERS, encode};
    use crate::{Command, Event};

    #[test]
    fn a_message_comes_back_as_it_went() {
        let command = Command::CloseRoom { room: RoomSid::new("RM_1") };
        let back = COMMANDS.parse(Outside::new(&encode(&command))).expect("own bytes parse");
        assert_eq!(back, command);
        let event = Event::RoomFailed { room: RoomSid::new("RM_1") };
        assert_eq!(EVENTS.parse(Outside::new(&encode(&event))).expect("own bytes parse"), event);
    }

    #[test]
    fn every_parser_accepts_its_seed() {
        for parser in PARSERS {
            assert!(parser.feed(parser.seed()), "{}", parser.name());
        }
    }
}
