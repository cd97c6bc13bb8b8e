//! `gridiron cache`: the GASS cache, shared with stock programs.

use crate::{
    cache::{self, failure},
    exit::Exit,
    failure::Failure,
    runtime::block_on,
    ui::Ui,
};
use gass::{Cache, cache::NO_TAG};
use serde_json::json;
use std::path::PathBuf;

/// Look at and change the cache that jobs keep fetched files in
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The cache's directory [env: GLOBUS_GASS_CACHE_DEFAULT; default: ~/.globus/.gass_cache]
    #[arg(long, value_name = "DIR", global = true)]
    cache: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show what is cached, and which tags refer to it
    #[command(after_help = "Example: gridiron cache list --tag https://grid.example.org:40001/16213/5981/")]
    List {
        /// Only this URL
        url: Option<String>,
        /// Only what this tag refers to
        #[arg(short, long)]
        tag: Option<String>,
    },
    /// Add a reference to a URL, fetching it unless it is there, and print the file's path
    #[command(after_help = "Example: gridiron cache add --tag mine https://data.example.org:2811/input.dat")]
    Add {
        /// https:, http: or file: URL
        url: String,
        /// The tag that refers to it
        #[arg(short, long, default_value = NO_TAG)]
        tag: String,
        /// Cache it under this name instead of the URL
        #[arg(short, long, conflicts_with = "empty")]
        name: Option<String>,
        /// Fetch nothing: an empty entry of this name
        #[arg(long)]
        empty: bool,
    },
    /// Print the path of a cached file
    #[command(
        after_help = "Example: gridiron cache query --tag mine https://data.example.org:2811/input.dat"
    )]
    Query {
        /// What it is cached as
        url: String,
        /// The tag that refers to it
        #[arg(short, long, default_value = NO_TAG)]
        tag: String,
    },
    /// Drop a reference; without URL, all references of the tag; the file goes with its last reference
    #[command(
        after_help = "Examples:\n  gridiron cache delete --tag mine https://data.example.org:2811/input.dat\n  \
                      gridiron cache delete --tag mine"
    )]
    Delete {
        /// What it is cached as
        #[arg(required_unless_present = "tag")]
        url: Option<String>,
        /// The tag that refers to it [default: null]
        #[arg(short, long)]
        tag: Option<String>,
        /// All references: of the tag, or of everybody when no tag is given
        #[arg(short, long)]
        all: bool,
    },
    /// Undo what programs that died have left, and remove what nobody refers to
    #[command(after_help = "Example: gridiron cache clean")]
    Clean,
    /// Show how full it is
    #[command(after_help = "Example: gridiron cache usage --json | jq .bytes")]
    Usage,
    /// Keep files that nobody refers to, up to a limit, the least recently used go first; or show the limit
    #[command(
        after_help = "A cached file is never compared with its source: with a limit, an old version may be used after the\n\
                      source has changed. Without one, files go with their last reference.\n\n\
                      Examples:\n  gridiron cache limit 10G\n  gridiron cache limit none"
    )]
    Limit {
        /// Bytes, with K, M, G or T for powers of 1024; none: keep nothing
        size: Option<String>,
    },
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let root = self.cache.unwrap_or_else(Cache::default_root);
        let cache = Cache::open(&root).map_err(failure)?;
        match self.verb {
            Verb::List { url, tag } => list(ui, &cache, url.as_deref(), tag.as_deref()),
            Verb::Add { url, tag, name, empty } => {
                let source = if empty { "file:///dev/null" } else { url.as_str() };
                let name = name.as_deref().unwrap_or(&url);
                let bar = ui.progress("fetching");
                let path = block_on(cache::add(&cache, source, name, &tag))?;
                bar.finish_and_clear();
                ui.result(&json!({ "url": name, "tag": tag, "path": path }), path.display());
                Ok(Exit::Success)
            }
            Verb::Query { url, tag } => match cache.query(&url, &tag).map_err(failure)? {
                Some(path) => {
                    ui.result(&json!({ "url": url, "tag": tag, "path": path }), path.display());
                    Ok(Exit::Success)
                }
                None => {
                    ui.result(&json!({ "url": url, "tag": tag, "path": null }), "");
                    ui.note(format_args!("{url} is not cached for tag {tag}"));
                    Ok(Exit::Negative)
                }
            },
            Verb::Delete { url, tag, all } => {
                delete(&cache, url.as_deref(), tag.as_deref(), all).map_err(failure)?;
                ui.result(&json!({ "url": url, "tag": tag, "deleted": true }), "");
                Ok(Exit::Success)
            }
            Verb::Clean => {
                let cleaned = cache.clean().map_err(failure)?;
                let value = json!({
                    "removed": cleaned.removed, "bytes": cleaned.bytes, "recovered": cleaned.recovered,
                    "leftovers": cleaned.leftovers,
                });
                let text = format!(
                    "removed {} files nobody refers to ({} bytes) and {} left-overs; recovered {} entries",
                    cleaned.removed, cleaned.bytes, cleaned.leftovers, cleaned.recovered
                );
                ui.result(&value, text);
                Ok(Exit::Success)
            }
            Verb::Usage => usage(ui, &cache),
            Verb::Limit { size: None } => {
                let limit = cache.limit().map_err(failure)?;
                let text = limit.map_or_else(|| "none".to_owned(), |bytes| format!("{bytes} bytes"));
                ui.result(&json!({ "limit": limit }), text);
                Ok(Exit::Success)
            }
            Verb::Limit { size: Some(size) } => {
                let limit = parse_limit(&size)?;
                cache.set_limit(limit).map_err(failure)?;
                ui.result(&json!({ "limit": limit }), "");
                Ok(Exit::Success)
            }
        }
    }
}

fn list(ui: &Ui, cache: &Cache, url: Option<&str>, tag: Option<&str>) -> Result<Exit, Failure> {
    let listed = cache.list(url, tag).map_err(failure)?;
    for entry in &listed {
        let tags: Vec<_> = entry
            .tags
            .iter()
            .map(|tagged| json!({ "tag": tagged.tag, "references": tagged.references }))
            .collect();
        let value = json!({ "url": entry.url, "bytes": entry.size, "ready": entry.ready, "tags": tags });
        let mut text = format!("{}  {} bytes", entry.url, entry.size);
        if !entry.ready {
            text += "  (not ready)";
        }
        for tagged in &entry.tags {
            text += &format!("\n    {} {}", tagged.references, tagged.tag);
        }
        ui.result(&value, text);
    }
    if listed.is_empty() {
        ui.note("nothing is cached");
    }
    Ok(Exit::Success)
}

fn delete(cache: &Cache, url: Option<&str>, tag: Option<&str>, all: bool) -> Result<(), gass::CacheError> {
    match (url, tag) {
        (Some(url), None) if all => cache.remove_url(url),
        (Some(url), tag) if all => cache.delete_all(url, tag.unwrap_or(NO_TAG)),
        (Some(url), tag) => cache.delete(url, tag.unwrap_or(NO_TAG)),
        (None, tag) => cache.remove_tag(tag.unwrap_or(NO_TAG)),
    }
}

fn usage(ui: &Ui, cache: &Cache) -> Result<Exit, Failure> {
    let usage = cache.usage().map_err(failure)?;
    let value = json!({
        "cache": cache.layout().root(), "files": usage.contents, "bytes": usage.bytes,
        "kept_files": usage.kept_contents, "kept_bytes": usage.kept_bytes, "not_ready": usage.held,
        "limit": usage.limit,
    });
    let limit = match usage.limit {
        Some(bytes) => format!("kept up to {bytes} bytes in all"),
        None => "not kept".to_owned(),
    };
    let text = format!(
        "{}: {} files, {} bytes; {} files, {} bytes that nobody refers to ({limit}); {} not ready",
        cache.layout().root().display(),
        usage.contents,
        usage.bytes,
        usage.kept_contents,
        usage.kept_bytes,
        usage.held,
    );
    ui.result(&value, text);
    Ok(Exit::Success)
}

/// A number of bytes, or none.
fn parse_limit(text: &str) -> Result<Option<u64>, Failure> {
    if text == "none" {
        return Ok(None);
    }
    let (digits, shift) = match text.char_indices().next_back() {
        Some((at, unit)) if !unit.is_ascii_digit() => {
            let shift = match unit.to_ascii_uppercase() {
                'K' => Some(10),
                'M' => Some(20),
                'G' => Some(30),
                'T' => Some(40),
                _ => None,
            };
            (text.get(..at).unwrap_or_default(), shift)
        }
        _ => (text, Some(0)),
    };
    let number = digits.parse::<u64>().ok();
    match number.zip(shift).and_then(|(number, shift)| number.checked_mul(1 << shift)) {
        Some(bytes) => Ok(Some(bytes)),
        None => {
            Err(Failure::new(Exit::Usage, format!("{text} is not a size"))
                .try_this("10G, 500M, 1000000, none"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_limit("0"), Ok(Some(0)));
        assert_eq!(parse_limit("500"), Ok(Some(500)));
        assert_eq!(parse_limit("3k"), Ok(Some(3072)));
        assert_eq!(parse_limit("10G"), Ok(Some(10 << 30)));
        assert_eq!(parse_limit("none"), Ok(None));
        for bad in ["", "G", "-1", "1.5G", "99999999999999T", "1 G", "much"] {
            assert!(parse_limit(bad).is_err(), "{bad}");
        }
    }
}
