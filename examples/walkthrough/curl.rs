//! Prints curl commands to try while everything is running.

use std::io::{self, Write};

use super::{
    Failure,
    client::metadata_url,
    jenkins::Jenkins,
    participants::Participants,
    report::{Detail, Report},
    token_flow::{self, Session},
};

/// Prints commands for a shell, with valid tokens.
pub async fn print(out: &mut (dyn Write + Send), participants: &Participants) -> Result<(), Failure> {
    let Participants { client, jwt, opaque, .. } = participants;
    let read = get_token(participants, jwt, "mcp:read").await?.token;
    let write = get_token(participants, jwt, "mcp:read mcp:write").await?.token;
    let Session { server, registration, token } = get_token(participants, opaque, "mcp:read").await?;
    let (jwt_api, opaque_api) = (&jwt.url, &opaque.url);
    let metadata = client.fetch(jwt_api).await?.challenge().remove("resource_metadata").unwrap_or_default();
    let (server_metadata, revoke, client_id) =
        (metadata_url(&server.issuer)?, &server.revocation_endpoint, &registration.client_id);
    writeln!(
        out,
        r#"
Everything runs until Ctrl-C. To try it with curl, use these tokens. They are valid for an hour:

  READ={read}
  WRITE={write}
  OPAQUE={token}

Find out where to get a token: 401, the API's metadata, the server's metadata
  curl -i {jwt_api}
  curl {metadata}
  curl {server_metadata}

List the jobs: 200; 401 with an invalid token, 400 with a malformed header
  curl -i -H "Authorization: Bearer $READ" {jwt_api}
  curl -i -H "Authorization: Bearer ${{READ}}x" {jwt_api}
  curl -i -H "Authorization: Bearer a b" {jwt_api}

Trigger a build: 403 names the missing scope; 202 with that scope
  curl -i -X POST -H "Authorization: Bearer $READ" {jwt_api}
  curl -i -X POST -H "Authorization: Bearer $WRITE" {jwt_api}

Use an opaque token: 200; after it is revoked, 401 at once
  curl -i -H "Authorization: Bearer $OPAQUE" {opaque_api}
  curl -i -d client_id={client_id} -d "token=$OPAQUE" {revoke}
  curl -i -H "Authorization: Bearer $OPAQUE" {opaque_api}"#
    )?;
    Ok(out.flush()?)
}

/// Gets a token with this scope, without a report.
async fn get_token(participants: &Participants, api: &Jenkins, scope: &str) -> Result<Session, Failure> {
    let mut nowhere = io::sink();
    let report = &mut Report::new(&mut nowhere, Detail::Brief);
    let (server, _) = token_flow::discover(report, participants, api).await?;
    let registration = token_flow::register(report, participants, &server).await?;
    let token = token_flow::authorize(report, participants, api, &server, &registration, scope).await?;
    Ok(Session { server, registration, token })
}
