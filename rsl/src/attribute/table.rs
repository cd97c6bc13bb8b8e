//! The table itself: one line per attribute.

use super::Request::{self, Restart, StdioUpdate, Submit};
use crate::tree::canonical_bytes;

/// One attribute and its rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute {
    /// As documented, with underscores; any case and any underscores are accepted.
    pub name: &'static str,
    /// What its values look like.
    pub kind: Kind,
    /// The requests it may stand in.
    pub valid_in: &'static [Request],
    /// GRAM error number when the relation does not have the form of its kind.
    pub malformed: u16,
    /// GRAM error number when the form is right and the value is not.
    pub invalid: u16,
    /// The request that must have it, and the GRAM error number when it has not.
    pub required_in: Option<(Request, u16)>,
}

/// What the values of an attribute look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One text: a path, URL, name.
    Text,
    /// One decimal integer.
    Integer,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Texts.
    List,
    /// `(a b)` pairs of texts.
    Pairs,
    /// Where output goes: one path or URL, a cache URL with its tag, or a list of these in parentheses (rsl.md §9).
    Destinations,
}

impl Attribute {
    /// Lower case, no underscores.
    pub fn canonical_name(&self) -> String {
        self.name.replace('_', "")
    }
}

/// The attribute of this name where the scheduler is `scheduler` (`fork`, `pbs`, `lsf`, `slurm`, `sge`, `condor`; any
/// other has the base attributes only). Case and underscores of the name are ignored.
pub fn find(name: &[u8], scheduler: &str) -> Option<&'static Attribute> {
    known(scheduler).find(|attribute| canonical_bytes(attribute.name.as_bytes()).eq(canonical_bytes(name)))
}

/// All attributes where the scheduler is `scheduler`; those of the scheduler come first, as they override.
pub fn known(scheduler: &str) -> impl Iterator<Item = &'static Attribute> {
    extensions(scheduler).iter().chain(BASE)
}

/// The schedulers that know an attribute which is not of the base.
pub(super) fn schedulers_with(name: &[u8]) -> impl Iterator<Item = &'static str> {
    SCHEDULERS.iter().map(|(scheduler, _)| *scheduler).filter(move |scheduler| {
        find(name, scheduler).is_some_and(|attribute| !attribute.valid_in.is_empty())
    })
}

/// The attributes of any scheduler that reads no table of its own; for looking up error numbers.
pub(super) fn find_anywhere(name: &[u8]) -> Option<&'static Attribute> {
    let extensions = SCHEDULERS.iter().flat_map(|(_, attributes)| attributes.iter());
    BASE.iter()
        .chain(extensions)
        .find(|attribute| canonical_bytes(attribute.name.as_bytes()).eq(canonical_bytes(name)))
}

/// Consumed by a co-allocator before a branch goes to GRAM (rsl.md §11).
pub(super) const OF_MULTI_REQUESTS: &[&str] =
    &["resourceManagerContact", "label", "subjobStartType", "subjobCommsType"];

fn extensions(scheduler: &str) -> &'static [Attribute] {
    SCHEDULERS.iter().find(|(name, _)| *name == scheduler).map_or(&[], |(_, attributes)| attributes)
}

const YES_NO: Kind = Kind::Word(&["yes", "no"]);

/// Number of attributes that have none of their own.
const SCHEDULER_SPECIFIC: u16 = 134;

const S: &[Request] = &[Submit];
const R: &[Request] = &[Restart];
const SR: &[Request] = &[Submit, Restart];
const RU: &[Request] = &[Restart, StdioUpdate];
const SRU: &[Request] = &[Submit, Restart, StdioUpdate];

const fn attribute(
    name: &'static str,
    kind: Kind,
    valid_in: &'static [Request],
    malformed: u16,
    invalid: u16,
) -> Attribute {
    Attribute { name, kind, valid_in, malformed, invalid, required_in: None }
}

/// An attribute of one scheduler, valid in a new job, without error numbers of its own.
const fn extension(name: &'static str, kind: Kind) -> Attribute {
    attribute(name, kind, S, SCHEDULER_SPECIFIC, SCHEDULER_SPECIFIC)
}

/// rsl.md §8.
#[rustfmt::skip]
const BASE: &[Attribute] = &[
    Attribute { required_in: Some((Submit, 81)), ..attribute("executable", Kind::Text, S, 55, 5) },
    attribute("arguments",            Kind::List,         S,    50,  46),
    attribute("directory",            Kind::Text,         S,    52,  4),
    attribute("environment",          Kind::Pairs,        S,    54,  54),
    attribute("stdin",                Kind::Text,         S,    64,  11),
    attribute("stdout",               Kind::Destinations, SRU,  65,  73),
    attribute("stderr",               Kind::Destinations, SRU,  63,  74),
    // Stock job managers never say 51.
    attribute("count",                Kind::Integer,      S,    14,  14),
    attribute("host_count",           Kind::Integer,      S,    56,  35),
    attribute("job_type", Kind::Word(&["single", "multiple", "mpi", "condor"]), S, 57, 19),
    attribute("max_wall_time",        Kind::Integer,      S,    101, 102),
    attribute("max_cpu_time",         Kind::Integer,      S,    103, 104),
    attribute("max_time",             Kind::Integer,      S,    58,  13),
    attribute("min_memory",           Kind::Integer,      S,    84,  86),
    attribute("max_memory",           Kind::Integer,      S,    85,  87),
    attribute("queue",                Kind::Text,         S,    62,  37),
    attribute("project",              Kind::Text,         S,    61,  38),
    attribute("dry_run",              YES_NO,             S,    53,  SCHEDULER_SPECIFIC),
    attribute("gram_my_job", Kind::Word(&["collective", "independent"]), S, 59, 20),
    attribute("save_state",           YES_NO,             S,    112, 150),
    attribute("two_phase",            Kind::Text,         S,    114, 114),
    Attribute { required_in: Some((Restart, 148)), ..attribute("restart", Kind::Text, R, 113, 113) },
    attribute("remote_io_url",        Kind::Text,         SRU,  127, 128),
    attribute("stdout_position", Kind::Word(&["0"]),      RU,   116, 117),
    attribute("stderr_position", Kind::Word(&["0"]),      RU,   118, 119),
    attribute("rsl_substitution",     Kind::Pairs,        SR,   39,  39),
    attribute("scratch_dir",          Kind::Text,         S,    146, 136),
    attribute("file_stage_in",        Kind::Pairs,        S,    141, 135),
    attribute("file_stage_in_shared", Kind::Pairs,        S,    142, 135),
    attribute("file_stage_out",       Kind::Pairs,        S,    143, 155),
    attribute("file_clean_up",        Kind::List,         S,    145, 145),
    // Stock job managers say 137 where the table of errors has 144.
    attribute("gass_cache",           Kind::Text,         S,    137, 149),
    attribute("proxy_timeout",        Kind::Integer,      SR,   153, 153),
    attribute("library_path",         Kind::List,         S,    SCHEDULER_SPECIFIC, SCHEDULER_SPECIFIC),
    attribute("username",             Kind::Text,         S,    166, 7),
    attribute("expiration",           Kind::Integer,      S,    SCHEDULER_SPECIFIC, SCHEDULER_SPECIFIC),
    attribute("loglevel",             Kind::Text,         S,    SCHEDULER_SPECIFIC, 159),
    attribute("logpattern",           Kind::Text,         S,    SCHEDULER_SPECIFIC, 159),
    attribute("savejobdescription",   YES_NO,             S,    SCHEDULER_SPECIFIC, SCHEDULER_SPECIFIC),
    attribute("restartcontacts",      YES_NO,             R,    SCHEDULER_SPECIFIC, SCHEDULER_SPECIFIC),
];

/// rsl.md §10. Faults of the stock files are not repeated: those of pbs make two of its attributes unknown.
const SCHEDULERS: &[(&str, &[Attribute])] = &[
    ("fork", &[]),
    (
        "pbs",
        &[
            extension("email_address", Kind::Text),
            extension("email_on_abort", YES_NO),
            extension("email_on_execution", YES_NO),
            extension("email_on_termination", YES_NO),
            extension("name", Kind::Text),
        ],
    ),
    (
        "lsf",
        &[
            extension("name", Kind::Text),
            extension("host_xcount", Kind::Integer),
            extension("xcount", Kind::Integer),
            // Switched off: valid in no request.
            attribute("host_count", Kind::Integer, &[], 56, 35),
            attribute("min_memory", Kind::Integer, &[], 84, 86),
        ],
    ),
    (
        "slurm",
        &[
            extension("email_address", Kind::Text),
            extension("email_on_abort", YES_NO),
            extension("email_on_execution", YES_NO),
            extension("mpi_type", Kind::Text),
            extension("job_dependency", Kind::Text),
        ],
    ),
    (
        "sge",
        &[
            extension("email_address", Kind::Text),
            extension("emailonexecution", YES_NO),
            extension("emailontermination", YES_NO),
            extension("emailonabort", YES_NO),
            extension("emailonsuspend", YES_NO),
            extension("parallel_environment", Kind::Text),
        ],
    ),
    (
        "condor",
        &[
            extension("condor_submit", Kind::Pairs),
            extension("condor_os", Kind::Text),
            extension("condor_arch", Kind::Text),
            extension("xcount", Kind::Integer),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn names_are_unique_and_spelling_is_ignored() {
        for (scheduler, _) in SCHEDULERS {
            let mut seen = BTreeSet::new();
            for attribute in extensions(scheduler) {
                assert!(seen.insert(attribute.canonical_name()), "{} twice for {scheduler}", attribute.name);
            }
        }
        let mut seen = BTreeSet::new();
        for attribute in BASE {
            assert!(seen.insert(attribute.canonical_name()), "{} twice", attribute.name);
        }
        assert_eq!(find(b"MaxWallTime", "fork").unwrap().name, "max_wall_time");
        assert_eq!(find(b"max_WALL_time", "nosuch").unwrap().name, "max_wall_time");
        assert_eq!(find(b"email_address", "fork"), None);
    }

    #[test]
    fn a_scheduler_overrides_the_base() {
        assert_eq!(find(b"host_count", "lsf").unwrap().valid_in, []);
        assert_eq!(find(b"host_count", "slurm").unwrap().valid_in, S);
    }

    /// Compares with the validation file of the stock job manager, where it is installed.
    #[test]
    fn base_table_agrees_with_the_stock_validation_file() {
        let path = "/usr/share/globus/globus_gram_job_manager/globus-gram-job-manager.rvf";
        let Ok(text) = std::fs::read_to_string(path) else {
            println!("skipped: {path} is absent (package globus-gram-job-manager)");
            return;
        };
        let mut stock: BTreeMap<String, (Vec<Request>, Vec<String>)> = BTreeMap::new();
        let mut current = String::new();
        for line in text.lines() {
            let Some((aspect, rest)) = line.split_once(':') else { continue };
            let words = rest.split_whitespace().map(|word| word.trim_matches('"').to_owned());
            match aspect {
                "Attribute" => {
                    current = rest.trim().replace('_', "").to_lowercase();
                    stock.entry(current.clone()).or_default();
                }
                "ValidWhen" => {
                    stock.get_mut(&current).unwrap().0 = words
                        .map(|word| match word.as_str() {
                            "GLOBUS_GRAM_JOB_SUBMIT" => Submit,
                            "GLOBUS_GRAM_JOB_MANAGER_RESTART" => Restart,
                            "GLOBUS_GRAM_JOB_MANAGER_STDIO_UPDATE" => StdioUpdate,
                            other => panic!("unknown request {other}"),
                        })
                        .collect();
                }
                "Values" => stock.get_mut(&current).unwrap().1 = words.collect(),
                _ => {}
            }
        }
        let ours: BTreeMap<String, (Vec<Request>, Vec<String>)> = BASE
            .iter()
            .map(|attribute| {
                let words = match attribute.kind {
                    Kind::Word(words) => words.iter().map(|word| (*word).to_owned()).collect(),
                    _ => Vec::new(),
                };
                (attribute.canonical_name(), (attribute.valid_in.to_vec(), words))
            })
            .collect();
        assert_eq!(ours, stock);
    }
}
