//! The staging lists, `file_clean_up` and `scratch_dir` of a request (rsl.md §8, §9).

use super::{Surroundings, scheme, wrong};
use crate::{
    job::{Failure, FailureKind, FilePair, Staging},
    octets::Octets,
};
use gass::Url;
use gram::GramError;
use rsl::{Relation, Spec, attribute, evaluate::Symbols};

/// Evaluates the request. When it asks for a scratch directory, its own value comes first, as the rest may use `SCRATCH_DIRECTORY`;
/// gives that directory's path too.
pub(super) fn evaluate(
    spec: &Spec,
    mut symbols: Symbols,
    around: &Surroundings,
) -> Result<(Spec, Option<Octets>), Failure> {
    let evaluate = |symbols: &Symbols| {
        rsl::evaluate::evaluate(spec, symbols)
            .map_err(|error| Failure::new(GramError::RSL_EVALUATION_FAILED, error.message))
    };
    if spec.first("scratchdir").is_none() {
        return Ok((evaluate(&symbols)?, None));
    }
    // Whatever uses the symbol is evaluated anew below.
    symbols.insert(b"SCRATCH_DIRECTORY".to_vec(), Vec::new());
    let draft = evaluate(&symbols)?;
    let Some(base) = draft.first("scratchdir") else { return Ok((draft, None)) };
    let base = Octets::from(attribute::text(base)?.to_vec());
    let scratch = Octets::from(around.home.join(base.as_path()).join(&around.scratch_name));
    symbols.insert(b"SCRATCH_DIRECTORY".to_vec(), scratch.as_bytes().to_vec());
    Ok((evaluate(&symbols)?, Some(scratch)))
}

/// The lists; None when the request has nothing of the kind.
pub(super) fn staging(spec: &Spec, scratch: Option<Octets>) -> Result<Option<Box<Staging>>, Failure> {
    let staging = Staging {
        stage_in: pairs(spec.first("filestagein"))?,
        stage_in_shared: pairs(spec.first("filestageinshared"))?,
        stage_out: pairs(spec.first("filestageout"))?,
        clean_up: match spec.first("filecleanup") {
            Some(relation) => super::octets(attribute::list(relation)?),
            None => Vec::new(),
        },
        scratch,
    };
    for (name, list) in
        [("file_stage_in", &staging.stage_in), ("file_stage_in_shared", &staging.stage_in_shared)]
    {
        for pair in list {
            check(name, pair, &pair.from, &pair.to, (GramError::STAGE_IN_FAILED, FailureKind::FileStageIn))?;
        }
    }
    for pair in &staging.stage_out {
        let failed = (GramError::STAGE_OUT_FAILED, FailureKind::FileStageOut);
        check("file_stage_out", pair, &pair.to, &pair.from, failed)?;
    }
    Ok((staging != Staging::default()).then(|| Box::new(staging)))
}

fn pairs(relation: Option<&Relation>) -> Result<Vec<FilePair>, Failure> {
    let Some(relation) = relation else { return Ok(Vec::new()) };
    let pair =
        |(from, to): attribute::Pair<'_>| FilePair { from: from.to_vec().into(), to: to.to_vec().into() };
    Ok(attribute::pairs(relation)?.into_iter().map(pair).collect())
}

/// One end must be a URL that the transfer client understands, or an absolute path; the other must be there at all.
fn check(
    name: &str,
    pair: &FilePair,
    url: &Octets,
    path: &Octets,
    (code, kind): (GramError, FailureKind),
) -> Result<(), Failure> {
    let failure = if path.as_bytes().is_empty() {
        wrong(code, name, path, "pairs of a URL and a path")
    } else {
        match (scheme(url), url.lossy().parse::<Url>()) {
            (Some("https" | "http" | "file"), Ok(_)) => return Ok(()),
            (Some("https" | "http" | "file"), Err(error)) => {
                Failure::new(code, format!("attribute `{name}`: {error}"))
            }
            (None, _) if url.as_path().is_absolute() => return Ok(()),
            _ => wrong(code, name, url, "an https, http or file URL, or an absolute path"),
        }
    };
    Err(Failure {
        kind: Some(kind),
        source_url: Some(pair.from.lossy().into_owned()),
        destination: Some(pair.to.lossy().into_owned()),
        ..failure
    })
}
