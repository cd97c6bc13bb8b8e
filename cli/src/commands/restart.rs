//! `gridiron restart`: takes up a job again that its site has let go of, or that could not move its files.

use super::{
    arguments::{self, Resource},
    status,
};
use crate::{
    exit::Exit,
    failure::Failure,
    job::{
        self, Interrupt, Job, Progress, Serving, Wait,
        record::{self, Record},
        request, watch,
    },
    runtime::block_on,
    session::Session,
    ui::Ui,
};
use gram::{
    GramError, JobContact, ResourceContact, Signal, StateMask, callback::Listener, client::JobStatus,
};
use gsi::DelegationMode;
use rsl::Spec;

/// Take up a job again, with a new credential and, if you like, new places for its output
///
/// For a job whose site has let go of it (its credential ended, or `gridiron signal JOB stop-manager`), a two-phase job that was not
/// collected in time, or one that failed because a file could not be fetched or sent: that is tried again. A job that runs is
/// left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  gridiron restart $JOB
  gridiron restart $JOB --stdout https://here.example.org:5000/tmp/out
  gridiron restart $JOB --here")]
pub struct Args {
    /// Job contact
    #[arg(value_name = "JOB")]
    job: String,
    /// Where it was submitted, unless `gridiron submit` did that from here
    #[command(flatten)]
    resource: Resource,
    /// From now on standard output goes to this path there, or URL
    #[arg(long, value_name = "PLACE")]
    stdout: Option<String>,
    /// From now on standard error goes to this path there, or URL
    #[arg(long, value_name = "PLACE")]
    stderr: Option<String>,
    /// The URL that the job finds in its remote I/O file
    #[arg(long, value_name = "URL")]
    remote_io_url: Option<String>,
    /// Wait for the job's end
    #[arg(short, long)]
    wait: bool,
    /// Wait for the job's end, and bring its output here
    #[arg(long, conflicts_with_all = ["stdout", "stderr"])]
    here: bool,
    /// Delegate a full proxy instead of a limited one
    #[arg(short = 'D', long)]
    full_proxy: bool,
}

impl Args {
    pub(super) fn run(self, ui: &Ui) -> Result<Exit, Failure> {
        let job = arguments::job(&self.job)?;
        let recorded = record::find(&self.job).ok();
        let submitted_at = recorded.as_ref().and_then(|record| record.contact().ok());
        let contact = self.resource.contact_or(submitted_at)?;
        let session = Session::open()?;
        let spec = self.spec(&job);
        if self.wait || self.here {
            return self.follow(ui, &session, contact, spec);
        }
        let (now_at, status) = block_on(take_up(&session, &contact, &spec, self.delegation()))?;
        let text = now_at.to_string();
        if let Some(record) = recorded.filter(|_| text != self.job) {
            record::append(&Record { job: text.clone(), ..record })?;
            record::remove(&self.job)?;
        }
        ui.result(&status::as_json(&text, &status), format!("{text} {}", status::describe(&status)));
        Ok(Exit::Success)
    }

    fn delegation(&self) -> DelegationMode {
        if self.full_proxy { DelegationMode::Full } else { DelegationMode::Limited }
    }

    /// The request, `&(restart=…)…`.
    fn spec(&self, job: &JobContact) -> Spec {
        let given = [
            ("stdout", self.stdout.as_deref()),
            ("stderr", self.stderr.as_deref()),
            ("remote_io_url", self.remote_io_url.as_deref()),
        ];
        let contact = job.to_string();
        let relations = std::iter::once(("restart", Some(contact.as_str())))
            .chain(given)
            .filter_map(|(name, value)| Some(request::relation(name, vec![request::literal(value?)])));
        Spec::Boolean(rsl::Operator::And, relations.collect())
    }

    fn follow(
        &self,
        ui: &Ui,
        session: &Session,
        contact: ResourceContact,
        spec: Spec,
    ) -> Result<Exit, Failure> {
        let job = Job {
            contact,
            spec,
            serving: self.here.then_some(Serving::Output),
            wait: Wait::End,
            delegation: self.delegation(),
            dry_run: false,
            interrupt: Interrupt::LeaveJob,
        };
        let mut observe = |_: Progress<'_>| {};
        let ending = block_on(async { Ok(job::run(session, job, &mut observe).await?) })?;
        if let Some(failure) = ending.failed() {
            return Err(failure);
        }
        let status = JobStatus {
            state: ending.state,
            failure: GramError::SUCCESS,
            exit_code: ending.exit_code,
            extensions: Vec::new(),
        };
        if !self.here {
            ui.result(
                &status::as_json(&self.job, &status),
                format!("{} {}", self.job, status::describe(&status)),
            );
        }
        Ok(Exit::Success)
    }
}

/// Restarts the job and leaves; gives its contact, which may have another port now, and where it stands.
async fn take_up(
    session: &Session,
    contact: &ResourceContact,
    spec: &Spec,
    mode: DelegationMode,
) -> Result<(JobContact, JobStatus), Failure> {
    // Stock job managers crash when a running job is restarted without a call-back contact (gram.md §23).
    let listener = Listener::start(&session.credential, &session.trust).await.map_err(job::JobError::from)?;
    let client = &session.client;
    let text = request::text(spec)?;
    let accepted = client.submit(contact, None, &text, StateMask::ALL, Some(listener.url()), mode).await?;
    if accepted.code == GramError::WAITING_FOR_COMMIT {
        client.signal(&accepted.contact, &Signal::CommitRequest).await?;
    }
    let status = watch::status(client, &accepted.contact).await?;
    // To take back the last contact of a finished two-phase job would mean that it has been collected.
    if !status.state.is_some_and(watch::is_terminal) {
        let _ = client.unregister(&accepted.contact, listener.url()).await;
    }
    Ok((accepted.contact, status))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn the_request_has_what_was_given() {
        let line = Line::parse_from(["restart", "https://vm:1/2/3", "--stderr", "/tmp/err"]);
        let job = arguments::job(&line.args.job).unwrap();
        let text = request::text(&line.args.spec(&job)).unwrap();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "&(\"restart\" = \"https://vm:1/2/3/\" )(\"stderr\" = \"/tmp/err\" )"
        );
    }
}
