//! Opens what the appliance keeps: settings, keys, databases.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use belfry_audit::{Actor, Detail, Event, Scope, Word};
use belfry_identity::{Identity, Policy};
use belfry_keys::Keys;
use belfry_ledger::Ledger;
use belfry_model::DistrictId;
use belfry_session::now;
use belfry_settings::{Settings, env_name};
use belfry_store::Store;
use tokio::sync::watch;

/// Everything that is kept, open.
pub(crate) struct Kept {
    /// As they were at the start.
    pub(crate) settings: Settings,
    /// As they are now: the admin pages change them, whoever follows one subscribes.
    pub(crate) current: Arc<watch::Sender<Arc<Settings>>>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) store: Store,
    pub(crate) ledger: Ledger,
    pub(crate) identity: Identity,
    pub(crate) district: DistrictId,
    /// Held for as long as the process lives: two on one directory would spoil each other's work.
    _lock: File,
}

impl Kept {
    /// Whose record the appliance's own events belong to.
    pub(crate) fn scope(&self) -> Scope {
        Scope::district(self.district.0)
    }

    /// Records an event of the appliance itself, which runs whether or not the record can be written
    /// now.
    pub(crate) async fn record(&self, detail: Detail) {
        let event = Event { at_ms: now().0, scope: self.scope(), actor: Actor::Appliance, detail };
        if self.ledger.record(event).await.is_none() {
            tracing::warn!("an event of the appliance waits until the record can be written");
        }
    }
}

/// `given` are values from the command line, by a setting's key; they win over all others. `record`
/// opens the record.
pub(crate) async fn open(
    file: Option<&Path>,
    demo: bool,
    given: impl Fn(&str) -> Option<String>,
    record: impl AsyncFnOnce(&Settings) -> Result<Ledger>,
) -> Result<Kept> {
    let text = file
        .map(|path| {
            fs::read_to_string(path)
                .with_context(|| format!("cannot read the settings file {}", path.display()))
        })
        .transpose()?;
    let load = |stored: &[(String, String)]| {
        Settings::load(text.as_deref(), stored, |name| outermost(name, &given))
            .map_err(|problems| anyhow!("settings: {problems}"))
    };
    let first = load(&[])?;
    let data = first.data_dir();
    let lock = claim(data)?;
    let keys = Arc::new(Keys::open(&data.join("keys"))?);
    let store = Store::open(&data.join("belfry.db"))?;
    let ledger = record(&first).await?;
    let stored = stored(&store).await?;
    let settings = load(&stored)?;
    let current = Arc::new(watch::Sender::new(Arc::new(settings.clone())));
    let policy = Policy::from(&settings);
    let identity = Identity::new(store.clone(), ledger.clone(), Arc::clone(&keys), policy)?
        .following(current.subscribe());
    if demo {
        identity.seed_demo(now()).await.context("cannot make the demo school")?;
    }
    let names = (settings.district_name().to_owned(), settings.school_name().to_owned());
    let district = identity.set_up(names.0, names.1, now()).await?;
    let kept = Kept { settings, current, keys, store, ledger, identity, district, _lock: lock };
    record_new_keys(&kept).await;
    Ok(kept)
}

/// A key that was made belongs in the record, by its name and id.
async fn record_new_keys(kept: &Kept) {
    for name in kept.keys.created() {
        let id = kept.keys.ring(*name).current.id();
        let (key, id) = (Word::new(name.as_str()), Word::new(id.as_str()));
        kept.record(Detail::KeyCreated { key, id }).await;
    }
}

/// The command line, then the environment; both under the name of the environment's variable.
fn outermost(name: &str, given: &impl Fn(&str) -> Option<String>) -> Option<String> {
    belfry_settings::DECLARED
        .iter()
        .find(|declaration| env_name(declaration.key) == name)
        .and_then(|declaration| given(declaration.key))
        .or_else(|| std::env::var(name).ok())
}

/// Makes the data directory, for this user only, and takes it for this process alone.
fn claim(data: &Path) -> Result<File> {
    let cannot = || {
        format!(
            "cannot use the data directory {}: name one that this user may write to with --data",
            data.display()
        )
    };
    if !data.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(data).with_context(cannot)?;
    }
    let lock = File::create(data.join("lock")).with_context(cannot)?;
    lock.try_lock().map_err(|_| {
        anyhow!("another appliance runs on {}: stop it first, or give --data", data.display())
    })?;
    Ok(lock)
}

/// What the admin pages stored.
async fn stored(store: &Store) -> Result<Vec<(String, String)>> {
    let Some(district) = store.district().await? else { return Ok(Vec::new()) };
    let overrides = store.setting_overrides(district.id).await?;
    Ok(overrides.into_iter().map(|stored| (stored.key, stored.value)).collect())
}

/// For tests, which are no program that could be started once more.
#[cfg(test)]
pub(crate) async fn within(settings: &Settings) -> Result<Ledger> {
    Ok(Ledger::open(&settings.ledger_record())?)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use belfry_ledger::EventKind;
    use belfry_model::{Pii, Role};

    use super::{Kept, now, open, within};

    async fn start(data: &std::path::Path) -> Kept {
        let data = data.to_string_lossy().into_owned();
        open(None, false, |key| (key == "data.dir").then(|| data.clone()), within).await.unwrap()
    }

    fn recorded(kept: &Kept, kind: EventKind) -> usize {
        kept.ledger.page_blocking(None, 100, Some(kind)).unwrap().entries.len()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_first_start_makes_an_administrator_whose_password_is_shown_until_it_is_changed() {
        let dir = tempfile::tempdir().unwrap();
        drop(start(dir.path()).await);
        let kept = start(dir.path()).await;
        let shown = kept.identity.first_sign_in().await.unwrap().expect("nobody has used it");
        let peer = || Pii::new(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let password = &shown.password;
        let signed_in = kept.identity.sign_in(shown.username, password, peer(), now()).await;
        let who = signed_in.unwrap().who;
        assert_eq!((who.role, who.must_change), (Role::Admin, true));
        let changed =
            kept.identity.change_password(&who, password, "violet harbour 62", peer(), now());
        changed.await.unwrap();
        assert!(kept.identity.first_sign_in().await.unwrap().is_none());
        assert_eq!(recorded(&kept, EventKind::SchoolCreated), 1);
        assert_eq!(recorded(&kept, EventKind::PersonCreated), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn every_key_is_recorded_when_it_is_made_and_not_again() {
        let dir = tempfile::tempdir().unwrap();
        let kept = start(dir.path()).await;
        crate::certificates::Shown::open(&kept).unwrap();
        drop(kept);
        let kept = start(dir.path()).await;
        assert_eq!(recorded(&kept, EventKind::KeyCreated), belfry_keys::KeyName::ALL.len());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_second_appliance_on_the_same_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let _first = start(dir.path()).await;
        let data = dir.path().to_string_lossy().into_owned();
        let second =
            open(None, false, |key| (key == "data.dir").then(|| data.clone()), within).await;
        let error = second.err().expect("the first holds the directory").to_string();
        assert!(error.starts_with("another appliance runs on"), "{error}");
    }
}
