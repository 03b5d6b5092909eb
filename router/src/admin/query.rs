//! The arguments of a request, read strictly: a misspelt `dry_run` must not become a real change.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    convert::Infallible,
    fmt::Display,
    str::FromStr,
};

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use tenant_store::model::{ApiKeyId, Signal, TenantId, Tier};
use url::form_urlencoded;

use super::error::{ApiError, Fault};

/// The query's arguments, taken one by one; [`Arguments::finish`] tells all that is wrong.
pub(super) struct Arguments {
    given: BTreeMap<String, String>,
    faults: Vec<Fault>,
}

impl Arguments {
    /// Takes the argument `name`, if it is there and reads as a `T`.
    pub(super) fn take<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        self.take_with(name, |text| {
            text.parse().map_err(|error: T::Err| error.to_string())
        })
    }

    /// Takes the argument `name`, read by `read`, whose error says what was expected.
    pub(super) fn take_with<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.given.remove(name)?;
        match read(&value) {
            Ok(taken) => Some(taken),
            Err(message) => {
                self.fault(name.into(), value, message);
                None
            }
        }
    }

    /// Takes a page's `limit`, 1 to 1000, 100 if none is given.
    pub(super) fn take_limit(&mut self) -> u16 {
        let limit = self.take_with("limit", |text| {
            let limit = text.parse().ok().filter(|limit| (1..=1000).contains(limit));
            limit.ok_or_else(|| "expected a number from 1 to 1000".into())
        });
        limit.unwrap_or(100)
    }

    /// Takes `dry_run`.
    pub(super) fn take_dry_run(&mut self) -> bool {
        self.take_flag("dry_run")
    }

    /// Takes the argument `name`, `true` or `false`; false if it is not there.
    pub(super) fn take_flag(&mut self, name: &str) -> bool {
        let flag = self.take_with(name, |text| {
            text.parse().map_err(|_| "expected true or false".into())
        });
        flag.unwrap_or(false)
    }

    /// Refuses what was malformed, given twice, or not taken.
    pub(super) fn finish(mut self) -> Result<(), ApiError> {
        for (name, value) in std::mem::take(&mut self.given) {
            self.fault(name, value, "there is no such argument here".into());
        }
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(ApiError::Malformed(self.faults))
        }
    }

    fn fault(&mut self, field: String, value: String, message: String) {
        self.faults.push(Fault {
            field,
            line: None,
            value: Some(value),
            message,
        });
    }
}

impl<S: Sync> FromRequestParts<S> for Arguments {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let mut arguments = Self {
            given: BTreeMap::new(),
            faults: Vec::new(),
        };
        let query = parts.uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            match arguments.given.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(value);
                }
                Entry::Occupied(place) => {
                    let name = place.key().clone();
                    arguments.fault(name, value, "is given more than once".into());
                }
            }
        }
        Ok(arguments)
    }
}

/// The tenant a path names.
pub(super) struct TenantPath(pub(super) TenantId);

impl<S: Send + Sync> FromRequestParts<S> for TenantPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::fault("id", None, "the path is not UTF-8"))?;
        match text.parse::<TenantId>() {
            Ok(id) => Ok(Self(id)),
            Err(error) => Err(ApiError::fault("id", Some(text), error.to_string())),
        }
    }
}

/// The tier a path names.
pub(super) struct TierPath(pub(super) Tier);

impl<S: Send + Sync> FromRequestParts<S> for TierPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(text) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::fault("name", None, "the path is not UTF-8"))?;
        match text.parse::<Tier>() {
            Ok(name) => Ok(Self(name)),
            Err(error) => Err(ApiError::fault("name", Some(text), error.to_string())),
        }
    }
}

/// The key a path names, and the tenant whose it is.
pub(super) struct KeyPath {
    pub(super) tenant: TenantId,
    pub(super) key: ApiKeyId,
}

impl<S: Send + Sync> FromRequestParts<S> for KeyPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let (tenant, key) = of_tenant(parts, state, "key").await?;
        Ok(Self { tenant, key })
    }
}

/// The deployment a path names, and the tenant whose it is.
pub(super) struct DeploymentPath {
    pub(super) tenant: TenantId,
    pub(super) signal: Signal,
}

impl<S: Send + Sync> FromRequestParts<S> for DeploymentPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let (tenant, signal) = of_tenant(parts, state, "signal").await?;
        Ok(Self { tenant, signal })
    }
}

/// The tenant a path names, and what of it, which is called `name`. Tells of both what is wrong.
async fn of_tenant<T: FromStr<Err: Display>, S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
    name: &str,
) -> Result<(TenantId, T), ApiError> {
    let Path((tenant, what)) = Path::<(String, String)>::from_request_parts(parts, state)
        .await
        .map_err(|_| ApiError::fault("id", None, "the path is not UTF-8"))?;
    let (id, named) = (tenant.parse::<TenantId>(), what.parse::<T>());
    let mut faults = Vec::new();
    if let Err(error) = &id {
        faults.push(Fault::new("id", Some(tenant), error.to_string()));
    }
    if let Err(error) = &named {
        faults.push(Fault::new(name, Some(what), error.to_string()));
    }
    match (id, named) {
        (Ok(id), Ok(named)) => Ok((id, named)),
        _ => Err(ApiError::Malformed(faults)),
    }
}
