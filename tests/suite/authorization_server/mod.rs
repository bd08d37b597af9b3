//! Proves that the embedded authorization server of the examples follows its standards, over loopback.

#![allow(clippy::disallowed_methods, reason = "jsonwebtoken verifies the tokens of the embedded server")]

#[path = "../../../examples/authorization_server/mod.rs"]
mod example;

mod document_host;
mod kit;

mod metadata;
mod registration;
mod authorization_endpoint;
mod redirect_uri;
mod sign_in;
mod consent;
mod step_up;
mod cross_origin;
mod invariants;
mod client_id_document;
mod outbound;
mod code;
mod refresh_token;
mod token_endpoint;
mod form;
mod signing_key;
mod introspection;
mod revocation;
mod control;

use std::{collections::BTreeMap, time::Duration};

use reqwest::{StatusCode, header};
use serde_json::{Value, json};

use example::{
    ACR_PASSWORD, ACR_PASSWORD_AND_CODE, Browser, Decision, Minting, Page, TokenFormat, USER, is_special_use,
};

use document_host::DocumentHost;
use kit::*;
