//! The consent page. The user's decision is the last step before a code is issued.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use url::Url;

use super::{
    authentication::Session,
    authorization_endpoint::{Authorization, AuthorizationRequest},
    endpoints::CONSENT,
    oauth_error::{ErrorCode, OAuthError},
    pages::{self, escape},
    parameters::Parameters,
    redirect_uri::is_loopback,
    resources::ScopeSet,
    same_origin::SameOrigin,
    state::{Grant, PAGE_LIFETIME, ServerState, Usage},
};

/// A request that a signed-in user has not decided on yet.
#[derive(Clone)]
pub(super) struct PendingDecision {
    request: Arc<AuthorizationRequest>,
    session: Session,
}

/// Returns the page. Its ticket works only in this session.
pub(super) fn page(state: &ServerState, request: &Arc<AuthorizationRequest>, session: Session) -> Response {
    let client = &request.target.client;
    let title = format!("Allow {} to act for you?", client.display_name());
    let scopes: String = request
        .scope
        .names()
        .map(|name| {
            let name = escape(name);
            format!(
                "<label><input type=\"checkbox\" name=\"scope\" value=\"{name}\" checked>{name}</label>\n"
            )
        })
        .collect();
    // Anyone can claim any name, so the user also sees what an app cannot fake: where its identifier is hosted, and where the
    // answer goes.
    let identifier = match client.identifier_host() {
        Some(host) => format!("<strong>{}</strong>", escape(&host)),
        None => "not verified; the app registered itself".to_owned(),
    };
    let (resource, subject) = (escape(&request.resource.identifier), session.subject);
    let answer_to = describe(&request.target.url);
    let ticket = state
        .decisions
        .issue(PendingDecision { request: Arc::clone(request), session }, state.now() + PAGE_LIFETIME);
    let body = format!(
        "<dl>\n<dt>App</dt><dd>{identifier}</dd>\n<dt>The answer goes to</dt><dd>{answer_to}</dd>\n\
         <dt>Service</dt><dd>{resource}</dd>\n<dt>Signed in as</dt><dd>{subject}</dd>\n</dl>\n\
         <form method=\"post\" action=\"{CONSENT}\">\n\
         <input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">\n\
         <fieldset>\n<legend>What it may do</legend>\n{scopes}</fieldset>\n\
         <button class=\"main\" name=\"decision\" value=\"approve\">Approve</button>\n\
         <button name=\"decision\" value=\"deny\">Deny</button>\n</form>\n"
    );
    pages::page(StatusCode::OK, &title, &body)
}

/// Describes where the answer goes.
fn describe(redirect_uri: &Url) -> String {
    let host = escape(redirect_uri.host_str().unwrap_or_default()).into_owned();
    if is_loopback(redirect_uri) {
        return format!("<strong>{host}</strong>, a program on this device");
    }
    format!("<strong>{host}</strong>")
}

/// Answers `POST /consent`.
pub(super) async fn decide(
    State(state): State<Arc<ServerState>>,
    _: SameOrigin,
    headers: HeaderMap,
    form: Result<Parameters, OAuthError>,
) -> Response {
    match read_decision(&state, &headers, form) {
        Ok((request, code)) => request.target.redirect(&state.issuer, code).into_response(),
        Err(error) => pages::failure(StatusCode::BAD_REQUEST, &error),
    }
}

fn read_decision(
    state: &ServerState,
    headers: &HeaderMap,
    form: Result<Parameters, OAuthError>,
) -> Result<(Arc<AuthorizationRequest>, Result<String, OAuthError>), OAuthError> {
    let form = form?;
    let expired = || OAuthError::invalid_request("the page has expired; go back to the app");
    let session = state.sessions.find(headers, state.now()).ok_or_else(expired)?;
    let ticket = form.required("ticket")?;
    // The ticket of one user must not work in the browser of another, who would approve without having seen the page.
    state.decisions.find(ticket).filter(|found| found.session.id == session.id).ok_or_else(expired)?;
    let Usage::First(pending) = state.decisions.consume(ticket, state.now()) else {
        return Err(expired());
    };
    // The operator may have blocked the client since the page was shown.
    state.clients.check_not_blocked(&pending.request.target.client.id)?;
    let approved = form.optional("decision")? == Some("approve");
    let request = Arc::clone(&pending.request);
    let code = if approved { approve(state, &pending, &form) } else { Err(denied()) };
    Ok((request, code))
}

/// Issues a code for the scopes that the user left ticked.
fn approve(state: &ServerState, pending: &PendingDecision, form: &Parameters) -> Result<String, OAuthError> {
    let PendingDecision { request, session } = pending;
    let scope = request.scope.only(&ScopeSet::from_names(form.all("scope")));
    if scope.is_empty() {
        return Err(denied());
    }
    let client = &request.target.client;
    let authentication = request.authentication.answer(session);
    let grant =
        Grant::new(&client.id, session.subject, Arc::clone(&request.resource), scope, Some(authentication));
    let authorization = Authorization {
        grant,
        code_challenge: request.code_challenge.clone(),
        redirect_uri: request.target.requested.clone(),
        may_refresh: client.may_refresh,
    };
    Ok(state.codes.issue(authorization, state.now() + CODE_LIFETIME))
}

fn denied() -> OAuthError {
    OAuthError::new(ErrorCode::AccessDenied, "the user did not approve")
}

/// In seconds. RFC 6749 section 4.1.2 allows up to ten minutes; a client redeems its code at once.
const CODE_LIFETIME: u64 = 60;
