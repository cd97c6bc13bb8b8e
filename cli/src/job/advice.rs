//! What the owner of a failed job can try, by error number.

use gram::GramError;

/// What to try when a job has failed with this number; None: nothing better than its text is known.
pub fn for_failure(code: GramError, job: &str) -> Option<String> {
    Some(match code {
        GramError::USER_CANCELLED => "submit it again, if that was not meant".to_owned(),
        GramError::SYSTEM_CANCELLED => "submit it with a longer max_wall_time (-t MINUTES)".to_owned(),
        GramError::JOB_EXECUTION_FAILED => "submit it again; the log of the job manager says more".to_owned(),
        GramError::STAGING_EXECUTABLE | GramError::STAGING_STDIN | GramError::STAGE_IN_FAILED => format!(
            "look whether the URL answers (gridiron cp URL -), and submit it again; or, when it was stored for that: gridiron restart {job}"
        ),
        GramError::STAGE_OUT_FAILED | GramError::OPENING_STDOUT | GramError::OPENING_STDERR => format!(
            "look whether the destination answers and has room; or send the output elsewhere: gridiron restart {job} --stdout PLACE"
        ),
        GramError::EXECUTABLE_PERMISSIONS => "make the program executable there: chmod +x".to_owned(),
        GramError::BAD_DIRECTORY | GramError::EXECUTABLE_NOT_FOUND | GramError::STDIN_NOT_FOUND => {
            "name a directory, program and input that exist there; or send them along: --stage, --stdin"
                .to_owned()
        }
        GramError::COMMIT_TIMED_OUT => {
            "submit it again, and commit in time; a longer time to commit: (two_phase=SECONDS)".to_owned()
        }
        GramError::USER_PROXY_EXPIRED | GramError::USER_PROXY_NOT_FOUND | GramError::OPENING_USER_PROXY => {
            format!("gridiron proxy init && gridiron restart {job}")
        }
        GramError::OPENING_CACHE | GramError::INVALID_CACHE => {
            "make room or permissions in the GASS cache there; or name another one: (gass_cache=DIR)"
                .to_owned()
        }
        GramError::INVALID_SCRATCH => "name a scratch_dir that you may write to there".to_owned(),
        GramError::WRITING_STATE_FILE => "tell the site: its disk is full, or broken".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_people_meet_have_advice() {
        for code in [5, 8, 9, 11, 17, 43, 44, 72, 73, 74, 76, 111, 123, 131, 135, 136, 155] {
            assert!(for_failure(GramError(code), "J").is_some(), "{code}");
        }
        assert!(for_failure(GramError(48), "J").is_none());
    }
}
