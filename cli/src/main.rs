//! The `gridiron` program.

fn main() -> std::process::ExitCode {
    gridiron_cli::main()
}
