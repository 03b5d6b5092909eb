//! Keys as requests meet them.

use tempfile::TempDir;
use tenant_store::repository::{Author, Expect, sqlite::SqliteRepository};

use super::*;
use crate::keys::{new_id, new_token};

struct World {
    repository: Arc<Repository>,
    ring: Arc<KeyRing>,
    secret: KeySecret,
    _folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let store = SqliteRepository::open(&folder.path().join("mirador.db")).await;
        let repository = Arc::new(Repository::new(store.expect("a store")));
        let secret = KeySecret::new("the server's own");
        let ring = KeyRing::new(repository.clone(), Some(secret.clone()));
        ring.fill().await.expect("no keys yet");
        Self {
            ring,
            repository,
            secret,
            _folder: folder,
        }
    }

    /// Makes a key, changed as told, and answers its token.
    async fn make(&self, change: impl FnOnce(&mut ApiKey)) -> (ApiKey, String) {
        let id = new_id();
        let token = new_token(&id);
        let mut key = ApiKey {
            hash: self.secret.hash(&token),
            id,
            name: "agents".into(),
            tenant: "acme".parse().expect("an id"),
            allowed: AllowedTenants::Own,
            scopes: ["logs:read", "metrics:write", "traces:admin"]
                .map(|scope| scope.parse().expect("a scope"))
                .into(),
            expires_at: None,
            replaced_by: None,
            retires_at: None,
            revoked_at: None,
        };
        change(&mut key);
        self.write(&key).await;
        (key, token)
    }

    async fn write(&self, key: &ApiKey) {
        let by = Author {
            name: "test".into(),
            origin: String::new(),
            request_id: String::new(),
        };
        let written = self.repository.store_as(key, Expect::Anything, &by).await;
        self.ring.take_in(&written.expect("written"));
    }

    fn refusal(&self, token: &str, now: Timestamp) -> Option<KeyRefusal> {
        self.ring.load().authenticate(token, now).err()
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

#[tokio::test]
async fn a_key_opens_what_it_is_for_and_nothing_else() {
    let world = World::new().await;
    let (key, token) = world.make(|_| {}).await;
    let keys = world.ring.load();
    let grant = keys.authenticate(&token, at(0)).expect("a grant");
    assert_eq!((grant.id(), grant.owner()), (&key.id, &key.tenant));
    assert_eq!(grant.sole_tenant(), Some(&key.tenant));
    assert!(grant.allows("acme") && !grant.allows("globex"));
    let permitted = |tenant, signal, access| grant.permits(tenant, signal, access);
    for signal in Signal::ALL {
        for access in [Access::Read, Access::Write, Access::Admin] {
            let expected = matches!(
                (signal, access),
                (Signal::Logs, Access::Read)
                    | (Signal::Metrics, Access::Write)
                    | (Signal::Traces, Access::Admin)
            );
            assert_eq!(permitted("acme", signal, access), expected);
            assert!(!permitted("globex", signal, access));
        }
    }
}

#[tokio::test]
async fn a_key_for_several_tenants_names_none_and_administers_its_own_alone() {
    let world = World::new().await;
    let tenants = |ids: &[&str]| {
        let ids = ids.iter().map(|id| id.parse().expect("an id"));
        AllowedTenants::These(ids.collect())
    };
    for (allowed, sole, globex) in [
        (tenants(&["acme", "globex"]), None, true),
        (tenants(&["globex"]), Some("globex"), true),
        (tenants(&["acme"]), Some("acme"), false),
        (AllowedTenants::All, None, true),
    ] {
        let (_, token) = world.make(|key| key.allowed = allowed.clone()).await;
        let keys = world.ring.load();
        let grant = keys.authenticate(&token, at(0)).expect("a grant");
        assert_eq!(grant.sole_tenant().map(TenantId::as_str), sole);
        assert_eq!(grant.allows("globex"), globex);
        let read = grant.permits("globex", Signal::Logs, Access::Read);
        assert_eq!(read, globex);
        assert!(!grant.permits("globex", Signal::Traces, Access::Admin));
    }
}

#[tokio::test]
async fn what_is_no_key_or_no_longer_one_is_refused() {
    let world = World::new().await;
    let (key, token) = world.make(|key| key.expires_at = Some(at(1_000))).await;
    assert_eq!(world.refusal(&token, at(999)), None);
    assert_eq!(world.refusal(&token, at(1_000)), Some(KeyRefusal::Expired));

    let retiring = ApiKey {
        retires_at: Some(at(500)),
        ..key.clone()
    };
    world.write(&retiring).await;
    assert_eq!(world.refusal(&token, at(499)), None);
    assert_eq!(world.refusal(&token, at(500)), Some(KeyRefusal::Retired));

    let revoked = ApiKey {
        revoked_at: Some(at(0)),
        ..key
    };
    world.write(&revoked).await;
    assert_eq!(world.refusal(&token, at(0)), Some(KeyRefusal::Revoked));

    // One that is over is told so only to who has it: others learn nothing of it.
    let mut other = token.clone();
    let last = other.pop().expect("a character");
    other.push(if last == 'A' { 'B' } else { 'A' });
    assert_eq!(world.refusal(&other, at(0)), Some(KeyRefusal::Unknown));
    let unknown = new_token(&new_id());
    assert_eq!(world.refusal(&unknown, at(0)), Some(KeyRefusal::Unknown));
    world.ring.set_secret(Some(KeySecret::new("another")));
    assert_eq!(world.refusal(&token, at(0)), Some(KeyRefusal::Unknown));
    world.ring.set_secret(None);
    let none = world.refusal(&token, at(0));
    assert_eq!(none, Some(KeyRefusal::NotConfigured));
}

#[tokio::test]
async fn until_the_store_was_read_a_key_that_is_not_held_may_be_one() {
    let world = World::new().await;
    let (_, token) = world.make(|_| {}).await;
    let late = KeyRing::new(world.repository.clone(), Some(world.secret.clone()));
    let refusal = |token: &str| late.load().authenticate(token, at(0)).err();
    assert_eq!(refusal(&token), Some(KeyRefusal::NotRead));
    late.fill().await.expect("read");
    assert_eq!(refusal(&token), None);
    let unknown = new_token(&new_id());
    assert_eq!(refusal(&unknown), Some(KeyRefusal::Unknown));
}

#[tokio::test]
async fn what_does_not_have_the_form_of_a_key_is_not_looked_up() {
    let world = World::new().await;
    let (_, token) = world.make(|_| {}).await;
    let mut odd = vec![
        String::new(),
        "mir_".into(),
        "mir_é".into(),
        token[1..].into(),
        token[..token.len() - 1].into(),
        format!("{token}A"),
        format!(" {token}"),
        token.to_uppercase(),
        format!("mir_{}", "_".repeat(56)),
        "x".repeat(1 << 20),
    ];
    for position in 0..token.len() {
        let mut other = token.clone();
        other.replace_range(position..=position, "é");
        odd.push(other);
    }
    for token in odd {
        assert_eq!(world.refusal(&token, at(0)), Some(KeyRefusal::Malformed));
    }
}

#[tokio::test]
async fn the_last_use_is_noted_once_a_minute_and_survives_a_change() {
    let world = World::new().await;
    let (key, token) = world.make(|_| {}).await;
    let noted = async || {
        let found = world.repository.find::<ApiKey>(key.id.as_str()).await;
        found.expect("an answer").expect("a key").used_at
    };
    world.ring.note_uses().await.expect("noted");
    assert_eq!(noted().await, None);
    for second in [6_000, 6_059] {
        assert_eq!(world.refusal(&token, at(second)), None);
    }
    let renamed = ApiKey {
        name: "others".into(),
        ..key.clone()
    };
    world.write(&renamed).await;
    world.ring.note_uses().await.expect("noted");
    assert_eq!(noted().await, Some(at(6_000)));
    assert_eq!(world.refusal(&token, at(6_060)), None);
    world.ring.note_uses().await.expect("noted");
    assert_eq!(noted().await, Some(at(6_060)));
}

#[tokio::test]
async fn ten_thousand_keys_are_read_and_each_opens_its_own() {
    let world = World::new().await;
    let mut tokens = Vec::new();
    let by = Author {
        name: "test".into(),
        origin: String::new(),
        request_id: String::new(),
    };
    for number in 0..10_000 {
        let id = new_id();
        let token = new_token(&id);
        let key = serde_json::json!({
            "id": id.as_str(), "name": format!("key {number}"), "tenant": format!("t{number}"),
            "scopes": ["metrics:read"], "hash": world.secret.hash(&token).as_str(),
        });
        let key: ApiKey = serde_json::from_value(key).expect("a key");
        let written = world.repository.store_as(&key, Expect::Absent, &by).await;
        written.expect("written");
        tokens.push(token);
    }
    world.ring.fill().await.expect("read");
    let keys = world.ring.load();
    for (number, token) in tokens.iter().enumerate() {
        let grant = keys.authenticate(token, at(0)).expect("a grant");
        assert_eq!(grant.owner().as_str(), format!("t{number}"));
    }
}
