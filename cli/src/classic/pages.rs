//! Help, man pages and shell completions of the classic programs, all from the one [`Program`] definition.

use super::{Program, options::Opt};
use std::fmt::Write;

/// Where the description of an option starts in the help.
const HELP_COLUMN: usize = 30;

/// `-help`.
pub fn help(program: &Program) -> String {
    let mut page = format!(
        "\nSyntax: {} {}\n\n    {}\n\n    Options\n",
        program.name, program.synopsis, program.summary
    );
    for opt in program.options {
        let spelling = format!("    {}", spelling(opt));
        if spelling.len() < HELP_COLUMN {
            let _ = writeln!(page, "{spelling:<HELP_COLUMN$}{}", opt.help);
        } else {
            let _ = writeln!(page, "{spelling}\n{:HELP_COLUMN$}{}", "", opt.help);
        }
    }
    if !program.notes.is_empty() {
        let _ = write!(page, "\n{}\n", indent(program.notes));
    }
    let _ = write!(page, "\n    Example\n        {}\n\n", program.example);
    page
}

fn spelling(opt: &Opt) -> String {
    let names = opt.names.join(" | ");
    match opt.value {
        Some(value) => format!("{names} <{value}>"),
        None => names,
    }
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|line| if line.is_empty() { String::new() } else { format!("    {line}") })
        .collect::<Vec<_>>()
        .join("\n")
}

/// The manual page, section 1, in roff.
pub fn man(program: &Program) -> String {
    let mut page = format!(
        ".TH {} 1 \"\" \"Gridiron {}\" \"Classic Globus commands\"\n.SH NAME\n{} \\- {}\n.SH SYNOPSIS\n.B {}\n{}\n.SH OPTIONS\n",
        program.name.to_uppercase(),
        env!("CARGO_PKG_VERSION"),
        program.name,
        roff(program.summary),
        program.name,
        roff(program.synopsis),
    );
    for opt in program.options {
        let _ = write!(page, ".TP\n.B {}\n{}\n", roff(&spelling(opt)), roff(opt.help));
    }
    if !program.notes.is_empty() {
        let _ = write!(page, ".SH NOTES\n.nf\n{}\n.fi\n", roff(program.notes));
    }
    let _ = write!(page, ".SH EXAMPLE\n.nf\n{}\n.fi\n", roff(program.example));
    page
}

/// Backslashes, dashes and leading dots mean something to roff.
fn roff(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    escaped
        .lines()
        .map(|line| if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Completion rules for bash.
pub fn bash(program: &Program) -> String {
    let words: Vec<&str> = program.options.iter().flat_map(|opt| opt.names.iter().copied()).collect();
    format!("complete -o default -W '{}' {}\n", words.join(" "), program.name)
}

/// Completion rules for fish.
pub fn fish(program: &Program) -> String {
    let mut text = String::new();
    for opt in program.options {
        let requires = if opt.value.is_some() { " -r" } else { "" };
        let help = opt.help.replace('\'', "\\'");
        for name in opt.names {
            let name = name.trim_start_matches('-');
            let _ = writeln!(text, "complete -c {}{requires} -o {name} -d '{help}'", program.name);
        }
    }
    text
}

/// Completion rules for zsh.
pub fn zsh(program: &Program) -> String {
    let mut text = format!("#compdef {}\n_arguments \\\n", program.name);
    for opt in program.options {
        let help = opt.help.replace('\'', "").replace(['[', ']', ':'], " ");
        let argument = opt.value.map(|value| format!(":{value}:_files")).unwrap_or_default();
        for name in opt.names {
            let _ = writeln!(text, "  '{name}[{help}]{argument}' \\");
        }
    }
    text + "  '*:file:_files'\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classic::PROGRAMS;

    #[test]
    fn every_option_of_every_program_is_on_every_page() {
        for program in PROGRAMS {
            let (help, man) = (help(program), man(program));
            let (bash, zsh, fish) = (bash(program), zsh(program), fish(program));
            for name in program.options.iter().flat_map(|opt| opt.names) {
                assert!(help.contains(name), "{}: {name} is not in the help", program.name);
                assert!(man.contains(&roff(name)), "{}: {name} is not in the man page", program.name);
                for completions in [&bash, &zsh] {
                    assert!(completions.contains(name), "{}: {name} is not completed", program.name);
                }
                assert!(fish.contains(name.trim_start_matches('-')));
            }
            assert!(!program.example.is_empty());
        }
    }
}
