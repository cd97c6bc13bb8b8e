//! A command line as a request: program, arguments, environment … → RSL. Pure.

use crate::job::request::{literal, relation, served};
use rsl::{Operator, Spec, Value};
use std::{os::unix::ffi::OsStrExt, path::PathBuf};

/// A program to run over there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// Program, there or (with `stage`) here.
    pub executable: PathBuf,
    /// The program is a file of this machine.
    pub stage: bool,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its environment, over the site's.
    pub environment: Vec<(String, String)>,
    /// Its directory there.
    pub directory: Option<PathBuf>,
    /// Absolute path of a file of this machine.
    pub stdin: Option<PathBuf>,
    /// Processes.
    pub count: Option<u32>,
    /// Minutes.
    pub max_wall_time: Option<u32>,
    /// Further relations.
    pub extra: Option<Spec>,
}

/// The request for this command.
pub fn spec(command: CommandLine) -> Spec {
    let executable = command.executable.as_os_str().as_bytes();
    let program = if command.stage { served(executable) } else { literal(executable) };
    let mut relations = vec![relation("executable", vec![program])];
    if !command.arguments.is_empty() {
        relations.push(relation("arguments", command.arguments.iter().map(literal).collect()));
    }
    if !command.environment.is_empty() {
        let pair = |(name, value): &(String, String)| Value::Sequence(vec![literal(name), literal(value)]);
        relations.push(relation("environment", command.environment.iter().map(pair).collect()));
    }
    if let Some(directory) = &command.directory {
        relations.push(relation("directory", vec![literal(directory.as_os_str().as_bytes())]));
    }
    if let Some(stdin) = &command.stdin {
        relations.push(relation("stdin", vec![served(stdin.as_os_str().as_bytes())]));
    }
    for (name, number) in [("count", command.count), ("max_wall_time", command.max_wall_time)] {
        if let Some(number) = number {
            relations.push(relation(name, vec![literal(number.to_string())]));
        }
    }
    match command.extra {
        Some(Spec::Boolean(Operator::And, more)) => relations.extend(more),
        Some(other) => relations.push(other),
        None => {}
    }
    Spec::Boolean(Operator::And, relations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_command_line() {
        let command = CommandLine {
            executable: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), "echo \"$X\"".to_owned()],
            environment: vec![("X".to_owned(), "a b".to_owned())],
            directory: Some("/tmp".into()),
            count: Some(2),
            ..CommandLine::default()
        };
        let expected = [
            relation("executable", vec![literal("/bin/sh")]),
            relation("arguments", vec![literal("-c"), literal("echo \"$X\"")]),
            relation("environment", vec![Value::Sequence(vec![literal("X"), literal("a b")])]),
            relation("directory", vec![literal("/tmp")]),
            relation("count", vec![literal("2")]),
        ];
        assert_eq!(spec(command), Spec::Boolean(Operator::And, expected.to_vec()));
    }

    #[test]
    fn staged_files_come_from_this_machine() {
        let command = CommandLine {
            executable: "/home/a/prog".into(),
            stage: true,
            stdin: Some("/home/a/in".into()),
            ..CommandLine::default()
        };
        let expected = [
            relation("executable", vec![served("/home/a/prog")]),
            relation("stdin", vec![served("/home/a/in")]),
        ];
        assert_eq!(spec(command), Spec::Boolean(Operator::And, expected.to_vec()));
    }
}
