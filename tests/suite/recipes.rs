//! Proves what the recipes of `examples/recipes` do.

#[path = "../../examples/recipes/main.rs"]
#[allow(dead_code, reason = "`main` is used only by the example")]
mod example;

use self::example::{api_keys, denylist, kubernetes, spiffe};

#[tokio::test]
async fn api_keys_are_accepted_next_to_tokens_in_one_header_only() {
    api_keys::demonstrate().await.unwrap();
}

#[tokio::test]
async fn a_token_on_the_denylist_is_refused_although_its_verdict_is_cached() {
    denylist::demonstrate().await.unwrap();
}

#[tokio::test]
async fn kubernetes_keys_are_fetched_with_a_private_authority_and_a_token_that_rotates() {
    kubernetes::demonstrate().await.unwrap();
}

#[tokio::test]
async fn jwt_svids_are_accepted_by_trust_domain_audience_and_key() {
    spiffe::demonstrate().await.unwrap();
}
