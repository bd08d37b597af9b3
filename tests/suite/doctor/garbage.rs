//! Whatever a server sends, there is a report.

use super::{
    codes, examine_site,
    example::finding::Severity,
    site::{Fault, PATH, Reply},
};

/// Responses to every request that are not what a client expects.
const GARBAGE: &[(&str, Fault)] = &[
    ("not HTTP", |_, _, _| Reply::raw("SSH-2.0-OpenSSH_9.7\r\n")),
    ("bytes", |_, _, _| Reply::raw(vec![0xff; 4_096])),
    ("only a status", |_, _, _| Reply::raw("HTTP/1.1 401")),
    ("status 999", |_, _, _| Reply::raw("HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n")),
    ("status 000", |_, _, _| Reply::raw("HTTP/1.1 000 Odd\r\n\r\n")),
    ("information only", |_, _, _| Reply::raw("HTTP/1.1 100 Continue\r\n\r\n")),
    ("switching protocols", |_, _, _| {
        Reply::raw("HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")
    }),
    ("truncated body", |_, _, _| {
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{\"a\"")
    }),
    ("broken chunks", |_, _, _| {
        Reply::raw("HTTP/1.1 401 No\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n")
    }),
    ("two lengths", |_, _, _| {
        Reply::raw("HTTP/1.1 401 No\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab")
    }),
    ("header that is not UTF-8", |_, _, reply| reply.set("www-authenticate", b"\xff\xfe\xfd \"".to_vec())),
    ("terminal escapes", |_, _, reply| {
        let value = b"Bearer realm=\"\t\x80]0;title\"".to_vec();
        reply.set("www-authenticate", value).body("\u{1b}[31mred\u{7}")
    }),
    ("large header", |_, _, reply| reply.with("x-large", vec![b'a'; 1_000_000])),
    ("large challenge", |_, _, reply| {
        reply.set("www-authenticate", "Bearer ".to_owned() + &"a=\"b\", ".repeat(1_000))
    }),
    ("many challenges", |_, _, reply| {
        (0..90).fold(reply, |reply, _| reply.with("www-authenticate", "Bearer =,=\",\"="))
    }),
    ("many headers", |_, _, reply| {
        (0..500).fold(reply, |reply, index| reply.with(&format!("x-{index}"), "a"))
    }),
    ("large body", |_, _, reply| reply.status(200).body(vec![b' '; 2_000_000])),
    ("deep JSON", |_, _, reply| reply.status(200).body("[".repeat(100_000))),
    ("deep object", |_, _, reply| reply.status(200).body("{\"a\":".repeat(100_000))),
    ("JSON that is not UTF-8", |_, _, reply| reply.status(200).body(b"{\"resource\": \"\xff\"}".to_vec())),
    ("JSON after a byte order mark", |_, _, reply| reply.status(200).body("\u{feff}{}")),
    ("unpaired surrogate", |_, _, reply| reply.status(200).body("{\"resource\": \"\\ud800\"}")),
    ("empty JSON", |_, _, reply| reply.status(200).body("{}")),
    ("null", |_, _, reply| reply.status(200).body("null")),
    ("redirect to garbage", |_, _, reply| reply.status(302).with("location", b"http://[\xff".to_vec())),
    ("redirect to itself", |site, request, reply| {
        reply.status(301).with("location", format!("{}{}", site.base, request.path))
    }),
    ("odd members", |_, _, reply| {
        reply.status(200).body(
            "{\"resource\": 1, \"authorization_servers\": [1, null], \"scopes_supported\": {}, \
             \"bearer_methods_supported\": 1e400, \"issuer\": [], \"jwks_uri\": {}, \"keys\": [[], 1, {\"kty\": 1}]}",
        )
    }),
    ("odd URLs", |site, _, reply| {
        reply.status(200).body(format!(
            "{{\"resource\": \"http://\", \"authorization_servers\": [\"\", \"mailto:a@b\", \"http://u:p@h\", \"{}/?a#b\"], \
             \"issuer\": \"\", \"jwks_uri\": \"file:///etc/passwd\", \"token_endpoint\": \"data:,\"}}",
            site.base
        ))
    }),
    ("time long ago", |_, _, reply| reply.set("date", "Thu, 01 Jan 1970 00:00:00 GMT")),
    ("no content type", |_, _, reply| reply.without("content-type")),
];

#[tokio::test]
async fn garbage_is_reported_as_an_error() {
    for (name, fault) in GARBAGE {
        for path in [PATH, "/mcp"] {
            let report = examine_site(*fault, path, |settings| {
                settings.origin = Some("https://app.example.com".to_owned());
            })
            .await;

            let is_harmless = ["time long ago", "no content type", "large header"].contains(name);
            assert!(
                is_harmless || report.severity() == Some(Severity::Error),
                "{name}: {}",
                report.to_text()
            );
            let text = report.to_text();
            assert!(
                text.chars().all(|character| character == '\n' || !character.is_control()),
                "{name}: {text:?}"
            );
            serde_json::from_str::<serde_json::Value>(&report.to_json()).unwrap();
        }
    }
}

/// Garbage at each place of an otherwise healthy site.
#[tokio::test]
async fn garbage_in_one_document_is_an_error() {
    const DOCUMENTS: [Fault; 9] = [
        |_, request, reply| {
            if request.is_metadata() { Reply::raw("HTTP/1.1 200 OK\r\n\r\n{") } else { reply }
        },
        |_, request, reply| if request.is_metadata() { reply.body(vec![0xff; 9]) } else { reply },
        |_, request, reply| if request.is_metadata() { reply.body(vec![b' '; 300_000]) } else { reply },
        |_, request, reply| {
            if request.is_issuer_metadata() { Reply::raw("HTTP/1.1 200 OK\r\n\r\n{") } else { reply }
        },
        |_, request, reply| if request.is_issuer_metadata() { reply.body(vec![0xff; 9]) } else { reply },
        |_, request, reply| if request.is_issuer_metadata() { reply.body("{\"issuer\": 1}") } else { reply },
        |_, request, reply| if request.is_keys() { Reply::raw("HTTP/1.1 200 OK\r\n\r\n{") } else { reply },
        |_, request, reply| if request.is_keys() { reply.body(vec![0xff; 9]) } else { reply },
        |_, request, reply| {
            if request.is_keys() { reply.body("{\"keys\": [{\"kty\": \"EC\"}]}") } else { reply }
        },
    ];
    for (index, fault) in DOCUMENTS.into_iter().enumerate() {
        let report = examine_site(fault, PATH, |_| {}).await;

        assert_eq!(report.severity(), Some(Severity::Error), "{index}: {}", report.to_text());
    }
}

#[tokio::test]
async fn no_redirect_is_followed_and_no_credential_is_sent_elsewhere() {
    let report = examine_site(
        |_, request, reply| match &*request.path {
            "/orders" => reply.status(302).with("location", "/elsewhere"),
            _ => reply.status(302).with("location", "/elsewhere"),
        },
        PATH,
        |_| {},
    )
    .await;

    assert!(!report.requests.is_empty());
    assert!(
        report.requests.iter().all(|request| request.url.path() != "/elsewhere"),
        "{:?}",
        report.requests
    );
}

#[tokio::test]
async fn a_server_cannot_make_the_report_long() {
    let report = examine_site(
        |_, request, reply| {
            let numbers = 0..5_000;
            if request.is_metadata() {
                let scopes: Vec<_> = numbers.map(|number| format!("a b{number}")).collect();
                reply
                    .status(200)
                    .body(serde_json::json!({"resource": "x", "scopes_supported": scopes}).to_string())
            } else {
                let parameters: String =
                    numbers.map(|number| format!("a{number}=b, a{number}=b, ")).collect();
                reply.status(401).set("www-authenticate", format!("Bearer {parameters}scope=\"x\""))
            }
        },
        PATH,
        |_| {},
    )
    .await;

    let text = report.to_text();
    for code in codes(&report) {
        let count = report.findings.iter().filter(|finding| finding.rule.code == code).count();
        assert!(count <= 20, "{count} of {code}");
    }
    assert!(
        report.findings.iter().any(|finding| finding.found.ends_with("(any others are not listed)")),
        "{text}"
    );
    assert!(text.len() < 100_000, "{}", text.len());
}
