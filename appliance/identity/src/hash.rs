//! Argon2id, a few at a time, in memory that is kept and used again.
//!
//! **Invariant:** there are never more than [`HASHING_MAX`] hashes under way, nor that many blocks of
//! memory for them; a block holds nothing of a password when it is given back.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::{Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use rand::RngCore;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::error::Error;
use crate::password::{PASSWORD_BYTES_MAX, generate};

/// OWASP's second choice for argon2id: 19 MiB, two passes, one lane. About 40 ms of a small
/// server's core, so that a class of thirty is in within a second or two.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

const SALT_BYTES: usize = 16;

/// Passwords that are hashed at a time, whatever the number of cores; each holds [`MEMORY_KIB`], and so
/// does the pool from then on.
const HASHING_MAX: usize = 4;
/// Passwords that may wait to be hashed; more people are told to try again.
const WAITING_MAX: usize = 512;
/// What a stored hash may ask for. None of ours asks for more than [`MEMORY_KIB`].
const STORED_MEMORY_KIB_MAX: u32 = 64 * 1024;

/// Hashes and verifies on threads of its own kind, a few at a time.
#[derive(Clone, Debug)]
pub(crate) struct Hasher {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    pool: Arc<Pool>,
    /// The hash of nobody's password: an unknown user name takes as long as a known one.
    dummy: Arc<str>,
}

/// What checking a password found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wrong,
    Right,
    /// Right, but hashed with parameters of another time.
    RightButOld,
}

impl Hasher {
    pub(crate) fn new() -> Result<Self, Error> {
        let pool = Pool::default();
        let dummy = pool.with(|memory| hash(&generate(), memory))?.into();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            running: Arc::new(Semaphore::new(cores.min(HASHING_MAX))),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            pool: Arc::new(pool),
            dummy,
        })
    }

    pub(crate) async fn hash(&self, password: Zeroizing<String>) -> Result<String, Error> {
        self.run(move |memory| hash(&password, memory)).await?
    }

    /// `stored`: `None` for somebody unknown.
    pub(crate) async fn verify(
        &self,
        password: &str,
        stored: Option<&str>,
    ) -> Result<Verdict, Error> {
        let known = stored.is_some();
        let stored: Arc<str> = stored.map_or_else(|| Arc::clone(&self.dummy), Arc::from);
        let password = Zeroizing::new(password.to_owned());
        let verdict = self.run(move |memory| verify(&password, &stored, memory)).await?;
        Ok(if known { verdict } else { Verdict::Wrong })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let _waiting = self.waiting.try_acquire().map_err(|_| Error::Busy)?;
        // The permit goes with the work: it is held until the memory is given back, even if
        // whoever asked has gone away.
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| Error::Busy)?;
        let pool = Arc::clone(&self.pool);
        tokio::task::spawn_blocking(move || {
            let _running = running;
            pool.with(work)
        })
        .await
        .map_err(|_| Error::Hash)
    }
}

/// What one hash works in.
type Memory = Vec<Block>;

/// Memory that is not in use. An allocator keeps freed blocks of this size on the list of whichever
/// thread freed them, so that a bell at nine leaves hundreds of megabytes behind; a pool does not.
#[derive(Debug, Default)]
struct Pool {
    idle: Mutex<Vec<Memory>>,
}

impl Pool {
    fn with<T>(&self, work: impl FnOnce(&mut Memory) -> T) -> T {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut memory = idle().pop().unwrap_or_default();
        let done = work(&mut memory);
        memory.truncate(params().block_count());
        memory.shrink_to_fit();
        memory.fill(Block::new());
        let mut idle = idle();
        if idle.len() < HASHING_MAX {
            idle.push(memory);
        }
        done
    }
}

fn params() -> Params {
    Params::new(MEMORY_KIB, PASSES, LANES, None).expect("constants within argon2's limits")
}

/// The raw hash of a password.
fn output(
    params: Params,
    password: &[u8],
    salt: Salt<'_>,
    length: usize,
    memory: &mut Memory,
) -> Option<Output> {
    let mut bytes = [0; Salt::MAX_LENGTH];
    let salt = salt.decode_b64(&mut bytes).ok()?;
    if memory.len() < params.block_count() {
        memory.resize(params.block_count(), Block::new());
    }
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Output::init_with(length, |out| {
        Ok(argon2.hash_password_into_with_memory(password, salt, out, memory)?)
    })
    .ok()
}

fn hash(password: &str, memory: &mut Memory) -> Result<String, Error> {
    let mut salt = [0; SALT_BYTES];
    rand::rng().fill_bytes(&mut salt);
    let salt = SaltString::encode_b64(&salt).map_err(|_| Error::Hash)?;
    let length = Params::DEFAULT_OUTPUT_LEN;
    let output = output(params(), password.as_bytes(), salt.as_salt(), length, memory);
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params()).map_err(|_| Error::Hash)?,
        salt: Some(salt.as_salt()),
        hash: Some(output.ok_or(Error::Hash)?),
    };
    Ok(hash.to_string())
}

/// Compares in constant time ([`Output`] does).
fn verify(password: &str, stored: &str, memory: &mut Memory) -> Verdict {
    if password.len() > PASSWORD_BYTES_MAX {
        return Verdict::Wrong;
    }
    matches(password, stored, memory).unwrap_or(Verdict::Wrong)
}

/// `None`: not a hash that we would have made.
fn matches(password: &str, stored: &str, memory: &mut Memory) -> Option<Verdict> {
    let stored = PasswordHash::new(stored).ok()?;
    let (salt, expected) = (stored.salt?, stored.hash?);
    let known = stored.algorithm == Algorithm::Argon2id.ident()
        && stored.version == Some(Version::V0x13.into());
    // The parameters are those in the stored hash.
    let theirs = Params::try_from(&stored).ok().filter(|_| known)?;
    if theirs.m_cost() > STORED_MEMORY_KIB_MAX {
        return None;
    }
    let costs = |params: &Params| (params.m_cost(), params.t_cost(), params.p_cost());
    let right =
        if costs(&theirs) == costs(&params()) { Verdict::Right } else { Verdict::RightButOld };
    let found = output(theirs, password.as_bytes(), salt, expected.len(), memory)?;
    Some(if found == expected { right } else { Verdict::Wrong })
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher;

    use super::*;

    #[test]
    fn a_hash_is_argon2id_with_its_own_salt_and_an_old_one_is_told_apart() {
        let memory = &mut Memory::new();
        let stored = hash("correct horse", memory).unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_ne!(stored, hash("correct horse", memory).unwrap());
        assert_eq!(verify("correct horse", &stored, memory), Verdict::Right);
        assert_eq!(verify("wrong horse", &stored, memory), Verdict::Wrong);
        assert_eq!(verify("anything", "not a hash", memory), Verdict::Wrong);

        let weak =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
        let salt = SaltString::encode_b64(&[7; SALT_BYTES]).unwrap();
        let old = weak.hash_password(b"correct horse", &salt).unwrap().to_string();
        assert_eq!(verify("correct horse", &old, memory), Verdict::RightButOld);
        assert_eq!(verify("wrong horse", &old, memory), Verdict::Wrong);
        let huge = stored.replace("m=19456", "m=4194304");
        assert_eq!(verify("correct horse", &huge, memory), Verdict::Wrong);
    }

    #[test]
    fn what_the_library_hashes_by_itself_is_the_same() {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params());
        let salt = SaltString::encode_b64(&[9; SALT_BYTES]).unwrap();
        let theirs = argon2.hash_password(b"correct horse", &salt).unwrap().to_string();
        assert_eq!(verify("correct horse", &theirs, &mut Memory::new()), Verdict::Right);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn memory_is_used_again_wiped_and_no_more_of_it_than_hashes_run() {
        let hasher = Hasher::new().unwrap();
        let tasks: Vec<_> = (0..3 * HASHING_MAX)
            .map(|number| {
                let hasher = hasher.clone();
                tokio::spawn(async move { hasher.hash(format!("secret {number}").into()).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let idle = hasher.pool.idle.lock().unwrap();
        assert!((1..=HASHING_MAX).contains(&idle.len()), "{}", idle.len());
        for memory in idle.iter() {
            assert_eq!(memory.capacity(), params().block_count());
            assert!(memory.iter().all(|block| block.as_ref().iter().all(|word| *word == 0)));
        }
    }

    #[test]
    fn a_pool_keeps_no_more_than_may_run() {
        fn nested(pool: &Pool, depth: usize) {
            if depth > 0 {
                pool.with(|_| nested(pool, depth - 1));
            }
        }
        let pool = Pool::default();
        nested(&pool, 2 * HASHING_MAX);
        assert_eq!(pool.idle.lock().unwrap().len(), HASHING_MAX);
    }
}
