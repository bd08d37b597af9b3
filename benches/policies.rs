//! Measures how long a policy takes to decide about a request, without the validation of the token.
//!
//! `cargo bench --bench policies`. Compare rows of the same run only, because absolute times vary between runs.

#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{Method, Request};
use tower_bearer::{GrpcMethods, PathRules, RequestHead, Requirement, RequirementPolicy, Scope};

const READ: Scope = Scope::from_static("jobs:read");
const WRITE: Scope = Scope::from_static("jobs:write");

fn bench(criterion: &mut Criterion, policy: &impl RequirementPolicy, method: &Method, path: &str) {
    let request = Request::builder().method(method).uri(path).body(()).unwrap();
    let requirement = format!("{:?}", policy.requirement(&RequestHead::from(&request)));
    let kind = requirement.trim_start_matches("Requirement").split([':', ' ']).next().unwrap();
    criterion.bench_function(&format!("{method} {path} {kind}"), |bencher| {
        bencher.iter(|| policy.requirement(black_box(&RequestHead::from(&request))));
    });
}

fn policies(criterion: &mut Criterion) {
    let mut rules = PathRules::builder()
        .rule([Method::GET], "/api/json", READ)
        .rule([Method::GET], "/job/{name}/api/json", READ)
        .rule([Method::GET], "/job/{name}/lastBuild/consoleText", READ)
        .rule([Method::POST], "/job/{name}/build", [READ, WRITE])
        .any_method("/static/{*file}", Requirement::public());
    for index in 0..40 {
        rules = rules.rule([Method::GET, Method::PUT], format!("/orders-{index}/{{id}}/items"), READ);
    }
    let rules = rules.build().unwrap();
    for path in [
        "/api/json",
        "/job/nightly/api/json",
        "/job/Nightly/api/json",
        "/job/Nightly/lastBuild/consoleText",
        "/static/css/main.css",
        "/orders-17/1234567/items",
        "/unknown",
        "/job/nightly%20build/api/json",
        "/job/../api/json",
    ] {
        bench(criterion, &rules, &Method::GET, path);
    }

    let mut methods = GrpcMethods::builder().health(Requirement::public());
    for index in 0..40 {
        methods = methods
            .service(format!("orders.v1.Orders{index}"), READ)
            .method(format!("/orders.v1.Orders{index}/Cancel"), WRITE);
    }
    let methods = methods.build().unwrap();
    for path in ["/orders.v1.Orders17/Cancel", "/orders.v1.Orders17/List", "/orders.v1.Unknown/List"] {
        bench(criterion, &methods, &Method::POST, path);
    }
}

criterion_group!(benches, policies);
criterion_main!(benches);
