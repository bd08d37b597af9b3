//! Builds the HTTP client for an authorization server.

use super::Reader;
use crate::{
    AddressGuard, ReqwestClient,
    config::{files::Files, report::Report},
};

/// Builds the client. Returns `None` after a problem was reported.
pub(super) fn build(
    reader: &Reader<'_>,
    is_loopback: bool,
    files: &mut Files,
    report: &mut Report,
) -> Option<ReqwestClient> {
    let mut builder = ReqwestClient::default_builder();
    let ca_file = reader.get("ca_file");
    if ca_file.is_set() {
        let certificates = files.text(&ca_file, report).and_then(|pem| {
            match reqwest::Certificate::from_pem_bundle(pem.as_bytes()) {
                Ok(certificates) if !certificates.is_empty() => Some(certificates),
                _ => {
                    report.without_value(ca_file.path(), "expected certificates in PEM (RFC 7468 section 5)");
                    None
                }
            }
        });
        builder = builder.tls_certs_merge(certificates.unwrap_or_default());
    }
    let (proxy, no_proxy) = (reader.get("proxy"), reader.get("no_proxy").flag());
    if proxy.is_set() {
        if no_proxy {
            report.without_value(proxy.path(), "expected no proxy together with no_proxy");
        }
        if let Some(proxy) = self::proxy(reader, files, report) {
            builder = builder.proxy(proxy);
        }
    } else {
        for setting in [reader.get("proxy_user"), reader.get("proxy_password_file")] {
            if setting.is_set() {
                report.without_value(setting.path(), "expected only together with proxy");
            }
        }
        // A proxy cannot reach a server on this machine.
        if no_proxy || is_loopback {
            builder = builder.no_proxy();
        }
    }
    let built = match guard(reader, report) {
        Some(guard) => ReqwestClient::guarded_from_builder(builder, guard),
        None => ReqwestClient::from_builder(builder),
    };
    match built {
        Ok(client) => Some(client),
        Err(error) => {
            report.without_value(reader.path(), format!("expected settings that can be used ({error})"));
            None
        }
    }
}

/// Reads which addresses the client may connect to.
fn guard(reader: &Reader<'_>, report: &mut Report) -> Option<AddressGuard> {
    let (only_public, allowed) = (reader.get("public_addresses_only"), reader.get("allowed_addresses"));
    if !only_public.flag() {
        if allowed.is_set() {
            report.without_value(allowed.path(), "expected only together with public_addresses_only");
        }
        return None;
    }
    // A proxy resolves names itself.
    for setting in [reader.get("proxy"), reader.get("no_proxy")] {
        if setting.is_set() {
            let expected = "expected none with public_addresses_only, which uses no proxy";
            report.without_value(setting.path(), expected);
        }
    }
    Some(allowed.texts().into_iter().fold(AddressGuard::new(), AddressGuard::allow))
}

fn proxy(reader: &Reader<'_>, files: &mut Files, report: &mut Report) -> Option<reqwest::Proxy> {
    let setting = reader.get("proxy");
    let (user, password) = (reader.get("proxy_user"), reader.get("proxy_password_file"));
    for (given, missing) in [(&user, &password), (&password, &user)] {
        if given.is_set() && !missing.is_set() {
            report.without_value(missing.path(), "expected both a user and a password");
        }
    }
    let credentials = user.text().zip(files.secret(&password, report));
    let text = setting.text()?;
    let url = url::Url::parse(text).ok();
    let is_good = |url: &url::Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && !text.contains('@')
    };
    if !url.as_ref().is_some_and(is_good) {
        let expected = "expected an http or https URL without user name and password; set proxy_user and proxy_password_file";
        report.value(setting.path(), text, expected);
        return None;
    }
    let proxy = match reqwest::Proxy::all(text) {
        Ok(proxy) => proxy,
        Err(error) => {
            report.value(setting.path(), text, format!("expected the URL of a proxy ({error})"));
            return None;
        }
    };
    Some(match credentials {
        Some((user, password)) => proxy.basic_auth(user, &password.expose()),
        None => proxy,
    })
}
