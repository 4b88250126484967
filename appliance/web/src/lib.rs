//! The teacher's and pupil's application and the class socket.
