//! [`ExitError`]: what the process says at last, and its exit code.

use std::fmt;

use crate::publish::plain_lines;

/// Why the process ends without having done what it was asked: sentences for the person at
/// the terminal, and the exit code.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExitError {
    /// The exit code.
    pub code: ExitCode,
    /// What happened, where, what to do; may have several lines.
    pub message: String,
}

/// The exit codes of interface.md; `sysexits.h` where it has one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ExitCode {
    /// 1: it was tried and failed.
    Failed,
    /// 64: the command line is wrong.
    Usage,
    /// 71: the system refused: a port, a folder, a permission.
    System,
    /// 78: the configuration is wrong.
    Configuration,
}

impl ExitError {
    /// It was tried and failed.
    pub fn failed(message: impl fmt::Display) -> Self {
        Self {
            code: ExitCode::Failed,
            message: message.to_string(),
        }
    }

    /// The command line is wrong.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self {
            code: ExitCode::Usage,
            message: message.to_string(),
        }
    }

    /// The system refused.
    pub fn system(message: impl fmt::Display) -> Self {
        Self {
            code: ExitCode::System,
            message: message.to_string(),
        }
    }

    /// The configuration is wrong.
    pub fn configuration(message: impl fmt::Display) -> Self {
        Self {
            code: ExitCode::Configuration,
            message: message.to_string(),
        }
    }
}

impl ExitCode {
    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 64,
            Self::System => 71,
            Self::Configuration => 78,
        }
    }
}

impl fmt::Display for ExitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain_lines(&self.message))
    }
}

impl std::error::Error for ExitError {}
