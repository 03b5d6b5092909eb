//! A folder of files: the common demands of reading and watching, with an editor in place of
//! writes, and what may happen to files.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant, UNIX_EPOCH},
};

use async_trait::async_trait;
use jiff::Timestamp;
use tempfile::TempDir;
use tenant_store::{
    model::{Status, TierDefinition},
    repository::{
        AuditEvent, AuditQuery, Author, ChangeCursor, Changes, Committed, Expect, Kind, Record,
        RecordKey, RecordPage, RecordQuery, RecordStatus, RecordStore, RecordWrite, Repository,
        RepositoryError, StoreFault, TenantRepository,
        files::{FilesOptions, FilesRepository},
    },
};
use tokio::time::timeout;

use crate::{
    Store, conformance,
    samples::{author, delete, id, keep, key, named, put, tenant, tier},
};

/// Longer than any look may take, however slow the machine.
const DEADLINE: Duration = Duration::from_secs(30);

const QUICK: FilesOptions = FilesOptions {
    poll_interval: Duration::from_millis(20),
};

/// A folder, edited by whoever opens it.
pub(crate) struct Edited(TempDir);

impl Edited {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }
}

impl Store for Edited {
    async fn open(&self) -> Arc<Repository> {
        let folder = self.0.path().to_owned();
        let store = FilesRepository::open(&folder, QUICK).await.unwrap();
        let pending = Mutex::default();
        Arc::new(Repository::new(Editor {
            folder,
            store,
            pending,
        }))
    }
}

/// Does with an editor what other stores do themselves: only so can what they have in common be
/// demanded of files.
#[derive(Debug)]
struct Editor {
    folder: PathBuf,
    store: FilesRepository,
    /// Written here, and not seen yet.
    pending: Mutex<BTreeSet<RecordKey>>,
}

impl Editor {
    /// Looks at what was written here, twice, as what is gone is gone at the second look only.
    async fn see(&self) {
        let pending = std::mem::take(&mut *self.pending.lock().unwrap());
        if !pending.is_empty() {
            self.store.look().await;
            self.store.look().await;
        }
    }

    fn file(&self, key: &RecordKey) -> PathBuf {
        let name = format!("{}.json", key.id);
        match key.kind {
            Kind::Tier => self.folder.join("tiers").join(name),
            Kind::Tenant | Kind::Key => self.folder.join(name),
        }
    }
}

#[async_trait]
impl RecordStore for Editor {
    async fn read(&self, key: &RecordKey) -> Result<Option<Record>, RepositoryError> {
        let pending = self.pending.lock().unwrap().contains(key);
        if pending {
            self.see().await;
        }
        self.store.read(key).await
    }

    async fn page(&self, query: &RecordQuery) -> Result<RecordPage, RepositoryError> {
        self.see().await;
        self.store.page(query).await
    }

    async fn commit(&self, write: &RecordWrite, by: &Author) -> Result<Committed, RepositoryError> {
        let refused = self.store.commit(write, by).await;
        assert!(matches!(refused, Err(RepositoryError::ReadOnly { .. })));
        let file = self.file(&write.record.key);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        if write.record.status == RecordStatus::Deleted {
            fs::remove_file(&file).unwrap();
        } else {
            replace(&file, &write.record.document);
        }
        let key = write.record.key.clone();
        self.pending.lock().unwrap().insert(key);
        Ok(Committed::Done)
    }

    async fn touch(&self, key: &RecordKey, used_at: Timestamp) -> Result<(), RepositoryError> {
        self.store.touch(key, used_at).await
    }

    async fn position(&self) -> Result<ChangeCursor, RepositoryError> {
        self.see().await;
        self.store.position().await
    }

    async fn changes(
        &self,
        after: ChangeCursor,
        patience: Duration,
    ) -> Result<Changes, RepositoryError> {
        self.see().await;
        self.store.changes(after, patience).await
    }

    async fn audit(&self, query: &AuditQuery) -> Result<Vec<AuditEvent>, RepositoryError> {
        self.store.audit(query).await
    }

    fn faults(&self) -> Vec<StoreFault> {
        self.store.faults()
    }

    fn kind(&self) -> &'static str {
        self.store.kind()
    }
}

conformance! {
    Edited::new();
    changes::{
        names_what_changed_after_a_position, a_write_wakes_who_waits,
        sees_writes_of_another_instance, an_unchanged_put_is_no_change,
        waits_no_longer_than_told, position_before_a_listing_misses_nothing,
    },
    injection::{no_text_of_a_tenant_means_anything, no_text_of_a_tier_means_anything},
    kinds::{tiers_are_built_in_until_defined},
    paging::{lists_by_status, lists_by_tier_and_label, caps_the_limit},
    text::{keeps_any_text_of_a_tenant, keeps_every_field},
}

/// As Git and editors do it: the new file is put where the old one was.
fn replace(file: &Path, text: &str) {
    let aside = file.with_extension("new");
    fs::write(&aside, text).unwrap();
    fs::rename(&aside, file).unwrap();
}

fn text(id: &str, status: Status) -> String {
    let mut tenant = tenant(id);
    tenant.status = status;
    serde_json::to_string(&tenant).unwrap()
}

async fn open(folder: &Path) -> (Arc<FilesRepository>, Repository) {
    let store = Arc::new(FilesRepository::open(folder, QUICK).await.unwrap());
    (store.clone(), Repository::on(store))
}

/// Waits until the feed says so.
async fn until(store: &Repository, what: &str, fits: impl AsyncFn() -> bool) {
    let waiting = async {
        let mut cursor = ChangeCursor(0);
        while !fits().await {
            let changes = store.changes(cursor, Duration::from_millis(50)).await;
            cursor = changes.map_or(cursor, |changes| changes.next);
        }
    };
    timeout(DEADLINE, waiting)
        .await
        .unwrap_or_else(|_| panic!("not {what}"));
}

async fn status(store: &Repository, name: &str) -> Option<Status> {
    let record = store.get(&id(name)).await.unwrap();
    record.map(|record| record.tenant.status)
}

#[tokio::test]
async fn writes_are_refused_and_change_nothing() {
    let folder = TempDir::new().unwrap();
    fs::write(
        folder.path().join("acme.yaml"),
        text("acme", Status::Active),
    )
    .unwrap();
    let (_, store) = open(folder.path()).await;
    let new_key = key("abcdef012345", "acme");
    let refusals = [
        put(&store, named("acme", "new"), Expect::Anything)
            .await
            .err(),
        put(&store, tenant("globex"), Expect::Absent).await.err(),
        delete(&store, id("acme"), Expect::Anything).await.err(),
        store
            .purge(&id("acme"), true, Expect::Anything, &author())
            .await
            .err(),
        keep(&store, tier("gold"), Expect::Anything).await.err(),
        keep(&store, new_key, Expect::Anything).await.err(),
    ];
    for refusal in refusals {
        let error = refusal.unwrap();
        assert!(
            matches!(&error, RepositoryError::ReadOnly { .. }),
            "{error}"
        );
        let told = error.to_string();
        assert!(told.contains(folder.path().to_str().unwrap()), "{told}");
    }
    let same = put(&store, tenant("acme"), Expect::Anything).await.unwrap();
    assert_eq!(same.record.tenant, tenant("acme"));
    assert!(store.get(&id("globex")).await.unwrap().is_none());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(store.audit(&AuditQuery::newest(10)).await.unwrap(), []);
}

/// The form in which Kubernetes delivers a `ConfigMap`: links to links, one of which is swapped.
#[tokio::test]
async fn a_swapped_link_is_noticed() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let deliver = |version: &str, tenants: &[(&str, Status)]| {
        let version = format!("..{version}");
        fs::create_dir(root.join(&version)).unwrap();
        for (id, status) in tenants {
            let name = format!("{id}.yaml");
            fs::write(root.join(&version).join(&name), text(id, *status)).unwrap();
            let link = root.join(&name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new("..data").join(&name), link).unwrap();
            }
        }
        symlink(&version, root.join("..data_tmp")).unwrap();
        let before = fs::read_link(root.join("..data")).ok();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
        if let Some(before) = before {
            fs::remove_dir_all(root.join(before)).unwrap();
        }
    };
    deliver("1", &[("acme", Status::Active), ("globex", Status::Active)]);
    let (files, store) = open(root).await;
    assert_eq!(status(&store, "acme").await, Some(Status::Active));
    let before = store.get(&id("globex")).await.unwrap();
    deliver(
        "2",
        &[("acme", Status::Suspended), ("globex", Status::Active)],
    );
    let suspended = async || status(&store, "acme").await == Some(Status::Suspended);
    until(&store, "suspended", suspended).await;
    // The other is the same in another file: not even a new revision.
    assert_eq!(store.get(&id("globex")).await.unwrap(), before);

    deliver("3", &[("acme", Status::Active)]);
    fs::remove_file(root.join("globex.yaml")).unwrap();
    until(&store, "gone", async || {
        status(&store, "globex").await == Some(Status::Deleted)
    })
    .await;
    assert_eq!(status(&store, "acme").await, Some(Status::Active));
    assert_eq!(files.faults(), []);
}

/// The form in which `git-sync` delivers a repository: the folder itself is the link.
#[tokio::test]
async fn a_folder_that_is_a_link_is_followed() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    for (version, status) in [("one", Status::Active), ("two", Status::Suspended)] {
        fs::create_dir(root.join(version)).unwrap();
        fs::write(root.join(version).join("acme.yaml"), text("acme", status)).unwrap();
    }
    symlink("one", root.join("current")).unwrap();
    let (_, store) = open(&root.join("current")).await;
    assert_eq!(status(&store, "acme").await, Some(Status::Active));
    symlink("two", root.join("next")).unwrap();
    fs::rename(root.join("next"), root.join("current")).unwrap();
    let suspended = async || status(&store, "acme").await == Some(Status::Suspended);
    until(&store, "suspended", suspended).await;
}

/// Written over in place, with as many bytes, as often as one likes within the resolution of the
/// file system's clock: what is there last is what is known.
#[tokio::test]
async fn a_file_written_in_place_is_noticed_however_quickly() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("acme.json");
    let write = |name: u32| {
        let tenant = named("acme", &format!("{name:08}"));
        fs::write(&file, serde_json::to_string(&tenant).unwrap()).unwrap();
    };
    write(0);
    let (files, store) = open(folder.path()).await;
    for round in 0..50 {
        write(2 * round);
        files.look().await;
        write(2 * round + 1);
        files.look().await;
        let record = store.get(&id("acme")).await.unwrap().unwrap();
        let expected = named("acme", &format!("{:08}", 2 * round + 1));
        assert_eq!(record.tenant, expected);
    }
}

#[tokio::test]
async fn a_faulty_file_is_named_and_takes_no_other_down() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| replace(&folder.path().join(name), text);
    write("acme.yaml", &text("acme", Status::Active));
    write("broken.yaml", "id: [");
    write("misspelt.yml", "id: initech\nstatsu: active\n");
    symlink("nowhere", folder.path().join("dangling.json")).unwrap();
    write("notes.txt", "no tenant");
    write(".hidden.yaml", "no tenant");
    let (files, store) = open(folder.path()).await;
    assert_eq!(status(&store, "acme").await, Some(Status::Active));
    let named = |faults: Vec<StoreFault>| -> Vec<String> {
        let names = faults.iter().map(|fault| fault.place.file_name().unwrap());
        names
            .map(|name| name.to_str().unwrap().to_owned())
            .collect()
    };
    let faults = files.faults();
    assert_eq!(
        named(faults.clone()),
        ["broken.yaml", "dangling.json", "misspelt.yml"]
    );
    assert!(
        faults[2].message.contains("did you mean `status`?"),
        "{faults:?}"
    );

    // One of a tenant that is known turns faulty: that tenant stays as it was, others change.
    write("misspelt.yml", &text("initech", Status::Active));
    files.look().await;
    write("misspelt.yml", "id: initech\nstatus: suspendde\n");
    write("acme.yaml", &text("acme", Status::Suspended));
    files.look().await;
    assert_eq!(status(&store, "initech").await, Some(Status::Active));
    assert_eq!(status(&store, "acme").await, Some(Status::Suspended));
    assert_eq!(
        named(files.faults()),
        ["broken.yaml", "dangling.json", "misspelt.yml"]
    );
    write("misspelt.yml", &text("initech", Status::Suspended));
    for name in ["broken.yaml", "dangling.json"] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    files.look().await;
    assert_eq!(status(&store, "initech").await, Some(Status::Suspended));
    assert_eq!(files.faults(), []);
}

/// The folder is taken away and comes back: what is known is served, that nothing is heard is said.
#[tokio::test]
async fn a_folder_that_is_away_takes_nothing_with_it() {
    let parent = TempDir::new().unwrap();
    let folder = parent.path().join("tenants");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("acme.yaml"), text("acme", Status::Active)).unwrap();
    let (files, store) = open(&folder).await;
    let cursor = store.position().await.unwrap();
    fs::rename(&folder, parent.path().join("aside")).unwrap();
    let waiting = timeout(DEADLINE, store.changes(cursor, DEADLINE * 2)).await;
    let error = waiting.expect("it noticed nothing").unwrap_err();
    let told = error.to_string();
    assert!(told.contains(folder.to_str().unwrap()), "{told}");
    assert!(matches!(error, RepositoryError::Unavailable { .. }));
    assert!(store.position().await.is_err());
    assert_eq!(status(&store, "acme").await, Some(Status::Active));
    assert_eq!(files.faults().len(), 1);
    // An empty one in its place, such as where a volume is not mounted, is no better.
    fs::create_dir(&folder).unwrap();
    for _ in 0..3 {
        files.look().await;
    }
    assert_eq!(status(&store, "acme").await, Some(Status::Active));
    assert_eq!(files.faults()[0].place, folder);
    fs::write(folder.join("acme.yaml"), text("acme", Status::Suspended)).unwrap();
    files.look().await;
    assert_eq!(status(&store, "acme").await, Some(Status::Suspended));
    assert_eq!(files.faults(), []);
    // Whoever followed the feed before the folder went is told of it.
    let changes = store.changes(cursor, DEADLINE).await.unwrap();
    assert_eq!(changes.tenants().collect::<Vec<_>>(), [id("acme")]);

    let nowhere = parent.path().join("nowhere");
    let error = FilesRepository::open(&nowhere, QUICK).await.unwrap_err();
    assert!(matches!(error, RepositoryError::Open { .. }));
    assert!(
        error.to_string().contains(nowhere.to_str().unwrap()),
        "{error}"
    );
}

/// Revisions rise over restarts, and are the same where nothing has changed.
#[tokio::test]
async fn revisions_go_on_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("acme.yaml");
    replace(&file, &text("acme", Status::Active));
    let revision = async || {
        let (_, store) = open(folder.path()).await;
        store.get(&id("acme")).await.unwrap().unwrap().revision
    };
    let first = revision().await;
    assert_eq!(revision().await, first);
    let milliseconds = || {
        let modified = fs::metadata(&file).unwrap().modified().unwrap();
        modified.duration_since(UNIX_EPOCH).unwrap().as_millis()
    };
    let before = milliseconds();
    let began = Instant::now();
    // The file system's clock has to have gone on by what revisions tell apart.
    while milliseconds() == before {
        assert!(began.elapsed() < DEADLINE, "the file's time stands still");
        replace(&file, &text("acme", Status::Suspended));
    }
    assert!(revision().await > first);
}

#[tokio::test]
async fn tiers_stand_in_a_folder_of_their_own() {
    let folder = TempDir::new().unwrap();
    let tiers = folder.path().join("tiers");
    fs::create_dir(&tiers).unwrap();
    fs::write(
        folder.path().join("acme.yaml"),
        text("acme", Status::Active),
    )
    .unwrap();
    fs::write(
        tiers.join("gold.yaml"),
        serde_json::to_string(&tier("gold")).unwrap(),
    )
    .unwrap();
    fs::write(tiers.join("bad.yaml"), "nmae: silver\n").unwrap();
    let (files, store) = open(folder.path()).await;
    let found = store.find::<TierDefinition>("gold").await.unwrap().unwrap();
    assert_eq!(found.value, tier("gold"));
    let faults = files.faults();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].place, tiers.join("bad.yaml"));
}

/// Relative file names begin at the folder as it is known, not where a link happens to lead.
#[tokio::test]
async fn file_names_in_a_tenant_begin_at_the_folder() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("..1")).unwrap();
    let tenant = r#"
id: acme
deployments:
  metrics:
    endpoints: ["https://127.0.0.1:8428"]
    tls: {ca_file: ca.pem}
"#;
    fs::write(root.join("..1/acme.yaml"), tenant).unwrap();
    symlink("..1", root.join("..data")).unwrap();
    symlink("..data/acme.yaml", root.join("acme.yaml")).unwrap();
    let (_, store) = open(root).await;
    let record = store.get(&id("acme")).await.unwrap().unwrap();
    let metrics = record.tenant.deployments.metrics.unwrap();
    assert_eq!(metrics.tls.unwrap().ca_file, Some(root.join("ca.pem")));
}
