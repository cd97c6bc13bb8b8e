//! From a submission to an accepted job: credential, request, the scheduler's own checks, the job directory; then the manager
//! stores it and only then is it answered. Everything here happens before the job exists, so every refusal leaves nothing behind.

use crate::{
    environment::{Streams, launch},
    identity::{self, Identities, check_lifetime},
    job::{Failure, Job, Origin, Phase, Registration},
    launch::JobKey,
    machine::{MAX_CONTACT_LENGTH, later},
    manager::{Found, Message, Shared},
    request::{self, Request, Surroundings, default_cache},
    scheduler::Scheduler,
    timeline::Timeline,
};
use gram::{GramError, JobState, control::v1, wire::Query};
use gsi::{Credential, Subject};
use jiff::Timestamp;
use tokio::sync::oneshot;

/// Longest identity taken from the front door.
const MAX_IDENTITY: usize = 4096;

/// The manager is ending and has not taken the job: another one may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending;

/// Answers a submission: a job contact (0 or 110), the end of a dry run (41), or why not.
///
/// A request that has made a job already, told by its id, gets that job's contact. So a front door that has lost its answer
/// to a crash may offer the request again.
pub async fn submit<S: Scheduler>(
    shared: &Shared<S>,
    request: v1::SubmitRequest,
) -> Result<v1::SubmitReply, Ending> {
    let id = request.request_id.clone();
    let accepted = match find(shared, &id).await? {
        Some(found) => Ok(found),
        None => accept(shared, request).await,
    };
    match accepted {
        Ok(Found { code, contact }) => {
            tracing::info!(request = id, code = code.0, contact, "job accepted");
            Ok(v1::SubmitReply { error: u32::from(code.0), job_contact: contact, message: String::new() })
        }
        // Whatever failed, it may have failed for want of the manager.
        Err(_) if shared.inbox.is_closed() => Err(Ending),
        Err(failure) => {
            tracing::info!(request = id, code = failure.code.0, reason = failure.message, "job refused");
            Ok(v1::SubmitReply {
                error: u32::from(failure.code.0),
                job_contact: String::new(),
                message: failure.message,
            })
        }
    }
}

/// The job that this request has made before.
async fn find<S>(shared: &Shared<S>, request: &str) -> Result<Option<Found>, Ending> {
    if request.is_empty() {
        return Ok(None);
    }
    let (reply, answer) = oneshot::channel();
    let message = Message::Find { request: request.to_owned(), reply };
    shared.inbox.send(message).await.map_err(|_| Ending)?;
    answer.await.map_err(|_| Ending)
}

async fn accept<S: Scheduler>(shared: &Shared<S>, request: v1::SubmitRequest) -> Result<Found, Failure> {
    let credential = delegated(&shared.identities, &request)?;
    if request.scheduler != shared.scheduler.name() {
        return Err(Failure::new(
            GramError::INVALID_JOB_MANAGER_TYPE,
            format!(
                "the service asks for the scheduler `{}`, but this job manager has `{}`",
                request.scheduler,
                shared.scheduler.name()
            ),
        ));
    }
    if request.callback_url.len() > MAX_CONTACT_LENGTH {
        return Err(Failure::new(
            GramError::INSERTING_CLIENT_CONTACT,
            format!("the call-back contact is longer than {MAX_CONTACT_LENGTH} bytes"),
        ));
    }
    let proxy = credential.to_pem();
    let identity = shared.identities.offer(credential).await?;
    let key = crate::random_key();
    let site = &shared.site;
    let contact = identity::contact(&site.host, identity.port(), key);
    let files = site.job_files(key);
    let around = Surroundings {
        home: site.account.home.clone(),
        logname: site.account.name.clone(),
        identity: request.identity.clone(),
        globus_location: site.globus_location.clone(),
        gatekeeper: (
            request.gatekeeper_host.clone(),
            request.gatekeeper_port,
            request.gatekeeper_subject.clone(),
        ),
        machine: site.machine.clone(),
        scheduler: request.scheduler.clone(),
        key,
        contact: contact.clone(),
        job_directory: files.directory().to_owned(),
    };
    let (spec, canonical) = match request::read(&request.rsl, &around)? {
        Request::Submit { spec, canonical } => (*spec, canonical),
        Request::Restart { key } => return Err(restart(shared, key, &identity.subject).await),
    };
    let now = Timestamp::now();
    let job = Job {
        key,
        contact: contact.clone(),
        phase: match spec.two_phase {
            Some(seconds) => Phase::Uncommitted { deadline: later(now, seconds) },
            None => Phase::Submitting,
        },
        origin: Origin {
            request_id: request.request_id,
            identity: request.identity,
            service: request.service,
            scheduler: request.scheduler,
            client_address: request.client_address,
            rsl: canonical,
            created: now,
        },
        state: JobState::Unsubmitted,
        failure: None,
        exit_code: None,
        scheduler_id: None,
        contacts: Some(request.callback_url)
            .filter(|url| !url.is_empty())
            .map(|url| Registration { url, mask: request.job_state_mask, owed: None })
            .into_iter()
            .collect(),
        updates: 0,
        timeline: Timeline::default(),
        spec,
    };
    let code = job.accepted_with();
    let made = files.create(proxy.as_bytes(), job.spec.remote_io_url.as_deref()).map_err(|error| {
        Failure::new(
            GramError::ARG_FILE_CREATION_FAILED,
            format!("cannot make the job directory {}: {error}", files.directory().display()),
        )
    });
    let accepted = match made.and_then(|()| check(shared, &job)) {
        Ok(()) if job.spec.dry_run => Err(Failure::new(GramError::DRYRUN, "")),
        Ok(()) => store(shared, job).await,
        Err(failure) => Err(failure),
    };
    if let Err(failure) = accepted {
        // An ending manager may have stored the job after all; the next one removes what belongs to none.
        if !shared.inbox.is_closed()
            && let Err(error) = files.remove()
        {
            tracing::warn!(job = %key, %error, "directory of a refused job not removed");
        }
        return Err(failure);
    }
    Ok(Found { code, contact })
}

/// The delegated credential: there, the caller's own, and good for a while.
fn delegated(identities: &Identities, request: &v1::SubmitRequest) -> Result<Credential, Failure> {
    if request.delegated_credential.is_empty() {
        // Stock job managers exit in this case, and the client reports error 10.
        return Err(Failure::new(
            GramError::PROTOCOL_FAILED,
            "the client delegated no credential, which a job needs",
        ));
    }
    let credential = identities.read(&request.delegated_credential).map_err(|error| {
        Failure::new(
            GramError::OPENING_USER_PROXY,
            format!("the delegated credential is not understood: {error}"),
        )
    })?;
    if request.identity.len() > MAX_IDENTITY || credential.identity().as_str() != request.identity {
        return Err(Failure::new(
            GramError::AUTHORIZATION,
            format!("the delegated credential is {}'s, but {} asks", credential.identity(), request.identity),
        ));
    }
    check_lifetime(&credential, Timestamp::now())?;
    Ok(credential)
}

/// Restarts come with a later issue; what can be told is whether there is such a job.
async fn restart<S>(shared: &Shared<S>, key: JobKey, identity: &Subject) -> Failure {
    let (reply, answer) = oneshot::channel();
    let asked = Message::Query { key, identity: identity.clone(), query: Query::Status, reply };
    if shared.inbox.send(asked).await.is_ok() && answer.await.is_ok() {
        return Failure::new(
            GramError::RESTART_FAILED,
            format!("attribute `restart` is not supported yet; job {key} is managed and needs no restart"),
        );
    }
    Failure::new(GramError::NO_STATE_FILE, format!("there is no job {key} of yours to restart"))
}

/// The cache is usable where it matters (149), then the scheduler's checks, unless files are still to be fetched.
fn check<S: Scheduler>(shared: &Shared<S>, job: &Job) -> Result<(), Failure> {
    let usual = default_cache(&shared.site.account.home);
    if job.spec.writes_to_cache() || job.spec.gass_cache.as_path() != usual {
        gass::Cache::open(job.spec.gass_cache.as_path())
            .map_err(|error| Failure::new(GramError::INVALID_CACHE, error.to_string()))?;
    }
    if job.spec.needs_fetching() {
        return Ok(());
    }
    let files = shared.site.job_files(job.key);
    Ok(shared.scheduler.check(&launch(job, &shared.site, Streams::of(job, &files)))?)
}

/// Hands the job to the manager; answered when it is in the store.
async fn store<S>(shared: &Shared<S>, job: Job) -> Result<(), Failure> {
    let refused = || {
        Failure::new(
            GramError::WRITING_STATE_FILE,
            "the job cannot be stored; the job manager's log says why",
        )
    };
    let (reply, answer) = oneshot::channel();
    let message = Message::Accept { job: Box::new(job), reply };
    shared.inbox.send(message).await.map_err(|_| refused())?;
    answer.await.map(drop).map_err(|_| refused())
}
