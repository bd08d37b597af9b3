//! What layers require, as people who review it read it.

use http::Method;
use serde_json::json;
use tower::{Layer as _, service_fn};
use tower_bearer::{
    Authorizer, GrpcMethods, PathRules, RequestHead, Requirement, RequirementPolicy as _, ScopeRequirement,
    ValidatedToken, ValidationError, mcp::McpOperations, testing::TestAuthorizationServer,
};

use crate::support::{ISSUER, READ, RESOURCE, WRITE};

#[test]
fn path_rules_are_listed_in_the_order_in_which_they_are_checked() {
    let rules = PathRules::builder()
        .any_method("/{*path}", READ)
        .any_method("/", READ)
        .any_method("/files", READ)
        .rule([Method::GET, Method::HEAD], "/files/{name}", READ)
        .rule([Method::GET], "/files/index", Requirement::public())
        .rule([Method::PUT], "/files/{name}", ScopeRequirement::any([READ, WRITE]))
        .any_method("/files/v{version}", WRITE)
        .build()
        .unwrap();

    let description = rules.describe();

    assert_eq!(
        description.to_string(),
        "\
/, all methods                    orders:read
/files, all methods               orders:read
GET, HEAD /files/index            public
/files/index, other methods       denied: no rule for this method
/files/v{version}, all methods    orders:write
GET /files/{name}                 orders:read
HEAD /files/{name}                orders:read
PUT /files/{name}                 orders:read | orders:write
/files/{name}, other methods      denied: no rule for this method
/{*path}, all methods             orders:read
all other paths                   denied: no rule for this path
"
    );
}

#[test]
fn literals_come_before_variables_and_variables_before_the_rest() {
    let rules = PathRules::builder()
        .rule([Method::GET], "/a/{x}", READ)
        .any_method("/a/b", WRITE)
        .any_method("/{*rest}", Requirement::token())
        .any_method("/", Requirement::token())
        .any_method("/a", Requirement::token())
        .build()
        .unwrap();
    let description = rules.describe();

    let position = |row: &str| description.rules().iter().position(|rule| rule.applies_to() == row).unwrap();
    assert!(position("/a/b, all methods") < position("GET, HEAD /a/{x}"));
    assert!(position("/a/{x}, other methods") < position("/{*rest}, all methods"));
}

#[test]
fn grpc_methods_are_listed_before_their_services() {
    let methods = GrpcMethods::builder()
        .service("orders.v1.Orders", READ)
        .method("/orders.v1.Orders/Cancel", [READ, WRITE])
        .health(Requirement::public())
        .otherwise(Requirement::token())
        .build()
        .unwrap();

    let text = methods.describe().to_string();

    let rows: Vec<Vec<_>> = text
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(
        rows,
        [
            ["/grpc.health.v1.Health/*", "public"],
            ["/grpc.reflection.v1.ServerReflection/*", "denied: method must be listed"],
            ["/grpc.reflection.v1alpha.ServerReflection/*", "denied: method must be listed"],
            ["/orders.v1.Orders/Cancel", "orders:read orders:write"],
            ["/orders.v1.Orders/*", "orders:read"],
            ["all other methods", "any valid token"],
        ]
    );
}

#[test]
fn mcp_operations_are_listed_by_kind() {
    let operations = McpOperations::builder()
        .tool("write", WRITE)
        .tool("read", READ)
        .prompt("summary", READ)
        .resource("jobs://all", READ)
        .resource_template("jobs://{job}", READ)
        .resource_template_by("tenants://{tenant}", |_| Requirement::token())
        .method("logging/setLevel", WRITE)
        .allowed_origins(["https://app.example.com"])
        .build()
        .unwrap();

    let description = operations.describe();

    let rows: Vec<_> = description.rules().iter().map(tower_bearer::RuleDescription::applies_to).collect();
    assert_eq!(
        rows,
        [
            "other origins",
            "tool read",
            "tool write",
            "prompt summary",
            "resource jobs://all",
            "resource template jobs://{job}",
            "resource template tenants://{tenant}",
            "method logging/setLevel",
            "connecting and listing, GET, HEAD, DELETE",
            "all other operations",
            "operation cannot be determined",
        ]
    );
    assert_eq!(description.rules()[6].requirement(), None);
    assert_eq!(description.rules()[2].requirement(), Some(&WRITE.into()));
}

struct Anyone;

impl Authorizer for Anyone {
    async fn authorize(&self, _: &ValidatedToken, _: &RequestHead<'_>) -> Result<(), ValidationError> {
        Ok(())
    }
}

#[test]
fn resource_server_lists_the_layers_that_exist() {
    let resource_server = TestAuthorizationServer::new(ISSUER).resource_server(RESOURCE);
    let fixed = resource_server.require_scopes(READ).advertise([READ, WRITE]).authorizer(Anyone);
    let line = line!() - 1;
    let by_closure = resource_server.clone().require_by(|_: &RequestHead<'_>| Requirement::token());
    let grpc = resource_server.require_token().grpc();
    let operations = McpOperations::builder().tool("read", READ).build().unwrap();
    let mcp = resource_server.require_mcp(operations);
    drop(resource_server.allow_anonymous());

    let layers = resource_server.layers();

    assert_eq!(layers, [fixed.describe(), by_closure.describe(), grpc.describe(), mcp.describe()]);
    assert!(layers.iter().all(|layer| layer.created_at().contains("descriptions.rs:")), "{layers:?}");
    assert_eq!(
        layers[0].to_string(),
        format!(
            "{}:{line}, with an authorizer\n    all requests    orders:read\n    advertised: orders:read orders:write\n",
            file!()
        )
    );
    assert!(layers[1].to_string().ends_with("    all requests    decided by a function\n"));
    assert!(layers[2].is_grpc() && !layers[0].is_grpc());
    assert_eq!(layers[3].policy().rules()[0].applies_to(), "tool read");
    let json = serde_json::to_value(&layers[0]).unwrap();
    assert_eq!(
        json["rules"],
        json!([{"applies_to": "all requests", "access": "token", "any_of": [["orders:read"]]}])
    );
    assert_eq!((&json["authorizer"], &json["grpc"]), (&json!(true), &json!(false)));
}

#[test]
fn layer_exists_while_its_service_does() {
    let resource_server = TestAuthorizationServer::new(ISSUER).resource_server(RESOURCE);
    let inner =
        service_fn(async |_: http::Request<()>| Ok::<_, std::convert::Infallible>(http::Response::new(())));
    let service = resource_server.require_scopes(READ).layer(inner);
    assert_eq!(resource_server.layers().len(), 1);

    drop(service);

    assert!(resource_server.layers().is_empty());
}
