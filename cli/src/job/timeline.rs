//! A job's time line for people. Values in, text out.

use gram::timeline::{Event, File, FileStage, Place, Timeline, Trouble, What};
use gram::{GramError, JobState};
use jiff::Timestamp;

/// The whole time line: what holds now, the files, then everything that has happened. Times are UTC.
pub fn text(told: &Timeline) -> String {
    let mut lines = vec![headline(told)];
    lines.extend(facts(told).into_iter().map(|(name, fact)| format!("  {name:<11} {fact}")));
    if !told.files.is_empty() {
        lines.push("files".to_owned());
        lines.extend(told.files.iter().map(|moved| format!("  {}", file(moved))));
    }
    if told.files_left_out > 0 {
        lines.push(format!("  … and {} more", told.files_left_out));
    }
    lines.push("time line (UTC)".to_owned());
    lines.extend(events(told));
    lines.join("\n")
}

fn headline(told: &Timeline) -> String {
    let state = told.state.name();
    match (&told.failure, told.exit_code) {
        (Some(failure), _) if told.state == JobState::Failed => format!("{state}: {}", trouble(failure)),
        (_, Some(code)) => format!("{state}, exit code {code}"),
        (_, None) => format!("{state}, {}", words(told.phase)),
    }
}

fn facts(told: &Timeline) -> Vec<(&'static str, String)> {
    let origin = &told.origin;
    let mut facts = vec![
        ("accepted", format!("{}, from {} for {}", time(origin.created), origin.client, origin.service)),
        ("owner", origin.identity.clone()),
        ("request", origin.request.clone()),
    ];
    if let Some(id) = &told.scheduler_id {
        facts.push(("scheduler", format!("{}, {id}", origin.scheduler)));
    }
    facts.push(("credential", credential(told)));
    if let Some(until) = told.until {
        facts.push(("until", format!("{}, {}", moment(told.now, until), after(told.phase))));
    }
    facts.extend(told.destinations.iter().map(|url| ("output to", url.clone())));
    for contact in &told.contacts {
        let owed = if contact.owed { ", which has not confirmed the latest update" } else { "" };
        facts.push(("tells", format!("{}{owed}", contact.url)));
    }
    facts
}

fn credential(told: &Timeline) -> String {
    let lapsed = if told.credential.lapsed { "; no file is moved until there is a new one" } else { "" };
    match told.credential.until {
        Some(until) => format!("until {}{lapsed}", moment(told.now, until)),
        None => "none".to_owned(),
    }
}

/// What comes when the phase ends by itself.
fn after(phase: Place) -> &'static str {
    match phase {
        Place::Uncommitted => "then it fails for want of a commit",
        Place::Uncollected => "then it is parked",
        Place::Parked | Place::Stopped | Place::Over => "then it is forgotten",
        _ => "then something else comes",
    }
}

/// A place in a few words.
pub fn words(place: Place) -> &'static str {
    match place {
        Place::Uncommitted => "waiting for a commit",
        Place::StagingIn => "fetching its files",
        Place::Submitting => "being handed to the scheduler",
        Place::Submitted => "with the scheduler",
        Place::Cancelling => "being cancelled",
        Place::Delivering => "its output is being delivered",
        Place::StagingOut => "its files are being sent",
        Place::Uncollected => "over, waiting for the second commit",
        Place::Parked => "parked, not collected in time",
        Place::Stopped => "left alone by the job manager",
        Place::Over => "over",
        Place::Other => "somewhere this version does not know",
    }
}

/// One file: what, from where to where, how far, how fast, how often.
pub fn file(file: &File) -> String {
    let ends: Vec<&str> =
        [file.from.as_str(), file.to.as_str()].into_iter().filter(|end| !end.is_empty()).collect();
    let mut text = format!("{} {}: {}", file.attribute, ends.join(" → "), stage(file.stage));
    if let Some(bytes) = file.bytes {
        text += &format!(", {}", size(bytes));
    }
    let is_over = matches!(file.stage, FileStage::Done | FileStage::Failed);
    if let Some(milliseconds) = file.milliseconds.filter(|_| is_over) {
        text += &format!(" in {}.{:03} s", milliseconds / 1000, milliseconds % 1000);
    }
    if let Some(rate) = file.rate() {
        text += &format!(" ({}/s)", size(rate));
    }
    if file.tries != 1 {
        text += &format!(", {} tries", file.tries);
    }
    if let Some(trouble) = &file.trouble {
        let when = if file.stage == FileStage::Done { "earlier: " } else { "" };
        text += &format!("; {when}{trouble}");
    }
    text
}

fn stage(stage: FileStage) -> &'static str {
    match stage {
        FileStage::Moving => "under way",
        FileStage::Waiting => "waiting for the next try",
        FileStage::Done => "done",
        FileStage::Failed => "given up",
        FileStage::Other => "not known",
    }
}

/// An error with its number, and the files it was about.
pub fn trouble(trouble: &Trouble) -> String {
    let words = if trouble.text.is_empty() { GramError(trouble.code).text() } else { &trouble.text };
    let mut text = format!("{words} (error {})", trouble.code);
    for (end, word) in [(&trouble.source, "from"), (&trouble.destination, "to")] {
        if let Some(end) = end.as_ref().filter(|end| !words.contains(end.as_str())) {
            text += &format!(", {word} {end}");
        }
    }
    text
}

fn events(told: &Timeline) -> Vec<String> {
    if told.events.is_empty() {
        return vec!["  nothing was kept: the job is older than time lines".to_owned()];
    }
    let mut lines = Vec::new();
    let mut before: Option<(Place, JobState)> = None;
    for event in &told.events {
        let happened = happened(event, before, told.failure.as_ref());
        if let What::Reached { phase, state } = event.what {
            before = Some((phase, state));
        }
        let often = if event.times > 1 { format!(" ({} times)", event.times) } else { String::new() };
        lines.push(format!("  {}  {happened}{often}", time_of_event(event.at)));
    }
    if told.events_left_out > 0 {
        lines.push(format!("  {} events in between are not kept", told.events_left_out));
    }
    lines
}

fn happened(event: &Event, before: Option<(Place, JobState)>, failure: Option<&Trouble>) -> String {
    match &event.what {
        What::Accepted => "accepted".to_owned(),
        What::Reached { phase, state } => {
            let (place, shown) = before.map_or((true, true), |was| (was.0 != *phase, was.1 != *state));
            let mut text = if shown { state.name().to_owned() } else { String::new() };
            if place {
                text += if shown { ": " } else { "" };
                text += words(*phase);
            }
            match failure {
                Some(failure) if shown && *state == JobState::Failed => {
                    format!("{text}; {}", trouble(failure))
                }
                _ => text,
            }
        }
        What::Scheduled { id } => format!("the scheduler has it as {id}"),
        What::Exited { code } => format!("its program has ended with exit code {code}"),
        What::Asked { query, refused: 0 } => format!("{query} asked for"),
        What::Asked { query, refused } => {
            format!("{query} asked for, refused: {} (error {refused})", GramError(*refused).text())
        }
        What::Trouble(said) => trouble(said),
        What::CallbackGivenUp { contact } => format!("{contact} does not answer; its update is given up"),
        What::CredentialEnds => "its credential ends: no file is moved until there is a new one".to_owned(),
        What::CredentialRenewed => "its credential was renewed".to_owned(),
        What::Resumed => "a new job manager has taken it up".to_owned(),
        What::Other => "something this version does not know".to_owned(),
    }
}

/// `2026-11-21 19:00:00`.
pub fn time(at: Timestamp) -> String {
    at.strftime("%F %T").to_string()
}

fn time_of_event(at: Timestamp) -> String {
    at.strftime("%F %T%.3f").to_string()
}

/// A time, and how far it is from now.
pub fn moment(now: Timestamp, at: Timestamp) -> String {
    let seconds = at.duration_since(now).as_secs();
    let far = length(seconds.unsigned_abs());
    if seconds < 0 { format!("{} ({far} ago)", time(at)) } else { format!("{} (in {far})", time(at)) }
}

/// Seconds as people say them: the two largest units.
pub fn length(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: u64, unit: &str, small: u64, of: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {of}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => two(minutes, "min", seconds % 60, "s"),
        3600..86_400 => two(hours, "h", minutes % 60, "min"),
        _ => two(days, "d", hours % 24, "h"),
    }
}

/// Bytes as people say them.
fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{}.{} kB", bytes / 1000, bytes % 1000 / 100),
        1_000_000..1_000_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use gram::timeline::{Contact, Lease, Origin, VERSION};

    pub(crate) fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn event(second: i64, what: What) -> Event {
        Event { at: at(second), times: 1, what }
    }

    /// A job in this place for 30 seconds, 60 seconds after its submission.
    pub(crate) fn told(phase: Place, state: JobState) -> Timeline {
        Timeline {
            version: VERSION,
            job: "https://vm:1/2/3/".into(),
            now: at(60),
            state,
            phase,
            until: None,
            origin: Origin {
                request: "r1".into(),
                identity: "/O=Grid/CN=Alice".into(),
                service: "jobmanager-fork".into(),
                scheduler: "fork".into(),
                client: "127.0.0.1:5".into(),
                created: at(0),
                two_phase: None,
            },
            scheduler_id: Some("77".into()),
            exit_code: None,
            failure: None,
            credential: Lease { until: Some(at(7260)), lapsed: false },
            files: Vec::new(),
            files_left_out: 0,
            destinations: Vec::new(),
            contacts: Vec::new(),
            events: vec![
                event(0, What::Accepted),
                event(0, What::Reached { phase: Place::Submitting, state: JobState::Unsubmitted }),
                event(30, What::Reached { phase, state }),
            ],
            events_left_out: 0,
        }
    }

    pub(crate) fn moved(stage: FileStage, tries: u32, trouble: Option<&str>) -> File {
        File {
            attribute: "file_stage_in".into(),
            from: "https://h:1/in".into(),
            to: "/tmp/in".into(),
            stage,
            bytes: (stage == FileStage::Done).then_some(3_000_000),
            milliseconds: (stage == FileStage::Done).then_some(1500),
            tries,
            since: at(40),
            trouble: trouble.map(Into::into),
        }
    }

    #[test]
    fn everything_is_shown() {
        let mut job = told(Place::Over, JobState::Failed);
        job.failure = Some(Trouble {
            destination: Some("https://h:1/out".into()),
            ..Trouble::new(GramError(73), "connection refused")
        });
        job.until = Some(at(360));
        job.files =
            vec![moved(FileStage::Done, 2, Some("timed out")), moved(FileStage::Failed, 3, Some("no"))];
        job.destinations = vec!["https://h:1/out".into()];
        job.contacts = vec![Contact { url: "https://h:2/".into(), owed: true }];
        job.events
            .insert(2, Event { times: 3, ..event(9, What::Asked { query: "SUSPEND".into(), refused: 94 }) });
        job.events.push(event(31, What::CallbackGivenUp { contact: "https://h:2/".into() }));
        let text = text(&job);
        for part in [
            "FAILED: connection refused (error 73), to https://h:1/out\n",
            "  accepted    1970-01-12 13:46:40, from 127.0.0.1:5 for jobmanager-fork\n",
            "  scheduler   fork, 77\n",
            "  credential  until 1970-01-12 15:47:40 (in 2 h)\n",
            "  until       1970-01-12 13:52:40 (in 5 min), then it is forgotten\n",
            "  tells       https://h:2/, which has not confirmed the latest update\n",
            "  file_stage_in https://h:1/in → /tmp/in: done, 3.0 MB in 1.500 s (2.0 MB/s), 2 tries; earlier: timed out\n",
            "  file_stage_in https://h:1/in → /tmp/in: given up, 3 tries; no\n",
            "  1970-01-12 13:46:40.000  UNSUBMITTED: being handed to the scheduler\n",
            "SUSPEND asked for, refused: the jobmanager does not accept any new requests (shutting down) (error 94) (3 times)\n",
            "  1970-01-12 13:47:10.000  FAILED: over; connection refused (error 73), to https://h:1/out\n",
            "https://h:2/ does not answer; its update is given up",
        ] {
            assert!(text.contains(part), "no {part:?} in\n{text}");
        }
    }

    #[test]
    fn a_state_is_told_when_it_changes_and_so_is_a_place() {
        let mut job = told(Place::Submitted, JobState::Active);
        job.events.push(event(50, What::Reached { phase: Place::Cancelling, state: JobState::Active }));
        let text = text(&job);
        assert!(text.contains("13:47:10.000  ACTIVE: with the scheduler\n"), "{text}");
        assert!(text.ends_with("13:47:30.000  being cancelled"), "{text}");
    }

    #[test]
    fn lengths_and_sizes() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (7320, "2 h 2 min"),
            (90_000, "1 d 1 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(length(seconds), text);
        }
        for (bytes, text) in
            [(999, "999 B"), (1234, "1.2 kB"), (5_600_000, "5.6 MB"), (u64::MAX, "18446744073.7 GB")]
        {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(moment(at(60), at(0)), "1970-01-12 13:46:40 (1 min ago)");
    }
}
