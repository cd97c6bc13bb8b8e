//! Starting one process of a job, and telling which step failed.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::Path,
    process,
};

use rustix::{
    fs::{Access, OFlags, access, fcntl_getfl, fcntl_setfl},
    io::Errno,
};

use super::protocol::{Command, Refusal, Stage};

/// Runs files that are executable and yet no format the kernel knows.
const SHELL: &str = "/bin/sh";

/// Starts one process of the job: its own group (or `group`), its files, its environment and nothing of ours.
///
/// The umask is the one that the job manager was started with: the account's, as with stock. The standard library
/// empties the signal mask, restores SIGPIPE, and opens every descriptor of ours to be closed on exec. Handled signals
/// fall back to their default with exec. Answers the pid.
pub fn spawn(command: &Command, group: Option<u32>) -> Result<u32, Refusal> {
    check_directory(&command.directory)?;
    check_executable(&command.executable)?;
    match try_spawn(command, group, None) {
        // execvp(3), which stock uses, hands such a file to the shell; so scripts without `#!` are seen in the wild.
        Err(error) if errno(&error.1) == Some(Errno::NOEXEC) => try_spawn(command, group, Some(SHELL)),
        result => result,
    }
    .map_err(|(stage, error)| refusal(command, stage, &error))
}

fn try_spawn(
    command: &Command,
    group: Option<u32>,
    interpreter: Option<&str>,
) -> Result<u32, (Stage, io::Error)> {
    let at = |path: &Path| command.directory.join(path);
    let stdin = open_stdin(&at(&command.stdin)).map_err(|error| (Stage::Stdin, error))?;
    let stdout = open_output(&at(&command.stdout)).map_err(|error| (Stage::Stdout, error))?;
    let stderr = open_output(&at(&command.stderr)).map_err(|error| (Stage::Stderr, error))?;
    let executable = command.executable.as_path();
    let mut program = process::Command::new(interpreter.map_or(executable, Path::new));
    if interpreter.is_some() {
        program.arg(executable);
    }
    program
        .args(&command.arguments)
        .env_clear()
        .envs(command.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(&command.directory)
        // A pid always fits.
        .process_group(group.map_or(0, u32::cast_signed))
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr);
    // Dropping the handle does not touch the process; the server waits for all its children itself.
    program.spawn().map(|child| child.id()).map_err(|error| (exec_stage(&error), error))
}

/// That the directory is one we may enter: exec's own error would not say that it was the directory.
pub fn check_directory(directory: &Path) -> Result<(), Refusal> {
    let enter = || {
        if !std::fs::metadata(directory)?.is_dir() {
            return Err(Errno::NOTDIR.into());
        }
        Ok(access(directory, Access::EXEC_OK)?)
    };
    enter().map_err(|error: io::Error| Refusal {
        stage: Stage::Directory,
        message: format!("cannot change to the directory {}: {error}", directory.display()),
    })
}

/// That the program exists, is a file, and may be executed.
pub fn check_executable(executable: &Path) -> Result<(), Refusal> {
    let refuse = |stage, why: &dyn std::fmt::Display| {
        let message = format!("cannot execute {}: {why}", executable.display());
        Err(Refusal { stage, message })
    };
    if !executable.is_absolute() {
        // Without a directory in it, the name would be looked up in the reaper's own PATH.
        return refuse(Stage::Executable, &"not an absolute path");
    }
    match std::fs::metadata(executable) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => refuse(Stage::Permission, &error),
        Err(error) => refuse(Stage::Executable, &error),
        Ok(metadata) if !metadata.is_file() => refuse(Stage::Permission, &"not a regular file"),
        Ok(_) => match access(executable, Access::EXEC_OK) {
            Err(error) => refuse(Stage::Permission, &error),
            Ok(()) => Ok(()),
        },
    }
}

/// Opens a job's input. A FIFO without a writer must not hold up the reaper, hence the detour over `NONBLOCK`.
pub fn open_stdin(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(nonblock_noctty()).open(path)?;
    if file.metadata()?.is_dir() {
        return Err(Errno::ISDIR.into());
    }
    blocking(file)
}

/// Opens a job's output for append; several processes write to one file, and stdout and stderr may be the same.
/// New files get the modes that the account's umask leaves, as the job's own files do.
pub fn open_output(path: &Path) -> io::Result<File> {
    blocking(OpenOptions::new().append(true).create(true).custom_flags(nonblock_noctty()).open(path)?)
}

/// That [`open_output`] would do, without making the file.
pub fn check_output(path: &Path) -> io::Result<()> {
    match OpenOptions::new().append(true).custom_flags(nonblock_noctty()).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = path.parent().unwrap_or(Path::new("/"));
            if !std::fs::metadata(directory)?.is_dir() {
                return Err(Errno::NOTDIR.into());
            }
            Ok(access(directory, Access::WRITE_OK | Access::EXEC_OK)?)
        }
        result => result.map(drop),
    }
}

fn nonblock_noctty() -> i32 {
    (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed()
}

fn blocking(file: File) -> io::Result<File> {
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(file)
}

fn errno(error: &io::Error) -> Option<Errno> {
    Errno::from_io_error(error)
}

fn exec_stage(error: &io::Error) -> Stage {
    match errno(error) {
        // The program was there a moment ago, so what is missing is its interpreter; to its owner that is the same.
        Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => Stage::Executable,
        Some(Errno::ACCESS | Errno::PERM | Errno::NOEXEC | Errno::ISDIR) => Stage::Permission,
        Some(Errno::TOOBIG) | None => Stage::Arguments,
        Some(Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE) => Stage::Fork,
        Some(_) => Stage::Other,
    }
}

fn refusal(command: &Command, stage: Stage, error: &io::Error) -> Refusal {
    // Running out of descriptors says nothing about the file.
    let exhausted = matches!(errno(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM));
    let stage = if exhausted { Stage::Fork } else { stage };
    let what = match stage {
        Stage::Stdin => format!("cannot open stdin {}", command.stdin.display()),
        Stage::Stdout => format!("cannot open stdout {}", command.stdout.display()),
        Stage::Stderr => format!("cannot open stderr {}", command.stderr.display()),
        _ => format!("cannot execute {}", command.executable.display()),
    };
    Refusal { stage, message: format!("{what}: {error}") }
}

#[cfg(test)]
mod tests;
