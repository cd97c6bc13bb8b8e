//! `savejobdescription=yes`: the job as its scheduler gets it, in `$HOME/gram_ID.pl`, for people who look into a job that does not
//! behave. The form is that of the stock job manager's file, a Perl hash of lists; it has the attributes that we have.

use crate::{
    job::{FilePair, Job, Output},
    launch::{JobType, Launch},
    octets::Octets,
    site::{Durability, Site, replace_private},
};
use std::{os::unix::ffi::OsStrExt as _, path::PathBuf};

/// Writes the file, for its owner alone. A failure is logged and nothing more: nobody waits for it.
pub fn save(job: &Job, launch: &Launch, site: &Site) {
    let path = path(job, site);
    if let Err(error) = replace_private(&path, &text(job, launch), Durability::ProcessesOnly) {
        tracing::warn!(job = %job.key, path = %path.display(), %error, "job description not saved");
    }
}

/// Where it is.
pub fn path(job: &Job, site: &Site) -> PathBuf {
    site.account.home.join(format!("gram_{}.pl", job.key))
}

/// The file's content.
fn text(job: &Job, launch: &Launch) -> Vec<u8> {
    let spec = &job.spec;
    let lists = spec.staging.as_deref();
    let pairs = |list: Option<&Vec<FilePair>>| -> Vec<Vec<u8>> {
        let pairs = list.into_iter().flatten();
        pairs.map(|pair| sequence(&[literal(pair.from.as_bytes()), literal(pair.to.as_bytes())])).collect()
    };
    let texts = |list: &[Octets]| list.iter().map(|text| literal(text.as_bytes())).collect();
    let number = |number: u32| vec![literal(number.to_string().as_bytes())];
    let path = |path: &PathBuf| vec![literal(path.as_os_str().as_bytes())];
    let stream = |output: &Output, written: &PathBuf| match output {
        Output::Deliver(destinations) => {
            destinations.iter().map(|destination| literal(destination.to_string().as_bytes())).collect()
        }
        Output::File(_) | Output::Cache(_) => path(written),
    };
    let job_type = match launch.job_type {
        JobType::Single => "single",
        JobType::Multiple => "multiple",
        JobType::Mpi => "mpi",
        JobType::Condor => "condor",
    };
    let environment = launch
        .environment
        .iter()
        .map(|(name, value)| sequence(&[literal(name.as_bytes()), literal(value.as_bytes())]));
    let attributes: [(&str, Vec<Vec<u8>>); 18] = [
        ("uniqid", vec![literal(job.key.to_string().as_bytes())]),
        ("cachetag", vec![literal(job.cache_tag().as_bytes())]),
        ("executable", path(&launch.executable)),
        ("arguments", texts(&spec.arguments)),
        ("directory", path(&launch.directory)),
        ("environment", environment.collect()),
        ("librarypath", texts(&spec.library_path)),
        ("stdin", path(&launch.stdin)),
        ("stdout", stream(&spec.stdout, &launch.stdout)),
        ("stderr", stream(&spec.stderr, &launch.stderr)),
        ("count", number(launch.count)),
        ("jobtype", vec![literal(job_type.as_bytes())]),
        ("maxwalltime", launch.max_wall_time.map(number).unwrap_or_default()),
        ("filestagein", pairs(lists.map(|lists| &lists.stage_in))),
        ("filestageinshared", pairs(lists.map(|lists| &lists.stage_in_shared))),
        ("filestageout", pairs(lists.map(|lists| &lists.stage_out))),
        ("filecleanup", lists.map(|lists| texts(&lists.clean_up)).unwrap_or_default()),
        ("scratchdirectory", spec.scratch().map(|path| vec![literal(path.as_bytes())]).unwrap_or_default()),
    ];
    let mut text = b"$description = {\n".to_vec();
    for (name, values) in attributes {
        text.extend_from_slice(format!("   '{name}' => ").as_bytes());
        text.extend(sequence(&values));
        text.extend_from_slice(b",\n");
    }
    text.extend_from_slice(b"};\n");
    text
}

fn sequence(values: &[Vec<u8>]) -> Vec<u8> {
    [b"[ ".as_slice(), &values.join(b", ".as_slice()), b" ]"].concat()
}

/// In single quotes only these two mean anything to Perl.
fn literal(text: &[u8]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in text {
        if matches!(byte, b'\'' | b'\\') {
            quoted.push(b'\\');
        }
        quoted.push(*byte);
    }
    quoted.push(b'\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{environment::Places, job::tests::sample};
    use std::process::Command;

    #[test]
    fn perl_reads_what_was_meant() {
        let folder = tempfile::tempdir().unwrap();
        let site = crate::site_for_tests(folder.path());
        std::fs::create_dir(&site.account.home).unwrap();
        let mut job = sample();
        job.spec.arguments = vec!["it's".into(), r"a\b\\".into(), "line\nbreak".into()];
        let staging = job.spec.staging.get_or_insert_default();
        staging.stage_in = vec![FilePair { from: "https://vm:1/x".into(), to: "x".into() }];
        let places = Places::of(&job, &site.job_files(job.key));
        save(&job, &crate::environment::launch(&job, &site, places), &site);
        let path = path(&job, &site);
        let program = r"our $description; do $ARGV[0] or die; print join '|',
            @{$description->{arguments}}, $description->{filestagein}[0][1], scalar @{$description->{filestageout}}";
        let Ok(output) = Command::new("perl").arg("-e").arg(program).arg(&path).output() else {
            println!("skipped: perl is not installed");
            return;
        };
        assert_eq!(String::from_utf8_lossy(&output.stdout), "it's|a\\b\\\\|line\nbreak|x|0", "{output:?}");
    }
}
