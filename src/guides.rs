//! Guides: one task each, from an empty directory to a working service.
//!
//! | guide | for whom |
//! |---|---|
//! | [Protect an axum API](protect_an_axum_api) | You have an HTTP API and want it to accept access tokens. |
//! | [Examine a running server](doctor) | You want to know what is wrong with a deployed resource server. |
//!
//! The code of every guide is compiled by the tests of this crate.

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
    needs all(feature = "axum", feature = "jwt", feature = "reqwest")
);

guide!(doctor, "../docs/guides/doctor.md", needs all(feature = "jwt", feature = "reqwest"));
