//! From a submission to an accepted job: credential, request, the scheduler's own checks, the job directory; then the manager
//! stores it and only then is it answered. Everything here happens before the job exists, so every refusal leaves nothing behind.

use crate::{
    environment::{Places, launch},
    identity::{self, Identities, Identity, check_lifetime},
    job::{Failure, Job, Origin, Phase, Registration},
    launch::JobKey,
    machine::{MAX_CONTACT_LENGTH, Restart},
    manager::{Found, Message, Shared},
    request::{self, Request, StdioUpdate, Surroundings, default_cache},
    scheduler::Scheduler,
    site::Site,
    staging,
    timeline::Timeline,
};
use gram::{GramError, JobState, control::v1};
use gsi::Credential;
use jiff::Timestamp;
use std::sync::Arc;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

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
        None => match Grant::take(shared, &request).await {
            Ok(grant) => {
                let accepted = accept(shared, &grant, request).await;
                grant.announce(shared).await;
                accepted
            }
            Err(failure) => Err(failure),
        },
    };
    answer(shared, &id, accepted)
}

/// What the submitter is told of the request with this id.
pub(crate) fn answer<S>(
    shared: &Shared<S>,
    id: &str,
    accepted: Result<Found, Failure>,
) -> Result<v1::SubmitReply, Ending> {
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

/// What a client has handed over with its request; good for as many jobs as the request asks for.
#[derive(Clone)]
pub(crate) struct Grant {
    /// The delegated credential, for the jobs themselves.
    proxy: Arc<Zeroizing<String>>,
    /// Whose it is.
    identity: Arc<Identity>,
}

impl Grant {
    /// Checks the credential and takes it in.
    pub(crate) async fn take<S>(shared: &Shared<S>, request: &v1::SubmitRequest) -> Result<Self, Failure> {
        let credential = delegated(&shared.identities, request)?;
        let proxy = Arc::new(credential.to_pem());
        let identity = shared.identities.offer(credential).await?;
        Ok(Self { proxy, identity })
    }

    /// Tells the manager of the new credential. After the request itself: a job that goes on with the credential should do so
    /// with what its restart brings along.
    pub(crate) async fn announce<S>(&self, shared: &Shared<S>) {
        if let Some(news) = self.identity.news() {
            // A manager that ends has no use for it.
            let _ = shared.inbox.send(news).await;
        }
    }
}

/// Makes a job of the request, or takes up an old one again; it is in the store when this gives it.
pub(crate) async fn accept<S: Scheduler>(
    shared: &Shared<S>,
    grant: &Grant,
    request: v1::SubmitRequest,
) -> Result<Found, Failure> {
    let Grant { proxy, identity } = grant;
    if request.callback_url.len() > MAX_CONTACT_LENGTH {
        return Err(Failure::new(
            GramError::INSERTING_CLIENT_CONTACT,
            format!("the call-back contact is longer than {MAX_CONTACT_LENGTH} bytes"),
        ));
    }
    let key = crate::random_key();
    let around = surroundings(&shared.site, &request, identity, key);
    let (spec, canonical) = match request::read(&request.rsl, &around)? {
        Request::Submit { spec, canonical } => (*spec, canonical),
        Request::Restart { key, .. } => {
            // Again, with the symbols of the job that it is about.
            let around = surroundings(&shared.site, &request, identity, key);
            return match request::read(&request.rsl, &around)? {
                Request::Restart { update, .. } => {
                    restart(shared, request, identity, key, *update, proxy.as_bytes()).await
                }
                Request::Submit { .. } => Err(no_such_job(key)),
            };
        }
    };
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
    let files = shared.site.job_files(key);
    let contact = around.contact;
    let now = Timestamp::now();
    let job = Job {
        key,
        contact: contact.clone(),
        phase: match spec.two_phase {
            // How long, the state machine decides.
            Some(_) => Phase::Uncommitted { deadline: now },
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
        contacts: registration(&request.callback_url, request.job_state_mask).into_iter().collect(),
        updates: 0,
        lapsed: false,
        redirected: None,
        progress: None,
        cache_tag: None,
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

/// What a request about the job with this key is read against.
fn surroundings(site: &Site, request: &v1::SubmitRequest, identity: &Identity, key: JobKey) -> Surroundings {
    Surroundings {
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
        contact: identity::contact(&site.host, identity.port(), key),
        job_directory: site.job_files(key).directory().to_owned(),
        scratch_name: staging::scratch::name(key),
    }
}

fn registration(url: &str, mask: u32) -> Option<Registration> {
    (!url.is_empty()).then(|| Registration { url: url.to_owned(), mask, owed: None })
}

/// Takes up a job again (gram.md §12): the answer is 0, 110, or the failure of a job that stays failed, each with its contact.
/// The job gets the new credential as its own.
async fn restart<S>(
    shared: &Shared<S>,
    request: v1::SubmitRequest,
    identity: &Identity,
    key: JobKey,
    update: StdioUpdate,
    proxy: &[u8],
) -> Result<Found, Failure> {
    let contact = registration(&request.callback_url, request.job_state_mask);
    let (reply, answer) = oneshot::channel();
    let asked = Message::Restart {
        key,
        identity: identity.subject.clone(),
        scheduler: request.scheduler,
        restart: Box::new(Restart { contact, update }),
        reply,
    };
    shared.inbox.send(asked).await.map_err(|_| no_such_job(key))?;
    let code = match answer.await.map_err(|_| no_such_job(key))?.refused {
        GramError::NO_STATE_FILE => return Err(no_such_job(key)),
        code @ GramError::OLD_JM_ALIVE => {
            return Err(Failure::new(code, format!("job {key} belongs to the service of another scheduler")));
        }
        code => code,
    };
    if let Err(error) = shared.site.job_files(key).write_proxy(proxy) {
        tracing::warn!(job = %key, %error, "the job keeps its old proxy");
    }
    Ok(Found { code, contact: identity::contact(&shared.site.host, identity.port(), key) })
}

fn no_such_job(key: JobKey) -> Failure {
    let why = format!("there is no unfinished job {key} of yours to restart");
    Failure::new(GramError::NO_STATE_FILE, why)
}

/// The cache is usable where it matters (149), so is the place for a scratch directory (136); then the scheduler's checks, unless
/// something is still to be fetched or made.
fn check<S: Scheduler>(shared: &Shared<S>, job: &Job) -> Result<(), Failure> {
    let usual = default_cache(&shared.site.account.home);
    if job.spec.uses_cache() || job.spec.gass_cache.as_path() != usual {
        staging::usable(job)?;
    }
    if let Some(path) = job.spec.scratch() {
        let base = path.as_path().parent().unwrap_or(path.as_path());
        staging::scratch::check(base).map_err(|error| {
            let message =
                format!("attribute `scratch_dir`: nothing can be made in {}: {error}", base.display());
            Failure::new(GramError::INVALID_SCRATCH, message)
        })?;
    }
    if job.spec.needs_preparing() {
        return Ok(());
    }
    let files = shared.site.job_files(job.key);
    Ok(shared.scheduler.check(&launch(job, &shared.site, Places::of(job, &files)))?)
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
