//! Media sockets: batched UDP, demux, one shard thread per core.
