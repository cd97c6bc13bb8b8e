//! Taking secrets out of text. Everything that goes into a bundle passes here, whatever it is.

/// What stands for a secret.
pub(super) const MASK: &str = "***";
/// Parts of names whose values are secrets.
const SECRET_NAMES: [&str; 5] = ["password", "passwd", "passphrase", "secret", "token"];
/// Line ends of certificates and keys.
const BEGIN: &str = "-----BEGIN ";

/// The text without secrets, and how many have been taken out: private keys, passwords in URLs, and the values of keys whose
/// names say so. Certificates go too: a proxy's is of use to nobody, and a site's have their facts elsewhere.
pub(super) fn mask(text: &str) -> (String, usize) {
    let mut masked = String::with_capacity(text.len());
    let mut count = 0;
    let mut in_block = false;
    for line in text.split_inclusive('\n') {
        if in_block {
            in_block = !line.contains("-----END ");
            continue;
        }
        if let Some((before, _)) = line.split_once(BEGIN) {
            // A log may hold a whole block in one line, its line ends escaped.
            in_block = !line.contains("-----END ");
            masked.push_str(before);
            masked.push_str(MASK);
            masked.push('\n');
            count += 1;
            continue;
        }
        let (line, found) = mask_line(line);
        count += found;
        masked.push_str(&line);
    }
    (masked, count)
}

fn mask_line(line: &str) -> (String, usize) {
    let (line, urls) = mask_urls(line);
    let (line, values) = mask_values(&line);
    (line, urls + values)
}

/// `scheme://user:password@host` loses the password.
fn mask_urls(line: &str) -> (String, usize) {
    let (mut masked, mut rest, mut count) = (String::new(), line, 0);
    while let Some((before, after)) = rest.split_once("://") {
        masked.push_str(before);
        masked.push_str("://");
        let end =
            after.find(|c: char| c == '/' || c.is_whitespace() || "\"'<>".contains(c)).unwrap_or(after.len());
        let (authority, behind) = after.split_at(end);
        let named = authority.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?, host)));
        match named {
            Some(((user, password), host)) if password != MASK => {
                masked.push_str(&format!("{user}:{MASK}@{host}"));
                count += 1;
            }
            _ => masked.push_str(authority),
        }
        rest = behind;
    }
    masked.push_str(rest);
    (masked, count)
}

/// `password = "…"`, `PGPASSWORD=…`, `"token":"…"`: the value goes, to its closing quote or the next blank.
fn mask_values(line: &str) -> (String, usize) {
    let (mut masked, mut rest, mut count) = (String::new(), line, 0);
    while let Some((name_end, value)) = next_value(rest) {
        let (before, after) = rest.split_at(name_end + value.0);
        masked.push_str(before);
        let (skipped, behind) = after.split_at(value.1);
        if skipped.is_empty() || skipped == MASK {
            masked.push_str(skipped);
        } else {
            masked.push_str(MASK);
            count += 1;
        }
        rest = behind;
    }
    masked.push_str(rest);
    (masked, count)
}

/// The end of the next secret's name, and from there the beginning and length of its value.
fn next_value(text: &str) -> Option<(usize, (usize, usize))> {
    // Lower case of ASCII leaves every byte where it is.
    let lower = text.to_ascii_lowercase();
    let at = SECRET_NAMES.iter().filter_map(|name| Some(lower.find(name)? + name.len())).min()?;
    let after = text.get(at..)?;
    let name_rest =
        after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "_-".contains(c)).len();
    let tail = after.get(name_rest..)?;
    let separators =
        tail.len() - tail.trim_start_matches(|c: char| c.is_whitespace() || "=:\"'\\".contains(c)).len();
    let assigns = tail.get(..separators)?.contains(['=', ':']);
    let value = tail.get(separators..)?;
    let quoted = tail.get(..separators)?.ends_with(['"', '\'']);
    let end = match (assigns, quoted) {
        (false, _) => 0,
        (true, true) => value.find(['"', '\'', '\n']).unwrap_or(value.len()),
        (true, false) => {
            value.find(|c: char| c.is_whitespace() || ",;)&}".contains(c)).unwrap_or(value.len())
        }
    };
    Some((at, (name_rest + separators, end)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        for (text, masked) in [
            (
                "audit_database = \"postgres://me:s3cret@h/audit\"\n",
                "audit_database = \"postgres://me:***@h/audit\"\n",
            ),
            ("x postgres:///a?password=s3cret&b=1 y", "x postgres:///a?password=***&b=1 y"),
            ("db_password = \"s3cret word\" # why", "db_password = \"***\" # why"),
            ("PGPASSWORD=s3cret gridiron", "PGPASSWORD=*** gridiron"),
            (r#"{"token":"s3cret","a":1}"#, r#"{"token":"***","a":1}"#),
            (r#"{"x":"{\"passphrase\":\"s3cret\"}"}"#, r#"{"x":"{\"passphrase\":\"***"}"}"#),
            ("a\n-----BEGIN RSA PRIVATE KEY-----\ns3cret\n-----END RSA PRIVATE KEY-----\nb\n", "a\n***\nb\n"),
            ("log: -----BEGIN PRIVATE KEY-----\\ns3cret\\n-----END PRIVATE KEY-----\nb", "log: ***\nb"),
            ("-----BEGIN CERTIFICATE-----\ns3cret", "***\n"),
        ] {
            let (found, count) = mask(text);
            assert_eq!((found.as_str(), count), (masked, 1), "{text:?}");
        }
        for plain in [
            "key = \"hostkey.pem\"\n",
            "https://vm:40001/17/4/ and a:b@c",
            "the passphrase is asked for",
            "",
            "ä…\n\n",
        ] {
            assert_eq!(mask(plain), (plain.to_owned(), 0), "{plain:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_finds_nothing_twice(text in "(password|token|://|:|@|=|\"|\\\\|é|[a-z \n]){0,40}") {
            let (once, _) = mask(&text);
            let (twice, count) = mask(&once);
            prop_assert_eq!((twice, count), (once, 0));
        }
    }
}
