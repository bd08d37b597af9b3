//! The login page.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::Response,
};

use super::{
    authentication::{Level, ONE_TIME_CODE, PASSWORD, check_credentials, cookie},
    authorization_endpoint::AuthorizationRequest,
    consent,
    endpoints::LOGIN,
    oauth_error::OAuthError,
    pages::{self, escape},
    parameters::Parameters,
    same_origin::SameOrigin,
    state::{PAGE_LIFETIME, ServerState, USER, Usage},
};

/// Returns the page. `rejected` is true after a failed attempt.
pub(super) fn page(state: &ServerState, request: Arc<AuthorizationRequest>, rejected: bool) -> Response {
    let app = escape(request.target.client.display_name()).into_owned();
    let (code, hint) = match request.authentication.level() {
        Level::Password => (String::new(), String::new()),
        Level::PasswordAndCode => (
            "<label>One-time code <input type=\"text\" name=\"code\" inputmode=\"numeric\" \
             autocomplete=\"one-time-code\" required></label>\n"
                .to_owned(),
            format!(", one-time code <code>{ONE_TIME_CODE}</code>"),
        ),
    };
    let error = if rejected {
        "<p class=\"error\" role=\"alert\">Wrong user, password or code. Try again.</p>\n"
    } else {
        ""
    };
    let ticket = state.sign_ins.issue(request, state.now() + PAGE_LIFETIME);
    let body = format!(
        "<p>To continue to <strong>{app}</strong>.</p>\n{error}\
         <form method=\"post\" action=\"{LOGIN}\">\n\
         <input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">\n\
         <label>User <input type=\"text\" name=\"username\" value=\"{USER}\" autocomplete=\"username\" \
         autocapitalize=\"none\" required></label>\n\
         <label>Password <input type=\"password\" name=\"password\" autocomplete=\"current-password\" \
         required autofocus></label>\n{code}\
         <button class=\"main\">Sign in</button>\n</form>\n\
         <p class=\"note\">A demonstration: the user is <code>{USER}</code>, the password \
         <code>{PASSWORD}</code>{hint}.</p>\n"
    );
    let status = if rejected { StatusCode::FORBIDDEN } else { StatusCode::OK };
    pages::page(status, "Sign in", &body)
}

/// Answers `POST /login`.
pub(super) async fn submit(
    State(state): State<Arc<ServerState>>,
    _: SameOrigin,
    form: Result<Parameters, OAuthError>,
) -> Response {
    match sign_in(&state, form) {
        Ok(response) => response,
        Err(error) => pages::failure(StatusCode::BAD_REQUEST, &error),
    }
}

fn sign_in(state: &ServerState, form: Result<Parameters, OAuthError>) -> Result<Response, OAuthError> {
    let form = form?;
    // A ticket works once. After a wrong password, the page has a new one.
    let Usage::First(request) = state.sign_ins.consume(form.required("ticket")?, state.now()) else {
        return Err(OAuthError::invalid_request("the page has expired; go back to the app"));
    };
    match check_credentials(&form, request.authentication.level())? {
        None => Ok(page(state, request, true)),
        Some(level) => {
            // Always a new session, against session fixation.
            let session = state.sessions.start(level, state.now());
            let cookie = cookie(&session);
            let mut response = consent::page(state, &request, session);
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            Ok(response)
        }
    }
}
