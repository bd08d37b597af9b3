//! Hides user names and passwords in URLs that are shown in errors, logs and `Debug`.

use std::borrow::Cow;

/// Returns `text` without anything that may be a user name or a password, even if it is not a valid URL.
///
/// A password that was not percent-encoded may contain any character. Everything from the scheme to the last `@` is
/// therefore hidden, even if that `@` is part of the path.
pub(crate) fn without_user_info(text: &str) -> Cow<'_, str> {
    let at = text.rfind('@').max(text.rfind("%40"));
    let Some((_, rest)) = at.and_then(|at| text.split_at_checked(at)) else {
        return Cow::Borrowed(text);
    };
    Cow::Owned(format!("{}[redacted]{rest}", http_scheme(text)))
}

/// Returns `https:` or `http:` and the slashes after it, if the text starts with these.
fn http_scheme(text: &str) -> &str {
    let Some((scheme, rest)) = text.split_once(':') else {
        return "";
    };
    let after_slashes = rest.trim_start_matches(['/', '\\']);
    let is_http = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if !is_http || after_slashes.len() == rest.len() {
        return "";
    }
    text.strip_suffix(after_slashes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a61_user_name_and_password_are_hidden() {
        for (text, shown) in [
            ("https://user:secret@h/p", "https://[redacted]@h/p"),
            ("http://user:secret@h", "http://[redacted]@h"),
            ("HTTPS:/user:secret@h", "HTTPS:/[redacted]@h"),
            ("https:///user:secret@h", "https:///[redacted]@h"),
            ("https:\\\\user:secret@h", "https:\\\\[redacted]@h"),
            ("https:user:secret@h", "[redacted]@h"),
            ("https://user:se/cr?e#t@h", "https://[redacted]@h"),
            ("https://user:s@e@cret@h", "https://[redacted]@h"),
            ("https://user:secret%40h", "https://[redacted]%40h"),
            ("user:secret@h", "[redacted]@h"),
            ("user:/secret@h", "[redacted]@h"),
            ("ftp://user:secret@h", "[redacted]@h"),
            ("https://@h", "https://[redacted]@h"),
        ] {
            assert_eq!(without_user_info(text), shown, "{text}");
        }
    }

    #[test]
    fn text_without_user_info_is_shown_as_it_is() {
        for text in ["", "https://h/p?q#f", "http://h:80", "h", "https", ":"] {
            assert_eq!(without_user_info(text), text);
        }
    }
}
