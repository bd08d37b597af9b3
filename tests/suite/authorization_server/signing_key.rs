use super::*;

#[tokio::test]
async fn published_key_verifies_tokens_and_has_no_private_member() {
    let kit = Kit::start().await;
    let token = kit.server.mint(Minting { resource: MCP, ..Minting::default() });

    let verdict = kit.verify(&token).await;
    let keys = kit.get_json("/jwks").await;

    assert!(verdict.is_ok(), "{verdict:?}");
    let key = keys["keys"][0].as_object().unwrap();
    assert_eq!(key["use"], "sig");
    assert!(!key.contains_key("d"));
}
