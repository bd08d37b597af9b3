//! How can I try it myself? Everything stays up, and these lines work until Ctrl-C.

use std::io::Write;

use super::{
    Failure,
    cast::Cast,
    client::{
        AuthorizationRequest, Registration, ResourceMetadata, ServerMetadata, TokenResponse, metadata_url,
    },
    jenkins::Jenkins,
};

/// Prints lines for a shell, with live tokens, and waits.
pub async fn serve(out: &mut (dyn Write + Send), cast: &Cast) -> Result<(), Failure> {
    let (_, _, read) = new_token(cast, &cast.jwt, "mcp:read").await?;
    let (_, _, write) = new_token(cast, &cast.jwt, "mcp:read mcp:write").await?;
    let (server, client, opaque) = new_token(cast, &cast.opaque, "mcp:read").await?;
    let (jwt_api, opaque_api) = (&cast.jwt.url, &cast.opaque.url);
    let metadata =
        cast.client.fetch(jwt_api).await?.challenge().remove("resource_metadata").unwrap_or_default();
    let (issuer_metadata, revoke, client_id) =
        (metadata_url(&server.issuer)?, &server.revocation_endpoint, &client.client_id);
    writeln!(
        out,
        r#"
Everything is up until Ctrl-C. Tokens for an hour:

  READ={read}
  WRITE={write}
  OPAQUE={opaque}

Where to get a token: the API tells of its metadata, which tells of the server
  curl -i {jwt_api}
  curl {metadata}
  curl {issuer_metadata}

Lists the jobs: 200; with a broken token 401, with a malformed header 400
  curl -i -H "Authorization: Bearer $READ" {jwt_api}
  curl -i -H "Authorization: Bearer ${{READ}}x" {jwt_api}
  curl -i -H "Authorization: Bearer a b" {jwt_api}

Triggers a build: 403 and the scope that it takes, 202 with it
  curl -i -X POST -H "Authorization: Bearer $READ" {jwt_api}
  curl -i -X POST -H "Authorization: Bearer $WRITE" {jwt_api}

An opaque token: 200; revoked, 401 at once
  curl -i -H "Authorization: Bearer $OPAQUE" {opaque_api}
  curl -i -d client_id={client_id} -d "token=$OPAQUE" {revoke}
  curl -i -H "Authorization: Bearer $OPAQUE" {opaque_api}"#
    )?;
    out.flush()?;
    Ok(tokio::signal::ctrl_c().await?)
}

/// Walks the road to a token without telling.
async fn new_token(
    cast: &Cast,
    api: &Jenkins,
    scope: &str,
) -> Result<(ServerMetadata, Registration, String), Failure> {
    let client = &cast.client;
    let challenge = client.fetch(&api.url).await?.challenge();
    let url = challenge.get("resource_metadata").ok_or("the challenge does not say where to read on")?;
    let resource: ResourceMetadata = client.fetch(url).await?.json()?;
    let issuer =
        resource.authorization_servers.first().ok_or("the resource names no authorization server")?;
    let server: ServerMetadata = client.fetch(&metadata_url(issuer)?).await?.json()?;
    let registration: Registration = client.register(&server).await?.json()?;
    let request = AuthorizationRequest::new(&server, &registration, &resource.resource, scope)?;
    let back = client.fetch(request.url.as_str()).await?.redirection()?;
    let code = back.get("code").ok_or("no code came back")?;
    let token: TokenResponse = client.exchange(&server, &request, code).await?.json()?;
    Ok((server, registration, token.access_token))
}
