//! What is checked when operations are built, and what is published about them.

use super::*;

#[test]
fn rmcp_11_all_problems_are_reported_at_once() {
    let offline = Scope::from_static("offline_access");
    let error = McpOperations::builder()
        .tool("a", READ)
        .tool("a", WRITE)
        .tool("", READ)
        .prompt("b", ScopeRequirement::any([READ, offline.clone()]))
        .resource_template("x://{", READ)
        .resource_template("y://{a}", READ)
        .resource_template("y://{a}", READ)
        .connecting(offline)
        .otherwise(Requirement::public())
        .allowed_origins(["https://a.example/", "null", "https://ok.example", "*"])
        .max_body_bytes(0)
        .build()
        .unwrap_err();

    let problems: Vec<_> = error.problems().collect();
    assert_eq!(problems.len(), 11, "{problems:#?}");
    assert!(problems.contains(&"tool \"a\": expected each name once".to_owned()));
}

#[test]
fn rmcp_21_misspelled_method_is_an_error_with_the_right_one() {
    for (method, hint) in [
        ("tools/lst", " such as \"tools/list\""),
        ("Tools/Call", " such as \"tools/call\""),
        ("resource/template/list", " such as \"resources/templates/list\""),
        ("reports/create", ""),
        ("sampling/createMessage", ""),
        ("com.example/", ""),
    ] {
        let error = McpOperations::builder().method(method, READ).build().unwrap_err();

        let expected = format!(
            "method {method:?}: expected a method that MCP clients send{hint}; for a method of an extension, use \
             extension_method"
        );
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test]
async fn rmcp_21_method_of_a_vendor_or_an_extension_can_be_listed() {
    let builder = McpOperations::builder().method("com.example/reindex", READ);
    let kit = Kit::with(builder.extension_method("reports/create", WRITE));

    for (method, scopes) in [("com.example/reindex", "mcp:read"), ("reports/create", "mcp:write")] {
        assert_requires(&Call::new(method, None).to(&kit.reading, None).await, scopes);
    }
    let twice = McpOperations::builder().method("ping", READ).extension_method("ping", WRITE).build();
    assert_eq!(twice.unwrap_err().to_string(), "method \"ping\": expected each name once");
}

#[test]
fn rmcp_11_offline_access_is_not_in_the_metadata() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let server = ResourceServer::builder(authority.jwt_validator(RESOURCE).build().unwrap())
        .resource_metadata(ProtectedResourceMetadata::new(RESOURCE))
        .build()
        .unwrap();

    let _layer = server.require_mcp(builder().build().unwrap());

    assert_eq!(server.metadata().unwrap()["scopes_supported"], json!(["mcp:admin", "mcp:read", "mcp:write"]));
}

#[tokio::test]
async fn rmcp_11_offline_access_of_a_policy_or_handler_is_not_named() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let offline = [READ, Scope::from_static("offline_access")];
    let requirement = Requirement::scopes(offline.clone());
    let server = authority.resource_server(RESOURCE);
    let app = App::new(server.require_by(move |_: &RequestHead<'_>| requirement.clone()));

    let unauthorized = Call::new("ping", None).to(&app, None).await;
    let token = authority.token().scope("").sign();
    let forbidden = Call::new("ping", None).to(&app, Some(&token)).await;
    let plain = App::new(server.require_token());
    Call::new("ping", None).to(&plain, Some(&token)).await.assert_pass();
    let refusal = plain.last_seen().token.unwrap().require(offline).unwrap_err();

    assert_requires(&unauthorized, "mcp:read");
    forbidden.assert_insufficient_scope("mcp:read");
    assert_eq!(refusal.scopes(), [READ]);
}

#[tokio::test]
async fn rmcp_15_published_scopes_can_be_fewer_than_those_of_all_operations() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let metadata = ProtectedResourceMetadata::new(RESOURCE).scopes_supported([READ]);
    let server = authority
        .resource_server_with(authority.jwt_validator(RESOURCE).build().unwrap())
        .resource_metadata(metadata)
        .build()
        .unwrap();
    let app = App::new(server.require_mcp(builder().build().unwrap()));
    let token = authority.token().scope("mcp:read").sign();

    let answer = Call::new("tools/call", Some("delete_all")).to(&app, Some(&token)).await;

    assert_eq!(server.metadata().unwrap()["scopes_supported"], json!(["mcp:read"]));
    answer.assert_insufficient_scope("mcp:read mcp:write");
}

#[tokio::test]
async fn rmcp_16_audit_log_has_the_rule_and_no_identity() {
    let kit = Kit::new();
    let call = Call::new("tools/call", Some("delete_all"));
    let token = |scope: &str| kit.authority.token().subject("canary-subject").scope(scope).sign();
    let (low, full) = (token("mcp:read"), token("mcp:read mcp:write"));
    let (log, guard) = Log::record();

    call.to(&kit.reading, Some(&low)).await.assert_insufficient_scope("mcp:read mcp:write");
    call.to(&kit.reading, Some(&full)).await.assert_pass();
    drop(guard);

    let text = log.text();
    let audit: Vec<_> = text.lines().filter(|line| line.contains("tower_bearer::audit")).collect();
    let [asked, used] = &audit[..] else { panic!("{audit:#?}") };
    assert!(asked.contains(" INFO ") && asked.contains("rule=\"mcp:read mcp:write\""), "{asked}");
    assert!(used.contains("DEBUG") && used.contains("rule=\"mcp:read mcp:write\""), "{used}");
    for secret in ["canary-subject", &low, &full] {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn rmcp_14_audience_is_compared_in_lower_case_and_without_the_slash_of_a_bare_host() {
    for (configured, accepted, refused) in [
        (
            "https://h.example",
            &["https://h.example", "https://h.example/"][..],
            &["https://H.example", "https://h.example/a"][..],
        ),
        (
            "HTTPS://H.example/Mcp",
            &["https://h.example/Mcp"],
            &["https://h.example/mcp", "https://h.example/Mcp/"],
        ),
    ] {
        let authority = TestAuthorizationServer::new(ISSUER);
        let app = App::new(authority.resource_server(configured).require_token());
        for audience in accepted {
            app.present(&authority.token().audience(audience).sign()).await.assert_pass();
        }
        for audience in refused {
            app.present(&authority.token().audience(audience).sign()).await.assert_invalid_token();
        }
    }
}

#[tokio::test]
async fn rmcp_25_token_of_the_audience_scenario_is_accepted_only_for_this_server() {
    let (issuer, resource) = ("http://127.0.0.1:9797", "http://localhost:3000/mcp");
    let authority = TestAuthorizationServer::new(issuer).with_algorithms([Algorithm::RS256]);
    let validator = authority.jwt_validator(resource).build().unwrap();
    let server = authority.resource_server_with(validator).build().unwrap();
    let app = App::new(
        server.require_mcp(McpOperations::builder().tool("t", Requirement::token()).build().unwrap()),
    );
    let token = |audience: &str| {
        let token = authority.token().subject("user").audience(audience).claim("jti", "1");
        token.header("typ", "at+jwt").without_claim("scope").sign()
    };
    let call = Call::old("tools/call", Some("t"));

    assert_eq!(authority.key_fetches(), 0, "keys are fetched with the first token");
    call.to(&app, Some(&token(resource))).await.assert_pass();
    for audience in ["http://localhost:3000", "http://localhost:3000/other", issuer] {
        call.to(&app, Some(&token(audience))).await.assert_invalid_token();
    }
    call.to(&app, None).await.assert_unauthorized();
}

#[tokio::test]
async fn alternatives_of_many_tools_do_not_multiply() {
    let any =
        |index: usize| ScopeRequirement::any([Scope::new(&format!("tool:{index}")).unwrap(), ADMIN, WRITE]);
    let builder = (0..60).fold(McpOperations::builder().otherwise(ADMIN), |builder, index| {
        builder.tool(format!("tool{index}"), any(index))
    });
    let kit = Kit::with(builder);
    let body: Vec<_> =
        (0..32).map(|index| Call::old("tools/call", Some(&format!("tool{index}"))).body).collect();

    let answer = Call::raw(&format!("[{}]", body.join(","))).to(&kit.reading, None).await;

    let scopes = answer.challenges[0].param("scope").unwrap().split(' ').count();
    assert_eq!(scopes, 32);
}

#[tokio::test]
async fn advertised_scopes_are_named_in_the_401() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let server = authority.resource_server(RESOURCE);
    let app = App::new(server.require_mcp(builder().build().unwrap()).advertise([WRITE]));

    let answer = Call::new("tools/call", Some("read_file")).to(&app, None).await;

    assert_requires(&answer, "mcp:read mcp:write");
}

#[tokio::test]
async fn log_says_which_operation_is_not_listed_and_when_nothing_can_be_told() {
    let kit = Kit::with(McpOperations::builder().tool("read_file", READ));
    let (log, _guard) = Log::record();

    assert_denied(&Call::old("tools/call", Some("delete_all")).to(&kit.reading, None).await);
    let unlisted = r#"operation not listed method="tools/call" name=Some("delete_all")"#;
    assert!(log.text().contains(unlisted), "{}", log.text());
    assert!(!log.text().contains("cannot be determined"), "{}", log.text());

    assert_denied(&Call::raw("not JSON").to(&kit.reading, None).await);
    assert!(log.text().contains("operation cannot be determined"), "{}", log.text());
}
