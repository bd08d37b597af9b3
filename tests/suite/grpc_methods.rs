//! Proves that [`GrpcMethods`] decides by the exact method.

use http::Request;
use tower_bearer::{GrpcMethods, RequestHead, Requirement, RequirementPolicy as _, ScopeRequirement};

use crate::support::{READ, WRITE};

fn decide(methods: &GrpcMethods, path: &str) -> Requirement {
    let request = Request::post(path).body(()).unwrap();
    methods.requirement(&RequestHead::from(&request))
}

fn is_denied(requirement: &Requirement) -> bool {
    format!("{requirement:?}").starts_with("Requirement(denied")
}

fn orders() -> GrpcMethods {
    GrpcMethods::builder()
        .method("/orders.v1.Orders/Cancel", [READ, WRITE])
        .service("orders.v1.Orders", READ)
        .method("/stock.v1.Stock/Get", Requirement::token())
        .public("/orders.v1.Orders/Ping")
        .build()
        .unwrap()
}

#[test]
fn rgrpc_05_method_wins_over_its_service() {
    let methods = orders();
    for (path, expected) in [
        ("/orders.v1.Orders/Cancel", [READ, WRITE].into()),
        ("/orders.v1.Orders/List", READ.into()),
        ("/orders.v1.Orders/New_Method2", READ.into()),
        ("/orders.v1.Orders/Ping", Requirement::public()),
        ("/stock.v1.Stock/Get", Requirement::token()),
        ("http://orders.example/orders.v1.Orders/Cancel", [READ, WRITE].into()),
    ] {
        assert_eq!(decide(&methods, path), expected, "{path}");
    }
}

#[test]
fn rgrpc_05_unlisted_method_is_denied() {
    for path in
        ["/stock.v1.Stock/Set", "/orders.v2.Orders/List", "/orders.v1.OrdersAdmin/List", "/Orders/List"]
    {
        assert!(is_denied(&decide(&orders(), path)), "{path}");
    }
    assert!(is_denied(&decide(&GrpcMethods::builder().build().unwrap(), "/a.B/C")));
}

#[test]
fn rgrpc_05_unlisted_method_requires_the_default() {
    let methods = GrpcMethods::builder().method("/a.B/C", WRITE).otherwise(READ).build().unwrap();

    assert_eq!(decide(&methods, "/a.B/C"), WRITE.into());
    assert_eq!(decide(&methods, "/a.B/D"), READ.into());
    assert_eq!(decide(&methods, "/Other/D"), READ.into());
}

#[test]
fn paths_are_compared_exactly() {
    let open = GrpcMethods::builder()
        .service("orders.v1.Orders", READ)
        .method("/orders.v1.Orders/Cancel", WRITE)
        .dangerously_public_otherwise()
        .build()
        .unwrap();
    for path in [
        "/",
        "*",
        "host:443",
        "/orders.v1.Orders",
        "/orders.v1.Orders/",
        "/orders.v1.Orders/Cancel/",
        "/orders.v1.Orders/Cancel/x",
        "//orders.v1.Orders/Cancel",
        "/orders.v1.Orders//Cancel",
        "/x/../orders.v1.Orders/Cancel",
        "/orders.v1.Orders/./Cancel",
        "/orders.v1.Orders/%43ancel",
        "/orders%2Ev1.Orders/Cancel",
        "/orders.v1.Orders%2FCancel",
        "/orders.v1.Orders/Cancel%00",
        "/orders.v1.Orders/Cancel;x",
        "/orders.v1.Orders/Cancel?",
        "/orders.v1.Orders/Cancel?x=y",
        "/orders.v1..Orders/Cancel",
        "/.orders.v1.Orders/Cancel",
        "/orders.v1.Orders./Cancel",
        "/orders.v1.Orders/C\u{e4}ncel",
    ] {
        assert!(is_denied(&decide(&open, path)), "{path}");
    }
    // Another method, as gRPC compares case.
    assert_eq!(decide(&open, "/orders.v1.Orders/cancel"), READ.into());
}

#[test]
fn rgrpc_09_health_and_reflection_open_only_by_a_line_of_their_own() {
    let health = ["/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"];
    let reflection = [
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ];
    let default = GrpcMethods::builder().dangerously_public_otherwise().build().unwrap();
    for path in health.iter().chain(&reflection) {
        assert!(is_denied(&decide(&orders(), path)), "{path}");
        assert!(is_denied(&decide(&default, path)), "{path}");
    }

    let methods = GrpcMethods::builder().health(Requirement::public()).reflection(READ).build().unwrap();
    for path in health {
        assert_eq!(decide(&methods, path), Requirement::public(), "{path}");
    }
    for path in reflection {
        assert_eq!(decide(&methods, path), READ.into(), "{path}");
    }

    let check_only = GrpcMethods::builder().public("/grpc.health.v1.Health/Check").build().unwrap();
    assert_eq!(decide(&check_only, health[0]), Requirement::public());
    assert!(is_denied(&decide(&check_only, health[1])));
}

#[test]
fn build_lists_all_problems() {
    let error = GrpcMethods::builder()
        .method("orders.v1.Orders/List", READ)
        .method("/orders.v1.Orders/", READ)
        .method("/orders.v1.Orders/List/", READ)
        .method("/orders.v1.Orders/*", READ)
        .method("/a.B/C", READ)
        .method("/a.B/C", WRITE)
        .service("/a.B", READ)
        .service("", READ)
        .service("a..B", READ)
        .health(READ)
        .service("grpc.health.v1.Health", READ)
        .otherwise(Requirement::public())
        .build()
        .unwrap_err();

    let path = "expected a path such as \"/package.Service/Method\"";
    let name = "expected a name such as \"package.Service\"";
    assert_eq!(
        error.problems().collect::<Vec<_>>(),
        [
            "otherwise: expected a requirement that is not public, so that a new method is not open by accident; to open \
             all methods that are not listed, use dangerously_public_otherwise"
                .to_owned(),
            format!(r#"method "orders.v1.Orders/List": {path}"#),
            format!(r#"method "/orders.v1.Orders/": {path}"#),
            format!(r#"method "/orders.v1.Orders/List/": {path}"#),
            format!(r#"method "/orders.v1.Orders/*": {path}"#),
            r#"method "/a.B/C": expected each name once"#.to_owned(),
            format!(r#"service "/a.B": {name}"#),
            format!(r#"service "": {name}"#),
            format!(r#"service "a..B": {name}"#),
            r#"service "grpc.health.v1.Health": expected each name once"#.to_owned(),
        ]
    );
}

#[test]
fn scopes_of_all_methods_are_advertised() {
    let methods = GrpcMethods::builder()
        .method("/a.B/C", ScopeRequirement::any([WRITE, READ]))
        .health(Requirement::public())
        .build()
        .unwrap();

    assert_eq!(methods.scopes(), [READ, WRITE]);
}
