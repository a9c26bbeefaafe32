//! The process edge: arguments, run, show the error well, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    match cordon::control::cli::main() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.message.is_empty() {
                eprintln!("{error}");
            }
            ExitCode::from(error.code.number())
        }
    }
}
