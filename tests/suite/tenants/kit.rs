//! A resolver that a test controls, and an app behind it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use tokio::sync::watch;
use tower_bearer::{
    IssuerResolver, ResolvingValidator, ResolvingValidatorBuilder, ResourceServer, Tenant, UnverifiedIssuer,
    ValidationError,
    testing::{ManualClock, TestAuthorizationServer},
};

use crate::support::{App, RESOURCE};

pub(super) const ACME: &str = "https://login.acme.example";
pub(super) const GLOBEX: &str = "https://globex.example/login";

/// A table of tenants. Clones share their rows.
#[derive(Clone, Default)]
pub(super) struct Table(Arc<State>);

#[derive(Default)]
struct State {
    rows: Mutex<HashMap<String, Arc<Row>>>,
    questions: Mutex<Vec<String>>,
    failure: Mutex<Option<Failure>>,
    is_held: watch::Sender<bool>,
}

type Row = dyn Fn() -> Tenant + Send + Sync;
type Failure = fn() -> ValidationError;

impl Table {
    pub(super) fn insert(&self, issuer: &str, tenant: impl Fn() -> Tenant + Send + Sync + 'static) {
        self.0.rows.lock().unwrap().insert(issuer.to_owned(), Arc::new(tenant));
    }

    pub(super) fn remove(&self, issuer: &str) {
        self.0.rows.lock().unwrap().remove(issuer);
    }

    /// Makes the resolver fail, or answer again.
    pub(super) fn fail(&self, failure: Option<Failure>) {
        *self.0.failure.lock().unwrap() = failure;
    }

    /// Holds back answers. They are those of the time of the question.
    pub(super) fn hold(&self) {
        self.0.is_held.send_replace(true);
    }

    pub(super) fn release(&self) {
        self.0.is_held.send_replace(false);
    }

    /// Returns the issuers that the resolver was asked for, in order.
    pub(super) fn questions(&self) -> Vec<String> {
        self.0.questions.lock().unwrap().clone()
    }
}

impl IssuerResolver for Table {
    async fn resolve(&self, issuer: &UnverifiedIssuer) -> Result<Option<Tenant>, ValidationError> {
        self.0.questions.lock().unwrap().push(issuer.expose_for_lookup().to_owned());
        let found = issuer.find_in(&self.0.rows.lock().unwrap()).cloned();
        let _ = self.0.is_held.subscribe().wait_for(|is_held| !is_held).await;
        let failure = *self.0.failure.lock().unwrap();
        if let Some(failure) = failure {
            return Err(failure());
        }
        Ok(found.map(|row| row()))
    }
}

/// A tenant with the JWTs of this server, in version 1.
pub(super) fn jwt(server: &TestAuthorizationServer) -> impl Fn() -> Tenant + Send + Sync + 'static {
    let server = server.clone();
    move || Tenant::jwt(server.jwt_validator(RESOURCE)).version(1)
}

pub(super) struct Kit {
    pub(super) clock: ManualClock,
    pub(super) table: Table,
    pub(super) validator: ResolvingValidator,
    pub(super) app: App,
}

impl Kit {
    pub(super) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(super) fn with(
        configure: impl FnOnce(ResolvingValidatorBuilder) -> ResolvingValidatorBuilder,
    ) -> Self {
        let (clock, table) = (ManualClock::default(), Table::default());
        let builder = ResolvingValidator::builder(table.clone()).clock(clock.clone());
        let validator = configure(builder).build().unwrap();
        let app = app(&validator, &clock);
        Self { clock, table, validator, app }
    }

    /// An app with the same table and another validator.
    pub(super) fn app_with(
        &self,
        configure: impl FnOnce(ResolvingValidatorBuilder) -> ResolvingValidatorBuilder,
    ) -> App {
        let builder = ResolvingValidator::builder(self.table.clone()).clock(self.clock.clone());
        app(&configure(builder).build().unwrap(), &self.clock)
    }

    /// An authorization server that is no tenant yet.
    pub(super) fn server(&self, issuer: &str) -> TestAuthorizationServer {
        TestAuthorizationServer::new(issuer).with_clock(self.clock.clone())
    }

    /// An authorization server that is a tenant.
    pub(super) fn tenant(&self, issuer: &str) -> TestAuthorizationServer {
        let server = self.server(issuer);
        // Sets the audience of its tokens.
        let _ = server.jwt_validator(RESOURCE);
        self.table.insert(issuer, jwt(&server));
        server
    }
}

fn app(validator: &ResolvingValidator, clock: &ManualClock) -> App {
    let resource_server = ResourceServer::builder(validator.clone()).clock(clock.clone()).build();
    App::new(resource_server.unwrap().require_token())
}
