//! Every limit that more than one crate needs, each with its unit in its name.

/// Participants of one room at the same time.
pub const ROOM_PARTICIPANTS_MAX: usize = 100;
/// Tracks that one participant may publish at the same time.
pub const PARTICIPANT_TRACKS_MAX: usize = 8;
/// Spatial layers of one track (LOW, MEDIUM, HIGH).
pub const TRACK_LAYERS_MAX: usize = 3;
/// One signalling frame, either way.
pub const SIGNAL_FRAME_BYTES_MAX: usize = 512 * 1024;
/// One session description.
pub const SDP_BYTES_MAX: usize = 256 * 1024;
/// One data-channel message; clients clamp to this.
pub const DATA_MESSAGE_BYTES_MAX: usize = 64_000;
/// One frame of the class socket.
pub const CLASS_FRAME_BYTES_MAX: usize = 16 * 1024;
/// One chat message, in characters.
pub const CHAT_CHARS_MAX: usize = 2_000;
/// Chat messages that a joining participant is given.
pub const CHAT_HISTORY_MAX: usize = 500;
/// A display name, in characters.
pub const NAME_CHARS_MAX: usize = 64;
/// A reason given for a removal, in characters.
pub const REASON_CHARS_MAX: usize = 200;
/// How long a lesson stays open after its last teacher lost the connection.
pub const TEACHER_GRACE_MS: i64 = 120_000;
/// How long a participant whose sockets are gone is kept before the others are told.
pub const PARTICIPANT_RESUME_MS: i64 = 20_000;
/// How long a media token is valid; it is refreshed while connected.
pub const TOKEN_VALID_MS: i64 = 600_000;
