//! Guides for common tasks, each with complete code.
//!
//! | guide | your situation |
//! |---|---|
//! | [Protect an axum API](protect_an_axum_api) | You have an HTTP API and want it to accept access tokens. |
//! | [Protect a tonic service](protect_a_tonic_service) | You have a gRPC service. |
//! | [Protect an MCP server](protect_an_mcp_server) | You have an MCP server with rmcp, and clients that sign users in. |
//! | [Put Jenkins behind a gateway](jenkins_behind_the_gateway) | You have a server that is not written in Rust. |
//! | [Settings for each provider](providers) | You need the settings for Keycloak, Entra ID, Auth0 or another server. |
//! | [Issue and accept your own tokens](own_tokens) | Your service issues opaque tokens or API keys, or accepts tokens from Kubernetes or SPIFFE. |
//! | [Serve many tenants](many_tenants) | Your customers bring their own authorization servers. |
//! | [Configure a service from files and the environment](configuration) | Your settings differ between deployments, so they are not in the code. |
//! | [Test a protected service](test_a_protected_service) | You want tests that need no network and no waiting. |
//! | [Revoke tokens and require stronger logins](revoke_and_step_up) | A token must stop working before it expires, or an operation needs a recent login. |
//! | [OpenAPI documents and reviews](openapi_and_reviews) | You want to document, list and check what your layers require. |
//! | [Operate a protected service](operate) | You want health probes, metrics, alerts and access logs. |
//! | [Run a fleet](run_a_fleet) | Several instances run behind a load balancer. |
//! | [Examine a running server](doctor) | You want to know what is wrong with a deployed resource server. |
//! | [Migrate from another crate](migrate) | You use jwt-authorizer, tower-oauth2-resource-server, oauth-resource-server or axum-jwt-auth. |
//!
//! The tests of this crate compile the code, except where it needs generated code or another crate.

// Each guide is a file in `docs/guides`, readable in the repository and here. Links from one guide to another, and to the
// examples, are written as `[text][name]`. The file defines `[name]: name.md` for the repository. `links.md` defines the same name
// for rustdoc and comes first, and the first definition of a name counts.
//
// The pages always contain all guides. The tests contain those whose features are enabled.
macro_rules! guide {
    ($name:ident, $file:literal, needs $features:meta) => {
        #[cfg(any(not(doctest), $features))]
        #[doc = include_str!("guides/links.md")]
        #[doc = include_str!($file)]
        pub mod $name {}
    };
}

guide!(
    protect_an_axum_api,
    "../docs/guides/protect_an_axum_api.md",
    needs all(feature = "axum", feature = "jwt", feature = "reqwest", feature = "testing")
);
guide!(
    configuration,
    "../docs/guides/configuration.md",
    needs all(feature = "axum", feature = "config", feature = "reqwest")
);
guide!(
    protect_a_tonic_service,
    "../docs/guides/protect_a_tonic_service.md",
    needs all(feature = "axum", feature = "jwt", feature = "reqwest", feature = "testing", feature = "tonic")
);
guide!(
    protect_an_mcp_server,
    "../docs/guides/protect_an_mcp_server.md",
    needs all(feature = "axum", feature = "jwt", feature = "reqwest", feature = "rmcp", feature = "testing")
);
guide!(
    test_a_protected_service,
    "../docs/guides/test_a_protected_service.md",
    needs all(feature = "axum", feature = "testing")
);
guide!(
    revoke_and_step_up,
    "../docs/guides/revoke_and_step_up.md",
    needs all(feature = "axum", feature = "introspection", feature = "reqwest", feature = "testing")
);

guide!(
    operate,
    "../docs/guides/operate.md",
    needs all(feature = "axum", feature = "jwt", feature = "metrics", feature = "reqwest")
);

guide!(doctor, "../docs/guides/doctor.md", needs all(feature = "jwt", feature = "reqwest"));
guide!(own_tokens, "../docs/guides/own_tokens.md", needs all(feature = "axum", feature = "jwt"));
guide!(
    run_a_fleet,
    "../docs/guides/run_a_fleet.md",
    needs all(feature = "axum", feature = "jwt", feature = "reqwest")
);
guide!(
    providers,
    "../docs/guides/providers.md",
    needs all(feature = "introspection", feature = "jwt", feature = "reqwest")
);
guide!(
    jenkins_behind_the_gateway,
    "../docs/guides/jenkins_behind_the_gateway.md",
    needs all()
);
guide!(
    migrate,
    "../docs/guides/migrate.md",
    needs all(feature = "axum", feature = "jwt", feature = "reqwest")
);

guide!(
    openapi_and_reviews,
    "../docs/guides/openapi_and_reviews.md",
    needs all(feature = "axum", feature = "jwt", feature = "reqwest", feature = "testing", feature = "utoipa")
);
guide!(many_tenants, "../docs/guides/many_tenants.md", needs all(feature = "jwt", feature = "reqwest"));
