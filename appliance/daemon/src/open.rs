//! Opens what the appliance keeps: settings, keys, databases.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use belfry_audit::Scope;
use belfry_identity::{Identity, Policy};
use belfry_keys::Keys;
use belfry_ledger::Ledger;
use belfry_model::DistrictId;
use belfry_session::now;
use belfry_settings::{Settings, env_name};
use belfry_store::Store;

/// Everything that is kept, open.
pub(crate) struct Kept {
    pub(crate) settings: Settings,
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
}

/// `given` are values from the command line, by a setting's key; they win over all others.
pub(crate) async fn open(
    file: Option<&Path>,
    demo: bool,
    given: impl Fn(&str) -> Option<String>,
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
    let ledger = Ledger::open(&data.join("audit.db"))?;
    let stored = stored(&store).await?;
    let settings = load(&stored)?;
    let policy = Policy::from(&settings);
    let identity = Identity::new(store.clone(), ledger.clone(), Arc::clone(&keys), policy)?;
    if demo {
        identity.seed_demo(now()).await.context("cannot make the demo school")?;
    }
    let district = district(&store, &settings).await?;
    Ok(Kept { settings, keys, store, ledger, identity, district, _lock: lock })
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

/// The district of this appliance; a new appliance is given one, with its first school.
async fn district(store: &Store, settings: &Settings) -> Result<DistrictId> {
    if let Some(found) = store.district().await? {
        return Ok(found.id);
    }
    let id = store.create_district(settings.district_name().to_owned(), now()).await?;
    store.create_school(id, settings.school_name().to_owned(), now()).await?;
    Ok(id)
}

/// What the admin pages stored.
async fn stored(store: &Store) -> Result<Vec<(String, String)>> {
    let Some(district) = store.district().await? else { return Ok(Vec::new()) };
    let overrides = store.setting_overrides(district.id).await?;
    Ok(overrides.into_iter().map(|stored| (stored.key, stored.value)).collect())
}
