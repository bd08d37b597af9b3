//! Proves that the guides are complete: each is in rustdoc, in its index, and its links work there and in the repository.

use std::{collections::BTreeMap, fs, path::Path};

const GUIDES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guides");
const MODULE: &str = include_str!("../../src/guides.rs");
const LINKS: &str = include_str!("../../src/guides/links.md");

/// Returns the guides by name.
fn guides() -> BTreeMap<String, String> {
    let files = fs::read_dir(GUIDES).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| {
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// Returns the link definitions of a document, `[name]: target`, by name.
fn definitions(document: &str) -> BTreeMap<&str, &str> {
    let lines = document.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
    lines.filter(|(name, _)| !name.contains(']')).collect()
}

#[test]
fn each_guide_is_in_rustdoc_and_in_its_index() {
    for name in guides().keys() {
        assert!(MODULE.contains(&format!("\"../docs/guides/{name}.md\"")), "{name} has no module");
        assert!(MODULE.contains(&format!("]({name}) |")), "{name} is not in the index");
        let expected = format!("crate::guides::{name}");
        assert_eq!(definitions(LINKS).get(name.as_str()), Some(&expected.as_str()), "{name}");
    }
}

#[test]
fn links_of_guides_work_in_the_repository_and_in_rustdoc() {
    for (guide, text) in guides() {
        let in_repository = definitions(&text);
        for (name, target) in &in_repository {
            if !target.contains("://") {
                assert!(Path::new(GUIDES).join(target).exists(), "{guide}: {target} does not exist");
                assert!(
                    definitions(LINKS).contains_key(name),
                    "{guide}: [{name}] is not defined for rustdoc"
                );
            }
        }
        for used in text.split("][").skip(1) {
            let name = used.split_once(']').unwrap_or_default().0;
            if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c)) {
                assert!(
                    in_repository.contains_key(name) || !name.contains(['_', '/']),
                    "{guide}: [{name}] has no definition"
                );
            }
        }
        for relative in text.split("](").skip(1) {
            let target = relative.split_once(')').unwrap_or_default().0;
            let is_anchor = target.starts_with('#');
            assert!(target.contains("://") || is_anchor, "{guide}: {target} does not work in rustdoc");
        }
    }
}
