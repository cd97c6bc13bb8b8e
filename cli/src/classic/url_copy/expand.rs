//! A pair as written becomes files: directories and wildcards of the source are looked into.

use super::{absolute, arguments::Copy, messages};
use crate::copying::{list::Pair, place};
use gass::{
    Client, GassError,
    copy::{Place, Transfer, file, tree},
};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// One file, or a directory to be made.
#[derive(Debug)]
pub(super) struct Item {
    /// URL of the source, as it is shown.
    pub(super) from: String,
    /// URL of the destination, as it is shown.
    pub(super) to: String,
    /// None for a directory.
    pub(super) transfer: Option<Transfer>,
    directory: Option<Place>,
    size: Option<u64>,
}

impl Item {
    /// What `-v` shows; nothing for streams.
    pub(super) fn announcement(&self) -> Option<String> {
        let (from, from_name) = split(&self.from)?;
        let (to, to_name) = split(&self.to)?;
        let arrow = if from_name == to_name { String::new() } else { format!("  ->  {to_name}") };
        Some(format!("Source: {from}\nDest:   {to}\n  {from_name}{arrow}"))
    }

    /// A line for `-do`.
    pub(super) fn dump_line(&self) -> String {
        let mark = if self.transfer.is_none() { "#" } else { "" };
        let size = self.size.map(|size| format!("size={size};")).unwrap_or_default();
        format!("{mark}\"{}\" \"{}\" 0,-1 {size}\n", self.from, self.to)
    }

    /// Makes the directory.
    pub(super) async fn make_directory(&self, client: &Client) -> Result<(), GassError> {
        match &self.directory {
            Some(Place::Local(path)) => file::make_directories(path).await,
            Some(Place::Remote(url, expect)) => match client.make_directories(url, expect).await {
                // The original does not make directories on servers either; the first file will tell.
                Err(GassError::Unable { .. }) => Ok(()),
                made => made,
            },
            Some(Place::Stream) | None => Ok(()),
        }
    }
}

/// A URL up to its last slash, and what follows; of a directory the last part with its slash.
fn split(url: &str) -> Option<(&str, &str)> {
    let body = url.strip_suffix('/').unwrap_or(url);
    let (_, name) = body.rsplit_once('/')?;
    Some(url.split_at(body.len() - name.len()))
}

/// What the pair stands for; the text of the error otherwise.
pub(super) async fn expand(client: &Client, copy: &Copy, pair: &Pair) -> Result<Vec<Item>, String> {
    // On the command line a path will do, in a list it will not.
    if copy.listed && pair.from != "-" && place::scheme(&pair.from).is_none() {
        return Err(messages::no_scheme(&pair.from));
    }
    let wild = wildcard(&pair.from);
    let looked_into = pair.from.ends_with('/') || wild.is_some();
    let from =
        place::parse(&pair.from, &copy.source).map_err(|error| messages::bad_source(&pair.from, &error))?;
    let to =
        place::parse(&pair.to, &copy.destination).map_err(|error| messages::bad_url(&pair.to, &error))?;
    if !looked_into {
        return Ok(vec![single(copy, pair, from, to)]);
    }
    let (directory, pattern) = match wild {
        Some(pattern) => (above(&from), Some(pattern)),
        None => (from, None),
    };
    let mut found = tree::list(client, &directory, copy.recursive)
        .await
        .map_err(|error| messages::cannot_list(&pair.from, &directory, &error))?;
    found.retain(|entry| {
        let top = entry.path.components().next().map(|part| part.as_os_str()).unwrap_or_default();
        let fitting = pattern.as_ref().is_none_or(|pattern| fits(pattern.as_bytes(), top.as_encoded_bytes()));
        fitting && (!entry.directory || copy.recursive)
    });
    if !pair.to.ends_with('/') {
        return match found.as_slice() {
            [] => Ok(Vec::new()),
            // One file can have the name of the destination.
            [only] if !only.directory => {
                let from = directory.join(&only.path);
                let text = format!("{}{}", shown(&directory), only.path.display());
                Ok(vec![Item { from: text, ..single(copy, pair, from, to) }])
            }
            _ => Err(format!(
                "Multiple source urls must be transferred to a directory destination url:\n{}\n",
                pair.to
            )),
        };
    }
    let (from_text, to_text) = (shown(&directory), shown(&to));
    let mut items = Vec::new();
    for entry in found {
        let (source, target) = (directory.join(&entry.path), to.join(&entry.path));
        let name = |base: &str| {
            let slash = if entry.directory { "/" } else { "" };
            format!("{base}{}{slash}", entry.path.display())
        };
        let (transfer, directory) = if entry.directory {
            (None, Some(to.join(&entry.path.join(""))))
        } else {
            (Some(part(copy, pair, source, target)), None)
        };
        items.push(Item {
            from: name(&from_text),
            to: name(&to_text),
            transfer,
            directory,
            size: entry.size,
        });
    }
    Ok(items)
}

/// A file as it is named; into a directory it goes under its own name.
fn single(copy: &Copy, pair: &Pair, from: Place, to: Place) -> Item {
    let (to, to_text) = if pair.to.ends_with('/') {
        let name: PathBuf = match &from {
            Place::Remote(url, _) => url.file_name().unwrap_or_default().into(),
            Place::Local(path) => path.file_name().map(OsStr::to_owned).unwrap_or_default().into(),
            Place::Stream => PathBuf::new(),
        };
        (to.join(&name), format!("{}{}", shown_as(&pair.to, &to), name.display()))
    } else {
        let text = shown_as(&pair.to, &to);
        (to, text)
    };
    let from_text = shown_as(&pair.from, &from);
    Item {
        from: from_text,
        to: to_text,
        transfer: Some(part(copy, pair, from, to)),
        directory: None,
        size: None,
    }
}

/// With the range of the pair. The original writes a part into a local file where it was in the source, and leaves the rest
/// of the file alone.
fn part(copy: &Copy, pair: &Pair, from: Place, to: Place) -> Transfer {
    let partial = pair.offset.is_some() || pair.length.is_some();
    let offset = pair.offset.unwrap_or(0);
    let into = (partial && matches!(to, Place::Local(_))).then_some(offset);
    let text = copy.text && matches!(from, Place::Remote(..));
    Transfer { offset, length: pair.length, into, text, ..Transfer::whole(from, to) }
}

/// A URL as it was given; of a path, the URL.
fn shown_as(text: &str, place: &Place) -> String {
    match place {
        Place::Local(path) if place::scheme(text).is_none() => format!("file://{}", absolute(path).display()),
        _ => text.to_owned(),
    }
}

/// The URL of a directory, with a slash at its end.
fn shown(place: &Place) -> String {
    let mut text = match place {
        Place::Local(path) => format!("file://{}", absolute(path).display()),
        other => other.to_string(),
    };
    if !text.ends_with('/') {
        text.push('/');
    }
    text
}

/// The last part of a URL, if it has wildcards.
fn wildcard(url: &str) -> Option<String> {
    let name = url.rsplit('/').next()?;
    name.contains(['*', '?', '[']).then(|| name.to_owned())
}

/// The directory that the last part is in.
fn above(place: &Place) -> Place {
    match place {
        Place::Local(path) => {
            let above = path.parent().filter(|above| !above.as_os_str().is_empty());
            Place::Local(above.unwrap_or(Path::new(".")).to_owned())
        }
        Place::Remote(gass::Url::Http { secure, host, port, path }, expect) => {
            let above = path.rsplit_once('/').map_or("", |(above, _)| above);
            let (host, path) = (host.clone(), format!("{above}/"));
            Place::Remote(gass::Url::Http { secure: *secure, host, port: *port, path }, expect.clone())
        }
        other => other.clone(),
    }
}

/// Whether a name fits a pattern of `*`, `?`, `[a-z]`. A leading dot must be written out.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let hidden = name.starts_with(b".") && !pattern.starts_with(b".");
    !hidden && matches(pattern, name)
}

/// Without recursion but for the last `*`, so that no pattern takes long.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern_at, mut name_at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&byte) = name.get(name_at) {
        let rest = pattern.get(pattern_at..).unwrap_or_default();
        match one(rest, byte) {
            Step::Star => {
                star = Some((pattern_at + 1, name_at));
                pattern_at += 1;
            }
            Step::Fits(length) => {
                pattern_at += length;
                name_at += 1;
            }
            Step::Differs => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    pattern_at = after;
                    name_at = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(pattern_at..).unwrap_or_default().iter().all(|&byte| byte == b'*')
}

enum Step {
    Star,
    /// So many bytes of the pattern stand for this byte.
    Fits(usize),
    Differs,
}

fn one(pattern: &[u8], byte: u8) -> Step {
    match pattern {
        [b'*', ..] => Step::Star,
        [b'?', ..] => Step::Fits(1),
        [b'[', set @ ..] => match set.iter().skip(1).position(|&end| end == b']') {
            Some(end) => {
                let (set, length) = (set.get(..=end).unwrap_or_default(), end + 3);
                if in_set(set, byte) { Step::Fits(length) } else { Step::Differs }
            }
            None if byte == b'[' => Step::Fits(1),
            None => Step::Differs,
        },
        [first, ..] if *first == byte => Step::Fits(1),
        _ => Step::Differs,
    }
}

fn in_set(set: &[u8], byte: u8) -> bool {
    let (negated, mut set) = match set {
        [b'!' | b'^', rest @ ..] => (true, rest),
        set => (false, set),
    };
    let mut found = false;
    loop {
        set = match set {
            [low, b'-', high, rest @ ..] => {
                found |= (*low..=*high).contains(&byte);
                rest
            }
            [single, rest @ ..] => {
                found |= *single == byte;
                rest
            }
            [] => return found != negated,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("*", "abc", true),
            ("*", ".abc", false),
            (".*", ".abc", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "acb", false),
            ("*b*d*", "abcde", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[!a-c]x", "dx", true),
            ("[]]x", "]x", true),
            ("a[", "a[", true),
            ("", "a", false),
            ("a**", "a", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
        let hostile = "*a".repeat(1000);
        assert!(!matches(hostile.as_bytes(), "a".repeat(999).as_bytes()));
    }

    #[test]
    fn urls_are_shown_in_two_parts() {
        assert_eq!(split("file:///d/a"), Some(("file:///d/", "a")));
        assert_eq!(split("file:///d/sub/"), Some(("file:///d/", "sub/")));
        assert_eq!(split("-"), None);
    }
}
